"""What a conversation with a warehouse cost, as far as the warehouse tells."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one session's statements; None: the warehouse does not tell, or not yet."""

    statements: int = 0
    """How many statements were run."""
    last_statement_id: str | None = None
    """The warehouse's name of the last one, by which its own history is searched."""
    bytes_scanned: int | None = None
    bytes_billed: int | None = None
    """What is paid for, where that is bytes."""
    seconds: float | None = None
    """For how long its computers executed them."""
    size: str | None = None
    """The size of its computers as it names it; several names, where it changed meanwhile."""
    credits: float | None = None
    """Credits used that it tells for each statement: those of its services, computing not among them."""
    estimated_credits: float | None = None
    """Credits of computing, by `seconds` and the vendor's rate for `size`: an estimate, which no bill shows."""
