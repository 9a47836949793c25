"""Identity on PostgreSQL: the normalisers say what Python says, and views on its tables stay through a new run."""

import random
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
import pytest

pytest.importorskip("adbc_driver_postgresql", reason="the extra `postgres` is not installed")

from cdp_platform.errors import WarehouseError
from cdp_platform.identity.normalisers import parse_normaliser
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.postgres import PostgresWarehouse
from cdp_platform_tests.unit.identity.test_normalisers import ALPHABET, WRITTEN, sql_of
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

SEED = 20_171_231
TEXTS = 300


@pytest.fixture(scope="module")
def session(postgres: PostgresServer) -> Iterator[Session]:
    with closing(PostgresWarehouse(postgres.new_database())) as warehouse, warehouse.session("test") as opened:
        yield opened


@pytest.fixture(scope="module")
def texts(session: Session) -> list[str]:
    """Texts of all kinds of letters, as the relation `given`."""
    chance = random.Random(SEED)
    made = ["".join(chance.choices(ALPHABET, k=chance.randint(0, 14))) for _ in range(TEXTS)]
    made += ["+".join(chance.choices("0123456789 ()-.", k=14)) for _ in range(50)]
    made += ["Dr. Ann", "王小明先生", "20170203", "12/31/1980", "0912-345-678", "ÉMILE@EXAMPLE.COM"]
    session.register("given", pa.table({"position": range(len(made)), "value": made}))
    return made


@pytest.mark.parametrize("written", WRITTEN)
def test_sql_says_there_what_python_says(session: Session, texts: list[str], written: str) -> None:
    rows = session.rows(f"{sql_of(written, 'given')} order by position")
    said = parse_normaliser(written).in_python
    assert [(text, row["value"]) for text, row in zip(texts, rows, strict=True)] == [(one, said(one)) for one in texts]


def test_lower_case_is_that_of_every_letter_and_not_of_ascii_alone(session: Session) -> None:
    assert session.rows("select lower('ÉMILE Ł') as small, upper('straße é') as large") == [
        {"small": "émile ł", "large": "STRASSE É"}
    ]


def test_a_view_on_a_table_stays_when_the_table_is_made_anew(session: Session) -> None:
    session.execute("create schema if not exists shop")
    for number in (1, 2):
        session.execute(f"create or replace table shop.people as select {number} as number, 'Anne' as name")
        session.execute("create or replace view shop.names as select name, number from shop.people")
        session.execute("create or replace view shop.numbers as select number from shop.names")
    assert session.rows("select number from shop.numbers") == [{"number": 2}]
    session.execute("create or replace table shop.people as select number + 1 as number, name from shop.people")
    assert session.rows("select number from shop.numbers") == [{"number": 3}]


def test_another_shape_below_a_view_is_refused_and_leaves_all_as_it_was(session: Session) -> None:
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


def test_what_is_no_value_of_a_type_is_null_where_it_is_only_tried(session: Session) -> None:
    [row] = session.rows(
        "select try_cast('2017-02-30' as date) as day, try_cast(left('2017-02-03x', 10) as date) as other,"
        " try_cast('1.5e1' as double) as number, try_cast('one' as double) as word,"
        " try_cast('maybe' as boolean) as truth"
    )
    assert (str(row.pop("other")), row.pop("number")) == ("2017-02-03", 15.0)
    assert row == {"day": None, "word": None, "truth": None}


def test_a_text_is_found_within_another(session: Session) -> None:
    assert session.rows("select contains(lower('ABÉ'), 'bé') as is_there, not contains('abc', '-') as is_not") == [
        {"is_there": True, "is_not": True}
    ]
