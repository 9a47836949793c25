"""One moment for all that a transaction reads: Snowflake reads each statement from one of its own, and knows the past.

By its documentation a clone and a query can be had as of a time that is a constant, of tables and of plain views, to
the millisecond. It cannot be had of what was made after that time, of a table whose retention is 0 days, of a
materialized view, and of some shared tables: those are read as they are when they are read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from snowflake.connector.errors import ProgrammingError

_NOW: Final = "select current_timestamp()"
_STOPPED: Final = (604, 630)
"""A statement that somebody has cancelled, or that took too long, is not asked for in another way."""


@dataclass
class Moments:
    """The moment of a session's transaction."""

    run: Callable[[str], Sequence[Sequence[Any]]]
    _clause: str = ""

    def begin(self) -> None:
        """Let the moment be that of the next copy."""
        self._clause = ""

    def copy(self, relation: str, name: str, *, is_own: bool) -> None:
        """Make the temporary table `name` of what `relation` held at the moment; both are quoted.

        What the session itself has written (`is_own`) is copied as it is: the server's clock may be behind what it
        has just been told. Raises the connector's errors.
        """
        times = ("",) if is_own else (self._at(), "")
        # Of a view, and of what somebody else shares, there is no clone.
        ways = [f"{way} {relation}{time}" for time in times for way in ("clone", "as select * from")]
        for way in ways[:-1]:
            try:
                self.run(f"create temporary table {name} {way}")
            except ProgrammingError as error:
                if error.errno in _STOPPED:
                    raise
            else:
                return
        self.run(f"create temporary table {name} {ways[-1]}")

    def _at(self) -> str:
        if not self._clause:
            [[now]] = self.run(_NOW)
            self._clause = f" at (timestamp => '{now.isoformat(' ')}'::timestamp_tz)"
        return self._clause
