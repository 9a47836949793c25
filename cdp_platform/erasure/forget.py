"""Forget one person: resolve, note, remember the hashes, delete in tables, ledgers, logs, plans and at destinations.

The order makes every place of it safe to be killed at: what is to be done is durable before anything is deleted, and
each part may be done again. What a destination cannot do now stays pending, with everything else done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.erasure.book import State, Step, Work, end_work, keep_work, new_work, note, open_work
from cdp_platform.erasure.closure import Unfound, find_person, readings
from cdp_platform.erasure.files import erase_files
from cdp_platform.erasure.holdings import Holding, PersonKey, holdings_in, links_of, present_holdings
from cdp_platform.erasure.identifiers import Closure, read_key, tombstone
from cdp_platform.erasure.only_read import require_gone
from cdp_platform.erasure.records import erase_records, system_of
from cdp_platform.erasure.tables import count_rows, delete_rows, keys_in_syncs
from cdp_platform.erasure.tombstones import read_hashes, remember
from cdp_platform.errors import CdpError
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import ensure_tables
from cdp_platform.warehouse.base import Session, Warehouse

WAREHOUSE = "warehouse"
FILES = "files"
"""Systems in the book of erasures, beside one for each sync."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Everything in which a person may stand."""

    home: Home
    warehouse: Warehouse
    journal: Journal
    declared: Mapping[str, PersonKey]
    """By `schema.table`: the person keys of models and sources."""
    syncs: Sequence[tuple[Engine, SyncSpec]]
    links: Sequence[Holding] = ()
    """What else leads from one identifier to another, besides tables."""
    theirs: Mapping[str, PersonKey] = field(default_factory=dict)
    """By `schema.table`: models and consents of somebody else. Nothing is deleted there; the person must be gone."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What an erasure would do."""

    closure: Closure
    rows: Mapping[str, int]
    """By table: rows of the person."""
    keys: Mapping[str, int]
    """By sync: keys of the person, each of them a record or a trace of one."""


def look(scope: Scope, identifier: str) -> Outlook:
    """Say what would be erased. Raises CdpError for an identifier of nobody or of several people."""
    with scope.warehouse.session("forget: look") as session:
        closure, holdings = _find(scope, session, identifier)
        keys = keys_in_syncs(session, scope.warehouse.dialect, _specs(scope), holdings, closure)
        rows = count_rows(session, scope.warehouse.dialect, holdings, closure)
    return Outlook(closure=closure, rows=rows, keys={sync: len(found) for sync, found in keys.items() if found})


def forget(scope: Scope, identifier: str) -> list[Step]:
    """Erase the person of an identifier everywhere; an erasure of this person that was broken off is gone on with.

    The answer is what became of it in each system. Raises CdpError for an identifier of nobody or of several people.
    """
    key = _key(scope)
    for work in open_work(scope.home):
        if _is_of(work, identifier):
            return _carry_out(scope, key, work)
    with scope.warehouse.session("forget: resolve") as session:
        closure, holdings = _find(scope, session, identifier)
        keys = keys_in_syncs(session, scope.warehouse.dialect, _specs(scope), holdings, closure)
    require_gone(scope.warehouse, [spec for spec in _specs(scope) if spec.relation in scope.theirs], keys)
    work = new_work(closure, keys)
    keep_work(scope.home, work)
    faultpoint("forget.kept")
    return _carry_out(scope, key, work)


def resume(scope: Scope) -> list[tuple[Work, list[Step]]]:
    """Go on with every erasure that has not ended."""
    key = _key(scope)
    return [(work, _carry_out(scope, key, work)) for work in open_work(scope.home)]


def _key(scope: Scope) -> bytes:
    with scope.warehouse.session("forget: key") as session:
        return read_key(scope.home.forgotten_key, may_make=not read_hashes(session))


def _find(scope: Scope, session: Session, identifier: str) -> tuple[Closure, list[Holding]]:
    ensure_tables(session)
    theirs = [replace(held, is_table=False) for held in holdings_in(session, scope.theirs)]
    holdings = [*present_holdings(session, scope.declared), *theirs]
    try:
        return find_person(session, [*links_of(holdings), *scope.links], identifier), holdings
    except Unfound as unfound:
        _explain_forgotten(scope, session, identifier, unfound)
        raise


def _carry_out(scope: Scope, key: bytes, work: Work) -> list[Step]:
    dialect = scope.warehouse.dialect
    systems = [WAREHOUSE, *(system_of(spec) for _, spec in scope.syncs), FILES]
    with scope.warehouse.session("forget: delete") as session:
        ensure_tables(session)
        for system in systems:
            note(session, work, Step(system=system, state=State.PENDING, code="begun"))
        remember(session, key, work.closure.values)
        faultpoint("forget.remembered")
        rows = delete_rows(session, dialect, present_holdings(session, scope.declared), work.closure)
        steps = [Step(system=WAREHOUSE, state=State.DONE, code="erased", rows=rows)]
        note(session, work, steps[0])
    faultpoint("forget.deleted")
    for engine, spec in scope.syncs:
        step = erase_records(engine, spec, work)
        _note(scope, work, step)
        steps.append(step)
    raw = [key for relation, key in scope.declared.items() if relation.startswith("raw_")]
    syncs = {spec.name for _, spec in scope.syncs}
    gone = erase_files(scope.home, scope.warehouse, scope.journal, work.closure, raw, syncs)
    faultpoint("forget.shredded")
    steps.append(Step(system=FILES, state=State.DONE, code="erased", rows=gone))
    _note(scope, work, steps[-1])
    if all(step.state in (State.DONE, State.BY_HAND) for step in steps):
        end_work(scope.home, work)
    return steps


def _note(scope: Scope, work: Work, step: Step) -> None:
    with scope.warehouse.session("forget: note") as session:
        note(session, work, step)


def _explain_forgotten(scope: Scope, session: Session, identifier: str, unfound: Unfound) -> None:
    hashes = read_hashes(session)
    key = read_key(scope.home.forgotten_key) if hashes else b""
    if any(tombstone(key, kind, value) in hashes for kind, values in readings(identifier).items() for value in values):
        raise CdpError(
            "this identifier was forgotten already, and nothing of that erasure waits.",
            remedy="What became of it: cdp forget --status.",
        ) from unfound


def _is_of(work: Work, identifier: str) -> bool:
    return any(
        value in work.closure.values.get(kind, ()) for kind, values in readings(identifier).items() for value in values
    )


def _specs(scope: Scope) -> list[SyncSpec]:
    return [spec for _, spec in scope.syncs]
