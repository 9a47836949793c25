"""One sync's share of an erasure: its ledger, its logs, its plan files, and the records at its destination.

Under the lease of each ledger: what earlier runs left is settled, the records are noted in the work's file, the ledger
and the logs forget them, plan files that held the person are deleted, and then the destination is asked. Its part may
wait; the rest does not wait for it.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from cdp_platform.connectors.protocol import (
    Batch,
    ErasesRecords,
    FindsRecords,
    Job,
    OutgoingRow,
)
from cdp_platform.connectors.protocol import (
    Session as AccountSession,
)
from cdp_platform.domain.outcomes import Operation, Outcome
from cdp_platform.domain.syncs import Removal, SyncSpec
from cdp_platform.erasure.book import State, Step, Work, add_records
from cdp_platform.erasure.tables import register_closure
from cdp_platform.errors import (
    CdpError,
    ConnectionFailed,
    DestinationError,
    LeaseLost,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs import continuity
from cdp_platform.syncs.account import NOT_ASKED, Engine, identity, session_to
from cdp_platform.syncs.answer_rules import complete
from cdp_platform.syncs.jobs import finish_jobs
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.ledger import Ledger, ensure_tables, ledger_id, read_header
from cdp_platform.syncs.plan_files import forget_plan, plan_files
from cdp_platform.syncs.settle import recover
from cdp_platform.warehouse.base import Session, text_column

Records = Mapping[str, tuple[str, ...]]
"""Match value → the destination's record ids, which may be none."""
_KEYED = ("cdp.delivered_rows", "cdp.rejected_rows", "cdp.unknown_rows")
_GONE = (404, 410)


def system_of(spec: SyncSpec) -> str:
    """The name of a sync's share in the book of erasures."""
    return f"{spec.connection.name}/{spec.name}"


def erase_records(engine: Engine, spec: SyncSpec, work: Work) -> Step:
    """Erase the person in one sync; the answer is what became of it here."""
    try:
        steps = [_erase_ledger(engine, spec, work, name) for name in _ledgers(engine, spec)]
    except LeaseLost:
        return _step(spec, State.PENDING, "busy")
    except (ConnectionFailed, TemporarilyDown, RateLimited):
        return _step(spec, State.PENDING, "unreachable")
    except DestinationError:
        return _step(spec, State.FAILED, "refused")
    order = (State.FAILED, State.PENDING, State.BY_HAND, State.DONE)
    worst = min(steps, key=lambda step: order.index(step.state), default=_step(spec, State.DONE, "nothing_there"))
    rows = sum(step.rows for step in steps)
    return Step(system=worst.system, state=worst.state, code=worst.code, rows=rows)


def _ledgers(engine: Engine, spec: SyncSpec) -> list[str]:
    with engine.warehouse.session(f"forget {spec.name}") as session:
        ensure_tables(session)
        rows = session.rows(
            "select ledger_id from cdp.ledgers where sync = ? and not contains(ledger_id, '-') order by created_at",
            [spec.name],
        )
    return [str(row["ledger_id"]) for row in rows]


def _erase_ledger(engine: Engine, spec: SyncSpec, work: Work, name: str) -> Step:
    with held_lease(engine.journal, name) as lease:
        finish_jobs(engine, spec, lease)
        with engine.warehouse.session(f"forget {spec.name}") as session:
            ledger = recover(engine, session, read_header(session, name))
            _register_keys(session, work.keys.get(spec.name, ()))
            work = add_records(engine.home, work, name, _records(session, ledger), _delivered(session, ledger))
            faultpoint("forget.noted")
            _forget_ledger(engine, session, ledger)
            register_closure(session, work.closure)
            _forget_plans(engine, session, spec)
        faultpoint("forget.unledgered")
        step = _erase_there(engine, spec, ledger, work.records[name], work.delivered[name])
        faultpoint("forget.acknowledged")
    return step


def _register_keys(session: Session, keys: tuple[str, ...]) -> None:
    session.register("forgotten_keys", pa.Table.from_arrays([text_column(keys)], names=["key"]))


def _records(session: Session, ledger: Ledger) -> Records:
    """The person's records by the match value that they have: those of the ledger, and all that the log has named."""
    found: dict[str, set[str]] = {}
    rows = session.rows(
        f"""select side.match_value, side.record_id from {ledger.side_table} as side
        where cast(side."key" as varchar) in (select "key" from forgotten_keys)
        union all
        select '', record_id from cdp.delivered_rows
        where ledger_id = ? and record_id is not null and primary_key in (select "key" from forgotten_keys)""",
        [ledger.ledger_id],
    )
    for row in rows:
        found.setdefault(row["match_value"] or "", set()).update({row["record_id"]} - {None})
    return {value: tuple(sorted(ids)) for value, ids in found.items()}


def _delivered(session: Session, ledger: Ledger) -> dict[str, str]:
    """What was last delivered of the person's records, by the match value that they have."""
    rows = session.rows(
        f"""select side.match_value, arg_max(log.payload, log.version) as payload
        from {ledger.side_table} as side
        join cdp.delivered_rows as log on log.primary_key = cast(side."key" as varchar) and log.ledger_id = ?
        where log.primary_key in (select "key" from forgotten_keys) group by side.match_value""",
        [ledger.ledger_id],
    )
    return {str(row["match_value"]): str(row["payload"]) for row in rows}


def _forget_ledger(engine: Engine, session: Session, ledger: Ledger) -> None:
    """Delete the person's keys from the ledger and its logs; plans that were made before are not sent any more."""
    is_whole = continuity.compare(engine.journal, ledger) is continuity.Continuity.WHOLE
    with session.transaction():
        for table in (ledger.diff_table, ledger.side_table):
            session.execute(f'delete from {table} where cast("key" as varchar) in (select "key" from forgotten_keys)')
        of_ledger = "(ledger_id = $ledger or starts_with(ledger_id, $ledger || '-'))"
        values = {"ledger": ledger.ledger_id}
        for table in _KEYED:
            session.execute(
                f'delete from {table} where {of_ledger} and primary_key in (select "key" from forgotten_keys)', values
            )
        session.execute(
            f"""delete from cdp.key_moves where {of_ledger} and ("key" in (select "key" from forgotten_keys)
                or former_key in (select "key" from forgotten_keys))""",
            values,
        )
        if is_whole:
            session.execute("update cdp.ledgers set version = version + 1 where ledger_id = $ledger", values)


def _forget_plans(engine: Engine, session: Session, spec: SyncSpec) -> None:
    for path in plan_files(engine.home, spec.name):
        if _holds(session, path):
            forget_plan(engine.home, spec.name, path)


def _holds(session: Session, path: Path) -> bool:
    """Whether a plan's file has a row of the person, by key or by a text in it; one that cannot be read may have."""
    try:
        [found] = session.rows(
            f"""select count(*) as row_count from {session.parquet(path)}
            where cast("key" as varchar) in (select "key" from forgotten_keys)
                or exists (select 1 from telling where contains(lower(payload), telling.text)
                    or contains(lower(coalesce(previous, '')), telling.text))"""
        )
    except CdpError:
        return True
    return bool(found["row_count"])


def _erase_there(
    engine: Engine, spec: SyncSpec, ledger: Ledger, records: Records, delivered: Mapping[str, str]
) -> Step:
    if not any(value or ids for value, ids in records.items()) or ledger.identity.account_id == NOT_ASKED:
        return _step(spec, State.DONE, "nothing_there")
    with session_to(engine, spec) as session:
        if ledger_id(identity(spec, engine.destination.account_id(session))) != ledger.ledger_id:
            return _step(spec, State.BY_HAND, "other_account")
        ids = _record_ids(engine, spec, session, records)
        if isinstance(engine.destination, ErasesRecords):
            for record_id in ids:
                _erase_one(engine.destination, spec, session, record_id)
            return _step(spec, State.DONE, "erased", rows=len(ids))
        return _remove(engine, spec, session, records, delivered)


def _record_ids(engine: Engine, spec: SyncSpec, session: AccountSession, records: Records) -> list[str]:
    """The ids that are known, and those that the destination finds by the match value."""
    ids = {record_id for known in records.values() for record_id in known}
    unknown = sorted(value for value, known in records.items() if value and not known)
    step = engine.destination.capabilities(spec.object).batch_rows
    if isinstance(engine.destination, FindsRecords):
        for start in range(0, len(unknown), step):
            part = unknown[start : start + step]
            ids |= set(engine.destination.find(session, spec.object, spec.match_key.field, part).values())
    return sorted(ids)


def _erase_one(destination: ErasesRecords, spec: SyncSpec, session: AccountSession, record_id: str) -> None:
    try:
        session.send(destination.erase(spec.object, record_id))
    except Refused as refusal:
        # Who is gone already need not be deleted.
        if refusal.status not in _GONE:
            raise


def _remove(
    engine: Engine, spec: SyncSpec, session: AccountSession, records: Records, delivered: Mapping[str, str]
) -> Step:
    """Where the destination has no call to erase: remove the records as a mirror would, if it can delete or archive."""
    able = engine.destination.capabilities(spec.object).removals
    if not able & {Removal.DELETE, Removal.ARCHIVE}:
        return _step(spec, State.BY_HAND, "no_call")
    wanted = [(value, next(iter(ids), None)) for value, ids in sorted(records.items()) if value]
    rows = Batch.of(
        OutgoingRow(ordinal, Operation.REMOVE, value, record_id, "{}", (), previous=delivered.get(value))
        for ordinal, (value, record_id) in enumerate(wanted)
    )
    step = engine.destination.capabilities(spec.object).batch_rows
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        answer = session.send(engine.destination.encode(spec.object, spec.match_key.field, part))
        reading = engine.destination.read(part, answer)
        if isinstance(reading, Job):
            return _step(spec, State.BY_HAND, "submitted", rows=len(rows))
        if any(one.outcome is not Outcome.DELIVERED for one in complete(part, reading).values()):
            return _step(spec, State.FAILED, "refused")
    is_deleted = Removal.DELETE in able
    state = State.DONE if is_deleted else State.BY_HAND
    return _step(spec, state, "erased" if is_deleted else "archived", rows=len(rows))


def _step(spec: SyncSpec, state: State, code: str, *, rows: int = 0) -> Step:
    return Step(system=system_of(spec), state=state, code=code, rows=rows)
