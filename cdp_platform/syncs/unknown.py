"""Rows whose outcome nobody knows, where sending them again could do harm: kept until a person or an answer says.

They stand in `cdp.unknown_rows` with all that the sync log needs, and in the ledger without a fingerprint. While one
is unresolved its key is not planned, but for the same delivery under an idempotency key that is still remembered.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.syncs.answer_rules import KEY_MARGIN_SECONDS
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import Ledger, ensure_tables
from cdp_platform.syncs.notes import LastWord
from cdp_platform.warehouse.base import Session, Warehouse

# What was refused and is touched was refused only after a request without an answer.
_DOUBTFUL = (
    "(settled.status in ('unknown', 'intent', 'unanswered', 'submitted')"
    " or settled.status = 'rejected' and settled.is_touched)"
)
_OPEN = "ledger_id = $ledger and resolved_at is null and primary_key in"
# What was known of the same delivery before: since when, and until when its key may be repeated.
_KNOWN = f"""create or replace temporary table known_doubt as
    select primary_key, first_at, retry_until from cdp.unknown_rows
    where {_OPEN} (select cast("key" as varchar) from settled where {_DOUBTFUL})"""
_KEEP = (
    f"""update cdp.unknown_rows set resolved_as = 'delivered', resolved_by = $run, resolved_at = $now
        where {_OPEN} (select cast("key" as varchar) from settled where status = 'delivered')""",
    f"delete from cdp.unknown_rows where {_OPEN} (select primary_key from known_doubt)",
    f"""insert into cdp.unknown_rows
        select $ledger, $sync, cast(settled."key" as varchar), settled.operation, cast(settled.fingerprint as varchar),
            planned.record_id, to_json(planned.changed), planned.payload, planned.previous, $partition, $digest, $run,
            attempts.batch, attempts.request_id, settled.code, settled.parameters,
            coalesce(known_doubt.first_at, attempts.noted_at), attempts.noted_at,
            case when settled.status <> 'unknown' and known_doubt.primary_key is null then $retry
                when settled.status <> 'unknown' then known_doubt.retry_until end,
            null, null, null
        from settled
        join {{planned}} as planned on planned.ordinal = settled.ordinal
        join attempts on attempts.row_ordinal = settled.ordinal
        left join known_doubt on known_doubt.primary_key = cast(settled."key" as varchar)
        where {_DOUBTFUL}""",
)


@dataclass(frozen=True, kw_only=True)
class UnknownRow:
    """One row whose outcome nobody knows, as `cdp resolve` shows it."""

    key: str
    operation: str
    first_at: datetime
    last_at: datetime
    digest: str
    run_id: str
    batch: int
    request_id: str | None
    """The vendor's name of the request, where an answer told it."""
    code: str | None
    """What the destination said of the row, where it said something."""
    retry_until: datetime | None
    """Until when the next run repeats it by itself, under its idempotency key; None: a person has to say."""


def retry_until(plan: Plan, begun_at: datetime | None) -> datetime | None:
    """Until when rows of a plan that are in doubt may be sent again under their idempotency keys; None: never."""
    if begun_at is None or plan.idempotency_seconds <= KEY_MARGIN_SECONDS:
        return None
    return begun_at + timedelta(seconds=plan.idempotency_seconds)


def read_doubt(journal: Journal, plan: Plan, word: LastWord) -> datetime | None:
    """Let the last word say what doubt means where a row may be sent once; the answer is `retry_until`.

    Rows in doubt are unknown; while their keys are remembered they are pending, or refused for the time being, and a
    later run repeats them.
    """
    with journal.transaction(plan.ledger_id) as connection:
        (begun,) = connection.execute(
            "select min(noted_at) from requests where ledger_id = ? and digest = ?", [plan.ledger_id, plan.digest]
        ).fetchone()
    until = retry_until(plan, datetime.fromisoformat(begun) if begun else None)
    is_repeatable = until is not None and until > datetime.now(UTC)
    if is_repeatable:
        return until
    word.give_up()
    return None


def read_known_doubt(journal: Journal, session: Session, plan: Plan, word: LastWord, values: Mapping[str, Any]) -> None:
    """Make what `keep_unknown` reads, before anything is written: `attempts` and `known_doubt`.

    `values` are those of the fold.
    """
    session.register("attempts", _attempts(journal, plan, word))
    session.execute(_KNOWN, values_in(_KNOWN, values))


def keep_unknown(session: Session, planned: str, values: Mapping[str, Any]) -> None:
    """Keep the rows in doubt of the temporary table `settled`, and strike out those that were delivered after all.

    `planned` names the plan's file in SQL; `values` are those of the fold, and `retry`.
    """
    for statement in _KEEP:
        sql = statement.format(planned=planned) if "{planned}" in statement else statement
        session.execute(sql, values_in(sql, values))


def values_in(sql: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of named values those that a statement asks for."""
    return {name: value for name, value in values.items() if f"${name}" in sql}


def hold_unresolved(session: Session, ledger: Ledger) -> None:
    """Leave out of the temporary table `operations` whatever a key of unknown outcome would be sent.

    Not held: a withdrawal, and the same delivery while its idempotency key is remembered.
    """
    session.execute(
        """update operations set skipped = 'unresolved' from cdp.unknown_rows as doubtful
        where doubtful.ledger_id = ? and doubtful.resolved_at is null and operations.skipped is null
            and doubtful.primary_key = cast(operations."key" as varchar) and operations.operation <> 'withdraw'
            and not (coalesce(doubtful.retry_until > current_timestamp, false)
                and doubtful.fingerprint is not distinct from cast(operations.fingerprint as varchar))""",
        [ledger.ledger_id],
    )


def read_unknown(warehouse: Warehouse, spec: SyncSpec, *, key: str | None = None) -> list[UnknownRow]:
    """List the rows of a sync whose outcome nobody knows, by key; with `key` of this one only."""
    with warehouse.session(f"unknown {spec.name}") as session:
        ensure_tables(session)
        return unknown_rows(session, spec, key=key)


def unknown_rows(session: Session, spec: SyncSpec, *, key: str | None = None) -> list[UnknownRow]:
    """List the rows of a sync whose outcome nobody knows, by key, in a session that is open."""
    rows = session.rows(
        """select primary_key as "key", operation, first_at, last_at, digest, run_id, batch, request_id, code,
            case when retry_until > current_timestamp then retry_until end as retry_until
        from cdp.unknown_rows
        where sync = ? and resolved_at is null and primary_key = coalesce(?, primary_key) order by primary_key""",
        [spec.name, key],
    )
    return [UnknownRow(**row) for row in rows]


def _attempts(journal: Journal, plan: Plan, word: LastWord) -> pa.Table:
    """The newest request of each row in doubt: row_ordinal, batch, request_id (nullable), noted_at."""
    doubtful = word.in_doubt()
    found: dict[int, tuple[int, str | None, datetime]] = {}
    with journal.transaction(plan.ledger_id) as connection:
        lines = connection.execute(
            "select batch, request_id, noted_at, spans from requests where ledger_id = ? and digest = ?"
            " and number <= ? order by number",
            [plan.ledger_id, plan.digest, word.number],
        ).fetchall()
    for batch, request_id, noted_at, spans in lines:
        told = batch, request_id, datetime.fromisoformat(noted_at)
        for first, last in json.loads(spans):
            found |= dict.fromkeys(doubtful.intersection(range(first, last + 1)), told)
    return pa.table(
        {
            "row_ordinal": pa.array(list(found), pa.int64()),
            "batch": pa.array([batch for batch, _, _ in found.values()], pa.int64()),
            "request_id": pa.array([request_id for _, request_id, _ in found.values()], pa.string()),
            "noted_at": pa.array([noted_at for _, _, noted_at in found.values()], pa.timestamp("us", tz="UTC")),
        }
    )
