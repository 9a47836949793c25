"""Identity behind a server: the normalisers say what Python says, and people are those of DuckDB."""

import random
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cdp_platform.errors import WarehouseError
from cdp_platform.identity.normalisers import parse_normaliser
from cdp_platform.identity.present import update
from cdp_platform.warehouse.base import Session, Warehouse
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.identity.test_normalisers import ALPHABET, WRITTEN, sql_of
from cdp_platform_tests.unit.identity.town import COLUMNS, Row, record, rules_of
from cdp_platform_tests.warehouses.homes import on

SEED = 20_171_231
TEXTS = 300
FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
OTHERS = [record(f"o{number}", email=f"o{number}@x.example") for number in range(20)]
DAYS = {
    FIRST: [record("a1", email="anne@x.example"), record("b1", email="bob@x.example", phone="0912345678"), *OTHERS],
    SECOND: [
        record("a1", email="anne@x.example"),
        record("a2", email="ANNE@x.example", phone="0912345678"),
        record("b1", email="bob@x.example", phone="0912345678"),
        *OTHERS[1:],
    ],
    THIRD: [record("a1", email="anne@x.example"), record("b1", email="bob@x.example", phone="0912345678"), *OTHERS[1:]],
}
"""Two people, then a record that joins them, then it is gone and they are two again."""
EACH = on(fast=("postgres",))


@pytest.fixture(scope="module")
def texts(shared_session: Session) -> list[str]:
    """Texts of all kinds of letters, as the relation `given`."""
    chance = random.Random(SEED)
    made = ["".join(chance.choices(ALPHABET, k=chance.randint(0, 14))) for _ in range(TEXTS)]
    made += ["+".join(chance.choices("0123456789 ()-.", k=14)) for _ in range(50)]
    made += ["Dr. Ann", "王小明先生", "20170203", "12/31/1980", "0912-345-678", "ÉMILE@EXAMPLE.COM"]
    shared_session.register("given", pa.table({"position": range(len(made)), "value": made}))
    return made


@EACH
@pytest.mark.parametrize("written", WRITTEN)
def test_sql_says_there_what_python_says(shared_session: Session, texts: list[str], written: str) -> None:
    rows = shared_session.rows(f"{sql_of(written, 'given')} order by position")
    said = parse_normaliser(written).in_python
    assert [(text, row["value"]) for text, row in zip(texts, rows, strict=True)] == [(one, said(one)) for one in texts]


@EACH
def test_lower_case_is_that_of_every_letter_and_not_of_ascii_alone(shared_session: Session) -> None:
    assert shared_session.rows("select lower('ÉMILE Ł') as small, upper('é') as large") == [
        {"small": "émile ł", "large": "É"}
    ]


@EACH
def test_what_is_no_value_of_a_type_is_null_where_it_is_only_tried(shared_session: Session) -> None:
    [row] = shared_session.rows(
        "select try_cast('2017-02-30' as date) as day, try_cast(left('2017-02-03x', 10) as date) as other,"
        " try_cast('1.5e1' as double) as number, try_cast('one' as double) as word,"
        " try_cast('maybe' as boolean) as truth"
    )
    assert (str(row.pop("other")), row.pop("number")) == ("2017-02-03", 15.0)
    assert row == {"day": None, "word": None, "truth": None}


@EACH
def test_a_text_is_found_within_another(shared_session: Session) -> None:
    assert shared_session.rows(
        "select contains(lower('ABÉ'), 'bé') as is_there, not contains('abc', '-') as is_not"
    ) == [{"is_there": True, "is_not": True}]


@on("postgres", fast=("postgres",))
def test_a_letter_may_become_two_in_upper_case(shared_session: Session) -> None:
    assert shared_session.rows("select upper('straße') as large") == [{"large": "STRASSE"}]


@on("postgres", fast=("postgres",))
def test_a_view_on_a_table_stays_when_the_table_is_made_anew(shared_session: Session) -> None:
    session = shared_session
    session.execute("create schema if not exists shop")
    for number in (1, 2):
        session.execute(f"create or replace table shop.people as select {number} as number, 'Anne' as name")
        session.execute("create or replace view shop.names as select name, number from shop.people")
        session.execute("create or replace view shop.numbers as select number from shop.names")
    assert session.rows("select number from shop.numbers") == [{"number": 2}]
    session.execute("create or replace table shop.people as select number + 1 as number, name from shop.people")
    assert session.rows("select number from shop.numbers") == [{"number": 3}]


@on("postgres", fast=("postgres",))
def test_another_shape_below_a_view_is_refused_and_leaves_all_as_it_was(shared_session: Session) -> None:
    session = shared_session
    session.execute("create schema if not exists depot")
    session.execute("create or replace table depot.items as select 1 as number")
    session.execute("create or replace view depot.numbers as select number from depot.items")
    for _ in range(2):
        with pytest.raises(WarehouseError, match="depend on it"):
            session.execute("create or replace table depot.items as select 'one' as number")
    assert session.rows("select number from depot.numbers") == [{"number": 1}]
    assert not session.columns("depot.items__anew")
    session.execute("drop view depot.numbers")
    session.execute("create or replace table depot.items as select 'one' as number")
    assert session.rows("select number from depot.items") == [{"number": "one"}]


def put(warehouse: Warehouse, rows: list[Row], day: date) -> None:
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in COLUMNS}
    with warehouse.session("test") as session:
        session.register("given", pa.table({**columns, "seen_on": pa.array([day] * len(rows), pa.date32())}))
        session.execute("create schema if not exists town")
        session.execute("create or replace table town.records as select * from given")


def book(warehouse: Warehouse, table: str) -> list[dict[str, Any]]:
    with warehouse.session("test") as session:
        rows = session.rows(f"select * from identity.identity_{table}")
    return sorted(({name: str(value) for name, value in row.items() if name != "value_hash"} for row in rows), key=str)


@on()
def test_people_merge_and_split_as_on_duckdb(warehouse: Warehouse, tmp_path: Path) -> None:
    rules, embedded = rules_of(tmp_path), DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    kinds = set()
    for day, rows in DAYS.items():
        told = []
        for one in (embedded, warehouse):
            put(one, rows, FIRST)
            told.append(update(one, rules, records="town.records", schema="identity", as_of=day))
        assert told[0] == told[1] and told[0].scope == ("all" if day == FIRST else "changes")
        for table in ("clusters", "person_ids", "merges", "runs", "quarantine", "edges"):
            assert book(warehouse, table) == book(embedded, table), (day, table)
        kinds |= {row["kind"] for row in book(warehouse, "merges")}
    assert kinds == {"merge", "split"}
