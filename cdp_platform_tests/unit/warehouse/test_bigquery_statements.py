"""What BigQuery wants said in words of its own, by example, without an emulator."""

import re

import pytest

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.bigquery_dialect import BigQueryDialect
from cdp_platform.warehouse.bigquery_sql import said, written
from cdp_platform_tests.warehouses.listening import names


def test_a_deletion_names_its_rows_since_bigquery_takes_no_other() -> None:
    assert written(said("delete from cdp.ledgers")) == "DELETE FROM `cdp`.`ledgers` WHERE TRUE"


def test_places_are_filled_in_their_order_whatever_the_shape_of_the_statement() -> None:
    sql = written(
        said(
            "with a as (select ? as x) select ?, b.y from (select ? as y) as b where y = ? or '?' = ?", [1, 2, 3, 4, 5]
        )
    )
    assert re.findall(r"\d", sql) == ["1", "2", "3", "4", "5"]


def test_a_name_with_a_dot_is_refused_since_bigquery_would_read_another_table() -> None:
    with pytest.raises(WarehouseError, match=r"BigQuery cannot have the name 'a\.b'"):
        said('select n from marts."a.b"')
    assert "`acme.com:crm`.`marts`.`t`" in written(names().resolve(said('select n from "acme.com:crm".marts.t')).tree)


def test_lists_are_not_compared_since_bigquery_compares_none() -> None:
    assert written(said("select nullif(names, []) as names from people")) == "SELECT `names` AS `names` FROM `people`"


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
    known = names()
    known.define("seen", said("select n from mine"))
    known.bind("mine", "acme.cdp_temp.s1_0_mine")
    sql = written(known.resolve(said("select seen.n from seen join shop.t as t on t.n = seen.n")).tree)
    assert "(SELECT `n` FROM `acme`.`cdp_temp`.`s1_0_mine` AS `mine`) AS `seen`" in sql
    assert "`acme`.`shop`.`t` AS `t`" in sql
    known.bind("mine", "acme.cdp_temp.s1_1_mine")
    assert "s1_1_mine" in written(known.resolve(said("select n from seen")).tree)


def test_a_name_of_the_statements_own_goes_before_a_table() -> None:
    known = names()
    known.bind("mine", "acme.cdp_temp.s1_0_mine")
    resolved = known.resolve(said("with mine as (select 1 as n) select n from mine"))
    assert resolved.reads == frozenset()


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("select n from mine join (with mine as (select 1 as n) select n from mine) as other using (n)", True),
        ("with mine as (select n + 1 as n from mine) select n from mine", True),
        ("with a as (select n from mine), mine as (select 1 as n) select n from a", True),
        ("with mine as (select 1 as n), a as (select n from mine) select n from a", False),
        ("with mine as (select 1 as n) select n from (select n from mine) as inner_one", False),
        (
            "with recursive mine as (select 1 as n union all select n + 1 from mine where n < 3) select n from mine",
            False,
        ),
        (
            "select 1 as n union all (with mine as (select 1 as n) select n from mine) union all select n from mine",
            True,
        ),
    ],
)
def test_a_name_is_the_statements_own_only_where_its_with_is_around_it(sql: str, reads: bool) -> None:
    known = names()
    known.bind("mine", "acme.cdp_temp.s1_0_mine")
    assert known.resolve(said(sql)).reads == (frozenset({"acme.cdp_temp.s1_0_mine"}) if reads else frozenset())


def test_lists_are_sorted_and_texts_hashed_by_what_bigquery_has() -> None:
    words = written(said("select array_to_string(list_sort(string_split(name, ' ')), ' ') as words from people"))
    assert "ARRAY(SELECT `one` FROM UNNEST(SPLIT(`name`, ' ')) AS `one` ORDER BY `one`)" in words
    assert "FARM_FINGERPRINT(`name`)" in written(said("select md5_number_lower(name) as hash from people"))


def test_a_column_is_named_by_its_table_alone_and_the_database_is_the_project() -> None:
    update = "update shop.t set n = 1 from shop.u as u where shop.t.k = u.k and u.home = current_database()"
    sql = written(names().resolve(said(update)).tree)
    assert "`t`.`k` = `u`.`k`" in sql and "`shop`.`t`.`k`" not in sql
    assert "`u`.`home` = 'acme'" in sql
