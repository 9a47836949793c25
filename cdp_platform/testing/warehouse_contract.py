"""What every warehouse must hold, as a pytest class that an adapter's test inherits.

    class TestMine(WarehouseContract):
        @pytest.fixture
        def case(self, tmp_path: Path) -> WarehouseCase:
            return WarehouseCase(warehouse=..., other=..., lose=...)

Statements are written in DuckDB's SQL, as everywhere in the platform: an adapter translates them. The warehouse of a
case is empty, and each test has one of its own. The values of columns are held by `WarehouseValuesContract`; whether
sessions exclude each other by one of the two in `warehouse_sessions`.
"""

# A pytest suite that lies in the package, so that packages elsewhere can inherit it.
# ruff: noqa: S101

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.base import Session, Warehouse

_MANY_ROWS = 250_000
_WIDE = "repeat('x', 200)"
_CANARY = "canary@example.com"
_NOW = datetime(2017, 12, 25, 8, 30, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class WarehouseCase:
    """One empty warehouse to be tested, and what a test does to it from outside."""

    warehouse: Warehouse
    other: Warehouse
    """The same warehouse as another process opens it, which waits for less than a second."""
    lose: Callable[[Session], None]
    """Cut the session's connection, as a restart of the server does."""


class WarehouseContract:
    """Sessions, statements, Arrow, Parquet, transactions."""

    def test_a_query_without_rows_answers_none(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            assert session.rows("select 1 as one where false") == []

    def test_columns_of_an_answer_keep_their_names_and_order(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            [row] = session.rows("""select 1 as "key", 2 as "Mixed Case", true as is_so, null as nothing""")
        assert list(row.items()) == [("key", 1), ("Mixed Case", 2), ("is_so", True), ("nothing", None)]

    def test_values_are_bound_by_place_and_by_name(self, case: WarehouseCase) -> None:
        given = ["it's; -- \\ $1 ? %s", 7, None, True, Decimal("1.50"), _NOW]
        with case.warehouse.session("test") as session:
            [row] = session.rows(
                "select ? as a, ? as b, cast(? as varchar) as c, ? as d, cast(? as decimal(9,2)) as e, ? as f", given
            )
            [named] = session.rows("select $text || '?' as a where $number = 7", {"text": "x", "number": 7})
        assert list(row.values()) == given
        assert named == {"a": "x?"}

    def test_a_statement_may_be_run_as_a_query(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.rows("create table given (n integer)")
            session.rows("insert into given values (1)")
            assert session.rows("select n from given") == [{"n": 1}]

    def test_temporary_tables_end_with_their_session(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create or replace temporary table mine as select 1 as n")
        with case.warehouse.session("test") as session, pytest.raises(WarehouseError):
            session.rows("select n from mine")

    def test_a_temporary_table_may_be_replaced_by_one_of_other_columns(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create or replace temporary table mine as select 1 as n")
            session.execute("create or replace temporary table mine as select n, 'x' as text from mine")
            assert session.rows("select * from mine") == [{"n": 1, "text": "x"}]

    def test_a_view_may_be_replaced_by_one_of_other_columns(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create or replace temporary view seen as select 1 as n")
            session.execute("create or replace temporary view seen as select 'x' as text")
            assert session.rows("select * from seen") == [{"text": "x"}]

    def test_what_exists_is_not_made_anew(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            for _ in range(2):
                session.execute("create schema if not exists shop")
                session.execute("create table if not exists shop.given (n bigint)")
                session.execute("create view if not exists shop.seen as select n from shop.given")
                session.execute("insert into shop.given values (1)")
            assert session.rows("select count(*) as row_count from shop.seen") == [{"row_count": 2}]

    def test_nulls_stand_last_whatever_the_direction(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table given as select * from (values (1), (null), (2)) as v (n)")
            for order, expected in (("asc", [1, 2, None]), ("desc", [2, 1, None])):
                rows = session.rows(f"select n from given order by n {order}")
                assert [row["n"] for row in rows] == expected

    def test_texts_are_ordered_by_their_characters_not_by_a_language(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table given as select * from (values ('b'), ('B'), ('a'), ('_'), ('ä')) as v (t)")
            assert [row["t"] for row in session.rows("select t from given order by t")] == ["B", "_", "a", "b", "ä"]

    def test_the_columns_of_a_relation_are_told_with_the_platforms_types(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute(
                'create table given ("Key" varchar, n bigint, d decimal(12,2), t timestamptz, l timestamp, b boolean,'
                " day date, f double)"
            )
            types = session.columns("given")
            kinds = {name: case.warehouse.dialect.field_type(told) for name, told in types.items()}
        assert {name: str(kind) for name, kind in kinds.items()} == {
            "Key": "text",
            "n": "integer",
            "d": "decimal(12,2)",
            "t": "timestamp",
            "l": "timestamp",
            "b": "boolean",
            "day": "date",
            "f": "None",
        }
        assert types["Key"] == "VARCHAR"

    def test_a_relation_that_is_not_there_has_no_columns(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            assert session.columns("nowhere.nothing") == {}
            session.execute("create schema shop")
            session.execute("create table shop.given (n integer)")
            assert list(session.columns("shop.given")) == ["n"]
            session.execute("drop table shop.given")
            assert session.columns("shop.given") == {}

    def test_a_retyped_column_is_told_as_it_is_now(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table given (n integer)")
            before = session.columns("given")
            session.execute("alter table given alter n type varchar")
            assert before != session.columns("given") == {"n": "VARCHAR"}

    def test_a_temporary_relation_is_described_like_others(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create or replace temporary table mine as select 'x' as text")
            assert session.columns("temp.mine") == session.columns("mine") == {"text": "VARCHAR"}

    def test_hostile_names_stay_names(self, case: WarehouseCase) -> None:
        hostile = 'a"; drop table given; --'
        quote = case.warehouse.dialect.quote
        with case.warehouse.session("test") as session:
            session.execute(f"create table {quote(hostile)} ({quote(hostile)} integer)")
            assert list(session.columns(hostile)) == [hostile]

    def test_rows_are_read_in_batches_of_bounded_size(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            sizes = [
                batch.num_rows
                for batch in session.batches(f"select n, {_WIDE} as t from range({_MANY_ROWS}) as numbers (n)")
            ]
        assert sum(sizes) == _MANY_ROWS
        assert max(sizes) < _MANY_ROWS

    def test_a_list_that_is_null_comes_out_null_and_not_empty(self, case: WarehouseCase, tmp_path: Path) -> None:
        sql = (
            "select n, case when n = 1 then cast(['a', 'b'] as varchar[]) end as names from range(1, 3) as t (n)"
            " order by n"
        )
        expected = [["a", "b"], None]
        with case.warehouse.session("test") as session:
            session.write_parquet(sql, tmp_path / "lists.parquet")
            assert [row["names"] for row in session.rows(sql)] == expected
            assert [row["names"] for batch in session.batches(sql) for row in batch.to_pylist()] == expected
        assert pq.read_table(tmp_path / "lists.parquet")["names"].to_pylist() == expected

    def test_batches_have_columns_also_without_rows(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table given (n bigint, t varchar)")
            found = pa.Table.from_batches(
                session.batches("select * from given"), schema=pa.schema([("n", pa.int64()), ("t", pa.string())])
            )
        assert found.num_rows == 0

    def test_arrow_tables_are_read_by_name_and_anew_each_time(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            for size in (1, 500, 0, 3):
                numbers = list(range(size))
                table = pa.table(
                    {
                        "n": pa.array(numbers, pa.int64()),
                        "tiny": pa.array([1] * size, pa.uint8()),
                        "t": pa.array([None if n % 2 else f"row {n}" for n in numbers], pa.string()),
                        "seen_at": pa.array([_NOW] * size, pa.timestamp("us", tz="UTC")),
                    }
                )
                session.register("given", table)
                [row] = session.rows("select count(*) as rows, count(t) as texts, max(seen_at) as newest from given")
                assert row == {"rows": size, "texts": (size + 1) // 2, "newest": _NOW if size else None}

    def test_parquet_goes_out_and_in_with_its_order(self, case: WarehouseCase, tmp_path: Path) -> None:
        path = tmp_path / "it's out.parquet"
        query = """select n, 'row ' || cast(n as varchar) as text, cast(n as decimal(12,2)) as amount,
            cast(['a', 'b'] as varchar[]) as names, cast(null as varchar) as nothing
            from range(1000) as numbers (n) order by n desc"""
        with case.warehouse.session("test") as session:
            session.write_parquet(query, path)
            read = pq.read_table(path)
            rows = session.rows(f"select ordinal, n, amount, names from {session.parquet(path)} where n >= 998")
        assert read.num_rows == 1000
        assert read.slice(0, 1).to_pylist() == [
            {"n": 999, "text": "row 999", "amount": Decimal("999.00"), "names": ["a", "b"], "nothing": None}
        ]
        assert sorted((row["ordinal"], row["n"], row["amount"], row["names"]) for row in rows) == [
            (0, 999, Decimal("999.00"), ["a", "b"]),
            (1, 998, Decimal("998.00"), ["a", "b"]),
        ]

    def test_an_empty_parquet_file_has_its_columns(self, case: WarehouseCase, tmp_path: Path) -> None:
        path = tmp_path / "empty.parquet"
        with case.warehouse.session("test") as session:
            session.write_parquet("select 'x' as text, 1 as n where false", path)
            assert pq.read_schema(path).names == ["text", "n"]
            assert session.rows(f"select text, ordinal from {session.parquet(path)}") == []

    def test_a_transaction_is_kept_whole_or_not_at_all(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table kept (n integer)")
            with session.transaction():
                session.execute("insert into kept values (1)")
            with pytest.raises(ZeroDivisionError):
                _insert_and_fail(session)
            assert session.rows("select n from kept") == [{"n": 1}]
        with case.other.session("test") as session:
            assert session.rows("select n from kept") == [{"n": 1}]

    def test_a_refused_statement_takes_its_transaction_back_and_leaves_the_session(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table kept (n integer)")
            with pytest.raises(WarehouseError):
                _insert_and_be_refused(session)
            assert session.rows("select n from kept") == []

    def test_a_session_that_breaks_off_keeps_nothing_of_its_transaction(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table kept (n integer)")
        with pytest.raises(WarehouseError), case.warehouse.session("test") as session:
            _insert_and_be_lost(case, session)
        with case.other.session("test") as session:
            assert session.rows("select n from kept") == []

    def test_a_session_lost_between_two_batches_never_looks_like_the_end(self, case: WarehouseCase) -> None:
        sizes: list[int] = []
        with pytest.raises(WarehouseError), case.warehouse.session("test") as session:
            _read_and_lose(case, session, sizes)
        assert 0 < sum(sizes) < 2_000_000

    def test_no_value_of_a_row_stands_in_an_error(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute(f"create table given as select '{_CANARY}' as email")
            for sql in (
                "select cast(email as integer) as n from given",
                f"select cast('{_CANARY}' as integer) as n",
                f"select nothing from given where email = '{_CANARY}'",
            ):
                with pytest.raises(WarehouseError) as failure:
                    session.rows(sql)
                assert "canary" not in str(failure.value)

    def test_a_relation_that_is_not_there_is_named(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session, pytest.raises(WarehouseError, match="nowhere"):
            session.rows("select * from nowhere")

    def test_shredding_keeps_what_was_not_deleted(self, case: WarehouseCase) -> None:
        with case.warehouse.session("test") as session:
            session.execute("create table kept as select n from range(10) as numbers (n)")
            session.execute("delete from kept where n > 0")
        case.warehouse.shred()
        with case.other.session("test") as session:
            assert session.rows("select n from kept") == [{"n": 0}]


def _insert_and_fail(session: Session) -> None:
    with session.transaction():
        session.execute("insert into kept values (2)")
        raise ZeroDivisionError


def _insert_and_be_refused(session: Session) -> None:
    with session.transaction():
        session.execute("insert into kept values (2)")
        session.execute("insert into nowhere values (2)")


def _insert_and_be_lost(case: WarehouseCase, session: Session) -> None:
    with session.transaction():
        session.execute("insert into kept values (2)")
        case.lose(session)
        session.execute("insert into kept values (3)")


def _read_and_lose(case: WarehouseCase, session: Session, sizes: list[int]) -> None:
    for batch in session.batches(f"select n, {_WIDE} as t from range(2000000) as numbers (n)"):
        if not sizes:
            case.lose(session)
        sizes.append(batch.num_rows)
