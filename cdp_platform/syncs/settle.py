"""Settle: fold the journal into the ledger, the sync log, the rejected rows and the run record.

One transaction in the warehouse, named by a settle id that the ledger's header keeps: settling again does nothing. Only
then is the journal emptied. The next run recovers what a broken run left, before it plans.
"""

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from cdp_platform.domain.outcomes import Counts, RunRecord, RunStatus
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import CdpError
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs import continuity
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.ledger import Ledger, read_header
from cdp_platform.syncs.notes import LastWord, Status
from cdp_platform.syncs.plan_files import has_former_match_values, intact_plan, is_intact
from cdp_platform.syncs.unknown import keep_unknown, read_doubt, read_known_doubt, values_in
from cdp_platform.warehouse.base import Session, text_column

_GONE = "status = 'delivered' and operation = 'remove'"
# What makes a relation comes first: some warehouses commit by it whatever was written before.
_CREATED_AGAIN = """create or replace temporary table created_again as select "key" from settled where is_touched
    and operation = 'create' and "key" in (select "key" from {diff} where fingerprint is null)"""
_STRIKE_OUT = (
    'delete from {diff} where "key" in (select "key" from created_again)',
    'delete from {side} where "key" in (select "key" from created_again)',
)
_REFUSED = """create or replace temporary table refused as
    select settled.*, coalesce(known.attempts, 0) + 1 as attempts, coalesce(known.first_at, $now) as first_at
    from settled left join cdp.rejected_rows as known
        on known.ledger_id = $ledger and known.primary_key = cast(settled."key" as varchar)
        and known.fingerprint is not distinct from cast(settled.fingerprint as varchar)
    where settled.status = 'rejected'"""
_FOLD = (
    # What is created was in no table before, or is struck out by `_STRIKE_OUT`.
    """delete from {diff} where "key" in (select "key" from settled where is_touched and operation <> 'create')""",
    """insert into {diff} select "key", case when status = 'delivered' then fingerprint end
        from settled where is_touched and not is_gone""",
    """delete from {side} where "key" in (select "key" from settled where is_touched and operation <> 'create')""",
    """insert into {side} ("key", match_value, record_id, version)
        select "key", match_value, coalesce(told_id, record_id), $version
        from settled where is_touched and not is_gone""",
    "insert into cdp.settles values ($ledger, $version, $sync, $destination, $digest, $run, $partition, $now)",
    # The values are read from the plan's file here and nowhere else: they are most of its size. A removal has a
    # list of what it clears, be it of nothing: BigQuery cannot tell such a list from none.
    """insert into cdp.delivered_rows select $ledger, $version, cast(planned."key" as varchar),
        planned.operation,
        coalesce(cast(to_json(planned.changed) as varchar), case when planned.operation = 'remove' then '[]' end),
        case when planned.operation = 'remove' then '{{}}'
            when planned.operation <> 'withdraw' or planned.previous is null then planned.payload
            else json_merge_patch(planned.previous, planned.payload) end,
        planned.previous, coalesce(reasons.told_id, planned.record_id), reasons.request_id
        from {planned} as planned
        left join reasons on reasons.row_ordinal = planned.ordinal
        where planned.ordinal not in (select ordinal from undelivered)""",
    """delete from cdp.rejected_rows where ledger_id = $ledger and primary_key in (
        select cast("key" as varchar) from settled where status in ('delivered', 'rejected')
            and cast("key" as varchar) in (select primary_key from cdp.rejected_rows where ledger_id = $ledger))""",
    # Retried after 15 minutes, then four times as late each time, daily at last; after seven days by hand only, unless
    # so few attempts tell that it was the clock that jumped.
    """insert into cdp.rejected_rows select $ledger, $sync, cast("key" as varchar), operation,
        cast(fingerprint as varchar), code, parameters, attempts, first_at, $now,
        case when first_at < $now - interval 7 days and attempts > 4 then cast('infinity' as timestamptz)
            else $now + to_minutes(cast(least(15 * pow(4, attempts - 1), 1440) as bigint)) end,
        request_id
        from refused""",
)


def settle(
    engine: Engine,
    session: Session,
    plan: Plan,
    *,
    run_id: str,
    status: RunStatus,
    started_at: datetime,
    traffic: Traffic | None = None,
) -> RunRecord:
    """Fold what the journal knows of a plan into the warehouse, then empty the journal of it."""
    word = engine.journal.last_word(plan.ledger_id, plan.digest)
    retry_until = read_doubt(engine.journal, plan, word) if plan.at_most_once else None
    ledger = read_header(session, plan.ledger_id)
    record = _record(
        plan, ledger, word, run_id=run_id, status=status, started_at=started_at, traffic=traffic or Traffic()
    )
    settle_id = f"{_settle_prefix(run_id, plan)}{word.number}"
    is_whole = True
    if ledger.last_settle_id != settle_id:
        is_whole = continuity.compare(engine.journal, ledger) is continuity.Continuity.WHOLE
        with session.transaction():
            if word.number:
                _fold(engine, session, ledger, plan, word, record, retry_until)
            _close_books(session, ledger, plan, record, settle_id)
            faultpoint("settle.uncommitted")
    faultpoint("settle.committed")
    if is_whole:
        _remember(engine, read_header(session, plan.ledger_id), is_complete=_is_complete(record, plan))
    faultpoint("settle.remembered")
    engine.journal.forget(plan.ledger_id, plan.digest, word.number)
    faultpoint("settle.emptied")
    return record


def recover(engine: Engine, session: Session, ledger: Ledger) -> Ledger:
    """Settle what earlier runs left in the journal of this ledger, and return the header as it is then.

    Requests whose plan is gone or damaged, or was made from another version than the ledger's, since one of them comes
    from an older copy, are given up: the ledger is taken for one that misses them.
    """
    for digest, run_id in engine.journal.open_digests(ledger.ledger_id):
        faultpoint("recover.begun")
        plan = engine.journal.plan(ledger.identity.sync, digest=digest)
        if plan is None or not _may_settle(engine, ledger, plan, run_id):
            continuity.give_up(engine.journal, ledger, digest)
            continue
        settle(engine, session, plan, run_id=run_id, status=RunStatus.RECOVERED, started_at=plan.made_at)
    return read_header(session, ledger.ledger_id)


def _may_settle(engine: Engine, ledger: Ledger, plan: Plan, run_id: str) -> bool:
    if (ledger.last_settle_id or "").startswith(_settle_prefix(run_id, plan)):
        return True
    is_of_this_ledger = plan.ledger_id == ledger.ledger_id and plan.ledger_version == ledger.version
    return is_of_this_ledger and is_intact(engine.home, plan)


def _settle_prefix(run_id: str, plan: Plan) -> str:
    return f"{run_id}/{plan.digest}/"


def _remember(engine: Engine, ledger: Ledger, *, is_complete: bool) -> None:
    known = continuity.recall(engine.journal, ledger.ledger_id)
    reason = known.resend_reason if known and not is_complete else None
    continuity.remember(engine.journal, ledger, resend_reason=reason)


def _is_complete(record: RunRecord, plan: Plan) -> bool:
    return record.counts.pending == 0 and not plan.is_partial


def _record(
    plan: Plan,
    ledger: Ledger,
    word: LastWord,
    *,
    run_id: str,
    status: RunStatus,
    started_at: datetime,
    traffic: Traffic,
) -> RunRecord:
    left_out = Counter(dict(plan.skipped))
    left_out.update(note.code or "" for note in word.reasons.values() if note.status is Status.SKIPPED)
    delivered, rejected, unknown = map(word.count, (Status.DELIVERED, Status.REJECTED, Status.UNKNOWN))
    counts = Counts(
        planned=plan.planned,
        delivered=delivered,
        rejected=rejected,
        unknown=unknown,
        skipped=left_out.total(),
        pending=plan.to_send - delivered - rejected - unknown - word.count(Status.SKIPPED),
    )
    if not counts.is_balanced or counts.pending < 0:
        raise CdpError(
            f"the books of plan {plan.digest[:12]} do not balance: {counts}.",
            remedy="Nothing was written; keep the journal and the plan file and report this.",
        )
    return RunRecord(
        run_id=run_id,
        sync=plan.sync,
        destination=ledger.identity.destination,
        ledger_id=plan.ledger_id,
        partition=plan.partition,
        digest=plan.digest,
        counts=counts,
        unchanged=plan.unchanged,
        model_rows=plan.model_rows,
        operations=plan.operations,
        skipped_reasons=dict(left_out),
        status=status,
        started_at=started_at,
        ended_at=datetime.now(UTC),
        traffic=traffic,
    )


def _fold(
    engine: Engine,
    session: Session,
    ledger: Ledger,
    plan: Plan,
    word: LastWord,
    record: RunRecord,
    retry_until: datetime | None,
) -> None:
    _register_told(session, word, plan.to_send)
    path = intact_plan(engine.home, plan)
    operations = session.parquet(path)
    former = "planned.former_match_value" if has_former_match_values(path) else "null"
    session.execute(
        f"""create or replace temporary table settled as
        select planned.ordinal, planned."key", planned.operation, planned.record_id,
            -- Without an answer the record may have either; who looks for the former finds it, or sends as new.
            case when told.status = 'delivered' then planned.match_value
                else coalesce({former}, planned.match_value) end as match_value,
            planned.fingerprint, told.status, reasons.code, reasons.parameters, reasons.told_id,
            reasons.request_id,
            told.status in ('delivered', 'intent', 'unanswered', 'submitted', 'unknown') or told.uncertain = 1
                as is_touched,
            {_GONE} as is_gone
        from {operations} as planned
        join told on told.ordinal = planned.ordinal and told.status <> ''
        left join reasons on reasons.row_ordinal = planned.ordinal"""
    )
    session.execute(
        "create or replace temporary table undelivered as select ordinal from told where status <> 'delivered'"
    )
    values = {
        "ledger": ledger.ledger_id,
        "version": ledger.version + 1,
        "sync": plan.sync,
        "destination": ledger.identity.destination,
        "digest": plan.digest,
        "run": record.run_id,
        "partition": plan.partition,
        "now": record.ended_at,
        "retry": retry_until,
    }
    if plan.at_most_once:
        read_known_doubt(engine.journal, session, plan, word, values)
    for statement in _statements(session, ledger):
        sql = statement.format(diff=ledger.diff_table, side=ledger.side_table, planned=operations)
        session.execute(sql, values_in(sql, values))
    if plan.at_most_once:
        keep_unknown(session, operations, values)


def _statements(session: Session, ledger: Ledger) -> tuple[str, ...]:
    """The statements of a fold in their order; rows created again are struck out where there may be such."""
    [doubtful] = session.rows(f"select count(*) as row_count from {ledger.diff_table} where fingerprint is null")
    if doubtful["row_count"]:
        return (_CREATED_AGAIN, _REFUSED, *_STRIKE_OUT, *_FOLD)
    return (_REFUSED, *_FOLD)


def _register_told(session: Session, word: LastWord, rows: int) -> None:
    """Let SQL read the last word: `told` (ordinal, status, uncertain), a row for each of `rows`, and, of single rows,
    `reasons` (row_ordinal, code, parameters, told_id, request_id).
    """
    missing = bytes(rows - len(word.statuses))
    told = [text_column(["", *Status]).take(_bytes(word.statuses + missing)), _bytes(word.uncertain + missing)]
    told.append(_integers(range(rows)))
    session.register("told", pa.Table.from_arrays(told, names=["status", "uncertain", "ordinal"]))
    request_ids = word.request_ids
    special = sorted(word.reasons.keys() | word.record_ids.keys() | request_ids.keys())
    notes = [word.reasons.get(ordinal) for ordinal in special]
    parameters = [json.dumps(dict(note.parameters)) if note and note.parameters else None for note in notes]
    columns = [
        _integers(special),
        text_column(note.code if note else None for note in notes),
        text_column(parameters),
        text_column(map(word.record_ids.get, special)),
        text_column(map(request_ids.get, special)),
    ]
    names = ["row_ordinal", "code", "parameters", "told_id", "request_id"]
    session.register("reasons", pa.Table.from_arrays(columns, names=names))


def _bytes(values: bytearray) -> pa.Array:
    return pa.Array.from_buffers(pa.uint8(), len(values), [None, pa.py_buffer(bytes(values))])


def _integers(values: Sequence[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values).tobytes())])


def _close_books(session: Session, ledger: Ledger, plan: Plan, record: RunRecord, settle_id: str) -> None:
    is_whole = _is_complete(record, plan)
    seen: Plan | Ledger = plan if is_whole or (plan.is_of_partition and record.counts.pending == 0) else ledger
    is_mixed = seen is ledger and plan.mapping_version != ledger.mapping_version and plan.to_send > 0
    session.execute(
        "update cdp.ledgers set version = version + ?, last_settle_id = ?, mapping_version = ?, probe = ?,"
        " encoding = ?, model_rows = ?, consent_rows = ?, suppression_rows = ? where ledger_id = ?",
        [
            int(record.counts.planned > record.counts.skipped),
            settle_id,
            "" if is_mixed else seen.mapping_version,
            seen.probe,
            json.dumps(dict(seen.encoding)),
            (plan if is_whole else ledger).model_rows,
            seen.consent_rows,
            seen.suppression_rows,
            ledger.ledger_id,
        ],
    )
    session.execute("delete from cdp.sync_runs where run_id = ? and sync = ?", [record.run_id, record.sync])
    counts = record.counts
    session.execute(
        f"insert into cdp.sync_runs values ({', '.join('?' * 19)})",
        [
            record.run_id, record.sync, record.destination, record.ledger_id, record.partition, record.digest,
            counts.planned, counts.delivered, counts.rejected, counts.unknown, counts.skipped, counts.pending,
            record.unchanged, record.model_rows, json.dumps(record.operations), json.dumps(record.skipped_reasons),
            record.status, record.started_at, record.ended_at,
        ],
    )  # fmt: skip
