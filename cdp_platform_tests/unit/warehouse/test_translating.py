"""The platform's statements, said in PostgreSQL's SQL."""

import pytest
import sqlglot

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.translating import to_postgres


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select ? as a where b = $name", "SELECT ? AS a WHERE b = $name"),
        ("select cast(x as hugeint), cast(y as ubigint)", "SELECT CAST(x AS DECIMAL(38, 0)), CAST(y AS BIGINT)"),
        ("select a from temp.x", "SELECT a FROM pg_temp.x"),
        ("select a from main.x", "SELECT a FROM public.x"),
        ("select * from (select 1 as a)", "SELECT * FROM (SELECT 1 AS a) AS unnamed"),
        ("select nullif(x, [])", "SELECT NULLIF(x, CAST(ARRAY[] AS TEXT[]))"),
        ("select a from t order by a desc", "SELECT a FROM t ORDER BY a DESC NULLS LAST"),
        ("select 'it''s $name ? \\ '", "SELECT 'it''s $name ? \\ '"),
        ("select json_extract(d, '$.\"a\"')", "SELECT JSON_MEMBER(d, 'a')"),
        (
            "select a, b, count(*) as n from t group by all order by all",
            "SELECT a, b, COUNT(*) AS n FROM t GROUP BY 1, 2 ORDER BY 1, 2, 3",
        ),
        (
            "alter table s.t alter \"key\" type varchar",
            'ALTER TABLE s.t ALTER COLUMN "key" SET DATA TYPE TEXT USING CAST("key" AS TEXT)',
        ),
        ("create view if not exists s.v as select 1 as a", "CREATE OR REPLACE VIEW s.v AS SELECT 1 AS a"),
    ],
)  # fmt: skip
def test_a_statement_is_said_as_postgresql_says_it(sql: str, said: str) -> None:
    assert to_postgres(sql) == (said,)


def test_a_replaced_temporary_table_may_read_the_one_before() -> None:
    assert to_postgres("create or replace temporary table x as select a from x") == (
        'CREATE TEMPORARY TABLE "x__anew" AS SELECT a FROM x',
        'DROP TABLE IF EXISTS pg_temp."x" CASCADE',
        'ALTER TABLE pg_temp."x__anew" RENAME TO "x"',
    )


def test_what_reads_a_lasting_table_is_not_dropped_with_it() -> None:
    made, renamed = to_postgres("create or replace table s.x as select 1 as a")
    assert made == 'CREATE TABLE s."x__anew" AS SELECT 1 AS a'
    assert renamed == "CALL take_name('s', 'x__anew', 'x', 'TABLE')"


def test_the_newest_value_is_the_one_of_the_greatest_that_is_known() -> None:
    [said] = to_postgres("select arg_max(payload, version) as payload from t")
    assert "ORDER BY version DESC" in said and "NOT payload IS NULL" in said
    assert sqlglot.parse_one(said, read="postgres")


def test_qualify_beside_a_star_names_no_column_twice() -> None:
    [said] = to_postgres('select *, a + 1 as "b c" from t qualify row_number() over (partition by a order by b) = 1')
    assert said.count('"b c"') == 1
    assert "QUALIFY" not in said and "WHERE rank_0 = 1" in said


def test_a_statement_that_nobody_can_read_is_refused_without_its_text() -> None:
    with pytest.raises(WarehouseError) as failure:
        to_postgres("select 'canary@example.com' from from where (")
    assert "canary" not in str(failure.value)


def test_what_stands_inside_of_what_is_rewritten_is_rewritten_too() -> None:
    [said] = to_postgres("select lower(upper(?)) as a, try_cast(lower($x) as date) as b from main.t")
    assert "LOWER_OF(UPPER_OF(?))" in said and "DAY_OF(CAST(LOWER_OF($x) AS TEXT))" in said
    [said] = to_postgres(
        "select *, json_extract_string(lower(d), '$.a') as a from main.t"
        " qualify row_number() over (partition by lower(b) order by c) = $n"
    )
    assert "JSON_TEXT(LOWER_OF(d), 'a')" in said and "rank_0 = $n" in said and "public.t" in said
