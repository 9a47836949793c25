"""Values written into a statement must mean what bound values mean, whatever stands in them."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp_platform.warehouse.literals import literal, quoted, with_literals

TEXTS = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
MOMENTS = st.datetimes(timezones=st.just(UTC))
AMOUNTS = st.decimals(-(10**12), 10**12, places=4)
VALUES = st.one_of(st.none(), st.booleans(), AMOUNTS, st.integers(-(2**63), 2**63 - 1), TEXTS, st.dates(), MOMENTS)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_written_values_are_read_as_the_same_values(values: list[Any]) -> None:
    sql = with_literals(f"select {', '.join('?' * len(values))}", values)
    assert sql is not None
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        assert list(connection.execute(sql).fetchone() or ()) == values


@given(TEXTS)
def test_no_text_ends_its_quotes(text: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table canary as select 1 as n")
        sql = with_literals("select n from canary where cast(n as varchar) <> $text", {"text": text})
        connection.execute(str(sql)).fetchall()
        assert connection.execute("select count(*) from canary").fetchone() == (1,)


def test_marks_inside_quotes_are_no_places() -> None:
    sql = "select '?', \"$a\", 'it''s ?' -- ?\nwhere x = $a and y = '$b'"
    assert with_literals(sql, {"a": 1, "b": 2}) == "select '?', \"$a\", 'it''s ?' -- ?\nwhere x = 1 and y = '$b'"


def test_a_time_keeps_its_zone() -> None:
    taipei = datetime(2026, 11, 22, 20, tzinfo=timezone(timedelta(hours=8)))
    assert with_literals("select ?", [taipei]) == "select cast('2026-11-22T20:00:00+08:00' as timestamptz)"
    assert with_literals("select ?", [date(2026, 11, 22)]) == "select cast('2026-11-22' as date)"


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("select ?", ["nul \0"]),
        ("select ?", [1.5]),
        ("select ?", [["a"]]),
        ("select ?", [datetime.now(UTC).replace(tzinfo=None)]),
        ("select ?, ?", [1]),
        ("select ?", [1, 2]),
        ("select $a", {"b": 1}),
    ],
)
def test_what_cannot_be_written_is_left_to_be_bound(sql: str, values: Any) -> None:
    assert with_literals(sql, values) is None


def test_names_and_texts_double_their_quotes() -> None:
    assert (quoted('a"b'), literal("a'b")) == ('"a""b"', "'a''b'")
