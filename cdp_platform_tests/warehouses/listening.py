"""What the platform tells a warehouse, heard on DuckDB and said again in the SQL of each of the engines.

Nothing but DuckDB runs it. The others' adapters translate what they are told; here their translations are asked alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from cdp_platform.warehouse.base import Dialect, Parameters, Row
from cdp_platform.warehouse.bigquery_dialect import BigQueryDialect
from cdp_platform.warehouse.bigquery_names import Names
from cdp_platform.warehouse.bigquery_sql import said, written
from cdp_platform.warehouse.duckdb import DuckDbDialect, DuckDbSession, DuckDbWarehouse
from cdp_platform.warehouse.literals import with_literals
from cdp_platform.warehouse.postgres_dialect import PostgresDialect
from cdp_platform.warehouse.snowflake_dialect import SnowflakeDialect
from cdp_platform.warehouse.snowflake_sql import to_snowflake
from cdp_platform.warehouse.translating import to_postgres

_DIALECTS: Final[Mapping[str, Dialect]] = {
    "duckdb": DuckDbDialect(),
    "postgres": PostgresDialect(),
    "snowflake": SnowflakeDialect(),
    "bigquery": BigQueryDialect(),
}
ENGINES: Final = tuple(_DIALECTS)
_ASKED: Final = ("exact", "encoded", "misfit", "json_object", "json_text", "json_changes", "fingerprint")
_MARKED: Final = re.compile(r"/\*<(\d+)\*/.*?/\*\1>\*/", re.S)


class Twins(DuckDbDialect):
    """Says everything in DuckDB's words, marked, and keeps what the other dialects say in their place."""

    # What keeps no order is told to, which DuckDB does as well.
    keeps_order = False

    def __init__(self) -> None:
        self._told: list[dict[str, str]] = []

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        return method if name not in _ASKED else lambda *given: self._marked(name, given)

    def in_words_of(self, engine: str, given: Any) -> Any:
        """Put an engine's words in the place of the marked ones."""
        match given:
            case str():
                return _MARKED.sub(lambda found: self._told[int(found[1])][engine], given)
            case Mapping():
                return {name: self.in_words_of(engine, value) for name, value in given.items()}
            case [*values]:
                return [self.in_words_of(engine, value) for value in values]
        return given

    def _marked(self, name: str, given: tuple[Any, ...]) -> str | None:
        told = {
            engine: getattr(dialect, name)(*(self.in_words_of(engine, one) for one in given))
            for engine, dialect in _DIALECTS.items()
        }
        if told["duckdb"] is None:
            return None
        self._told.append({engine: words or "false" for engine, words in told.items()})
        number = len(self._told) - 1
        return f"/*<{number}*/{told['duckdb']}/*{number}>*/"


class _Session(DuckDbSession):
    heard: list[tuple[str, Parameters]]

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        self._hear(sql, parameters)
        super().execute(sql, parameters)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        self._hear(sql, parameters)
        return super().rows(sql, parameters)

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        self._hear(sql, parameters)
        return super().batches(sql, parameters)

    def _hear(self, sql: str, parameters: Parameters) -> None:
        # What is registered is loaded by the others, and is no statement of the engine's.
        if "from read_parquet(" in sql and sql.startswith("create or replace temporary view"):
            return
        if sql in ("begin transaction", "commit"):
            return
        # Where DuckDB names a file, the others name a table.
        plain = re.sub(r"^copy \((.*)\) to '.*$", r"\1", sql, flags=re.S)
        plain = re.sub(r"\(select file_row_number as ordinal.*?read_parquet\(.*?true\)\)", "parquet_0", plain)
        self.heard.append((plain, parameters))


class Listening(DuckDbWarehouse):
    """A DuckDB file that keeps every statement it is told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, wait_seconds=5)
        self.dialect = self.twins = Twins()
        self.heard: list[tuple[str, Parameters]] = []

    @contextmanager
    def session(self, purpose: str) -> Iterator[_Session]:
        with super().session(purpose) as session:
            listening = _Session(session._connection, session._folder)
            listening.heard = self.heard
            yield listening

    def said(self, engine: str) -> list[str]:
        """Every statement in an engine's SQL, once, in the order in which it was told first.

        Raises WarehouseError where one cannot be said.
        """
        told = dict.fromkeys(
            _with_values(self.twins.in_words_of(engine, sql), parameters) for sql, parameters in self.heard
        )
        return list(dict.fromkeys(statement for sql in told for statement in _SAYING[engine](sql)))


def said_on(engine: str, sql: str, parameters: Parameters) -> str:
    """One statement of DuckDB's in an engine's SQL, with its values in their places."""
    [told] = _SAYING[engine](_with_values(sql, parameters))
    return told


def names() -> Names:
    """Names of a session on BigQuery that has made nothing yet."""
    return Names(project="acme", dataset="cdp", temporary_dataset="cdp_temp", prefix="s1")


def _with_values(sql: str, parameters: Parameters) -> str:
    filled = with_literals(sql, parameters) if parameters else sql
    assert filled is not None, "a value that has no literal"
    return filled


_SAYING: Final[Mapping[str, Callable[[str], tuple[str, ...]]]] = {
    "duckdb": lambda sql: (sql,),
    "postgres": to_postgres,
    "snowflake": lambda sql: (to_snowflake(sql),),
    "bigquery": lambda sql: (written(names().resolve(said(sql)).tree),),
}
