"""A merge of persons moves the ledger's key: who is somebody else now keeps the record that the destination has.

Identity logs every merge, former id → id. Before a plan is computed, each key of the ledger that went up in another
person takes that person's id, in one transaction that raises the ledger's version; the plan then finds an update of the
very record where it would have found a new one. Where both ids have a record the survivor's stays, and the former key
is a leftover: what becomes of its record, `removal` says. `cdp.key_moves` keeps what was moved.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Mode, SyncSpec
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs import continuity
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.warehouse.base import Dialect, Session

_NO_LEFTOVERS = 'create or replace temporary table leftovers as select "key" from {diff} where false'
# The newest merge of each id; it is void where records moved to that id later, which is in use again then.
_MERGED = """create or replace temporary table merged as
    with newest as (
        select former_person_id as former, arg_max(person_id, resolved_at) as person, max(resolved_at) as merged_at
        from {merges} where kind = 'merge' group by former_person_id
    )
    select former, person, merged_at from newest
    where not exists (
        select 1 from {merges} as later where later.person_id = former and later.resolved_at >= merged_at)"""
# A key that still stands in the model is not moved yet: the model is older than the merge.
_WAYS = """create or replace temporary table ways as
    select ledger."key" as former_key, merged.person, merged.merged_at
    from {diff} as ledger join merged on merged.former = cast(ledger."key" as varchar)
    where merged.former not in (select cast({primary_key} as varchar) from {model} where {primary_key} is not null)"""
# Times grow along a chain, since an id that took somebody in later voids its own merge before that: it has an end.
_NEXT = "update ways set person = merged.person from merged where merged.former = ways.person"
_CHOSEN = """create or replace temporary table moved as
    select former_key, cast(person as {key_type}) as "key", merged_at, side.record_id
    from ways left join {side} as side on side."key" = former_key
    where person not in (select cast("key" as varchar) from {diff})
    qualify row_number() over (
        partition by person order by side.record_id is null, side.version desc nulls last, former_key) = 1"""
_LEFT = """create or replace temporary table leftovers as
    select former_key as "key" from ways where former_key not in (select former_key from moved)"""
# An idempotency key names the former key: under the new one nothing is repeated by itself.
_MOVE = (
    "insert into cdp.settles values ($ledger, $version, $sync, $destination, null, null, null, current_timestamp)",
    """insert into cdp.delivered_rows
        select $ledger, $version, cast(moved."key" as varchar), 'move', '[]', newest.payload, null, record_id, null
        from (
            select primary_key, arg_max(payload, version) as payload from cdp.delivered_rows
            where ledger_id = $ledger and primary_key in (select cast(former_key as varchar) from moved)
            group by primary_key
        ) as newest
        join moved on cast(moved.former_key as varchar) = newest.primary_key""",
    'update {diff} as ledger set "key" = moved."key" from moved where ledger."key" = moved.former_key',
    'update {side} as side set "key" = moved."key" from moved where side."key" = moved.former_key',
    """update cdp.unknown_rows as doubtful set primary_key = cast(moved."key" as varchar), retry_until = null from moved
        where ledger_id = $ledger and resolved_at is null and primary_key = cast(moved.former_key as varchar)""",
    """delete from cdp.rejected_rows
        where ledger_id = $ledger and primary_key in (select cast(former_key as varchar) from moved)""",
    """insert into cdp.key_moves
        select $ledger, $version, $sync, cast(former_key as varchar), cast("key" as varchar), merged_at,
            current_timestamp
        from moved""",
    "update cdp.ledgers set version = $version where ledger_id = $ledger",
)


@dataclass(frozen=True, kw_only=True)
class KeyMove:
    """One key of a ledger that became another."""

    former_key: str
    key: str
    merged_at: datetime
    """When identity found that they are one person."""
    moved_at: datetime


def follow_merges(journal: Journal, session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> Ledger:
    """Move the keys of merged persons in a settled ledger, and return its header as it is then.

    Leaves the temporary table `leftovers` ("key"): former ids whose record stands beside that of their person. Where
    nobody in the ledger was merged, that is found by one query. A ledger whose past is in doubt is left as it is.
    """
    if spec.key_moves is None:
        return ledger
    session.execute(_NO_LEFTOVERS.format(diff=ledger.diff_table))
    is_whole = continuity.compare(journal, ledger) is continuity.Continuity.WHOLE
    if not is_whole or not _concerns(session, dialect, spec, ledger):
        return ledger
    names = {
        "diff": ledger.diff_table,
        "side": ledger.side_table,
        "merges": dialect.relation(spec.key_moves),
        "model": dialect.relation(spec.relation),
        "primary_key": dialect.quote(spec.primary_key),
        "key_type": session.columns(ledger.diff_table)["key"],
    }
    for statement in (_MERGED, _WAYS):
        session.execute(statement.format(**names))
    while _count(session, "ways join merged on merged.former = ways.person"):
        session.execute(_NEXT)
    for statement in (_CHOSEN, _LEFT):
        session.execute(statement.format(**names))
    return _move(session, spec, ledger, names) if _count(session, "moved") else ledger


def with_moves(plan: Plan, session: Session, rows: str) -> Plan:
    """Add to a plan how many of its rows, which `rows` selects, give a known record another match value."""
    if not plan.to_send:
        return plan
    return replace(plan, moved_rows=_count(session, f"({rows}) as planned where former_match_value is not null"))


def key_moves(session: Session, sync: str, key: str) -> list[KeyMove]:
    """The moves of a sync that led to a key or away from it, oldest first."""
    rows = session.rows(
        """select former_key, "key", merged_at, moved_at from cdp.key_moves
        where sync = ? and (former_key = ? or "key" = ?) order by moved_at, former_key""",
        [sync, key, key],
    )
    return [KeyMove(**row) for row in rows]


def leaves_leftovers(spec: SyncSpec) -> bool:
    """Whether a plan of this sync speaks of leftovers by itself: in a mirror they have left the model like others."""
    return spec.key_moves is not None and spec.mode in (Mode.UPSERT, Mode.UPDATE)


def _concerns(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> bool:
    if spec.key_moves is None or not session.columns(spec.key_moves):
        return False
    merges = f"(select former_person_id from {dialect.relation(spec.key_moves)} where kind = 'merge')"
    return _count(session, f'{ledger.diff_table} where cast("key" as varchar) in {merges}') > 0


def _move(session: Session, spec: SyncSpec, ledger: Ledger, names: dict[str, str]) -> Ledger:
    faultpoint("moves.found")
    values = {
        "ledger": ledger.ledger_id,
        "version": ledger.version + 1,
        "sync": spec.name,
        "destination": ledger.identity.destination,
    }
    with session.transaction():
        for statement in _MOVE:
            sql = statement.format(**names)
            session.execute(sql, {name: value for name, value in values.items() if f"${name}" in sql})
        faultpoint("moves.uncommitted")
    faultpoint("moves.committed")
    return replace(ledger, version=ledger.version + 1)


def _count(session: Session, relation: str) -> int:
    [found] = session.rows(f"select count(*) as row_count from {relation}")
    return int(found["row_count"])
