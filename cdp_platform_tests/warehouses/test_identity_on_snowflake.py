"""Identity on Snowflake's emulator: the normalisers say what Python says, and people are those of DuckDB."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cdp_platform.identity.normalisers import parse_normaliser
from cdp_platform.identity.present import update
from cdp_platform.warehouse.base import Session, Warehouse
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform.warehouse.snowflake import SnowflakeWarehouse
from cdp_platform_tests.unit.identity.test_normalisers import ALPHABET, WRITTEN, sql_of
from cdp_platform_tests.unit.identity.town import COLUMNS, Row, record, rules_of
from cdp_platform_tests.warehouses.emulators import Fakesnow, NoSecrets

pytestmark = pytest.mark.slow
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


@pytest.fixture(scope="module")
def snowflake(fakesnow: Fakesnow) -> Iterator[Warehouse]:
    with closing(SnowflakeWarehouse(fakesnow.new_account(), NoSecrets())) as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def session(snowflake: Warehouse) -> Iterator[Session]:
    with snowflake.session("test") as opened:
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


def test_people_merge_and_split_as_on_duckdb(snowflake: Warehouse, tmp_path: Path) -> None:
    rules, embedded = rules_of(tmp_path), DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    kinds = set()
    for day, rows in DAYS.items():
        told = []
        for warehouse in (embedded, snowflake):
            put(warehouse, rows, FIRST)
            told.append(update(warehouse, rules, records="town.records", schema="identity", as_of=day))
        assert told[0] == told[1] and told[0].scope == ("all" if day == FIRST else "changes")
        for table in ("clusters", "person_ids", "merges", "runs", "quarantine", "edges"):
            assert book(snowflake, table) == book(embedded, table), (day, table)
        kinds |= {row["kind"] for row in book(snowflake, "merges")}
    assert kinds == {"merge", "split"}
