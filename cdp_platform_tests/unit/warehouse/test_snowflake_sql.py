"""The platform's statements, said in Snowflake's SQL. No account, no emulator: sqlglot reads what is said."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
import sqlglot
from sqlglot import exp

from cdp_platform.domain.permission import ObjectKind
from cdp_platform.domain.plans import LedgerIdentity
from cdp_platform.errors import WarehouseError
from cdp_platform.syncs.ledger import Ledger, ensure_tables
from cdp_platform.syncs.operations import create_operations, planned_rows
from cdp_platform.syncs.records import create_desired, encoded_fields
from cdp_platform.syncs.settle import _CREATED_AGAIN, _FOLD, _REFUSED, _STRIKE_OUT
from cdp_platform.syncs.unknown import _KEEP, _KNOWN
from cdp_platform.warehouse.base import Parameters, Row, Session
from cdp_platform.warehouse.snowflake_dialect import SnowflakeDialect
from cdp_platform.warehouse.snowflake_names import Names
from cdp_platform.warehouse.snowflake_sql import Kind, Statement, to_snowflake
from cdp_platform_tests.unit.syncs.conftest import spec_of

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = {
    "person_id": "VARCHAR",
    "email": "VARCHAR",
    "email_permission": "VARCHAR",
    "segment": "VARCHAR",
    "lifetime_value": "DECIMAL(14,4)",
}
LEDGER = Ledger(
    ledger_id="0123456789abcdef",
    identity=LedgerIdentity(
        environment="e", sync="crm_contacts", destination="fake", account_id="a", object="contacts"
    ),
    version=3,
    last_settle_id=None,
    model_rows=10,
    consent_rows=10,
    suppression_rows=0,
    mapping_version="m",
    probe="p",
    encoding={},
)


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
        ("select concat(1)", "SELECT CONCAT(COALESCE(CAST(1 AS VARCHAR), ''))"),
        ("create temporary view v as select 1 as a", 'CREATE TEMPORARY TABLE "v" AS SELECT 1 AS "a"'),
        ("select isfinite(a)", "SELECT \"a\" <> CAST('9999-12-31 23:59:59.999999' AS TIMESTAMPTZ)"),
        ("select x + to_minutes(3)", 'SELECT DATEADD(minute, 3, "x")'),
        ("select list_position(['a', 'b'], x)", "SELECT CASE \"x\" WHEN 'a' THEN 1 WHEN 'b' THEN 2 END"),
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


class Overheard:
    """A session that runs nothing and keeps what it is told, in Snowflake's SQL."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        self.said.append(to_snowflake(sql))

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        self.said.append(to_snowflake(sql))
        return []

    def columns(self, relation: str) -> Mapping[str, str]:
        return COLUMNS if relation.startswith("activation.") else {}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield


def test_the_statements_of_a_plan_are_those_on_record() -> None:
    heard, dialect, spec = Overheard(), SnowflakeDialect(), spec_of()
    session = cast("Session", heard)
    fields = encoded_fields(session, dialect, spec)
    create_desired(session, dialect, spec, fields)
    create_operations(session, spec, LEDGER, kind=ObjectKind.RECORD)
    operations = {"create": 1, "update": 2}
    heard.execute(planned_rows(dialect, spec, LEDGER, fields, operations, kind=ObjectKind.RECORD))
    assert_on_record("snowflake_plan.txt", heard.said)


def test_the_statements_of_a_settlement_are_those_on_record() -> None:
    heard = Overheard()
    ensure_tables(cast("Session", heard))
    words = {"diff": LEDGER.diff_table, "side": LEDGER.side_table, "planned": "parquet_0"}
    for statement in (_CREATED_AGAIN, _REFUSED, _KNOWN, *_STRIKE_OUT, *_FOLD, *_KEEP):
        heard.execute(statement.format(**words) if "{" in statement else statement)
    assert_on_record("snowflake_settle.txt", heard.said)


def assert_on_record(name: str, said: list[str]) -> None:
    """Compare with the file on record; where it differs on purpose, write the text that the failure shows into it."""
    trees = [sqlglot.parse_one(sql, read="snowflake") for sql in said]
    assert not any(isinstance(tree, exp.Command) for tree in trees)
    text = ";\n\n".join(tree.sql("snowflake", pretty=True, identify=True) for tree in trees) + ";\n"
    file = GOLDEN / name
    assert file.exists() and text == file.read_text(encoding="utf-8"), text
