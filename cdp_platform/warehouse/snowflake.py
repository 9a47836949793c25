"""Snowflake as the warehouse; needs the extra `snowflake`, which is imported only when this is chosen.

Statements come in DuckDB's SQL and are translated. Rows come out in Arrow, chunk by chunk, and go in as Parquet files
through a stage. Each statement carries the purpose of its session as its query tag.

There is no lock where DuckDB has that of its file: sessions of any number of processes work beside each other. What
must not happen twice is kept by what the platform has anyway: a sync's ledger by its lease in the journal, temporary
tables by Snowflake, which shows them to their session only, a table that dbt replaces by Snowflake, which shows it
whole, before or after. Snowflake reads each statement, not each transaction, from one moment. So what a transaction
reads of others is copied when it is first read, all of it as of one moment, a table without a byte, and temporary
views are made as tables. And Snowflake commits whatever is open when a relation is made: so a transaction begins with
the first change of a table that lasts, and refuses to make relations from there on.
"""

import itertools
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import pyarrow as pa
import pyarrow.parquet as pq
from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor
from snowflake.connector.errors import Error as DriverError

from cdp_platform.domain.costs import Cost
from cdp_platform.domain.home import Secrets
from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.accounts import SnowflakeAccount
from cdp_platform.warehouse.base import AtWork, Parameters, Row, at_nothing
from cdp_platform.warehouse.literals import literal, quoted, with_literals
from cdp_platform.warehouse.parquet_rows import numbered
from cdp_platform.warehouse.snowflake_arrow import bounded, plain_rows, schema_of, type_name
from cdp_platform.warehouse.snowflake_connecting import connected, query_tag, translated
from cdp_platform.warehouse.snowflake_dialect import SnowflakeDialect
from cdp_platform.warehouse.snowflake_functions import FUNCTIONS, SCHEMA
from cdp_platform.warehouse.snowflake_grants import missing_grants
from cdp_platform.warehouse.snowflake_history import with_history
from cdp_platform.warehouse.snowflake_loading import load
from cdp_platform.warehouse.snowflake_moments import Moments
from cdp_platform.warehouse.snowflake_names import Names
from cdp_platform.warehouse.snowflake_sql import Kind, Statement

_BATCH_ROWS = 20_480


class SnowflakeSession:
    """A session on one connection."""

    def __init__(self, connection: SnowflakeConnection, purpose: str, *, schema: str, work: Mapping[str, str]) -> None:
        """Use `connection`, which commits by itself; `schema` is where temporary relations are made."""
        self._connection = connection
        self._purpose = purpose
        self._name = token_hex(8)
        self._tag = {"QUERY_TAG": query_tag(purpose, {**work, "session": self._name})}
        self._stage = f"{quoted(schema)}.cdp_load"
        self._names = Names(self._describe)
        self._moments = Moments(self._told)
        self._numbers = itertools.count()
        self._temporary: dict[str, None] = {}
        self._files: dict[tuple[Path, int, int], str] = {}
        self._is_deferred = False
        self._is_begun = False
        self._statements = 0
        self._last_query: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether it leaves nothing behind, so that another session may take over its connection."""
        return not self._temporary and not self._is_begun

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        self.rows(sql, parameters)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with translated(self._purpose), closing(self._cursor()) as cursor:
            if self._run(cursor, sql, parameters) is not Kind.QUERY:
                return []
            schema = schema_of(cursor.description)
            return list(plain_rows(self._read(cursor, schema), schema))

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        with translated(self._purpose), closing(self._cursor()) as cursor:
            if self._run(cursor, sql, parameters) is Kind.QUERY:
                yield from self._read(cursor, schema_of(cursor.description, is_short=True))

    def write_parquet(self, sql: str, path: Path) -> None:
        with translated(self._purpose), closing(self._cursor()) as cursor:
            self._run(cursor, sql, ())
            schema = schema_of(cursor.description)
            with pq.ParquetWriter(path, schema, use_dictionary=False) as file:
                for batch in self._read(cursor, schema):
                    file.write_batch(batch, row_group_size=_BATCH_ROWS)

    def register(self, name: str, table: pa.Table) -> None:
        self._load(name, table.schema, iter(table.to_batches()))

    def parquet(self, path: Path) -> str:
        told = path.stat()
        known = (path, told.st_mtime_ns, told.st_size)
        if known not in self._files:
            name = f"parquet_{next(self._numbers)}"
            with numbered(path) as rows:
                self._load(name, rows.schema, rows)
            self._files[known] = name
        return quoted(self._files[known])

    def columns(self, relation: str) -> dict[str, str]:
        with translated(self._purpose):
            return self._names.columns(relation)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._is_deferred = True
        self._moments.begin()
        try:
            with self._names.read_once(self._copied):
                yield
        except BaseException:
            # A connection that is gone has rolled back by itself.
            with suppress(DriverError, OSError):
                self._end("rollback")
            raise
        finally:
            self._is_deferred = False
        with translated(self._purpose):
            self._end("commit")

    def cost(self) -> Cost:
        cost = Cost(statements=self._statements, last_statement_id=self._last_query)
        with suppress(DriverError, OSError):
            return with_history(cost, self._told, self._name)
        return cost

    def missing_grants(self, account: SnowflakeAccount, relations: Sequence[str]) -> list[str]:
        """The statements that grant what the account's role lacks, and lets it read `relations`."""
        with translated(self._purpose):
            return missing_grants(self._told, account, lambda name: bool(self._names.columns(name)), relations)

    def _end(self, word: str) -> None:
        if self._is_begun:
            self._is_begun = False
            self._told(word)

    def _run(self, cursor: SnowflakeCursor, sql: str, parameters: Parameters) -> Kind:
        """Run one statement, with its values written into it: the connector would bind them in ways of its own."""
        written = with_literals(sql, parameters) if parameters else sql
        if written is None:
            raise WarehouseError(
                "a value cannot be said in Snowflake's SQL.", remedy="A text may not hold the character NUL."
            )
        statement = Statement(written)
        kind = statement.kind(self._temporary)
        if kind is Kind.DEFINITION:
            self._define(statement)
        if kind is Kind.CHANGE and self._is_deferred and not self._is_begun:
            self._told("begin")
            self._is_begun = True
        stored = self._names.written(statement.target) if kind is Kind.CHANGE and statement.target is not None else None
        self._send(cursor, self._retyping(statement) or statement.said(self._names.resolved, stored))
        if kind is Kind.DEFINITION:
            self._names.made(statement.target)
        return kind

    def _define(self, statement: Statement) -> None:
        if self._is_begun:
            raise WarehouseError(
                f"a relation would be made inside a transaction, which would commit it ({self._purpose}).",
                remedy="Nothing was kept; run this on DuckDB or PostgreSQL, and report it.",
            )
        if statement.is_temporary and (target := statement.target) is not None:
            self._temporary[target.name] = None

    def _copied(self, relation: str) -> str:
        """Copy a relation that others make, unless rows have been written: what is read twice is to be the same."""
        if self._is_begun:
            return relation
        name = f"copy_{next(self._numbers)}"
        self._temporary[name] = None
        self._moments.copy(relation, quoted(name), is_own=self._names.is_own(relation))
        return quoted(name)

    def _retyping(self, statement: Statement) -> str | None:
        """Make the table anew, where a column takes a type that Snowflake does not change it to."""
        if statement.retyped is None or statement.target is None:
            return None
        column, kind = statement.retyped
        table = ".".join(quoted(part.name) for part in statement.target.parts)
        told = self._names.columns(".".join(part.name for part in statement.target.parts))
        chosen = ", ".join(
            f"cast({quoted(name)} as {kind}) as {quoted(name)}" if name == column else quoted(name) for name in told
        )
        return Statement(f"create or replace table {table} as select {chosen} from {table}").said()

    def _read(self, cursor: SnowflakeCursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Read an answer to its end. Raises WarehouseError where it ends before the rows that were announced."""
        count = 0
        for batch in bounded(cursor.fetch_arrow_batches(force_microsecond_precision=True), schema, _BATCH_ROWS):
            if self._connection.is_closed():
                break
            count += batch.num_rows
            yield batch
        if cursor.rowcount is not None and count < cursor.rowcount:
            raise WarehouseError(
                f"an answer of {cursor.rowcount} rows broke off after {count} ({self._purpose}).",
                remedy="Nothing was kept of it; run this again.",
            )

    def _load(self, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        if self._is_begun:
            raise WarehouseError(f"rows would be loaded inside a transaction, which would commit it ({self._purpose}).")
        self._temporary[name] = None
        self._names.forget()
        with translated(self._purpose):
            load(self._told, name, schema, batches, stage=self._stage)

    def _told(self, sql: str) -> list[tuple[object, ...]]:
        """Run a statement of the adapter's own, which is Snowflake's SQL."""
        with closing(self._cursor()) as cursor:
            self._send(cursor, sql)
            return [tuple(row) for row in cursor.fetchall()]

    def _send(self, cursor: SnowflakeCursor, sql: str) -> None:
        self._statements += 1
        cursor.execute(sql, _statement_params=self._tag)
        self._last_query = cursor.sfqid

    def _cursor(self) -> SnowflakeCursor:
        return self._connection.cursor()

    def _describe(self, relation: str) -> dict[str, str] | None:
        """The columns of a relation, named as Snowflake has it; None where there is none."""
        try:
            with closing(self._cursor()) as cursor:
                return {column.name: type_name(column) for column in cursor.describe(f"select * from {relation}")}
        except DriverError as error:
            if error.errno in (2003, 2043):
                return None
            raise


class SnowflakeWarehouse:
    """One account of Snowflake's. Connections that left nothing behind wait for the next session of their process."""

    def __init__(self, account: SnowflakeAccount, secrets: Secrets, at_work: AtWork = at_nothing) -> None:
        self.dialect = SnowflakeDialect()
        self.account = account
        self._secrets = secrets
        self._at_work = at_work
        self._idle: deque[tuple[int, SnowflakeConnection]] = deque()
        self._is_prepared = False

    @contextmanager
    def session(self, purpose: str) -> Iterator[SnowflakeSession]:
        with self.reading(purpose) as session:
            with translated(purpose):
                self._prepare(session)
            yield session

    @contextmanager
    def reading(self, purpose: str) -> Iterator[SnowflakeSession]:
        """Neither schemas nor functions are made; each statement reads from a moment of its own."""
        connection = self._connected()
        schema = self.account.temporary_schema
        session = SnowflakeSession(connection, purpose, schema=schema, work=self._at_work())
        try:
            yield session
        finally:
            if session.is_clean and not connection.is_closed():
                self._idle.append((os.getpid(), connection))
            else:
                with suppress(DriverError, OSError):
                    connection.close()

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        # Nobody is kept out: whoever reads meanwhile sees each table whole, before or after.
        yield

    def shred(self) -> None:
        """Nothing to be done from here.

        Deleted rows stay for as long as Time Travel and Fail-safe keep them: those are the account's settings.
        """

    def missing_grants(self, relations: Sequence[str]) -> list[str]:
        connection = self._connected()
        with closing(connection):
            session = SnowflakeSession(connection, "cdp doctor", schema=self.account.temporary_schema, work={})
            return session.missing_grants(self.account, relations)

    def close(self) -> None:
        """Close the connections that wait for a session."""
        while self._idle:
            process, connection = self._idle.pop()
            if process == os.getpid():
                connection.close()

    def _connected(self) -> SnowflakeConnection:
        while self._idle:
            process, connection = self._idle.pop()
            # A connection of the process that this one was forked from is not ours to use.
            if process == os.getpid() and not connection.is_closed():
                return connection
        return connected(self.account, self._secrets)

    def _prepare(self, session: SnowflakeSession) -> None:
        """Choose the schema of temporary tables, and see once that it and the functions are there."""
        schema = quoted(self.account.temporary_schema)
        if not self._is_prepared:
            for statement in (
                f"create schema if not exists {schema}",
                f"create schema if not exists {quoted(SCHEMA)} comment = {literal('Functions of the cdp platform')}",
                *FUNCTIONS,
            ):
                session._told(statement)
            self._is_prepared = True
        session._told(f"use schema {schema}")
