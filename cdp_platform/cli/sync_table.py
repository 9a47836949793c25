"""What each sync did altogether, in words, read from the warehouse: the second table at the end of the demo."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table

from cdp_platform.cli.day_table import narrow_table
from cdp_platform.domain.outcomes import Operation
from cdp_platform.texts.catalogue import name_of, operation_text, text
from cdp_platform.warehouse.base import Session, Warehouse

_RUNS = "cdp.sync_runs"


@dataclass(frozen=True, kw_only=True)
class SyncRow:
    """One sync over all of its runs; `operations` are rows as planned, `skipped_reasons` those of its last run."""

    sync: str
    destination: str
    operations: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    unknown: int = 0
    pending: int = 0
    skipped_reasons: Counter[str] = field(default_factory=Counter)


def read_sync_rows(warehouse: Warehouse, syncs: Sequence[str]) -> list[SyncRow]:
    """Read the syncs that have run, in the order given."""
    with warehouse.session("the table of the syncs") as session:
        found = [_read(session, sync) for sync in syncs] if session.columns(_RUNS) else []
    return [row for row in found if row is not None]


def sync_table(rows: Sequence[SyncRow]) -> Table:
    """Lay the syncs out for a terminal, a line of words for each."""
    table = narrow_table("What each sync did")
    table.add_column("sync", no_wrap=True)
    table.add_column("to", no_wrap=True)
    table.add_column("what was sent, and who was left out at the end")
    for row in rows:
        table.add_row(row.sync, name_of(row.destination, "en"), told(row))
    return table


def told(row: SyncRow) -> str:
    """Say in words what a sync did."""
    sent = [
        operation_text(operation, row.operations[operation], "en", destination=row.destination)
        for operation in map(str, Operation)
        if row.operations[operation]
    ]
    troubles = [
        f"{getattr(row, name):,} {text(f'outcome.{name}.label', 'en').lower()}"
        for name in ("rejected", "unknown", "pending")
        if getattr(row, name)
    ]
    left_out = [
        f"{count:,} {text(f'skipped.{reason}.label', 'en')}" for reason, count in row.skipped_reasons.most_common()
    ]
    parts = [", ".join(sent) or "nothing to send", *troubles]
    return "; ".join([*parts, f"left out: {', '.join(left_out)}"] if left_out else parts)


def _read(session: Session, sync: str) -> SyncRow | None:
    runs = session.rows(
        "select destination, operations, rejected, unknown, pending, skipped_reasons"
        f" from {_RUNS} where sync = ? order by ended_at",
        [sync],
    )
    if not runs:
        return None
    operations: Counter[str] = Counter()
    for run in runs:
        operations.update(json.loads(run["operations"] or "{}"))
    last = runs[-1]
    return SyncRow(
        sync=sync,
        destination=last["destination"],
        operations=+operations,
        rejected=sum(run["rejected"] for run in runs),
        unknown=sum(run["unknown"] for run in runs),
        pending=last["pending"],
        skipped_reasons=+Counter(json.loads(last["skipped_reasons"] or "{}")),
    )
