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
    credits: float | None = None
    """What is paid for, where that is credits."""
