"""What is known of the attempts at one request."""

from dataclasses import dataclass

from cdp_platform.connectors.protocol import Batch
from cdp_platform.syncs.answer_rules import AnswerRule
from cdp_platform.syncs.idempotency import IdempotencyKeys


@dataclass(kw_only=True)
class Attempts:
    """The attempts at one request so far."""

    batch: int
    repeatable_until: float
    """POSIX seconds; later the rows are unknown rather than sent again."""
    is_uncertain: bool
    """Whether an earlier request without an answer may have been processed, whatever a later one says of itself."""
    number: int = 1
    waited_seconds: float = 0.0
    last_failure: Exception | None = None


def begun(rows: Batch, batch: int, rule: AnswerRule, keys: IdempotencyKeys | None, now: float) -> Attempts:
    """Begin with rows at `now` (POSIX seconds): until when they may be repeated, and whether an earlier run tried."""
    until = rule.repeatable_until(now)
    earlier = keys.repeatable_until(rows) if keys and rule.is_at_most_once else None
    return Attempts(
        batch=batch,
        repeatable_until=until if earlier is None else min(until, earlier),
        is_uncertain=earlier is not None,
    )
