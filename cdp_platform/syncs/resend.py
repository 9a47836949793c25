"""Why a plan sends rows again whose values did not change: a changed mapping, changed types, another hash, a lost past.

The ledger's header says how its fingerprints were made: by which mapping, of columns of which types, and what the
warehouse's hash made of a probe. Where that differs now, fingerprints differ by themselves, and the rows are sent
again; here they are counted and the reason is named, so that nobody has to wonder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.continuity import ASKED, Continuity, recall
from cdp_platform.syncs.ledger import Ledger, probe_of
from cdp_platform.warehouse.base import Session

HASH_CHANGED = "hash_changed"
MAPPING_CHANGED = "mapping_changed"
TYPES_CHANGED = "types_changed"
REASONS = (Continuity.LEDGER_BEHIND, Continuity.JOURNAL_BEHIND, ASKED, HASH_CHANGED, MAPPING_CHANGED, TYPES_CHANGED)
"""Every reason that a plan may name."""


def with_resend(plan: Plan, session: Session, engine: Engine, spec: SyncSpec, ledger: Ledger, path: Path) -> Plan:
    """Add to a plan, whose rows stand in the file at `path`, how they were encoded and how many of them repeat.

    A plan that undoes a run repeats nothing.
    """
    if plan.reverts is not None:
        return plan
    encoding = encoding_of(session, spec)
    probe = probe_of(session, engine.warehouse.dialect)
    known = recall(engine.journal, ledger.ledger_id)
    reason = (known.resend_reason if known else None) or _reason_to_differ(spec, ledger, probe, encoding)
    if reason is None:
        return replace(plan, probe=probe, encoding=encoding)
    differing = [name for name, made in encoding.items() if ledger.encoding.get(name) != made]
    rows = _count(session, path, reason, [] if reason == HASH_CHANGED else differing)
    return replace(plan, probe=probe, encoding=encoding, resend_reason=reason if rows else None, resent_rows=rows)


def encoding_of(session: Session, spec: SyncSpec) -> dict[str, str]:
    """By field, the column and type that it is made of; the source model must be there."""
    columns = session.columns(spec.relation)
    return {
        entry.field: f"{entry.column} {columns[entry.column]}" + (f" as {entry.type}" if entry.type else "")
        for entry in spec.mapping
    }


def _reason_to_differ(spec: SyncSpec, ledger: Ledger, probe: str, encoding: Mapping[str, str]) -> str | None:
    if ledger.probe != probe:
        return HASH_CHANGED
    if ledger.mapping_version != spec.mapping_version:
        return MAPPING_CHANGED
    return TYPES_CHANGED if ledger.encoding and ledger.encoding != encoding else None


def _count(session: Session, path: Path, reason: str, differing: Sequence[str]) -> int:
    """Count the rows of which nothing is known, or of which no field changed but those that are made differently."""
    operations, condition = "'update', 'withdraw'", "previous is null"
    if reason == Continuity.LEDGER_BEHIND:
        # The destination may have had what the ledger takes for new.
        operations = "'update', 'withdraw', 'create'"
    elif reason in (HASH_CHANGED, MAPPING_CHANGED, TYPES_CHANGED):
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in differing)
        condition = f"previous is not null and (changed is null or list_has_all(cast([{names}] as varchar[]), changed))"
    [found] = session.rows(
        f"""select count(*) as row_count from {session.parquet(path)}
        where operation in ({operations}) and {condition}"""
    )
    return int(found["row_count"])
