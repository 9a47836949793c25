"""How an answer is read, and doubt about it: by whether sending a row twice does harm, and by its idempotency key."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cdp_platform.connectors.protocol import AllDelivered, Batch, Reading
from cdp_platform.domain.outcomes import Outcome, RowOutcome
from cdp_platform.domain.plans import Plan
from cdp_platform.errors import CdpError, ContractBroken, Refused
from cdp_platform.syncs.notes import RowNote, Status

KEY_MARGIN_SECONDS = 120.0
"""A key counts as forgotten so long before it is: one request may be under way for 110 s."""
_ORDINARY = {
    Outcome.DELIVERED: Status.DELIVERED,
    Outcome.REJECTED: Status.REJECTED,
    Outcome.PENDING: Status.NOT_SENT,
}


@dataclass(frozen=True, kw_only=True)
class AnswerRule:
    """The rule of one plan. `key_seconds` is how long the object remembers an idempotency key; 0: it takes none."""

    is_at_most_once: bool
    key_seconds: float

    @classmethod
    def of(cls, plan: Plan) -> "AnswerRule":
        """The rule that the plan was made under."""
        return cls(is_at_most_once=plan.at_most_once, key_seconds=plan.idempotency_seconds)

    def repeatable_until(self, first_sent_at: float) -> float:
        """Until when (POSIX seconds) a request may be sent again whose outcome nobody knows."""
        if not self.is_at_most_once:
            return math.inf
        return first_sent_at + self.key_seconds - KEY_MARGIN_SECONDS

    def status(self, outcome: Outcome) -> Status:
        """What the journal says of a row that an answer told this of.

        Where a row may be sent once and has no key, only an acceptance ends the doubt: a row that is told to be refused
        beside others would be tried again by itself.
        """
        if not self.is_at_most_once or self.key_seconds > KEY_MARGIN_SECONDS:
            return _ORDINARY.get(outcome, Status.UNANSWERED)
        return Status.DELIVERED if outcome is Outcome.DELIVERED else Status.UNKNOWN

    def row_notes(self, told: Mapping[int, RowOutcome]) -> Mapping[int, RowNote]:
        """What the journal says of the rows of an answer that were not delivered, by ordinal."""
        return {
            ordinal: RowNote(status=self.status(outcome.outcome), code=outcome.code, parameters=outcome.parameters)
            for ordinal, outcome in told.items()
            if outcome.outcome is not Outcome.DELIVERED
        }


def left_by(failure: CdpError, *, is_uncertain: bool) -> Status:
    """What the journal says of rows of which a failure tells that they were not processed."""
    is_partial = isinstance(failure, Refused) and failure.is_partial
    return Status.UNANSWERED if is_uncertain or is_partial else Status.NOT_SENT


def complete(rows: Batch, reading: Reading) -> Mapping[int, RowOutcome]:
    """Hold the outcomes against the rows: exactly one each, or the answer is not believed (G1)."""
    if isinstance(reading, AllDelivered):
        return {}
    told = {outcome.ordinal: outcome for outcome in reading}
    if len(told) != len(reading) or told.keys() != set(rows.ordinals):
        raise ContractBroken(f"{len(reading)} results were told of {len(rows)} rows, or of other rows.")
    return told


def held_up(rows: Batch, told: Mapping[int, RowOutcome], rule: AnswerRule) -> list[Batch]:
    """The rows of an answer that the destination could not take now, each to be tried alone; none of a row alone."""
    if len(rows) == 1 or rule.is_at_most_once:
        return []
    pending = {ordinal for ordinal, outcome in told.items() if outcome.outcome is Outcome.PENDING}
    return [rows[place : place + 1] for place, ordinal in enumerate(rows.ordinals) if ordinal in pending]
