"""One bucket per credential, shared by every process that uses it: sending without running into the vendor's limit.

A bucket of `burst` requests and a pace per second is the window "at most `burst` requests in any `burst / pace`
seconds", and it is kept exactly so: a request's slot lies one window behind the `burst`-th slot before it. Vendors that
count by window see their full rate used and never more; a token bucket of the same two numbers would let nearly twice
the rate through in its first window. The slots lie in one SQLite file, so that they hold across processes, or in the
database that several hosts share, and beside them the credential's circuit breaker.
"""

import hashlib
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from cdp_platform.connectors.allowance import Allowance
from cdp_platform.connectors.circuit import Admission, Circuit, weight_of
from cdp_platform.connectors.credentials import Secret
from cdp_platform.connectors.pace_file import open_paces
from cdp_platform.connectors.state_server import Statements
from cdp_platform.errors import CdpError, ConnectionFailed, RateLimited

LONGEST_PENALTY_SECONDS: Final = 900.0


class Slot(NamedTuple):
    """The right to make one request now."""

    at: float
    """When it may be made, on the bucket's clock."""
    waited_seconds: float
    admission: Admission


def name_bucket(host: str, credential: Secret | None) -> str:
    """Name the bucket of a credential at a host; the name tells neither."""
    text = f"{host}\0{credential.reveal() if credential else ''}"
    return hashlib.sha256(f"cdp_platform rate limit\0{text}".encode()).hexdigest()[:32]


class Bucket:
    """The shared pace of one credential. Safe across threads and processes, and across hosts that share a database.

    `place` is the path of a file, or a database's address. `clock` gives seconds of a clock that all who share the pace
    go by (the host's, that nobody sets; the database's), `wall` POSIX time, by which a day is counted; `sleep` takes
    seconds; `jitter` is 0 to 1; `destination` names it in errors.
    """

    def __init__(
        self,
        place: Path | str,
        name: str,
        *,
        requests_per_second: float,
        burst_requests: int,
        requests_per_day: int | None = None,
        destination: str = "",
        clock: Callable[[], float] | None = None,
        wall: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = open_paces(place)
        self._name = name
        self._burst = max(1, burst_requests)
        self._window_seconds = self._burst / requests_per_second
        self._allowance = Allowance(name, destination, requests_per_day) if requests_per_day else None
        self._circuit = Circuit(name, destination, jitter)
        self._clock = clock or self._store.seconds
        self._wall = wall or self._store.wall
        self._sleep = sleep

    def acquire(self, timeout_seconds: float) -> Slot:
        """Reserve the next free slot and sleep until it.

        Raises CircuitOpen while the destination is left alone, and RateLimited where the slot is further away than
        `timeout_seconds`, or the allowance of a day is used up; at once, and with nothing reserved.
        """
        began_at = self._clock()
        admission: Admission | None = None
        while True:
            slot_at, admission = self._reserve(began_at + timeout_seconds, admission)
            wait_seconds = slot_at - self._clock()
            if wait_seconds <= 0:
                return Slot(slot_at, max(slot_at - began_at, 0.0), admission)
            self._sleep(wait_seconds)
            # Another worker may have been told to wait meanwhile, or found it down: that holds for sleepers too.
            with self._store.transaction(self._name) as database:
                now = self._clock()
                if not admission.is_probe:
                    admission = self._circuit.admit(database, now)
                if self._blocked_until(database, now) <= now:
                    return Slot(slot_at, now - began_at, admission)

    def require_closed(self) -> Admission:
        """Raise CircuitOpen while the destination is left alone; for requests that belong to one that comes after."""
        with self._store.reading() as database:
            return self._circuit.admit(database, self._clock(), may_probe=False)

    def report(self, admission: Admission, error: CdpError | None) -> None:
        """Tell the circuit breaker how a request ended.

        Never raises: what became of the request counts for more than the pace of the next one.
        """
        weight = weight_of(error)
        if not (weight or admission.has_failures) or (weight is None and not admission.is_probe):
            return
        with suppress(ConnectionFailed), self._store.transaction(self._name) as database:
            if weight:
                self._circuit.fail(database, admission, self._clock(), weight)
            else:
                self._circuit.succeed(database, admission)

    def penalise(self, seconds: float) -> None:
        """Let nobody send for `seconds` from now (at most 900), as the destination asked. Never raises."""
        with suppress(ConnectionFailed), self._store.transaction(self._name) as database:
            now = self._clock()
            until = now + min(max(seconds, 0.0), LONGEST_PENALTY_SECONDS)
            database.execute(
                "insert into buckets values (?, ?) on conflict (bucket) do update"
                " set blocked_until = excluded.blocked_until",
                (self._name, max(until, self._blocked_until(database, now))),
            )

    def observe(self, remaining: int, window_seconds: float) -> None:
        """Believe the destination when it says that fewer requests remain in its window than we know of. Never raises.

        Requests that we did not make (another program with this credential, a smaller plan) take slots as ours do.
        """
        with suppress(ConnectionFailed):
            with self._store.reading() as database:
                if self._unknown(database, self._clock(), remaining) <= 0:
                    return
            with self._store.transaction(self._name) as database:
                now = self._clock()
                lead_seconds = min(window_seconds, LONGEST_PENALTY_SECONDS) - self._window_seconds
                unknown = [(self._name, now + lead_seconds)] * self._unknown(database, now, remaining)
                database.executemany("insert into slots values (?, ?)", unknown)

    def close(self) -> None:
        """Close the store; the next call opens it again."""
        self._store.close()

    def _reserve(self, give_up_at: float, admission: Admission | None) -> tuple[float, Admission]:
        with self._store.transaction(self._name) as database:
            now, is_first = self._clock(), admission is None
            if admission is None or not admission.is_probe:
                admission = self._circuit.admit(database, now)
            self._forget(database, now)
            row = database.execute(
                "select slot_at from slots where bucket = ? order by slot_at desc limit 1 offset ?",
                (self._name, self._burst - 1),
            ).fetchone()
            slot_at: float = max(now, self._blocked_until(database, now), row[0] + self._window_seconds if row else now)
            if slot_at > max(give_up_at, now):
                raise RateLimited(
                    f"The credential's next free request is {slot_at - now:.1f} seconds away.",
                    status=None,
                    retry_after_seconds=slot_at - now,
                )
            if self._allowance and is_first:
                self._allowance.take(database, self._wall())
            database.execute("insert into slots values (?, ?)", (self._name, slot_at))
            return slot_at, admission

    def _unknown(self, database: Statements, now: float, remaining: int) -> int:
        """How many requests of others the destination must have counted."""
        (taken,) = database.execute(
            "select count(*) from slots where bucket = ? and slot_at > ? and slot_at <= ?",
            (self._name, now - self._window_seconds, self._furthest(now)),
        ).fetchone()
        return self._burst - int(taken) - max(remaining, 0)

    def _forget(self, database: Statements, now: float) -> None:
        database.execute(
            "delete from slots where bucket = ? and (slot_at <= ? or slot_at > ?)",
            (self._name, now - self._window_seconds, self._furthest(now)),
        )

    def _furthest(self, now: float) -> float:
        """A slot further ahead than any wait can reach comes from a clock that began anew, as after a restart."""
        return now + LONGEST_PENALTY_SECONDS + self._window_seconds

    def _blocked_until(self, database: Statements, now: float) -> float:
        row = database.execute("select blocked_until from buckets where bucket = ?", (self._name,)).fetchone()
        return float(row[0]) if row and row[0] <= now + LONGEST_PENALTY_SECONDS else 0.0
