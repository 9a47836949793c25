"""Rows that the destination rejected: kept with their reason, tried again later and later, open to replay."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.privacy.masking import masked
from cdp_platform.syncs.ledger import ensure_tables
from cdp_platform.syncs.records import encoded_fields
from cdp_platform.warehouse.base import Row, Session, Warehouse


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """One row that was rejected, as `cdp rejected` shows it."""

    key: str
    operation: str
    code: str
    """The reason's code in the catalogue of texts."""
    parameters: Mapping[str, str]
    """What the reason's text needs; `field` where the destination named one."""
    value: str
    """The field's present value in the source model, masked; empty where no field was named or the row is gone."""
    request_id: str | None
    """The vendor's name of the last request, where it told one."""
    attempts: int
    first_at: datetime
    last_at: datetime
    next_at: datetime | None
    """When the same value is tried again; None: by hand only. A changed value is tried by the next run."""

    @property
    def field(self) -> str:
        """The field that the destination named, or nothing."""
        return self.parameters.get("field", "")


def read_rejected(warehouse: Warehouse, spec: SyncSpec, *, key: str | None = None) -> list[RejectedRow]:
    """List the rejected rows of a sync by key; with `key` of this one only."""
    with warehouse.session(f"rejected {spec.name}") as session:
        ensure_tables(session)
        return rejected_rows(session, warehouse, spec, key=key)


def rejected_rows(
    session: Session, warehouse: Warehouse, spec: SyncSpec, *, key: str | None = None
) -> list[RejectedRow]:
    """List the rejected rows of a sync by key, in a session that is open."""
    rows = session.rows(
        """select primary_key, operation, code, parameters, request_id, attempts, first_at, last_at,
            case when isfinite(next_at) then next_at end as next_at
        from cdp.rejected_rows where sync = ? and primary_key = coalesce(?, primary_key) order by primary_key""",
        [spec.name, key],
    )
    values = _present_values(session, warehouse, spec) if rows else {}
    return [_rejected(row, values.get(row["primary_key"], {})) for row in rows]


def replay(warehouse: Warehouse, sync: str, *, key: str | None = None) -> int:
    """Let the next run try rejected rows again, with the values that they have then. Returns how many they are.

    Raises CdpError for a key of which no rejected row is kept.
    """
    chosen, values = "sync = ? and primary_key = coalesce(?, primary_key)", [sync, key]
    with warehouse.session(f"replay {sync}") as session:
        ensure_tables(session)
        with session.transaction():
            [found] = session.rows(f"select count(*) as row_count from cdp.rejected_rows where {chosen}", values)
            session.execute(f"update cdp.rejected_rows set next_at = current_timestamp where {chosen}", values)
    if key is not None and not found["row_count"]:
        raise CdpError(f"no row of sync {sync} with this key was rejected.", remedy=f"See: cdp rejected {sync}.")
    return int(found["row_count"])


def _present_values(session: Session, warehouse: Warehouse, spec: SyncSpec) -> Mapping[str, Mapping[str, Any]]:
    """The fields of the rejected rows as the model has them now, by key."""
    dialect = warehouse.dialect
    fields = encoded_fields(session, dialect, spec)
    key = f"cast(model.{dialect.quote(spec.primary_key)} as varchar)"
    rows = session.rows(
        f"""select {key} as primary_key, {dialect.json_object(fields.every)} as payload
        from {dialect.relation(spec.relation)} as model
        where {key} in (select primary_key from cdp.rejected_rows where sync = ?)""",
        [spec.name],
    )
    return {row["primary_key"]: json.loads(row["payload"]) for row in rows}


def _rejected(row: Row, values: Mapping[str, Any]) -> RejectedRow:
    parameters = json.loads(row["parameters"] or "{}")
    value = values.get(parameters.get("field", ""))
    return RejectedRow(
        key=row["primary_key"],
        parameters=parameters,
        value="" if value is None else masked(str(value)),
        code=row["code"] or "refused",
        **{name: row[name] for name in ("operation", "request_id", "attempts", "first_at", "last_at", "next_at")},
    )
