"""One batch and the destination: intent before the request, outcome after it, until every row has its last word.

Retries with full jitter, waits when told to, and halves a batch that was refused without saying which row is at fault.
What becomes of rows whose outcome nobody knows is the plan's rule: they are sent again, or stand as unknown.
"""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from cdp_platform.connectors.protocol import Batch, Capabilities, Job, Session
from cdp_platform.domain.outcomes import Operation, RowOutcome
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Removal, SyncSpec
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    CircuitOpen,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    DestinationError,
    JobDropped,
    JobFailed,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs import moved_rows
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.answer_rules import AnswerRule, complete, held_up, left_by
from cdp_platform.syncs.attempts import Attempts, begun
from cdp_platform.syncs.idempotency import IdempotencyKeys
from cdp_platform.syncs.job_watch import JobWatch
from cdp_platform.syncs.lease import Lease
from cdp_platform.syncs.lookup import looked_up
from cdp_platform.syncs.notes import RequestNote, Status
from cdp_platform.syncs.prefetch import after_refusal, requests_of
from cdp_platform.syncs.preparation import clear_identifiers, unfit_rows
from cdp_platform.syncs.quota import Quota
from cdp_platform.syncs.timing import Timing as Timing

MAX_ATTEMPTS = 5
MAX_WAITING_SECONDS = 900.0
"""How long one request may be put off by rate limits before the run ends as deferred."""
BACKOFF_SECONDS = 0.5
MAX_DOUBTS_IN_A_ROW = 3
"""So many requests whose rows became unknown, one after the other, end the run: the rest is not put at risk."""
_TOO_LARGE = 413


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
    keys: IdempotencyKeys | None = None
    """None where the object honours no idempotency keys."""
    before_poll: Callable[[], None] = lambda: None
    """Called before each question for a job; what it raises ends the run, and the next one asks on."""
    left_out: Callable[[Batch], Sequence[tuple[str, Batch]]] = lambda rows: ()
    """Asked before each request: the rows that may not be sent any more, with the reason."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the run is to end: requests under way are finished, no other is begun."""
    batches: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    is_size_limited: bool = False
    """Whether a request was found too large in this run."""
    rows_at_most: int = 0
    """The most rows that were accepted since; 0 while that is not known."""
    doubts: int = 0
    """Requests since the last answer whose rows became unknown."""
    quota: Quota = field(default_factory=Quota)

    @property
    def rule(self) -> AnswerRule:
        """How doubt is read under this plan."""
        return AnswerRule.of(self.plan)

    def send(self, rows: Batch) -> None:
        """Send rows; halve them where they are refused together, until the row at fault stands alone.

        Raises ConnectionFailed or DestinationError when the destination ends the run; what is known is in the journal.
        """
        waiting = requests_of(self, rows)
        while waiting and not self.stopping.is_set():
            part = waiting.pop(0)
            try:
                waiting[:0] = self._request(part, next(self.batches))
            except Refused as refusal:
                self.is_size_limited |= refusal.status == _TOO_LARGE
                if len(part) == 1:
                    if again := after_refusal(self, part, refusal):
                        waiting.insert(0, again)
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
        job: Job | None = None,
    ) -> None:
        """Write to the journal what is known of `rows`; `outcomes` are those of an answer."""
        told = outcomes or {}
        record_ids = [told[ordinal].record_id for ordinal in rows.ordinals] if told else []
        if job and rows.operations[0] is Operation.REMOVE:
            # A job of removals may tell its outcomes by record, also to a process that has not looked them up.
            record_ids = list(rows.record_ids)
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
                exceptions=self.rule.row_notes(told),
                record_ids=record_ids,
                request_id=request_id,
                job_id=job.id if job else None,
            )
        )

    def follow(
        self, rows: Batch, job: Job, *, batch: int, submitted_at: float, attempt: int = 1, is_uncertain: bool = False
    ) -> None:
        """Ask for the outcome of a job's rows until it is told, and note it; `rows` as they were sent.

        Raises Refused or JobDropped where none of them was processed, JobFailed where nobody knows and they may be sent
        again, other CdpErrors where the run ends while the job goes on.
        """
        try:
            told = self._watch().outcomes(rows, job, submitted_at=submitted_at)
            faultpoint("job.answered")
        except (Refused, JobDropped) as refusal:
            self.note(rows, left_by(refusal, is_uncertain=is_uncertain), batch=batch, attempt=attempt)
            raise
        except JobFailed as failure:
            is_lost = self.timing.wall() >= self.rule.repeatable_until(submitted_at)
            self.note(rows, Status.UNKNOWN if is_lost else Status.UNANSWERED, batch=batch, attempt=attempt)
            if not is_lost:
                raise
            self._count_doubt(failure)
        else:
            self._answered(rows, told, batch=batch, attempt=attempt)

    def _found(self, rows: Batch) -> Batch:
        """Look up the record ids that a removal or a new match value needs, and an opt-out of who was forgotten.

        A record that does not exist is gone already; who has none is told nothing. These operations stand first.
        """
        if rows[0].former_match_value is not None and self.capabilities.changes_match_value:
            rows, missing = moved_rows.located(self.engine.destination, self.session, self.spec, rows)
            self.send(missing)
            return rows
        sought = (Operation.REMOVE, Operation.WITHDRAW) if self.plan.has_forgotten else (Operation.REMOVE,)
        rows, missing = looked_up(self.engine.destination, self.session, self.spec, rows, sought)
        if gone := Batch.of(row for row in missing if row.operation is Operation.REMOVE):
            self.note(gone, Status.DELIVERED)
        if unmet := Batch.of(row for row in missing if row.operation is Operation.WITHDRAW):
            self.note(unmet, Status.SKIPPED, code="withdrawn")
        return rows

    def _watch(self) -> JobWatch:
        return JobWatch(
            destination=self.engine.destination,
            session=self.session,
            object_name=self.spec.object,
            longest_seconds=self.capabilities.job_seconds,
            wall=self.timing.wall,
            sleep=self.timing.sleep,
            lease=self.lease,
            stopping=self.stopping,
            before_poll=self.before_poll,
        )

    def as_sent(self, rows: Batch) -> Batch:
        """The rows as a request carries them: with every field where the object wants that, cleared by an update."""
        if not self.capabilities.writes_changed_fields_only:
            rows = rows.with_all_fields()
        if self.spec.removal is Removal.CLEAR and rows.operations[0] is Operation.REMOVE:
            rows = rows.as_operation(Operation.UPDATE)
        return rows

    def _request(self, rows: Batch, batch: int) -> list[Batch]:
        """Send rows as one request until there is a word on each; return those that are to be sent once more, alone."""
        found = self._found(self.as_sent(keyed)) if (keyed := self._keyed(rows, batch)) else keyed
        if not found or not (rows := self._fit(found)):
            return []
        self.quota.require(self.engine.destination)
        attempts = begun(rows, batch, self.rule, self.keys, self.timing.wall())
        while not self._is_lost(rows, attempts):
            self.lease.renew_if_due()
            if not (rows := self._permitted(rows, attempts)):
                return []
            request = self.engine.destination.encode(self.spec.object, self.spec.match_key.field, rows)
            self.note(rows, Status.INTENT, batch=batch, attempt=attempts.number)
            faultpoint("intent.committed")
            try:
                follow = partial(self._watch().outcomes, submitted_at=self.timing.wall())
                clear_identifiers(self.engine.destination, self.session, self.spec, rows, follow)
                answer = self.session.send(request)
                self.quota.heed(self.engine.destination, answer.headers)
                reading = self.engine.destination.read(rows, answer)
                told = {} if isinstance(reading, Job) else complete(rows, reading)
                faultpoint("answer.unrecorded")
            except (RateLimited, ConnectionFailed, Refused, ConfigError) as failure:
                self._after_definite_failure(rows, attempts, failure)
            except (TemporarilyDown, ContractBroken) as failure:
                self._after_doubt(rows, attempts, failure)
            else:
                if not isinstance(reading, Job):
                    self._answered(rows, told, batch=batch, attempt=attempts.number, request_id=answer.request_id)
                    return held_up(rows, told, self.rule)
                if (dropped := self._submitted(rows, attempts, reading, answer.request_id)) is None:
                    return []
                self._after_definite_failure(rows, attempts, dropped)
        return []

    def _permitted(self, rows: Batch, attempts: Attempts) -> Batch:
        """Leave out whose permission has gone; what may have arrived stays in doubt, and the next plan tells of it."""
        for code, gone in self.left_out(rows):
            if not attempts.is_uncertain:
                self.note(gone, Status.SKIPPED, batch=attempts.batch, attempt=attempts.number, code=code)
            rows = rows.without(gone)
        return rows

    def _answered(
        self,
        rows: Batch,
        told: Mapping[int, RowOutcome],
        *,
        batch: int,
        attempt: int,
        request_id: str | None = None,
    ) -> None:
        self.doubts = 0
        gone = moved_rows.gone(self.spec, rows, told)
        if left := Batch.of(row for row in rows if row not in gone) if gone else rows:
            known = {ordinal: told[ordinal] for ordinal in left.ordinals} if gone else told
            self.note(left, Status.DELIVERED, batch=batch, attempt=attempt, outcomes=known, request_id=request_id)
            faultpoint("outcome.committed")
        if gone:
            self.note(Batch.of(gone), Status.NOT_SENT, batch=batch, attempt=attempt)
            self.send(Batch.of(map(moved_rows.as_new, gone)))

    def _fit(self, rows: Batch) -> Batch:
        """Leave out the rows of which the destination knows already that it would refuse them."""
        if unfit := unfit_rows(self.engine.destination, self.spec, rows, self.plan.value_rules):
            self.note(Batch.of(row for row in rows if row.ordinal in unfit), Status.REJECTED, outcomes=unfit)
            rows = Batch.of(row for row in rows if row.ordinal not in unfit)
        return rows

    def _keyed(self, rows: Batch, batch: int) -> Batch:
        """Give the rows their idempotency keys; those whose key was forgotten since they were planned are unknown."""
        if self.keys is None:
            return rows
        late = self.keys.forgotten(rows, self.timing.wall()) if self.rule.is_at_most_once else frozenset()
        if late:
            self.note(Batch.of(row for row in rows if row.ordinal in late), Status.UNKNOWN, batch=batch)
            rows = Batch.of(row for row in rows if row.ordinal not in late)
        return self.keys.given_to(rows)

    def _is_lost(self, rows: Batch, attempts: Attempts) -> bool:
        """Whether nobody knows what became of the rows and they must not be sent again; they are noted as unknown."""
        if not attempts.is_uncertain or self.timing.wall() < attempts.repeatable_until:
            return False
        self.note(rows, Status.UNKNOWN, batch=attempts.batch, attempt=attempts.number)
        self._count_doubt(attempts.last_failure)
        return True

    def _count_doubt(self, failure: Exception | None) -> None:
        self.doubts += 1
        if failure and self.doubts >= MAX_DOUBTS_IN_A_ROW:
            raise failure

    def _after_definite_failure(self, rows: Batch, attempts: Attempts, failure: CdpError) -> None:
        """Note that nothing was processed now; raise the failure, or wait before the next attempt."""
        left = left_by(failure, is_uncertain=attempts.is_uncertain)
        self.note(rows, left, batch=attempts.batch, attempt=attempts.number)
        if isinstance(failure, (Refused, AuthenticationFailed, CircuitOpen, ConfigError)):
            raise failure
        pause = self._pause(failure, attempts.number)
        attempts.waited_seconds += pause
        attempts.number += int(isinstance(failure, ConnectionFailed))
        if attempts.number > MAX_ATTEMPTS or attempts.waited_seconds > MAX_WAITING_SECONDS or self.stopping.is_set():
            raise failure
        self.timing.rest(pause, self.stopping, failure)

    def _after_doubt(self, rows: Batch, attempts: Attempts, failure: DestinationError) -> None:
        """Note that nobody knows; raise the failure, or wait before the rule is asked again."""
        attempts.is_uncertain, attempts.last_failure = True, failure
        self.note(rows, Status.UNANSWERED, batch=attempts.batch, attempt=attempts.number)
        pause = self._pause(failure, attempts.number)
        attempts.number += 1
        is_repeatable = self.timing.wall() < attempts.repeatable_until
        if is_repeatable and (attempts.number > MAX_ATTEMPTS or self.stopping.is_set()):
            raise failure
        self.timing.rest(pause, self.stopping, failure if is_repeatable else None)

    def _submitted(
        self, rows: Batch, attempts: Attempts, job: Job, request_id: str | None
    ) -> ConnectionFailed | DestinationError | ConfigError | None:
        """Make the job's name durable, fill it and follow it; of a dropped job, return what kept it from beginning."""
        batch, attempt = attempts.batch, attempts.number
        submitted_at = self.timing.wall()
        self.note(rows, Status.SUBMITTED, batch=batch, attempt=attempt, request_id=request_id, job=job)
        faultpoint("job.submitted")
        trouble = self._watch().fill(self.spec.match_key.field, rows, job)
        try:
            self.follow(
                rows, job, batch=batch, attempt=attempt, submitted_at=submitted_at, is_uncertain=attempts.is_uncertain
            )
        except JobDropped as dropped:
            return (
                trouble if isinstance(trouble, (RateLimited, Refused, ConfigError, AuthenticationFailed)) else dropped
            )
        return None

    def _pause(self, failure: Exception, attempt: int) -> float:
        """Seconds to wait: what the destination asked for, else exponential backoff with full jitter."""
        told = failure.retry_after_seconds if isinstance(failure, RateLimited) else None
        return BACKOFF_SECONDS * 2.0**attempt * self.timing.jitter() if told is None else told
