"""The PostgreSQL database in which several hosts share what the processes of one host share in SQLite files.

The journal with its leases, paces with their circuit breakers, and renewed access tokens lie in its schema
`cdp_journal`. A transaction holds one lock, as it does on a file: what is read in it stays true until it ends. The lock
is of a scope, or of one subject in it (a ledger, a bucket), so that two accounts do not wait for each other.

All settings are made within the transaction, so that a pooler between may hand out another connection for the next.
"""

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from cdp_platform.errors import CdpError, ConfigError

if TYPE_CHECKING:
    import psycopg2.extensions

SCHEMA: Final = "cdp_journal"
_VERSION: Final = "1"
_WAIT_SECONDS: Final = 30.0
"""As long as SQLite is waited for."""
_IDLE_SECONDS: Final = 20.0
"""Who holds a lock and says nothing is cut off sooner than those who wait give up."""
_META: Final = "create table if not exists meta (name text primary key, value text not null)"
_SETTINGS: Final = (
    f"begin; set local search_path = {SCHEMA}; set local synchronous_commit = {{commit}};"
    " set local lock_timeout = {wait}; set local statement_timeout = {longest};"
    " set local idle_in_transaction_session_timeout = {idle};"
    " select {locks}extract(epoch from clock_timestamp())"
)
_CONNECTING: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "utf8",
    "application_name": "cdp state",
}
_TYPES: Final = {
    "integer primary key autoincrement": "bigint generated always as identity primary key",
    "integer": "bigint",
    "real": "double precision",
    " without rowid": "",
}
_REASONS: Final = {
    "25006": "it can only be read: it is a standby",
    "25P03": "this process stood still while it held a lock",
    "28P01": "the password is refused",
    "42501": "the user lacks a grant",
    "53100": "the server's disk is full",
    "53300": "the server takes no more connections",
    "55P03": "another host has held the lock for too long",
    "57P01": "the server ended the connection",
    "57P03": "the server is starting up",
}


class Rows(Protocol):
    """What a statement answers."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Statements(Protocol):
    """A transaction that is open: SQL that SQLite and PostgreSQL both read, with `?` for each value."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows: ...
    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Rows: ...


class StateServer:
    """One connection to the database, opened when it is first needed. Safe across threads, processes and forks."""

    def __init__(
        self, address: str, *, scope: str, schema: str, failure: type[CdpError] = CdpError, is_durable: bool = True
    ) -> None:
        """`schema` are statements as SQLite reads them, parted by `;`; `failure` is raised where it cannot be used.

        Without `is_durable` the last half second may be lost with the server, as a pace may be.
        """
        self._address = address
        self._scope = scope
        self._schema = [text.strip() for text in schema.split(";") if text.strip()]
        self._failure = failure
        self._commit = "on" if is_durable else "off"
        self._lock = threading.Lock()
        self._connection: psycopg2.extensions.connection | None = None
        self._owner = 0
        self._read: tuple[float, float] | None = None

    @property
    def told(self) -> str:
        """How messages name the store."""
        return "in PostgreSQL"

    @property
    def remedy(self) -> str:
        """What to do where a line of it makes no sense."""
        return "Look at the server's log; do not delete the journal's tables, they know what was sent."

    def seconds(self) -> float:
        """The server's clock, seconds since 1970: never ahead of it, whatever the host's own clock says."""
        while self._read is None:
            with self.reading():
                pass
        told, at = self._read
        return told + time.monotonic() - at

    wall = seconds

    @contextmanager
    def transaction(
        self, about: str = "", *, wait_seconds: float = _WAIT_SECONDS, idle_seconds: float = _IDLE_SECONDS
    ) -> Iterator[Statements]:
        """Hold the lock of the scope, or of one subject in it, in a transaction that is on disk when this returns.

        Raises the store's failure where the database cannot be used, or was lost before it said that it committed.
        """
        whole, part = _lock_number(self._scope), _lock_number(f"{self._scope}\0{about}")
        locks = f"pg_advisory_xact_lock_shared({whole}), pg_advisory_xact_lock({part})"
        with self._begun(locks if about else f"pg_advisory_xact_lock({whole})", wait_seconds, idle_seconds) as begun:
            yield begun

    @contextmanager
    def reading(self) -> Iterator[Statements]:
        """A transaction that holds back nobody; raises as `transaction` does."""
        with self._begun("", _WAIT_SECONDS, _IDLE_SECONDS) as begun:
            yield begun

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
        self._connection = None

    def shred(self) -> None:
        """Write the tables anew, so that nothing that was deleted is left in their files. Needs their owner."""
        with self._lock, self._explained(), self._begin("", _WAIT_SECONDS, _IDLE_SECONDS).cursor() as cursor:
            cursor.execute(
                "select c.oid::regclass::text from pg_class c where relkind = 'r'"
                f" and relnamespace = '{SCHEMA}'::regnamespace and pg_has_role(relowner, 'usage')"
            )
            tables = [f"{SCHEMA}.{name}" for (name,) in cursor.fetchall()]
            cursor.execute("commit")
            for table in tables:
                cursor.execute(f"vacuum full {table}")

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    @contextmanager
    def _begun(self, locks: str, wait_seconds: float, idle_seconds: float) -> Iterator[Statements]:
        with self._lock, self._explained():
            connection = self._begin(locks, wait_seconds, idle_seconds)
            try:
                yield _Transaction(connection)
                with connection.cursor() as cursor:
                    cursor.execute("commit")
                    if cursor.statusmessage != "COMMIT":
                        raise self._failure("a statement of the transaction had failed; nothing of it was kept.")
            except BaseException:
                self._give_back(connection)
                raise

    def _give_back(self, connection: "psycopg2.extensions.connection") -> None:
        import psycopg2

        try:
            with connection.cursor() as cursor:
                cursor.execute("rollback")
        except psycopg2.Error:
            self._drop()

    def _begin(self, locks: str, wait_seconds: float, idle_seconds: float) -> "psycopg2.extensions.connection":
        """Begin on the connection that is there; on another where that one was cut since its last use."""
        import psycopg2

        begin = _SETTINGS.format(
            commit=self._commit,
            wait=round(wait_seconds * 1000),
            longest=round((wait_seconds + 30) * 1000),
            idle=round(idle_seconds * 1000),
            locks=f"{locks}, " if locks else "",
        )
        while True:
            is_old = self._connection is not None and self._owner == os.getpid()
            connection = self._open()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(begin)
                    (*_, now) = cursor.fetchone() or (0.0,)
                    self._read = float(now), time.monotonic()
                return connection
            except psycopg2.Error:
                if not (connection.closed and is_old):
                    self._give_back(connection)
                    raise
                self._drop()

    def _open(self) -> "psycopg2.extensions.connection":
        import psycopg2

        if self._connection is None or self._owner != os.getpid():
            connection = psycopg2.connect(self._address, **_CONNECTING)
            try:
                connection.autocommit = True
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._owner = connection, os.getpid()
        return self._connection

    def _prepare(self, connection: "psycopg2.extensions.connection") -> None:
        """Make what is missing; a user who may not make tables is enough once they are there."""
        with connection.cursor() as cursor:
            locks = f"pg_advisory_xact_lock({_lock_number('tables')}), "
            cursor.execute(_SETTINGS.format(commit="on", wait=30_000, longest=60_000, idle=20_000, locks=locks))
            cursor.execute(
                "select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname = %s",
                [SCHEMA],
            )
            known = {name for (name,) in cursor.fetchall()}
            if "meta" in known:
                _require_version(cursor)
            elif not known:
                cursor.execute(f"create schema if not exists {SCHEMA}")
            for statement in (_META, *self._schema):
                if _name_made_by(statement) not in known:
                    cursor.execute(_for_postgres(statement))
            if "meta" not in known:
                cursor.execute("insert into meta values ('schema', %s)", [_VERSION])
            cursor.execute("commit")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            import psycopg2
        except ImportError:
            raise ConfigError(
                "CDP_JOURNAL names a PostgreSQL database, but its driver is not installed.",
                remedy="Install cdp-platform[cluster].",
            ) from None
        try:
            yield
        except psycopg2.Error as error:
            # The driver's own text stays out: it can quote the address.
            raise self._failure(
                f"the {self._scope}'s database cannot be used ({_reason(error)}).",
                remedy="Check CDP_JOURNAL, the server and its log, and run again; what was sent is known there.",
            ) from None


class _Transaction:
    def __init__(self, connection: "psycopg2.extensions.connection") -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        cursor = self._connection.cursor()
        cursor.execute(_with_places(sql), list(parameters))
        return cursor

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Rows:
        from psycopg2.extras import execute_batch

        cursor = self._connection.cursor()
        execute_batch(cursor, _with_places(sql), parameters)
        return cursor


def _require_version(cursor: "psycopg2.extensions.cursor") -> None:
    cursor.execute("select value from meta where name = 'schema'")
    if (found := cursor.fetchone()) and found[0] != _VERSION:
        raise CdpError(
            f"the journal in PostgreSQL has schema {found[0]}, this version reads {_VERSION}.",
            remedy="Use the version of cdp-platform that wrote it.",
        )


def _reason(error: Exception) -> str:
    code = getattr(error, "pgcode", None)
    if code in _REASONS:
        return _REASONS[code]
    if code is None and "authentication failed" in str(error):
        return _REASONS["28P01"]
    if code is None and "connection" in str(error):
        return "there is no connection, or it was lost"
    return f"{type(error).__name__}{f' {code}' if code else ''}"


def _lock_number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"cdp_platform {name}".encode()).digest()[:8], signed=True)


@lru_cache
def _with_places(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _name_made_by(statement: str) -> str:
    return statement.split("if not exists ", 1)[1].split()[0]


def _for_postgres(statement: str) -> str:
    for ours, theirs in _TYPES.items():
        statement = re.sub(rf"(?<!\w){ours}\b" if ours[0] != " " else ours, theirs, statement)
    return statement
