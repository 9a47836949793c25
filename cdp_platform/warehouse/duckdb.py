"""The embedded default: one DuckDB file, protected by an operating-system lock of our own.

DuckDB lets one process at a time open a file for writing and fails everybody else at once. So every session waits,
bounded, for `<file>.lock`; the lock dies with its process, and its content names the holder to whoever waits too long.
"""

import fcntl
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cdp_platform.domain.syncs import FieldKind, FieldType
from cdp_platform.errors import WarehouseError, WarehouseLocked
from cdp_platform.warehouse.base import Parameters, Row
from cdp_platform.warehouse.dialect import CommonDialect
from cdp_platform.warehouse.duckdb_memory import FREED, MEMORY, bytes_of, remedy_of, threads_within
from cdp_platform.warehouse.literals import literal, quoted, with_literals

_WAIT_STEP_SECONDS = 0.05
_BATCH_ROWS = 100_000
_ROW_GROUP_ROWS = 20_480
_DUCKDB_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")
_DAMAGED = re.compile("not a valid DuckDB|[Cc]orrupt|Could not read enough")
_DISK_TROUBLE = re.compile("Could not write|Cannot open file|No space|Permission denied")
_DISK = "Check the disk's space and the permissions of the file and its folder; then run this again."
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}


_KINDS = {
    **dict.fromkeys(_INTEGERS, FieldKind.INTEGER),
    "VARCHAR": FieldKind.TEXT,
    "UUID": FieldKind.TEXT,
    "BOOLEAN": FieldKind.BOOLEAN,
    "DATE": FieldKind.DATE,
    "TIMESTAMP": FieldKind.TIMESTAMP,
    "TIMESTAMP_S": FieldKind.TIMESTAMP,
    "TIMESTAMP_MS": FieldKind.TIMESTAMP,
    "TIMESTAMP_NS": FieldKind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": FieldKind.TIMESTAMP,
}


class DuckDbDialect(CommonDialect):
    """DuckDB's way to say what differs between warehouses."""

    name = "duckdb"
    keeps_order = True
    kinds = _KINDS

    def exact(self, expression: str, column_type: str, field_type: FieldType) -> str:
        match field_type.kind:
            case FieldKind.TEXT:
                return f"nfc_normalize(cast({expression} as varchar))"
            case FieldKind.INTEGER:
                return f"try_cast({expression} as hugeint)"
            case FieldKind.DECIMAL:
                return f"try_cast({expression} as decimal({field_type.precision},{field_type.scale}))"
            case FieldKind.TIMESTAMP if column_type.upper() == "TIMESTAMP":
                return expression
            case FieldKind.TIMESTAMP:
                # `at time zone` would take four times as long.
                return f"make_timestamp(epoch_us(try_cast({expression} as timestamptz)))"
            case kind:
                return f"try_cast({expression} as {kind})"

    def encoded(self, exact: str, field_type: FieldType) -> str:
        match field_type.kind:
            case FieldKind.DECIMAL:
                return f"cast({exact} as varchar)"
            case FieldKind.DATE:
                return f"strftime({exact}, '%Y-%m-%d')"
            case FieldKind.TIMESTAMP:
                return f"strftime({exact}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return exact

    def json_object(self, members: Mapping[str, str]) -> str:
        pairs = ", ".join(f"{literal(name)}, {expression}" for name, expression in members.items())
        return f"cast(json_object({pairs}) as varchar)"

    def json_text(self, document: str, member: str) -> str:
        return f"json_extract_string({document}, {_path(member)})"

    def json_changes(self, new: str, old: str, members: Sequence[str]) -> str:
        # One look at each document: an extraction for each member would parse it as often.
        names, paths = _list(map(literal, members)), _list(map(_path, members))
        values = f"list_zip({names}, json_extract({new}, {paths}), json_extract({old}, {paths}))"
        differs = "lambda member: member[2] is not null and member[2] is distinct from member[3]"
        return f"list_transform(list_filter({values}, {differs}), lambda member: member[1])"

    def fingerprint(self, expressions: Sequence[str]) -> str:
        return f"hash({', '.join(expressions)})"


class DuckDbSession:
    """A session on one DuckDB connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        """Use `connection`; what is registered lies in `folder`, which goes with the session."""
        self._connection = connection
        self._folder = folder
        self._numbers = itertools.count()

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        with _translated():
            self._run(sql, parameters)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with _translated():
            cursor = self._run(sql, parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        with _translated():
            yield from self._run(sql, parameters).to_arrow_reader(_BATCH_ROWS)

    def write_parquet(self, sql: str, path: Path) -> None:
        # Documents differ from row to row: a dictionary of them would only cost time. A group of rows lies in memory.
        options = f"format parquet, dictionary_size_limit 1, row_group_size {_ROW_GROUP_ROWS}"
        self.execute(f"copy ({sql}) to {literal(str(path))} ({options})")

    def register(self, name: str, table: pa.Table) -> None:
        # A new name each time: DuckDB keeps what it has read of a file, and would take the old for the new.
        path = self._folder / f"{next(self._numbers)}.parquet"
        pq.write_table(table, path)
        rows = f"select * from read_parquet({literal(str(path))})"
        self.execute(f"create or replace temporary view {quoted(name)} as {rows}")

    def parquet(self, path: Path) -> str:
        rows = f"read_parquet({literal(str(path))}, file_row_number = true)"
        return f"(select file_row_number as ordinal, * exclude (file_row_number) from {rows})"

    def _run(self, sql: str, parameters: Parameters) -> duckdb.DuckDBPyConnection:
        if not parameters:
            return self._connection.execute(sql)
        # DuckDB's client imports pandas, which takes a second, for the first value that it binds.
        written = with_literals(sql, parameters)
        return (
            self._connection.execute(sql, _bound(parameters)) if written is None else self._connection.execute(written)
        )

    def columns(self, relation: str) -> dict[str, str]:
        name = ".".join(quoted(part) for part in relation.split("."))
        try:
            found = self._connection.execute(f"describe {name}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {row[0]: row[1] for row in found}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("begin transaction")
        try:
            yield
        except BaseException:
            # DuckDB has rolled back by itself where it could not write.
            with suppress(duckdb.Error):
                self._connection.execute("rollback")
            raise
        self.execute("commit")


class DuckDbWarehouse:
    """A DuckDB file. `wait_seconds` bounds the wait for another process; `clock` and `sleep` are for tests.

    `attached` are further DuckDB files by the name under which models in them are read: `name.schema.table`.
    `memory` is what a session may hold before it goes on on disk: DuckDB would take four fifths of the machine; None
    is 1 GB. Raises ConfigError where it is no size.
    """

    def __init__(
        self,
        path: Path,
        *,
        wait_seconds: float = 60.0,
        attached: Mapping[str, Path] | None = None,
        memory: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.dialect = DuckDbDialect()
        self.path = path
        self._wait_seconds = wait_seconds
        self._attached = dict(attached or {})
        self._memory_bytes = bytes_of(memory or MEMORY)
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def session(self, purpose: str) -> Iterator[DuckDbSession]:
        with (
            self.exclusive(purpose),
            TemporaryDirectory(prefix="cdp-") as folder,
            closing(self._connect()) as connection,
        ):
            yield DuckDbSession(connection, Path(folder))

    def shred(self) -> None:
        """Write the file anew: blocks that were freed would keep what stood in them. Raises WarehouseError."""
        copy = self.path.with_name(f"{self.path.name}.anew")
        with self.exclusive("writing the file anew"):
            copy.unlink(missing_ok=True)
            with closing(self._connect()) as connection, _translated():
                [name] = connection.execute("select current_database()").fetchone() or ("",)
                connection.execute(f"attach {literal(str(copy))} as anew")
                connection.execute(f"copy from database {self.dialect.quote(name)} to anew")
                connection.execute("detach anew")
            # The old file is whole until the new one takes its place.
            copy.replace(self.path)
            self.path.with_name(f"{self.path.name}.wal").unlink(missing_ok=True)

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        with self._open_lock() as lock:
            self._wait_for(lock)
            _write_holder(lock, f"process {os.getpid()} ({purpose})")
            try:
                yield
            finally:
                _write_holder(lock, "")
                fcntl.flock(lock, fcntl.LOCK_UN)

    def _open_lock(self) -> IO[str]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return open(f"{self.path}.lock", "a+", encoding="utf-8")
        except OSError as error:
            raise WarehouseError(
                f"the warehouse's folder {self.path.parent} cannot be written to ({error.strerror}).", remedy=_DISK
            ) from error

    def _wait_for(self, lock: IO[str]) -> None:
        deadline = self._clock() + self._wait_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._clock() >= deadline:
                    lock.seek(0)
                    raise self._locked(lock.read() or "a process that did not leave its name") from None
                self._sleep(_WAIT_STEP_SECONDS)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        deadline = self._clock() + self._wait_seconds
        while True:
            try:
                connection = duckdb.connect(str(self.path))
                connection.execute("set TimeZone = 'UTC'")
                connection.execute("set enable_progress_bar = false")
                connection.execute(f"set allocator_flush_threshold = {literal(FREED)}")
                connection.execute(f"set memory_limit = '{self._memory_bytes}B'")
                [available] = connection.execute("select current_setting('threads')").fetchone() or (1,)
                connection.execute(f"set threads = {threads_within(self._memory_bytes, int(available))}")
                for name, path in self._attached.items():
                    connection.execute(f"attach {literal(str(path))} as {self.dialect.quote(name)} (read_only)")
                return connection
            except duckdb.IOException as error:
                holder = _DUCKDB_HOLDER.search(str(error))
                if holder is None:
                    is_damaged = _DAMAGED.search(str(error)) is not None
                    raise WarehouseError(
                        f"the warehouse file {self.path.name} cannot be opened ({_first_line(error)}).",
                        remedy="Restore it from a backup, or move it away and run the demo again."
                        if is_damaged
                        else _DISK,
                    ) from error
                if self._clock() >= deadline:
                    raise self._locked(f"process {holder[2]} ({Path(holder[1]).name})") from error
                self._sleep(_WAIT_STEP_SECONDS)

    def _locked(self, holder: str) -> WarehouseLocked:
        return WarehouseLocked(
            f"the warehouse file {self.path.name} is held by {holder}; waited {self._wait_seconds:g} s.",
            remedy="Close that program, or wait for it, and run this again.",
            holder=holder,
        )


def _bound(parameters: Parameters) -> list[Any] | dict[str, Any]:
    return dict(parameters) if isinstance(parameters, Mapping) else list(parameters)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        remedy = _DISK if _DISK_TROUBLE.search(str(error)) else remedy_of(error)
        raise WarehouseError(f"the warehouse refused a statement: {_first_line(error)}", remedy=remedy) from error


def _write_holder(lock: IO[str], holder: str) -> None:
    """Name who holds the lock, for others to read; on a full disk nobody is named."""
    with suppress(OSError):
        lock.seek(0)
        lock.truncate()
        lock.write(holder)
        lock.flush()


def _first_line(error: Exception) -> str:
    """The message's first line without quoted values: they may be personal."""
    return re.sub(r"'[^']*'", "'…'", str(error).splitlines()[0])[:300]


def _list(expressions: Iterable[str]) -> str:
    return f"[{', '.join(expressions)}]"


def _path(member: str) -> str:
    """SQL of the path to one member of a JSON document."""
    return literal('$."' + member.replace('"', '\\"') + '"')
