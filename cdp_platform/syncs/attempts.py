"""What is known of the attempts at one request."""

from dataclasses import dataclass


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
