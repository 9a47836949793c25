"""One batch and the destination: intent before the request, outcome after it, until every row has its last word.

Retries with full jitter, waits when told to, and halves a batch that was refused without saying which row is at fault.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cdp_platform.connectors.protocol import Answer, Capabilities, OutgoingRow, Session
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.journal import Attempt, Status
from cdp_platform.syncs.lease import Lease
from cdp_platform.syncs.plan_files import PlannedRow

MAX_ATTEMPTS = 5
MAX_WAITING_SECONDS = 900.0
"""How long one request may be put off by rate limits before the run ends as deferred."""
BACKOFF_SECONDS = 0.5
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
    batch: int = 0

    def send(self, rows: Sequence[PlannedRow]) -> None:
        """Send rows of one operation; halve them where they are refused together, until the row at fault stands alone.

        Raises ConnectionFailed or DestinationError when the destination ends the run; what is known is in the journal.
        """
        waiting = [list(rows)] if rows else []
        while waiting:
            part = waiting.pop(0)
            self.batch += 1
            try:
                self._request(part)
            except Refused as refusal:
                if len(part) == 1:
                    self.note(part, Status.REJECTED, attempt=1, code=refusal.code)
                    continue
                middle = len(part) // 2
                waiting[:0] = [part[:middle], part[middle:]]

    def note(self, rows: Sequence[PlannedRow], status: Status, *, attempt: int, code: str | None = None) -> None:
        """Write one status for all `rows` to the journal."""
        self.engine.journal.write([self._attempt(row, status, attempt, code=code) for row in rows])

    def _request(self, rows: Sequence[PlannedRow]) -> None:
        outgoing = [_outgoing(row, self.capabilities) for row in rows]
        request = self.engine.destination.encode(self.spec.object, self.spec.match_key.field, outgoing)
        # An earlier request without an answer may have been processed, whatever a later one says of itself.
        is_uncertain, waited, attempt = False, 0.0, 1
        while True:
            self.lease.renew()
            self.note(rows, Status.INTENT, attempt=attempt)
            try:
                answer = self.session.send(request)
                self._note_answer(rows, outgoing, answer, attempt)
                return
            except (RateLimited, ConnectionFailed, Refused, ConfigError) as failure:
                self.note(rows, Status.UNANSWERED if is_uncertain else Status.NOT_SENT, attempt=attempt)
                if isinstance(failure, (Refused, AuthenticationFailed, ConfigError)):
                    raise
                pause = self._pause(failure, attempt)
                waited += pause
                attempt += int(isinstance(failure, ConnectionFailed))
                if attempt > MAX_ATTEMPTS or waited > MAX_WAITING_SECONDS:
                    raise
            except (TemporarilyDown, ContractBroken) as failure:
                is_uncertain = True
                self.note(rows, Status.UNANSWERED, attempt=attempt)
                pause = self._pause(failure, attempt)
                attempt += 1
                if attempt > MAX_ATTEMPTS:
                    raise
            self.timing.sleep(pause)

    def _pause(self, failure: Exception, attempt: int) -> float:
        """Seconds to wait: what the destination asked for, else exponential backoff with full jitter."""
        told = failure.retry_after_seconds if isinstance(failure, RateLimited) else None
        return BACKOFF_SECONDS * 2.0**attempt * self.timing.jitter() if told is None else told

    def _note_answer(
        self, rows: Sequence[PlannedRow], outgoing: Sequence[OutgoingRow], answer: Answer, attempt: int
    ) -> None:
        outcomes = _complete(rows, self.engine.destination.read(outgoing, answer))
        self.engine.journal.write(
            [
                self._attempt(
                    row,
                    _STATUSES.get(told.outcome, Status.UNANSWERED),
                    attempt,
                    code=told.code,
                    parameters=json.dumps(dict(told.parameters)) if told.parameters else None,
                    record_id=told.record_id,
                    request_id=answer.request_id,
                )
                for row in rows
                for told in [outcomes[row.ordinal]]
            ]
        )

    def _attempt(
        self,
        row: PlannedRow,
        status: Status,
        attempt: int,
        *,
        code: str | None = None,
        parameters: str | None = None,
        record_id: str | None = None,
        request_id: str | None = None,
    ) -> Attempt:
        return Attempt(
            ledger_id=self.plan.ledger_id,
            digest=self.plan.digest,
            ordinal=row.ordinal,
            key_hash=self.engine.journal.hashed(row.key),
            operation=row.operation,
            batch=self.batch,
            attempt=attempt,
            fence=self.lease.fence,
            run_id=self.run_id,
            status=status,
            code=code,
            parameters=parameters,
            record_id=record_id,
            request_id=request_id,
        )


def _outgoing(row: PlannedRow, capabilities: Capabilities) -> OutgoingRow:
    """Pick the fields that are written: of a new record all that have a value, of a known one those that changed."""
    fields = dict(row.payload)
    if row.operation is Operation.CREATE:
        fields = {name: value for name, value in fields.items() if value is not None}
    elif capabilities.writes_changed_fields_only and row.changed:
        fields = {name: fields[name] for name in row.changed}
    return OutgoingRow(
        ordinal=row.ordinal,
        operation=row.operation,
        match_value=row.match_value,
        record_id=row.record_id,
        fields=fields,
    )


def _complete(rows: Sequence[PlannedRow], outcomes: Sequence[RowOutcome]) -> dict[int, RowOutcome]:
    """Hold the outcomes against the rows: exactly one each, or the answer is not believed (G1)."""
    told = {outcome.ordinal: outcome for outcome in outcomes}
    if len(told) != len(outcomes) or told.keys() != {row.ordinal for row in rows}:
        raise ContractBroken(f"{len(outcomes)} results were told of {len(rows)} rows, or of other rows.")
    return told
