"""Send: carry out exactly one stored plan, and account for every row of it.

A send obeys the verdict that is stored with the plan, whoever starts it. It holds no warehouse connection; whose
permission has gone since the plan is read over short ones, and the end is settled over another.
"""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice

from cdp_platform.connectors.protocol import Batch
from cdp_platform.domain.outcomes import Operation, RunRecord, RunStatus
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import CdpError
from cdp_platform.syncs import controls
from cdp_platform.syncs.account import Engine, identity, on_its_way, session_to
from cdp_platform.syncs.exchange import Exchange, Timing
from cdp_platform.syncs.idempotency import read_keys
from cdp_platform.syncs.jobs import open_jobs
from cdp_platform.syncs.lease import Lease, held_lease
from cdp_platform.syncs.ledger import ledger_id, read_header
from cdp_platform.syncs.moved_rows import apart
from cdp_platform.syncs.permission_watch import PermissionWatch
from cdp_platform.syncs.plan import require_allowed
from cdp_platform.syncs.plan_files import intact_plan, plan_path, read_batches
from cdp_platform.syncs.settle import settle

PLAN_MAX_AGE = timedelta(hours=1)
"""A stored plan is sent by its own run, or within this time by another."""

Progress = Callable[[int, int], None]
"""Called after each batch with the rows done and the rows to send."""


def send_plan(
    engine: Engine,
    spec: SyncSpec,
    plan: Plan,
    *,
    run_id: str,
    limit: int | None = None,
    on_progress: Progress = lambda done, total: None,
    timing: Timing | None = None,
) -> RunRecord:
    """Send a plan, settle it and return the run's record; `limit` rows at most, the rest is pending.

    Raises GuardTripped for a plan whose guards failed, CdpError for one that is not the newest or too old or while the
    sync is off or paused, LeaseLost where another run is at work, and after settling what is known ConnectionFailed or
    DestinationError where the destination ended the run; its rows are pending then.
    """
    require_running(engine, spec, plan)
    _require_newest(engine, spec, plan, run_id)
    started_at = datetime.now(UTC)
    with held_lease(engine.journal, plan.ledger_id) as lease:
        _require_version(engine, plan)
        intact_plan(engine.home, plan)
        require_allowed(engine, plan, run_id=run_id)
        status = RunStatus.DEFERRED
        sender = _Send(engine=engine, spec=spec, plan=plan, run_id=run_id, timing=timing or Timing())
        try:
            if plan.to_send:
                sender.run(lease, on_progress, limit)
            status = RunStatus.DONE
        finally:
            # Who lost the lease settles nothing: the other run has done it.
            lease.renew()
            # With a job that goes on the journal stays as it is: the next run asks for the outcome, then settles.
            if not open_jobs(engine.journal, plan.ledger_id):
                with engine.warehouse.session(f"settle {spec.name}") as session:
                    record = settle(
                        engine,
                        session,
                        plan,
                        run_id=run_id,
                        status=status,
                        started_at=started_at,
                        traffic=sender.traffic,
                    )
    return record


def require_running(engine: Engine, spec: SyncSpec, plan: Plan | None = None) -> None:
    """Raise CdpError while the sync is off or paused; a plan that undoes a run is sent while it is off, too."""
    is_undo = plan is not None and plan.reverts is not None
    if not is_undo and not controls.is_enabled(engine.journal, spec.name):
        raise CdpError(
            f"sync {spec.name} is switched off; nothing was sent.", remedy=f"Switch it on: cdp enable {spec.name}."
        )
    if held := controls.pause_of(engine.journal, spec.name, spec.connection.name):
        raise _paused(spec, held)


def _paused(spec: SyncSpec, held: controls.Pause) -> CdpError:
    return CdpError(
        f"sync {spec.name} is paused by {held.paused_by} since {held.paused_at[:16]} ({held.scope} {held.name}).",
        remedy="Lift it with `cdp resume`; what was not sent is planned again by the next run.",
    )


def _require_newest(engine: Engine, spec: SyncSpec, plan: Plan, run_id: str) -> None:
    newest = engine.journal.plan(spec.name)
    is_newest = newest is not None and newest.digest == plan.digest and plan.mapping_version == spec.mapping_version
    # A plan from the future is as old as the clock has jumped, and nobody knows how far that is.
    is_fresh = plan.run_id == run_id or timedelta(0) <= datetime.now(UTC) - plan.made_at <= PLAN_MAX_AGE
    if not (is_newest and is_fresh):
        raise CdpError(
            f"the plan {plan.digest[:12]} of sync {spec.name} is not the newest one, or too old to be sent.",
            remedy=f"Plan again: materialize plans/{spec.name} together with the destination.",
        )


def _require_version(engine: Engine, plan: Plan) -> None:
    with engine.warehouse.session(f"check {plan.sync}") as session:
        version = read_header(session, plan.ledger_id).version
    if version != plan.ledger_version or engine.journal.open_digests(plan.ledger_id):
        raise CdpError(
            f"the ledger has moved on since the plan {plan.digest[:12]} was made.",
            remedy=f"Plan again: materialize plans/{plan.sync} together with the destination.",
        )


@dataclass(kw_only=True)
class _Send:
    engine: Engine
    spec: SyncSpec
    plan: Plan
    run_id: str
    timing: Timing
    traffic: Traffic = field(default_factory=Traffic)

    def run(self, lease: Lease, on_progress: Progress, limit: int | None) -> None:
        engine = on_its_way(self.engine, self.spec, self.plan)
        permissions = PermissionWatch(engine=engine, spec=self.spec, plan=self.plan, lease=lease, timing=self.timing)
        with session_to(engine, self.spec) as session:
            self._require_account(engine.destination.account_id(session))
            exchange = Exchange(
                engine=engine,
                spec=self.spec,
                plan=self.plan,
                run_id=self.run_id,
                lease=lease,
                session=session,
                capabilities=engine.destination.capabilities(self.spec.object),
                timing=self.timing,
                keys=read_keys(self.engine, self.plan) if self.plan.idempotency_seconds else None,
                before_poll=self._require_unpaused,
                left_out=permissions.left_out,
            )
            self._send_all(exchange, on_progress, limit)
            self.traffic = session.traffic

    def _send_all(self, exchange: Exchange, on_progress: Progress, limit: int | None) -> None:
        """Keep as many requests under way as the destination needs; the first failure ends the others.

        What a removal frees, such as an address that must be unique, another row may take: removals end first.
        """
        done, workers = 0, _workers(exchange)
        with _undisturbed(), ThreadPoolExecutor(workers) as pool:
            try:
                for _, batches in groupby(self._batches(exchange, limit), key=_is_removal):
                    under_way: dict[Future[None], int] = {}
                    while True:
                        for rows in islice(batches, workers - len(under_way)):
                            # A thread knows of itself what its step is at only with the step's context.
                            under_way[pool.submit(copy_context().run, exchange.send, rows)] = len(rows)
                        if not under_way:
                            break
                        finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                        for future in finished:
                            done += under_way.pop(future)
                            future.result()
                            on_progress(done, self.plan.to_send)
            finally:
                exchange.stopping.set()

    def _batches(self, exchange: Exchange, limit: int | None) -> Iterator[Batch]:
        left = self.plan.to_send if limit is None else limit
        path = plan_path(self.engine.home, self.spec.name, self.plan.digest)
        told = exchange.capabilities
        at_once = max(told.batch_rows, told.lookup_rows)
        for rows in read_batches(path, at_once, is_membership=told.is_membership):
            if left <= 0:
                return
            self._require_unpaused()
            yield from apart(rows[:left])
            left -= len(rows)

    def _require_unpaused(self) -> None:
        if held := controls.pause_of(self.engine.journal, self.spec.name, self.spec.connection.name):
            raise _paused(self.spec, held)

    def _require_account(self, account_id: str) -> None:
        if ledger_id(identity(self.spec, account_id)) != self.plan.ledger_id:
            raise CdpError(
                f"the connection {self.spec.connection.name} leads to another account than when it was planned.",
                remedy=f"Plan again: materialize plans/{self.spec.name}.",
            )


def _is_removal(rows: Batch) -> bool:
    return rows.operations[0] is Operation.REMOVE


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the garbage collector pass over what is there already.

    It walks a heap as large as Dagster's for a tenth of a second, again and again, while every answer waits.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _workers(exchange: Exchange) -> int:
    """So many that a request stands ready where another ends; the session lets no more than the limit go at once.

    What stands ready is written down as begun, so events that may go once only do without: a kill would leave more of
    them in doubt.
    """
    at_once = exchange.capabilities.requests_at_once
    return at_once if exchange.rule.is_at_most_once else at_once + at_once // 2
