"""One batch and the destination: intent before the request, outcome after it, until every row has its last word.

Retries with full jitter, waits when told to, and halves a batch that was refused without saying which row is at fault.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cdp_platform.connectors.protocol import AllDelivered, Batch, Capabilities, FindsRecords, Session
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Removal, SyncSpec
from cdp_platform.errors import (
    AuthenticationFailed,
    CircuitOpen,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.journal import RequestNote, RowNote, Status
from cdp_platform.syncs.lease import Lease

MAX_ATTEMPTS = 5
MAX_WAITING_SECONDS = 900.0
"""How long one request may be put off by rate limits before the run ends as deferred."""
BACKOFF_SECONDS = 0.5
_TOO_LARGE = 413
_STATUSES = {Outcome.DELIVERED: Status.DELIVERED, Outcome.REJECTED: Status.REJECTED}


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Clock, sleep and chance, so that tests need not wait. Seconds; `jitter` is 0 to 1."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


@dataclass(kw_only=True)
class Exchange:
    """The exchange of one run with one account."""

    engine: Engine
    spec: SyncSpec
    plan: Plan
    run_id: str
    lease: Lease
    session: Session
    capabilities: Capabilities
    timing: Timing
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the run is to end: requests under way are finished, no other is begun."""
    batches: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    is_size_limited: bool = False
    """Whether a request was found too large in this run."""
    rows_at_most: int = 0
    """The most rows that were accepted since; 0 while that is not known."""

    def send(self, rows: Batch) -> None:
        """Send rows; halve them where they are refused together, until the row at fault stands alone.

        Raises ConnectionFailed or DestinationError when the destination ends the run; what is known is in the journal.
        """
        step = self.rows_at_most or len(rows) or 1
        waiting = [rows[start : start + step] for start in range(0, len(rows), step)]
        while waiting and not self.stopping.is_set():
            part = waiting.pop(0)
            try:
                self._request(part, next(self.batches))
            except Refused as refusal:
                self.is_size_limited |= refusal.status == _TOO_LARGE
                if len(part) == 1:
                    self.note(part, Status.REJECTED, code=refusal.code)
                    continue
                faultpoint("batch.halved")
                middle = len(part) // 2
                waiting[:0] = [part[:middle], part[middle:]]
            else:
                if self.is_size_limited:
                    self.rows_at_most = max(self.rows_at_most, len(part))

    def note(
        self,
        rows: Batch,
        status: Status,
        *,
        batch: int = 0,
        attempt: int = 1,
        code: str | None = None,
        outcomes: Mapping[int, RowOutcome] | None = None,
        request_id: str | None = None,
    ) -> None:
        """Write to the journal what is known of `rows`; `outcomes` are those of an answer."""
        told = outcomes or {}
        self.engine.journal.write(
            RequestNote(
                ledger_id=self.plan.ledger_id,
                digest=self.plan.digest,
                run_id=self.run_id,
                fence=self.lease.fence,
                batch=batch,
                attempt=attempt,
                status=status,
                ordinals=rows.ordinals,
                code=code,
                exceptions={
                    ordinal: RowNote(
                        status=_STATUSES.get(outcome.outcome, Status.UNANSWERED),
                        code=outcome.code,
                        parameters=outcome.parameters,
                    )
                    for ordinal, outcome in told.items()
                    if outcome.outcome is not Outcome.DELIVERED
                },
                record_ids=[told[ordinal].record_id for ordinal in rows.ordinals] if told else (),
                request_id=request_id,
            )
        )

    def _found(self, rows: Batch) -> Batch:
        """Look up the record ids that a removal needs, and an opt-out of people whom a lost ledger has forgotten.

        A record that does not exist is gone already; who has none is told nothing. These operations stand first.
        """
        destination = self.engine.destination
        sought = (Operation.REMOVE, Operation.WITHDRAW) if self.plan.has_forgotten else (Operation.REMOVE,)
        if rows.operations[0] not in sought or not isinstance(destination, FindsRecords):
            return rows
        unknown = [row.match_value for row in rows if row.operation in sought and row.record_id is None]
        if not unknown:
            return rows
        ids = destination.find(self.session, self.spec.object, self.spec.match_key.field, unknown)
        found = [
            row._replace(record_id=row.record_id or ids.get(row.match_value)) if row.operation in sought else row
            for row in rows
        ]
        missing = [row for row in found if row.operation in sought and row.record_id is None]
        if gone := Batch.of(row for row in missing if row.operation is Operation.REMOVE):
            self.note(gone, Status.DELIVERED)
        if unmet := Batch.of(row for row in missing if row.operation is Operation.WITHDRAW):
            self.note(unmet, Status.SKIPPED, code="withdrawn")
        return Batch.of(row for row in found if row not in missing)

    def _request(self, rows: Batch, batch: int) -> None:
        if not self.capabilities.writes_changed_fields_only:
            rows = rows.with_all_fields()
        if self.spec.removal is Removal.CLEAR and rows.operations[0] is Operation.REMOVE:
            rows = rows.as_operation(Operation.UPDATE)
        rows = self._found(rows)
        if not rows:
            return
        request = self.engine.destination.encode(self.spec.object, self.spec.match_key.field, rows)
        # An earlier request without an answer may have been processed, whatever a later one says of itself.
        is_uncertain, waited, attempt = False, 0.0, 1
        while True:
            self.lease.renew_if_due()
            self.note(rows, Status.INTENT, batch=batch, attempt=attempt)
            faultpoint("intent.committed")
            try:
                answer = self.session.send(request)
                told = _complete(rows, self.engine.destination.read(rows, answer))
                faultpoint("answer.unrecorded")
            except (RateLimited, ConnectionFailed, Refused, ConfigError) as failure:
                left = Status.UNANSWERED if is_uncertain else Status.NOT_SENT
                self.note(rows, left, batch=batch, attempt=attempt)
                if isinstance(failure, (Refused, AuthenticationFailed, CircuitOpen, ConfigError)):
                    raise
                pause = self._pause(failure, attempt)
                waited += pause
                attempt += int(isinstance(failure, ConnectionFailed))
                if attempt > MAX_ATTEMPTS or waited > MAX_WAITING_SECONDS or self.stopping.is_set():
                    raise
            except (TemporarilyDown, ContractBroken) as failure:
                is_uncertain = True
                self.note(rows, Status.UNANSWERED, batch=batch, attempt=attempt)
                pause = self._pause(failure, attempt)
                attempt += 1
                if attempt > MAX_ATTEMPTS or self.stopping.is_set():
                    raise
            else:
                self.note(
                    rows, Status.DELIVERED, batch=batch, attempt=attempt, outcomes=told, request_id=answer.request_id
                )
                faultpoint("outcome.committed")
                return
            self.timing.sleep(pause)

    def _pause(self, failure: Exception, attempt: int) -> float:
        """Seconds to wait: what the destination asked for, else exponential backoff with full jitter."""
        told = failure.retry_after_seconds if isinstance(failure, RateLimited) else None
        return BACKOFF_SECONDS * 2.0**attempt * self.timing.jitter() if told is None else told


def _complete(rows: Batch, outcomes: Sequence[RowOutcome] | AllDelivered) -> Mapping[int, RowOutcome]:
    """Hold the outcomes against the rows: exactly one each, or the answer is not believed (G1)."""
    if isinstance(outcomes, AllDelivered):
        return {}
    told = {outcome.ordinal: outcome for outcome in outcomes}
    if len(told) != len(outcomes) or told.keys() != set(rows.ordinals):
        raise ContractBroken(f"{len(outcomes)} results were told of {len(rows)} rows, or of other rows.")
    return told
