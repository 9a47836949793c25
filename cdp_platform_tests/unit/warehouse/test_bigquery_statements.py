"""The engine's statements in BigQuery's words: every one of plan and settle, parsed, without an emulator."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from cdp_platform.domain.syncs import Mode
from cdp_platform.warehouse.base import Parameters, Row
from cdp_platform.warehouse.bigquery_dialect import BigQueryDialect
from cdp_platform.warehouse.bigquery_names import Names
from cdp_platform.warehouse.bigquery_sql import said, written
from cdp_platform.warehouse.duckdb import DuckDbDialect, DuckDbSession, DuckDbWarehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

_FUNCTIONS = """abs array array_concat array_length array_to_string byte_length cast chr coalesce concat count countif
    current_timestamp ends_with farm_fingerprint format format_datetime generate_array if json_value least length lower
    max min normalize pow power regexp_contains regexp_extract regexp_extract_all round row_number safe_cast starts_with
    string_agg struct sum to_json to_json_string trim unnest upper dense_rank max_by nullif"""
"""The functions of BigQuery's that the engine's statements use; its reference has each of them."""
_CALL = re.compile(r"(?<![`\w.])([A-Za-z_]+)\(")
_WORDS = "and or not on as in exists values where over from join select then else when numeric bignumeric"


class _Twin(DuckDbDialect):
    """Says everything in DuckDB's words, marked, and keeps what BigQuery's dialect says in their place."""

    def __init__(self) -> None:
        self._other = BigQueryDialect()
        self._said: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in ("exact", "encoded", "misfit", "json_object", "json_text", "json_changes", "fingerprint"):
            return method
        return lambda *given: self._marked(method(*given), getattr(self._other, name)(*map(self.in_bigquery, given)))

    def _marked(self, here: str | None, there: str | None) -> str | None:
        if here is None:
            return None
        self._said.append(there or "false")
        number = len(self._said) - 1
        return f"/*<{number}*/{here}/*{number}>*/"

    def in_bigquery(self, given: Any) -> Any:
        match given:
            case str():
                return re.sub(r"/\*<(\d+)\*/.*?/\*\1>\*/", lambda found: self._said[int(found[1])], given, flags=re.S)
            case Mapping():
                return {name: self.in_bigquery(value) for name, value in given.items()}
            case [*values]:
                return [self.in_bigquery(value) for value in values]
        return given


class _Listened(DuckDbSession):
    heard: list[str]
    twin: _Twin

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        self._hear(sql, parameters)
        super().execute(sql, parameters)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        self._hear(sql, parameters)
        return super().rows(sql, parameters)

    def _hear(self, sql: str, parameters: Parameters) -> None:
        # Where DuckDB names a file, BigQuery names a table, and what is registered is loaded.
        plain = self.twin.in_bigquery(re.sub(r"^copy \((.*)\) to '.*$", r"\1", sql, flags=re.S))
        if plain.startswith("create or replace temporary view") and "from read_parquet(" in plain:
            return
        named = re.sub(r"\(select file_row_number as ordinal.*?read_parquet\(.*?true\)\)", "parquet_0", plain)
        self.heard.append(written(_names().resolve(said(named, parameters)).tree))


class _Listening(DuckDbWarehouse):
    heard: list[str]
    twin: _Twin

    @contextmanager
    def session(self, purpose: str) -> Iterator[_Listened]:
        with super().session(purpose) as session:
            listened = _Listened(session._connection, session._folder)
            listened.heard, listened.twin = self.heard, self.twin
            yield listened


def _names() -> Names:
    return Names(project="acme", dataset="cdp", temporary_dataset="cdp_temp", prefix="s1")


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The statements of three runs, with a withdrawal, a removal and a rejected row among them."""
    shop = Shop(tmp_path_factory.mktemp("heard") / "home")
    warehouse = _Listening(shop.home.warehouse)
    warehouse.heard, warehouse.twin = [], _Twin()
    warehouse.dialect = warehouse.twin
    shop.warehouse = warehouse
    shop.spec = spec_of(mode=Mode.MIRROR)
    shop.people([person_of(number) for number in range(1, 5)])
    shop.run()
    shop.people([person_of(1, permission="withdrawn"), person_of(2, segment="new"), person_of(3)])
    shop.run()
    shop.run()
    return warehouse.heard


def test_every_statement_of_plan_and_settle_is_bigquerys_sql(heard: list[str]) -> None:
    assert len(heard) > 100
    for sql in heard:
        assert sqlglot.parse_one(sql, read="bigquery") is not None
        called = {name.lower() for name in _CALL.findall(re.sub(r"'(?:[^'\\]|\\.)*'|`[^`]*`", "''", sql))}
        assert called <= {*_FUNCTIONS.split(), *_WORDS.split()}, sql


def test_no_type_of_duckdbs_is_left(heard: list[str]) -> None:
    kinds = {
        kind.sql("bigquery") for sql in heard for kind in sqlglot.parse_one(sql, read="bigquery").find_all(exp.DataType)
    }
    plain = {re.sub(r"\(.*\)", "", kind) for kind in kinds}
    assert plain <= {"STRING", "INT64", "BOOL", "NUMERIC", "TIMESTAMP", "DATETIME", "DATE", "ARRAY<STRING>"}


def test_every_table_is_named_with_its_project_and_dataset(heard: list[str]) -> None:
    for sql in heard:
        tree = sqlglot.parse_one(sql, read="bigquery")
        known = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            is_table = isinstance(table.this, exp.Identifier) and table.name not in known
            if is_table and not isinstance(tree, exp.Create) and table.name != "cdp":
                assert table.catalog == "acme", sql


def test_a_deletion_names_its_rows_since_bigquery_takes_no_other() -> None:
    assert written(said("delete from cdp.ledgers")) == "DELETE FROM `cdp`.`ledgers` WHERE TRUE"


def test_places_are_filled_in_their_order_whatever_the_shape_of_the_statement() -> None:
    sql = written(
        said(
            "with a as (select ? as x) select ?, b.y from (select ? as y) as b where y = ? or '?' = ?", [1, 2, 3, 4, 5]
        )
    )
    assert re.findall(r"\d", sql) == ["1", "2", "3", "4", "5"]


def test_texts_are_escaped_as_bigquery_reads_them() -> None:
    assert written(said("select ? as a", ["it's \\n \\"])) == r"SELECT 'it\'s \\n \\' AS `a`"


def test_numbers_of_many_digits_take_the_wider_type() -> None:
    sql = written(said("create table given (a decimal(12,2), b decimal(38,0), c decimal(38,9), d hugeint, e ubigint)"))
    assert re.findall(r"` ([A-Z0-9]+(?:\(.*?\))?)", sql) == [
        "NUMERIC(12, 2)", "BIGNUMERIC(38, 0)", "NUMERIC(38, 9)", "INT64", "INT64",
    ]  # fmt: skip


def test_a_column_is_retyped_by_writing_its_table_anew_in_one_statement() -> None:
    sql = written(said('alter table cdp.ledger_1 alter "key" type varchar'))
    assert sql == (
        "CREATE OR REPLACE TABLE `cdp`.`ledger_1` AS SELECT * REPLACE (CAST(`key` AS STRING) AS `key`)"
        " FROM `cdp`.`ledger_1`"
    )


def test_documents_are_written_and_compared_as_text() -> None:
    dialect = BigQueryDialect()
    sql = written(said(f"select {dialect.json_object({'a': 'x'})} as document"))
    assert "TO_JSON_STRING(TO_JSON(`x`))" in sql
    assert "json_" not in written(said(f"select {dialect.json_changes('n', 'o', ['a'])} as changed"))


def test_a_temporary_view_stands_wherever_it_is_named_and_reads_what_its_tables_are_then() -> None:
    names = _names()
    names.define("seen", said("select n from mine"))
    names.bind("mine", "acme.cdp_temp.s1_0_mine")
    sql = written(names.resolve(said("select seen.n from seen join shop.t as t on t.n = seen.n")).tree)
    assert "(SELECT `n` FROM `acme`.`cdp_temp`.`s1_0_mine` AS `mine`) AS `seen`" in sql
    assert "`acme`.`shop`.`t` AS `t`" in sql
    names.bind("mine", "acme.cdp_temp.s1_1_mine")
    assert "s1_1_mine" in written(names.resolve(said("select n from seen")).tree)


def test_a_name_of_the_statements_own_goes_before_a_table(tmp_path: Path) -> None:
    names = _names()
    names.bind("mine", "acme.cdp_temp.s1_0_mine")
    resolved = names.resolve(said("with mine as (select 1 as n) select n from mine"))
    assert resolved.reads == frozenset()
