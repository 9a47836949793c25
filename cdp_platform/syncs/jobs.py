"""Jobs that a run has left at the destination: found in the journal, and followed to their end before anything else."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from cdp_platform.connectors.protocol import Batch, Job
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import JobDropped, JobFailed, Refused
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs.account import Engine, on_its_way, session_to
from cdp_platform.syncs.exchange import Exchange, Timing
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import Lease
from cdp_platform.syncs.plan_files import is_intact, plan_path, read_batches

_READ_ROWS = 10_000
_OPEN = """
select digest, run_id, batch, attempt, spans, details, noted_at from requests as submitted
where ledger_id = ? and status = 'submitted' and not exists (
    select 1 from requests as later
    where later.ledger_id = submitted.ledger_id and later.digest = submitted.digest
        and later.run_id = submitted.run_id and later.batch = submitted.batch and later.number > submitted.number)
order by number"""


@dataclass(frozen=True, kw_only=True)
class OpenJob:
    """A job of which the journal knows the name and not the end."""

    job: Job
    digest: str
    run_id: str
    batch: int
    attempt: int
    spans: Sequence[Sequence[int]]
    """First and last ordinal of each unbroken row of rows."""
    record_ids: Sequence[str | None]
    """The records of the rows, where the request looked them up; else empty."""
    submitted_at: datetime


def open_jobs(journal: Journal, ledger_id: str) -> list[OpenJob]:
    """List the jobs under a ledger that have not come to an end, oldest first."""
    with journal.transaction(ledger_id) as connection:
        lines = connection.execute(_OPEN, [ledger_id]).fetchall()
    return [
        OpenJob(
            job=Job(id=json.loads(details)["job"]),
            digest=digest,
            run_id=run_id,
            batch=batch,
            attempt=attempt,
            spans=json.loads(spans),
            record_ids=json.loads(details).get("ids", ()),
            submitted_at=datetime.fromisoformat(noted_at),
        )
        for digest, run_id, batch, attempt, spans, details, noted_at in lines
    ]


def finish_jobs(engine: Engine, spec: SyncSpec, lease: Lease, *, timing: Timing | None = None) -> None:
    """Follow the jobs that earlier runs have left under the lease's ledger; the journal knows their outcomes then.

    Sends nothing. Raises CdpError where a job cannot be asked for; it is kept for the next run.
    """
    if not (found := open_jobs(engine.journal, lease.ledger_id)):
        return
    faultpoint("jobs.found")
    with session_to(engine, spec) as session:
        for left in found:
            plan = engine.journal.plan(spec.name, digest=left.digest)
            if plan is None or not is_intact(engine.home, plan):
                # Of its rows nothing can be known: the recovery that follows gives them up, and says so.
                continue
            way = on_its_way(engine, spec, plan)
            exchange = Exchange(
                engine=way,
                spec=spec,
                plan=plan,
                run_id=left.run_id,
                lease=lease,
                session=session,
                capabilities=way.destination.capabilities(spec.object),
                timing=timing or Timing(),
            )
            path, capabilities = plan_path(engine.home, spec.name, left.digest), exchange.capabilities
            rows = exchange.as_sent(_rows_of(path, left, is_membership=capabilities.is_membership))
            # Either way the journal says what is known of the rows; the plan that follows takes it from there.
            with suppress(Refused, JobFailed, JobDropped):
                exchange.follow(
                    rows,
                    left.job,
                    batch=left.batch,
                    attempt=left.attempt,
                    submitted_at=left.submitted_at.timestamp(),
                    is_uncertain=left.attempt > 1,
                )


def _rows_of(path: Path, left: OpenJob, *, is_membership: bool) -> Batch:
    """Read the rows of a job from its plan."""
    batches = read_batches(path, _READ_ROWS, is_membership=is_membership)
    read = chain.from_iterable(_within(rows, left.spans) for rows in batches)
    rows = Batch.of(chain.from_iterable(read))
    return replace(rows, record_ids=left.record_ids) if left.record_ids else rows


def _within(rows: Batch, spans: Sequence[Sequence[int]]) -> Iterator[Batch]:
    """The parts of a batch of neighbours that lie within the spans."""
    begin = rows.ordinals[0]
    for first, last in spans:
        part = rows[max(first - begin, 0) : max(last + 1 - begin, 0)]
        if part:
            yield part
