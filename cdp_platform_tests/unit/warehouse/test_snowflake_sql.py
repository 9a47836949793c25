"""The platform's statements, said in Snowflake's SQL. No account, no emulator: sqlglot reads what is said."""

import pytest

from cdp_platform.domain.syncs import FieldKind, FieldType
from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.snowflake_dialect import SnowflakeDialect
from cdp_platform.warehouse.snowflake_names import Names
from cdp_platform.warehouse.snowflake_sql import Kind, Statement, to_snowflake


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select a, \"Mixed Case\" from s.t", 'SELECT "a", "Mixed Case" FROM "s"."t"'),
        ("select a from temp.x join main.y using (a)", 'SELECT "a" FROM "x" JOIN "y" USING ("a")'),
        ("select cast(x as hugeint)", 'SELECT CAST("x" AS DECIMAL(38, 0))'),
        ("select cast(x as ubigint)", 'SELECT CAST("x" AS DECIMAL(38, 0))'),
        ("select a from t order by a desc", 'SELECT "a" FROM "t" ORDER BY "a" DESC NULLS LAST'),
        ("select a from t group by all order by all", 'SELECT "a" FROM "t" GROUP BY 1 ORDER BY 1'),
        ("select count(*) filter (where a) as n from t", 'SELECT COUNT(IFF("a", 1, NULL)) AS "n" FROM "t"'),
        ("select any_value(a) from t", 'SELECT MIN("a") FROM "t"'),
        ("select 'it''s \\ ?'", "SELECT 'it\\'s \\\\ ?'"),
        ("select 1 where a is not true", 'SELECT 1 WHERE NOT COALESCE("a", FALSE)'),
        ("select 1 where a is false", 'SELECT 1 WHERE NOT COALESCE("a", TRUE)'),
        ("select concat(1)", "SELECT CONCAT(COALESCE(CAST(1 AS VARCHAR), ''))"),
        ("create temporary view v as select 1 as a", 'CREATE TEMPORARY TABLE "v" AS SELECT 1 AS "a"'),
        ("select isfinite(a)", "SELECT \"a\" <> CAST('9999-12-31 23:59:59.999999' AS TIMESTAMPTZ)"),
        ("select x + to_minutes(3)", 'SELECT DATEADD(minute, 3, "x")'),
        ("select list_position(['a', 'b'], x)", "SELECT CASE \"x\" WHEN 'a' THEN 1 WHEN 'b' THEN 2 END"),
        ("select list_position(cast(['a'] as varchar[]), x)", "SELECT CASE \"x\" WHEN 'a' THEN 1 END"),
        ("select cast(['a'] as varchar[])", "SELECT CAST(['a'] AS ARRAY)"),
        ("select from_json(a, '[\"VARCHAR\"]')", 'SELECT CAST(PARSE_JSON("a") AS ARRAY)'),
        ("select list_filter([a], x -> x is not null)", 'SELECT ARRAY_COMPACT(ARRAY_CONSTRUCT("a"))'),
        ("select list_has_all(['a'], b)", "SELECT ARRAY_SIZE(ARRAY_EXCEPT(\"b\", ['a'])) = 0"),
        ("select list_contains(a, 'b')", "SELECT ARRAY_CONTAINS(CAST('b' AS VARIANT), \"a\")"),
        ("select array_length(a)", 'SELECT ARRAY_SIZE("a")'),
        ("select epoch(a)", 'SELECT CAST(DATE_PART(epoch_microsecond, "a") AS DOUBLE) / 1000000'),
        ("select now()", "SELECT CURRENT_TIMESTAMP()"),
        ("select nfc_normalize(a)", 'SELECT "cdp_functions".nfc("a")'),
    ],
)  # fmt: skip
def test_a_statement_is_said_as_snowflake_says_it(sql: str, said: str) -> None:
    assert to_snowflake(sql) == said


@pytest.mark.parametrize("column_type", ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE", "VARCHAR"])
def test_times_are_compared_to_the_microsecond_whatever_the_column_holds(column_type: str) -> None:
    said = SnowflakeDialect().exact("at", column_type, FieldType(kind=FieldKind.TIMESTAMP))
    assert said.endswith("as timestamp_ntz(6))")
    assert ("convert_timezone('UTC', " in said) == (column_type in ("TIMESTAMP WITH TIME ZONE", "VARCHAR"))


def test_a_range_counts_from_its_start() -> None:
    assert to_snowflake("select n from range(2, 5) as numbers (n)") == (
        'SELECT "n" FROM (SELECT ROW_NUMBER() OVER (ORDER BY SEQ8()) + 1 AS "n" FROM TABLE(GENERATOR(ROWCOUNT => 3)))'
        ' AS "numbers"'
    )


def test_a_range_counts_from_zero() -> None:
    assert to_snowflake("select n from range(3) as numbers (n)") == (
        'SELECT "n" FROM (SELECT ROW_NUMBER() OVER (ORDER BY SEQ8()) - 1 AS "n"'
        ' FROM TABLE(GENERATOR(ROWCOUNT => 3))) AS "numbers"'
    )


def test_what_is_no_statement_is_refused_without_its_text() -> None:
    with pytest.raises(WarehouseError) as failure:
        to_snowflake("select 'canary' from from")
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1", Kind.QUERY),
        ("with a as (select 1) select * from a", Kind.QUERY),
        ("insert into cdp.ledgers select 1", Kind.CHANGE),
        ("delete from operations", Kind.SESSION_CHANGE),
        ("update operations set a = 1 from cdp.x as b where b.a = operations.a", Kind.SESSION_CHANGE),
        ("insert into ledgers select * from operations", Kind.CHANGE),
        ("create or replace temporary table x as select 1", Kind.DEFINITION),
        ("drop table if exists a.b", Kind.DEFINITION),
        ("alter table a.b alter c type varchar", Kind.DEFINITION),
    ],
)
def test_what_a_statement_does_is_known_before_it_is_run(sql: str, kind: Kind) -> None:
    assert Statement(sql).kind({"operations": None}) is kind


class Shelf:
    """Relations by their names in Snowflake, as `Names` asks for them."""

    def __init__(self, **relations: dict[str, str]) -> None:
        self.relations = {".".join(f'"{part}"' for part in name.split("__")): told for name, told in relations.items()}
        self.asked: list[str] = []

    def __call__(self, name: str) -> dict[str, str] | None:
        self.asked.append(name)
        return self.relations.get(name)


def test_a_table_of_upper_case_names_is_read_under_the_names_of_the_yaml() -> None:
    shelf = Shelf(MARTS__PEOPLE={"PERSON_ID": "VARCHAR", "Mixed": "VARCHAR"})
    names = Names(shelf)
    assert names.columns("marts.people") == {"person_id": "VARCHAR", "Mixed": "VARCHAR"}
    said = Statement('select model.person_id from "marts"."people" as model').said(names.resolved)
    assert said == (
        'SELECT "model"."person_id" FROM (SELECT "PERSON_ID" AS "person_id", "Mixed" AS "Mixed"'
        ' FROM "MARTS"."PEOPLE") AS "model"'
    )
    assert shelf.asked == ['"marts"."people"', '"MARTS"."PEOPLE"']


def test_names_that_are_as_they_are_written_stay() -> None:
    names = Names(Shelf(marts__people={"person_id": "VARCHAR"}))
    assert Statement("select 1 from marts.people").said(names.resolved) == 'SELECT 1 FROM "marts"."people"'
    assert Statement("insert into marts.none select 1").said(names.resolved) == 'INSERT INTO "marts"."none" SELECT 1'
    assert names.columns("marts.nobody") == {}


def test_of_two_columns_that_differ_by_case_the_one_in_lower_case_is_read() -> None:
    names = Names(Shelf(marts__people={"A": "VARCHAR", "a": "DATE"}))
    assert names.columns("marts.people") == {"a": "DATE"}


def test_what_is_read_once_is_read_from_its_copy() -> None:
    names = Names(Shelf(marts__people={"n": "DATE"}, MARTS__OLD={"N": "DATE"}))
    copied: list[str] = []

    def copy(name: str) -> str:
        copied.append(name)
        return f'"copy_{len(copied)}"'

    with names.read_once(copy):
        said = Statement("select 1 from marts.people, marts.old as o, marts.people as p").said(names.resolved)
    assert copied == ['"marts"."people"', '"MARTS"."OLD"']
    assert said.count('FROM "copy_1"') == 2 and said.count('(SELECT "N" AS "n" FROM "copy_2") AS "o"') == 1
    assert Statement("select 1 from marts.people").said(names.resolved) == 'SELECT 1 FROM "marts"."people"'
