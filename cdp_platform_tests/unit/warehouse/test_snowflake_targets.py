"""What Snowflake is told to change stands under the names that it has there, and is read as it is then."""

import pytest
from sqlglot import exp

from cdp_platform.warehouse.snowflake_names import Names
from cdp_platform.warehouse.snowflake_sql import Statement, to_snowflake

SHELF = {
    '"MARTS"."PEOPLE"': {"EMAIL": "VARCHAR", "KIND": "VARCHAR"},
    '"audiences"."history"': {"person_id": "VARCHAR", "kind": "VARCHAR"},
}


def table(name: str) -> exp.Table:
    return exp.to_table(name)


@pytest.fixture
def names() -> Names:
    return Names(SHELF.get)


def said(sql: str, names: Names) -> str:
    statement = Statement(sql)
    assert statement.target is not None
    return statement.said(names.resolved, names.written(statement.target))


def test_rows_are_deleted_from_a_table_of_upper_case_names_and_others_are_read_as_they_are(names: Names) -> None:
    sql = "delete from marts.people where lower(email) in (select kind from temp.known) and kind = 'email'"
    assert said(sql, names) == (
        'DELETE FROM "MARTS"."PEOPLE" WHERE LOWER("EMAIL") IN (SELECT "kind" FROM "known") AND "KIND" = \'email\''
    )


def test_a_table_of_the_platforms_own_keeps_its_names(names: Names) -> None:
    sql = "update audiences.history set kind = null where person_id = 'a'"
    assert said(sql, names) == 'UPDATE "audiences"."history" SET "kind" = NULL WHERE "person_id" = \'a\''


def test_what_was_changed_is_read_as_it_is_and_not_from_the_copy_that_was_read_before(names: Names) -> None:
    with names.read_once(lambda name: '"copy"'):
        before = Statement("select * from audiences.history").said(names.resolved)
        names.written(table("audiences.history"))
        after = Statement("select * from audiences.history").said(names.resolved)
    assert "copy" in before
    assert after == 'SELECT * FROM "audiences"."history"'


def test_what_there_is_is_listed_under_the_names_by_which_it_is_read() -> None:
    told = to_snowflake("select table_type from information_schema.tables where table_schema = 'marts'")
    assert 'FROM "INFORMATION_SCHEMA"."TABLES") AS "tables"' in told
    assert 'THEN LOWER("TABLE_SCHEMA") ELSE "TABLE_SCHEMA" END AS "table_schema"' in told
    assert told.endswith("""WHERE "table_schema" = 'marts'""")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select regexp_replace(a, '[^0-9]', '', 'g') as b", "SELECT REGEXP_REPLACE(\"a\", '[^0-9]', '') AS \"b\""),
        ("select regexp_replace(a, '^(x).*', '\\1') as b", "SELECT REGEXP_REPLACE(\"a\", '^(x).*', '\\\\1') AS \"b\""),
        ("select md5_number_lower(a) as b", 'SELECT MD5_NUMBER_LOWER64("a") AS "b"'),
    ],
)
def test_patterns_and_hashes_are_said_in_its_words(sql: str, expected: str) -> None:
    assert to_snowflake(sql) == expected
