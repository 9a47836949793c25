"""The journal's SQLite file: WAL, synchronous=FULL. It is the journal of one host."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cdp_platform.errors import CdpError

SCHEMA_VERSION: Final = 1
_BUSY_SECONDS: Final = 30.0
MOVED: Final = "moved"
"""In the file's `meta`, where its lines lie in the database that hosts share, or are on their way there."""


class JournalFile:
    """The file, opened at once. It may be used by several threads."""

    def __init__(self, path: Path, schema: str, *, may_have_moved: bool = False) -> None:
        """`schema` are statements, parted by `;`. Raises CdpError, before anything is written, for another version.

        A file whose lines were taken to a database is used by nobody but, with `may_have_moved`, who takes them there.
        """
        self._path = path
        self._may_have_moved = may_have_moved
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with self._begun() as connection:
            self._require_schema(connection)
            for statement in schema.split(";\n"):
                connection.execute(statement)
            connection.execute("insert or ignore into meta values ('schema', ?)", [str(SCHEMA_VERSION)])
            if not connection.execute("select 1 from pragma_table_info('leases') where name = 'boot'").fetchone():
                connection.execute("alter table leases add column boot text not null default ''")

    @property
    def told(self) -> str:
        """How messages name the store."""
        return str(self._path)

    @property
    def remedy(self) -> str:
        """What to do where a line of it makes no sense."""
        return _remedy(sqlite3.DatabaseError())

    @contextmanager
    def transaction(self, about: str = "") -> Iterator[sqlite3.Connection]:
        """Work on the file in one durable transaction; `about` is for stores that lock by subject.

        Raises CdpError where the file cannot be used, or was moved.
        """
        with self._begun() as connection:
            self._require_here(connection)
            yield connection

    @contextmanager
    def _begun(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                connection = self._open()
                connection.execute("begin immediate")
                try:
                    yield connection
                    connection.execute("commit")
                except BaseException:
                    # SQLite has rolled back by itself where the disk is full.
                    if connection.in_transaction:
                        connection.execute("rollback")
                    raise
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def shred(self) -> None:
        """Write the file anew, so that nothing that was deleted is left in it. Raises CdpError where it cannot be."""
        with self._lock:
            try:
                connection = self._open()
                connection.execute("vacuum")
                connection.execute("pragma wal_checkpoint(truncate)")
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> CdpError:
        return CdpError(f"the journal {self._path} cannot be used ({error}).", remedy=_remedy(error))

    def _require_schema(self, connection: sqlite3.Connection) -> None:
        if not connection.execute("select 1 from sqlite_master where name = 'meta'").fetchone():
            return
        found = connection.execute("select value from meta where name = 'schema'").fetchone()
        if found and found[0] != str(SCHEMA_VERSION):
            raise CdpError(
                f"the journal {self._path.name} has schema {found[0]}, this version reads {SCHEMA_VERSION}.",
                remedy="Use the version of cdp-platform that wrote it.",
            )

    def _require_here(self, connection: sqlite3.Connection) -> None:
        # Asked each time: who has opened the file before it was moved must not go on with it either.
        if self._may_have_moved or not connection.execute("select 1 from meta where name = ?", [MOVED]).fetchone():
            return
        raise CdpError(
            f"the journal {self._path} was moved into the database that hosts share; nothing goes on here.",
            remedy="Set CDP_JOURNAL to that database; where moving was broken off, run cdp move --journal once more.",
        )

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = full")
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def __del__(self) -> None:
        with suppress(sqlite3.Error, AttributeError):
            if self._connection is not None:
                self._connection.close()


def _remedy(error: sqlite3.Error) -> str:
    if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            "It is damaged: restore it from a backup, or move it away; then everything is sent again by the next runs,"
            " and switches, pauses and approvals are given anew."
        )
    return "Check the disk and the file's permissions; do not delete it, it knows what was sent."
