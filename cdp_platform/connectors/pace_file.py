"""The SQLite file in which processes share the pace and the circuit breaker of each credential.

It holds no more than numbers under a hash, and nothing that would be missed: synchronous is off, and it may be deleted
(where a destination has an allowance of a day, what is used of it is then counted anew).
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cdp_platform.connectors.state_server import StateServer
from cdp_platform.errors import ConnectionFailed

_BUSY_SECONDS: Final = 10.0
SCHEMA: Final = """
    create table if not exists buckets (bucket text primary key, blocked_until real not null) without rowid;
    create table if not exists slots (bucket text not null, slot_at real not null);
    create index if not exists slots_in_order on slots (bucket, slot_at);
    create table if not exists hours (
        bucket text not null, hour integer not null, requests integer not null, primary key (bucket, hour)
    ) without rowid;
    create table if not exists circuits (
        bucket text primary key, failures real not null, failed_at real not null, openings integer not null,
        open_until real, probe_until real
    ) without rowid;
"""


class PaceFile:
    """The file, opened when it is first needed. Safe across threads, processes and forks."""

    seconds = staticmethod(time.monotonic)
    """The clock that all processes of the host share and that nobody sets."""
    wall = staticmethod(time.time)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._owner = 0

    @contextmanager
    def transaction(self, about: str = "") -> Iterator[sqlite3.Connection]:
        """Hold the file's write lock, whatever it is `about`; commit at the end, roll back on an error.

        Raises ConnectionFailed where the file cannot be used: a request without a pace is not sent.
        """
        with self.reading() as database, database:
            database.execute("begin immediate")
            yield database

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Use the file without holding back who writes; raises as `transaction` does."""
        with self._lock:
            try:
                yield self._open()
            except sqlite3.Error as error:
                self._database = None
                raise ConnectionFailed(
                    f"The file of the shared rate limits cannot be used ({type(error).__name__}).",
                    remedy=f"Check the disk, or delete {self._path.name} under CDP_HOME: it holds no more than a pace.",
                ) from error

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._database and self._owner == os.getpid():
                self._database.close()
            self._database = None

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


def open_paces(place: Path | str) -> PaceFile | StateServer:
    """Open the paces in a file, or, where `place` is its address, in the database that hosts share."""
    if isinstance(place, Path):
        return PaceFile(place)
    return StateServer(place, scope="pace", schema=SCHEMA, failure=ConnectionFailed, is_durable=False)


def _prepare(database: sqlite3.Connection) -> None:
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            # The change to WAL does not wait for a lock as statements do.
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = off")
            database.executescript(SCHEMA)
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
