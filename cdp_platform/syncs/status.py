"""The state of every sync: its last run, or the plan that waits to be sent."""

from dataclasses import dataclass
from datetime import datetime

from cdp_platform.domain.plans import Plan
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import ensure_tables
from cdp_platform.warehouse.base import Row, Warehouse

_LAST_RUNS = """
select sync, destination, "partition", digest, planned, delivered, rejected, unknown, skipped, pending, ended_at
from cdp.sync_runs
qualify row_number() over (partition by sync order by ended_at desc) = 1
order by sync"""
_UNRESOLVED = "select sync, count(*) as row_count from cdp.unknown_rows where resolved_at is null group by sync"


@dataclass(frozen=True, kw_only=True)
class SyncStatus:
    """One sync as `cdp status` shows it. Counts are rows; `ended_at` is None for a plan that was not sent."""

    name: str
    destination: str
    partition: str | None
    digest: str
    planned: int
    delivered: int
    rejected: int
    unknown: int
    skipped: int
    pending: int
    unresolved: int
    """Rows of all runs of which nobody knows whether they arrived."""
    ended_at: datetime | None


def read_status(journal: Journal, warehouse: Warehouse) -> list[SyncStatus]:
    """Say for every sync that was ever planned how its last run ended, or what its newest plan would do."""
    with warehouse.session("status") as session:
        ensure_tables(session)
        runs = {row["sync"]: row for row in session.rows(_LAST_RUNS)}
        doubts = {row["sync"]: row["row_count"] for row in session.rows(_UNRESOLVED)}
    return [_status(name, runs.get(name), journal.plan(name), doubts.get(name, 0)) for name in journal.syncs()]


def _status(name: str, run: Row | None, plan: Plan | None, unresolved: int) -> SyncStatus:
    if run is not None and (plan is None or not plan.to_send or run["ended_at"] > plan.made_at):
        told = {column: value for column, value in run.items() if column != "sync"}
        return SyncStatus(name=name, unresolved=unresolved, **told)
    if plan is None:
        raise LookupError(name)
    return SyncStatus(
        name=name,
        destination=plan.destination,
        partition=plan.partition,
        digest=plan.digest,
        planned=plan.planned,
        delivered=0,
        rejected=0,
        unknown=0,
        skipped=sum(plan.skipped.values()),
        pending=plan.to_send,
        unresolved=unresolved,
        ended_at=None,
    )
