"""What the destination was told about one person: what, when, by which plan and run, from which column, and why not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdp_platform.domain.permission import ENDED, NOT_FOUND
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.syncs.ledger import ensure_tables, read_header
from cdp_platform.syncs.moves import KeyMove, key_moves
from cdp_platform.syncs.policies import held_fields
from cdp_platform.syncs.records import create_desired, encoded_fields
from cdp_platform.syncs.rejected import RejectedRow, rejected_rows
from cdp_platform.syncs.source import prepare_source
from cdp_platform.syncs.unknown import UnknownRow, unknown_rows
from cdp_platform.warehouse.base import Row, Session, Warehouse


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One change that the destination accepted. `operation` is `baseline` where values were taken as delivered."""

    operation: str
    fields: Mapping[str, Any]
    """What was sent, by field; without value where the field was cleared or the record removed."""
    delivered_at: datetime
    digest: str | None
    run_id: str | None
    """None for a baseline, like `digest`."""
    partition: str | None
    account_id: str
    record_id: str | None
    request_id: str | None
    """The vendor's name of the request, where it told one."""


@dataclass(frozen=True, kw_only=True)
class FieldStory:
    """One field of the person at the destination, and where it comes from."""

    field: str
    column: str
    is_personal: bool
    delivered: Any
    """The value that was sent last; None: never sent, or cleared."""
    by: Delivery | None
    """The newest change that carried the field."""
    now: Any
    """The source model's present value, encoded as it would be sent; None where the row is gone, too."""
    held_by: str | None = None
    """The field's policy, where it keeps the present value from being sent."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Everything that is known of one key of a sync."""

    key: str
    reason: str | None
    """Why the present values are not sent, as a code under `explain.`; None where nothing is in the way."""
    is_record_there: bool
    """Whether the ledger of any account holds the key."""
    is_content_known: bool
    """False: the next run sends every field again."""
    deliveries: Sequence[Delivery]
    """Oldest first."""
    fields: Sequence[FieldStory]
    rejected: RejectedRow | None
    moves: Sequence[KeyMove]
    """The merges of persons by which the key took over a record, or lost it."""
    unknown: UnknownRow | None
    """The delivery of which nobody knows whether it arrived."""


def explain(warehouse: Warehouse, spec: SyncSpec, key: str) -> Explanation:
    """Tell everything that is known of a key. Values are not masked: mask them before people see them.

    Raises ConfigError for a source model or a column that is not there.
    """
    with warehouse.session(f"explain {spec.name}") as session:
        ensure_tables(session)
        prepare_source(session, warehouse, spec)
        present = _present(session, warehouse, spec, key)
        deliveries = [_delivery(row) for row in _log(session, spec, key)]
        fingerprints = _fingerprints(session, spec, key)
        rejected = next(iter(rejected_rows(session, warehouse, spec, key=key)), None)
        moves = key_moves(session, spec.name, key)
        held = _held(session, warehouse, spec, key) if present else frozenset()
        doubtful = next(iter(unknown_rows(session, spec, key=key)), None)
    payload = json.loads(present["payload"]) if present else {}
    return Explanation(
        key=key,
        reason="unknown" if doubtful else _reason(present, rejected, is_there=bool(fingerprints)),
        is_record_there=bool(fingerprints),
        is_content_known=None not in fingerprints or doubtful is not None,
        deliveries=deliveries,
        fields=_stories(spec, deliveries, payload, held),
        rejected=rejected,
        moves=moves,
        unknown=doubtful,
    )


def _present(session: Session, warehouse: Warehouse, spec: SyncSpec, key: str) -> Row | None:
    """The key's row in the source model: permission and payload (JSON text of all fields)."""
    dialect = warehouse.dialect
    fields = encoded_fields(session, dialect, spec)
    create_desired(session, dialect, spec, fields)
    rows = session.rows(
        f"""select desired.permission, {dialect.json_object(fields.every)} as payload
        from {dialect.relation(spec.relation)} as model
        join desired on desired."key" = model.{dialect.quote(spec.primary_key)}
        where cast(desired."key" as varchar) = ?""",
        [key],
    )
    return rows[0] if rows else None


def _log(session: Session, spec: SyncSpec, key: str) -> list[Row]:
    return session.rows(
        """select log.operation, log.changed, log.payload, log.digest, log.run_id, log."partition", log.record_id,
            log.request_id, log.delivered_at, coalesce(ledgers.account_id, '') as account_id
        from cdp.sync_log as log left join cdp.ledgers as ledgers on ledgers.ledger_id = log.ledger_id
        where log.sync = ? and log.primary_key = ?
        order by log.delivered_at, log.version""",
        [spec.name, key],
    )


def _fingerprints(session: Session, spec: SyncSpec, key: str) -> list[int | None]:
    """The key's fingerprint in each ledger of the sync that holds it."""
    found: list[int | None] = []
    for row in session.rows("select ledger_id from cdp.ledgers where sync = ? order by ledger_id", [spec.name]):
        table = f"cdp.ledger_{row['ledger_id']}"
        # A ledger that was reset has left its name and no table.
        if "-" not in row["ledger_id"] and session.columns(table):
            rows = session.rows(f'select fingerprint from {table} where cast("key" as varchar) = ?', [key])
            found += [held["fingerprint"] for held in rows]
    return found


def _delivery(row: Row) -> Delivery:
    payload = json.loads(row["payload"])
    names = payload if row["changed"] is None or row["operation"] == "baseline" else json.loads(row["changed"])
    return Delivery(
        fields={name: payload.get(name) for name in names},
        **{name: value for name, value in row.items() if name not in ("payload", "changed")},
    )


def _held(session: Session, warehouse: Warehouse, spec: SyncSpec, key: str) -> frozenset[str]:
    """The fields that the policies hold back now, by the newest ledger that something was delivered to."""
    sql = "select ledger_id from cdp.ledgers where sync = ? and version > 0 order by created_at desc limit 1"
    return frozenset(
        name
        for row in session.rows(sql, [spec.name])
        for name in held_fields(session, warehouse.dialect, spec, read_header(session, row["ledger_id"]), key)
    )


def _stories(
    spec: SyncSpec, deliveries: Sequence[Delivery], payload: Mapping[str, Any], held: frozenset[str]
) -> list[FieldStory]:
    newest: dict[str, Delivery] = {}
    for delivery in deliveries:
        # With its record every field is gone.
        names = [entry.field for entry in spec.mapping] if delivery.operation == "remove" else delivery.fields
        newest |= dict.fromkeys(names, delivery)
    return [
        FieldStory(
            field=entry.field,
            column=entry.column,
            is_personal=entry.personal,
            delivered=newest[entry.field].fields.get(entry.field) if entry.field in newest else None,
            by=newest.get(entry.field),
            now=payload.get(entry.field),
            held_by=entry.policy.value if entry.field in held else None,
        )
        for entry in spec.mapping
    ]


def _reason(present: Row | None, rejected: RejectedRow | None, *, is_there: bool) -> str | None:
    if present is None:
        return "gone_from_model" if is_there else "not_in_model"
    permission = present["permission"]
    if permission in NOT_FOUND:
        return str(permission)
    if permission in ENDED:
        return f"{permission}_there" if is_there else str(permission)
    return "rejected" if rejected else None
