"""One bucket per credential, shared by every process that uses it: sending without running into the vendor's limit.

A bucket of `burst` requests and a pace per second is the window "at most `burst` requests in any `burst / pace`
seconds", and it is kept exactly so: a request's slot lies one window behind the `burst`-th slot before it. Vendors that
count by window see their full rate used and never more; a token bucket of the same two numbers would let nearly twice
the rate through in its first window. The slots lie in one SQLite file, so that they hold across processes.
"""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cdp_platform.connectors.credentials import Secret
from cdp_platform.errors import ConnectionFailed, RateLimited

LONGEST_PENALTY_SECONDS: Final = 900.0
_BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = """
    create table if not exists buckets (bucket text primary key, blocked_until real not null) without rowid;
    create table if not exists slots (bucket text not null, slot_at real not null);
    create index if not exists slots_in_order on slots (bucket, slot_at);
"""


def name_bucket(host: str, credential: Secret | None) -> str:
    """Name the bucket of a credential at a host; the name tells neither."""
    text = f"{host}\0{credential.reveal() if credential else ''}"
    return hashlib.sha256(f"cdp_platform rate limit\0{text}".encode()).hexdigest()[:32]


class Bucket:
    """The shared pace of one credential. Safe across threads and processes.

    `clock` gives seconds of a clock that all processes share; `sleep` takes seconds.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        requests_per_second: float,
        burst_requests: int,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._name = name
        self._burst = max(1, burst_requests)
        self._window_seconds = self._burst / requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._owner = 0

    def acquire(self, timeout_seconds: float) -> float:
        """Reserve the next free slot, sleep until it, and return its time on `clock`.

        Raises RateLimited at once, and reserves nothing, where the slot is further away than `timeout_seconds`.
        """
        give_up_at = self._clock() + timeout_seconds
        while True:
            slot_at = self._reserve(give_up_at)
            wait_seconds = slot_at - self._clock()
            if wait_seconds <= 0:
                return slot_at
            self._sleep(wait_seconds)
            # Another worker may have been told to wait meanwhile: that holds for sleepers too.
            with self._transaction() as database:
                if self._blocked_until(database, self._clock()) <= self._clock():
                    return slot_at

    def penalise(self, seconds: float) -> None:
        """Let nobody send for `seconds` from now (at most 900), as the destination asked."""
        with self._transaction() as database:
            now = self._clock()
            until = now + min(max(seconds, 0.0), LONGEST_PENALTY_SECONDS)
            database.execute(
                "replace into buckets (bucket, blocked_until) values (?, ?)",
                (self._name, max(until, self._blocked_until(database, now))),
            )

    def observe(self, remaining: int, window_seconds: float) -> None:
        """Believe the destination when it says that fewer requests remain in its window than we know of.

        Requests that we did not make (another program with this credential, a smaller plan) take slots as ours do.
        """
        with self._transaction() as database:
            now = self._clock()
            self._forget(database, now)
            (taken,) = database.execute("select count(*) from slots where bucket = ?", (self._name,)).fetchone()
            unknown = self._burst - taken - max(remaining, 0)
            if unknown > 0:
                lead_seconds = min(window_seconds, LONGEST_PENALTY_SECONDS) - self._window_seconds
                database.executemany("insert into slots values (?, ?)", [(self._name, now + lead_seconds)] * unknown)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._database and self._owner == os.getpid():
                self._database.close()
            self._database = None

    def _reserve(self, give_up_at: float) -> float:
        with self._transaction() as database:
            now = self._clock()
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
            database.execute("insert into slots values (?, ?)", (self._name, slot_at))
            return slot_at

    def _forget(self, database: sqlite3.Connection, now: float) -> None:
        # A slot further ahead than any wait can reach comes from a clock that was set back since.
        ahead = now + LONGEST_PENALTY_SECONDS + self._window_seconds
        database.execute(
            "delete from slots where bucket = ? and (slot_at <= ? or slot_at > ?)",
            (self._name, now - self._window_seconds, ahead),
        )

    def _blocked_until(self, database: sqlite3.Connection, now: float) -> float:
        row = database.execute("select blocked_until from buckets where bucket = ?", (self._name,)).fetchone()
        return float(row[0]) if row and row[0] <= now + LONGEST_PENALTY_SECONDS else 0.0

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file's write lock; commit at the end, roll back on an error."""
        with self._lock:
            try:
                database = self._open()
                with database:
                    database.execute("begin immediate")
                    yield database
            except sqlite3.Error as error:
                self._database = None
                raise ConnectionFailed(
                    f"The file of the shared rate limits cannot be used ({type(error).__name__}).",
                    remedy=f"Check the disk, or delete {self._path.name} under CDP_HOME: it holds no more than a pace.",
                ) from error

    def _open(self) -> sqlite3.Connection:
        if self._database and self._owner == os.getpid():
            return self._database
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise sqlite3.OperationalError(str(error)) from error
        database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        _prepare(database)
        self._database, self._owner = database, os.getpid()
        return database


def _prepare(database: sqlite3.Connection) -> None:
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            # The change to WAL does not wait for a lock as statements do.
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = off")
            database.executescript(_SCHEMA)
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
