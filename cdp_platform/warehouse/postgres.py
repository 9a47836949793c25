"""A PostgreSQL database as the warehouse; needs the extra `postgres`, which is imported only when this is chosen.

Statements come in DuckDB's SQL and are translated. Rows travel in Arrow, by binary COPY in both directions. Where
DuckDB has the lock of a file there is an advisory lock of the database, so one session of the platform is open at a
time; it ends with its connection, and its holder stands in `pg_stat_activity`.
"""

import hashlib
import itertools
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from adbc_driver_manager import Error as DriverError
from adbc_driver_manager.dbapi import Connection, Cursor
from adbc_driver_postgresql import StatementOptions
from adbc_driver_postgresql.dbapi import connect

from cdp_platform.errors import WarehouseError, WarehouseLocked
from cdp_platform.warehouse.base import Parameters, Row
from cdp_platform.warehouse.literals import literal, quoted, with_literals
from cdp_platform.warehouse.parquet_rows import numbered
from cdp_platform.warehouse.postgres_arrow import plain_batch, plain_rows, plain_schema
from cdp_platform.warehouse.postgres_dialect import PostgresDialect, type_name
from cdp_platform.warehouse.postgres_functions import FUNCTIONS, SCHEMA
from cdp_platform.warehouse.translating import to_postgres

_WAIT_STEP_SECONDS = 0.05
_BATCH_BYTES = 4_194_304
_BATCH_ROWS = 20_480
_LOCK = 4_835_120_201
"""The advisory lock's key; any number that nobody else takes."""
_PURPOSE_BYTES = 63
_TEMPORARY = re.compile(r"create temporary table (\S+)", re.IGNORECASE)
_SETTINGS = (
    "set timezone = 'UTC'",
    "set datestyle = 'ISO, YMD'",
    f"set search_path = public, {SCHEMA}",
    "set client_min_messages = error",
)
_COLLATIONS = ("C", "POSIX", "C.UTF-8", "C.utf8")
_Failures = (DriverError, pa.ArrowException, OSError)


class PostgresSession:
    """A session on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Use `connection`, which commits by itself."""
        self._connection = connection
        self._is_in_transaction = False
        self._numbers = itertools.count()
        self._files: dict[tuple[Path, int, int], str] = {}

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        self.rows(sql, parameters)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with _translated(), closing(self._connection.cursor()) as cursor:
            self._run(cursor, sql, parameters)
            return list(plain_rows(cursor.fetch_arrow_table())) if cursor.description else []

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        with _translated(), closing(self._connection.cursor()) as cursor:
            _, batches = self._read(cursor, sql, parameters)
            yield from batches

    def write_parquet(self, sql: str, path: Path) -> None:
        with _translated(), closing(self._connection.cursor()) as cursor:
            schema, batches = self._read(cursor, sql, ())
            with pq.ParquetWriter(path, schema, use_dictionary=False) as file:
                for batch in batches:
                    file.write_batch(batch, row_group_size=_BATCH_ROWS)

    def register(self, name: str, table: pa.Table) -> None:
        self._load(name, table.to_reader())

    def parquet(self, path: Path) -> str:
        told = path.stat()
        known = (path, told.st_mtime_ns, told.st_size)
        if known not in self._files:
            name = f"parquet_{next(self._numbers)}"
            with numbered(path) as rows:
                self._load(name, rows)
            self._files[known] = name
        return quoted(self._files[known])

    def columns(self, relation: str) -> dict[str, str]:
        schemas = {"temp": "pg_temp", "main": "public"}
        parts = relation.split(".", 1)
        name = ".".join(quoted(schemas.get(part, part) if len(parts) > 1 else part) for part in parts)
        sql = (
            "select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute"
            f" where attrelid = to_regclass({literal(name)}) and attnum > 0 and not attisdropped order by attnum"
        )
        with _translated():
            return {row["name"]: type_name(row["type"]) for row in _told(self._connection, sql)}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        # Everything in it is read from one moment, as in DuckDB.
        with _translated():
            _told(self._connection, "begin isolation level repeatable read")
        self._is_in_transaction = True
        try:
            yield
        except BaseException:
            # A connection that is gone has rolled back by itself.
            with suppress(*_Failures):
                _told(self._connection, "rollback")
            raise
        finally:
            self._is_in_transaction = False
        with _translated():
            _told(self._connection, "commit")

    def _run(self, cursor: Cursor, sql: str, parameters: Parameters) -> None:
        statements = to_postgres(sql)
        if len(statements) > 1 and not self._is_in_transaction:
            # One statement of the platform's is done or not done.
            with self.transaction():
                self._run(cursor, sql, parameters)
            return
        for place, statement in enumerate(statements):
            # Of several statements, the first has the values.
            written = with_literals(statement, parameters) if parameters and not place else statement
            if written is None:
                raise WarehouseError(
                    "a value cannot be said in PostgreSQL's SQL.", remedy="A text may not hold the character NUL."
                )
            cursor.execute(written)
            if made := _TEMPORARY.match(written):
                # Nobody else does it for a temporary table, and the planner would take it for a small one.
                cursor.execute(f"analyze {made[1]}")

    def _read(self, cursor: Cursor, sql: str, parameters: Parameters) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)})
        self._run(cursor, sql, parameters)
        reader = cursor.fetch_record_batch()
        schema = plain_schema(reader.schema)
        return schema, (plain_batch(batch, schema) for batch in reader)

    def _load(self, name: str, rows: pa.RecordBatchReader) -> None:
        with _translated(), closing(self._connection.cursor()) as cursor:
            cursor.execute(f"drop table if exists pg_temp.{quoted(name)} cascade")
            cursor.adbc_ingest(name, rows, mode="create", temporary=True)
            cursor.execute(f"analyze pg_temp.{quoted(name)}")


class PostgresWarehouse:
    """The database that `address` names, as libpq reads it: `postgresql://user@host/database`.

    What the address leaves out, such as the password, libpq takes from PGPASSWORD and its other variables, or from
    ~/.pgpass. `wait_seconds` bounds the wait for another session; `clock` and `sleep` are for tests.
    """

    def __init__(
        self,
        address: str,
        *,
        wait_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.dialect = PostgresDialect()
        self._address = address
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._sleep = sleep
        self._is_prepared = False
        self._idle: deque[Connection] = deque()

    @contextmanager
    def session(self, purpose: str) -> Iterator[PostgresSession]:
        with self._alone(purpose) as connection:
            yield PostgresSession(connection)

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        with self._alone(purpose):
            yield

    @contextmanager
    def reading(self, purpose: str) -> Iterator[PostgresSession]:
        """Read within one transaction that can write nothing, without lock and without functions of the platform's."""
        connection = self._named(purpose)
        try:
            with _translated():
                _told(connection, "set client_encoding = 'UTF8'")
                _told(connection, "begin isolation level repeatable read read only")
            yield PostgresSession(connection)
            with _translated():
                _told(connection, "commit")
        finally:
            self._put_back(connection)

    def shred(self) -> None:
        """Write every table of ours anew without its deleted rows, and what the planner remembers of their values.

        The write-ahead log, its archive and backups keep them until they expire: those are the server's business.
        """
        with self._alone("writing the tables anew") as connection, _translated():
            tables = _told(
                connection,
                "select format('%I.%I', schemaname, tablename) as name from pg_tables"
                " where tableowner = current_user and schemaname not in ('pg_catalog', 'information_schema')",
            )
            for table in tables:
                _told(connection, f"vacuum (full, analyze) {table['name']}")
            # Who does not own the database is warned, and the old values stay until the server cleans up.
            _told(connection, "vacuum full pg_catalog.pg_statistic")

    def close(self) -> None:
        """Close the connection that waits for the next session; another is opened when there is one."""
        with suppress(IndexError):
            self._idle.pop().close()

    @contextmanager
    def _alone(self, purpose: str) -> Iterator[Connection]:
        connection = self._named(purpose)
        try:
            self._wait_for(connection)
            with _translated():
                self._prepare(connection)
            yield connection
        finally:
            self._put_back(connection)

    def _named(self, purpose: str) -> Connection:
        """Take the connection that waits, where it still answers, or a new one; a new one takes the driver long."""
        name = f"cdp process {os.getpid()}: {purpose}".encode()[:_PURPOSE_BYTES].decode(errors="ignore")
        settings = (f"set application_name = {literal(name)}", *_SETTINGS)
        with suppress(IndexError, *_Failures):
            return _set(self._idle.pop(), settings)
        try:
            return _set(connect(self._address, autocommit=True), settings)
        except _Failures as error:
            raise WarehouseError(
                f"the PostgreSQL warehouse cannot be reached ({_first_line(error)}).",
                remedy="Check the server, CDP_POSTGRES and, for the password, PGPASSWORD.",
            ) from error

    def _put_back(self, connection: Connection) -> None:
        """Let the next session have the connection, without locks and temporary tables; one in trouble is closed."""
        try:
            _told(connection, "discard all")
        except _Failures:
            connection.close()
            return
        self.close()
        self._idle.append(connection)

    def _wait_for(self, connection: Connection) -> None:
        deadline = self._clock() + self._wait_seconds
        with _translated():
            while not _told(connection, f"select pg_try_advisory_lock({_LOCK}) as is_ours")[0]["is_ours"]:
                if self._clock() >= deadline:
                    raise self._locked(_holder(connection))
                self._sleep(_WAIT_STEP_SECONDS)

    def _locked(self, holder: str) -> WarehouseLocked:
        return WarehouseLocked(
            f"the PostgreSQL warehouse is held by {holder}; waited {self._wait_seconds:g} s.",
            remedy="Close that program, or wait for it, and run this again.",
            holder=holder,
        )

    def _prepare(self, connection: Connection) -> None:
        """See once whether the database fits, and make the functions where they are missing or of another version."""
        if self._is_prepared:
            return
        [told] = _told(
            connection,
            "select current_setting('server_encoding') as encoding, datcollate as collation,"
            f" obj_description(to_regnamespace('{SCHEMA}'), 'pg_namespace') as version"
            " from pg_database where datname = current_database()",
        )
        if told["encoding"] != "UTF8" or told["collation"] not in _COLLATIONS:
            raise WarehouseError(
                f"the PostgreSQL database has encoding {told['encoding']} and collation {told['collation']}.",
                remedy="Make one for the platform: create database cdp template template0 encoding 'UTF8' locale 'C'.",
            )
        version = hashlib.sha256("".join(FUNCTIONS).encode()).hexdigest()
        if told["version"] != version:
            _make_functions(connection, version)
        self._is_prepared = True


def _make_functions(connection: Connection, version: str) -> None:
    run = partial(_told, connection)
    run("begin")
    run(f"drop schema if exists {SCHEMA} cascade")
    run(f"create schema {SCHEMA}")
    run(f"set local search_path = {SCHEMA}")
    for function in FUNCTIONS:
        run(function)
    run(f"comment on schema {SCHEMA} is {literal(version)}")
    run("commit")


def _set(connection: Connection, settings: Iterable[str]) -> Connection:
    for setting in settings:
        _told(connection, setting)
    return connection


def _told(connection: Connection, sql: str) -> list[dict[str, Any]]:
    """Run a statement of the adapter's own, which is PostgreSQL's SQL."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        return list(plain_rows(cursor.fetch_arrow_table())) if cursor.description else []


def _holder(connection: Connection) -> str:
    rows = _told(
        connection,
        "select application_name as name from pg_locks join pg_stat_activity using (pid)"
        f" where locktype = 'advisory' and granted and (classid::bigint << 32) + objid::bigint = {_LOCK}",
    )
    return str(rows[0]["name"]) if rows else "a process that has just ended"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _Failures as error:
        raise WarehouseError(f"the warehouse refused a statement: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """The message without quoted values, which may be personal; class 42 speaks of names, which are told."""
    text = str(error).split("\n", 1)[0].split("ERROR: ")[-1].strip()
    is_of_names = (getattr(error, "sqlstate", None) or "").startswith("42")
    return re.sub(r"'[^']*'" if is_of_names else r"'[^']*'|\"[^\"]*\"", "'…'", text)[:300]
