"""The circuit breaker of one credential: who fails too often in a row is left alone for a while (G11).

Closed: failures in a row are counted. Open: no request is made. Half-open, once the time is over: one request at a time
tries; its success closes the circuit, its failure opens it for longer. Requests that were under way together and fail
together count once, so that a blip during twenty requests is one failure and not twenty.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cdp_platform.connectors.state_server import Statements
from cdp_platform.errors import (
    CdpError,
    CircuitOpen,
    ConnectionFailed,
    ContractBroken,
    RateLimited,
    TemporarilyDown,
)
from cdp_platform.texts import text
from cdp_platform.texts.catalogue import name_of

FAILURES_IN_A_ROW: Final = 5
"""As many as a batch has attempts, so that a destination that is down is noticed by the run that is sending."""
FIRST_OPEN_SECONDS: Final = 10.0
LONGEST_OPEN_SECONDS: Final = 900.0
SHORTEST_OPEN_SECONDS: Final = 1.0
PROBE_SECONDS: Final = 120.0
"""Longer than a request can take; whoever tries and is killed blocks the others no longer than this."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The breaker's leave to make one request."""

    at: float
    """When it was given, on the pace's clock."""
    is_probe: bool = False
    has_failures: bool = False
    """Whether there was anything that a success would clear."""


class Circuit:
    """The breaker of a credential in the shared file. The caller holds the file's transaction and reads its clock."""

    def __init__(self, name: str, destination: str, jitter: Callable[[], float] = random.random) -> None:
        """`name` is the bucket's; `destination` stands in the text; `jitter` is 0 to 1."""
        self._name = name
        self._destination = destination
        self._jitter = jitter

    def admit(self, database: Statements, now: float, *, may_probe: bool = True) -> Admission:
        """Let one request through, as the probe where the circuit is half-open; raise CircuitOpen otherwise.

        Without `may_probe` nothing is written, and who asks lets the next one be the probe.
        """
        row = database.execute(
            "select open_until, probe_until from circuits where bucket = ?", (self._name,)
        ).fetchone()
        if row is None:
            return Admission(at=now)
        open_until, probe_until = row
        if open_until is None:
            return Admission(at=now, has_failures=True)
        # A time further ahead than any that is set comes from a clock that was set back since.
        for until, longest in ((open_until, LONGEST_OPEN_SECONDS), (probe_until, PROBE_SECONDS)):
            if until is not None and now < until <= now + longest:
                raise self._open(until - now)
        if may_probe:
            database.execute("update circuits set probe_until = ? where bucket = ?", (now + PROBE_SECONDS, self._name))
        return Admission(at=now, is_probe=True, has_failures=True)

    def succeed(self, database: Statements, admission: Admission) -> None:
        """Forget what failed; an open circuit is closed by its probe only."""
        database.execute(
            "delete from circuits where bucket = ? and (open_until is null or ?)", (self._name, admission.is_probe)
        )

    def fail(self, database: Statements, admission: Admission, now: float, weight: float) -> None:
        """Count a failure of `weight` 1 or less; open the circuit where it is one too many."""
        row = database.execute(
            "select failures, failed_at, openings, open_until from circuits where bucket = ?", (self._name,)
        ).fetchone()
        failures, failed_at, openings, open_until = row or (0.0, None, 0, None)
        if admission.is_probe:
            # An answer that asks to wait says neither that it works nor that it does not: somebody else tries.
            open_until = open_until if weight < 1 else now + self._open_seconds(openings)
            openings += int(weight >= 1)
        elif open_until is not None or (failed_at is not None and admission.at < failed_at <= now):
            return
        else:
            is_recent = failed_at is not None and 0 <= now - failed_at <= LONGEST_OPEN_SECONDS
            failures = weight + (failures if is_recent else 0.0)
            if failures >= FAILURES_IN_A_ROW:
                open_until, openings = now + self._open_seconds(openings), openings + 1
        database.execute(
            """insert into circuits values (?, ?, ?, ?, ?, null) on conflict (bucket) do update
                set failures = excluded.failures, failed_at = excluded.failed_at, openings = excluded.openings,
                    open_until = excluded.open_until, probe_until = null""",
            (self._name, failures, now, openings, open_until),
        )

    def _open_seconds(self, openings: int) -> float:
        longest = min(LONGEST_OPEN_SECONDS, FIRST_OPEN_SECONDS * 2.0 ** min(openings, 10))
        return max(SHORTEST_OPEN_SECONDS, longest * self._jitter())

    def _open(self, seconds: float) -> CircuitOpen:
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        who = name_of(self._destination, "en")
        return CircuitOpen(
            text("circuit.open", "en", destination=who, until=f"{until:%Y-%m-%d %H:%M:%S}"),
            until=until,
            remedy=text("circuit.remedy", "en"),
        )


def weight_of(error: CdpError | None) -> float | None:
    """How much an end of a request counts against the destination: 1, half for a 429; 0 for a success.

    None for answers that say nothing of its health (3xx, 4xx) and for what never left this machine.
    """
    match error:
        case None:
            return 0.0
        case TemporarilyDown() | ContractBroken():
            return 1.0
        case RateLimited():
            return 0.5
        case CircuitOpen():
            return None
        case _:
            return 1.0 if type(error) is ConnectionFailed else None
