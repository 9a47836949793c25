"""Loading behind a server: twice the same call leaves the same table, days are replaced exactly, no rows are none."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cdp_platform.components.dlt_destination import dlt_destination
from cdp_platform.domain.home import Home
from cdp_platform.errors import ConfigError, WarehouseError
from cdp_platform.ingest.load import LoadResult, load_table
from cdp_platform.warehouse.base import Warehouse
from cdp_platform.warehouse.choice import dbt_environment
from cdp_platform_tests.warehouses.homes import on

DAY, NEXT_DAY = date(2017, 12, 25), date(2017, 12, 26)
SCHEMA = pa.schema(
    {"day": pa.date32(), "name": pa.string(), "at": pa.timestamp("us", "UTC"), "amount": pa.decimal128(12, 2)}
)
Load = Callable[..., LoadResult]
EACH = on(fast=("postgres", "snowflake"))


def rows_of(*days: date) -> pa.Table:
    at = datetime(2017, 12, 25, 23, 30, tzinfo=UTC)
    rows = [{"day": day, "name": 'Zoë O\'Hara, "té"\n', "at": at, "amount": Decimal("9.90")} for day in days]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture
def load(home: Home) -> Load:
    def loaded(table: pa.Table, days: tuple[date, date] | None = (DAY, NEXT_DAY)) -> LoadResult:
        return load_table(
            table,
            name="sales",
            dataset="raw_shop",
            destination=dlt_destination(home, {}),
            pipelines_dir=home.dlt,
            replaced_days=("day", *days) if days else None,
        )

    return loaded


def there(warehouse: Warehouse) -> list[dict[str, Any]]:
    with warehouse.session("test") as session:
        return session.rows("select day, name, at, amount from raw_shop.sales order by day")


@EACH
def test_days_are_replaced_exactly_and_values_arrive_as_they_are(warehouse: Warehouse, load: Load) -> None:
    for _ in range(2):
        load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(DAY, DAY), (DAY, DAY)).deleted_row_count == 1
    found = there(warehouse)
    assert [row["day"] for row in found] == [DAY, DAY, NEXT_DAY]
    [expected] = rows_of(DAY).to_pylist()
    assert found[0] == expected
    with warehouse.session("test") as session:
        assert list(session.columns("raw_shop.sales")) == SCHEMA.names
        assert session.columns("raw_shop.sales")["amount"] == "DECIMAL(12,2)"


@EACH
def test_a_day_without_rows_is_an_empty_day_and_the_table_is_there_all_the_same(
    warehouse: Warehouse, load: Load
) -> None:
    assert load(rows_of(), (DAY, DAY)).row_count == 0
    assert there(warehouse) == []
    load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(), (DAY, DAY)).deleted_row_count == 1
    assert [row["day"] for row in there(warehouse)] == [NEXT_DAY]
    load(rows_of(NEXT_DAY, NEXT_DAY), None)
    assert [row["amount"] for row in there(warehouse)] == [Decimal("9.90")] * 2
    load(rows_of(), None)
    assert there(warehouse) == []


@EACH
def test_a_changed_type_is_refused_before_anything_is_deleted(warehouse: Warehouse, load: Load) -> None:
    load(rows_of(DAY))
    other = rows_of(DAY)
    other = other.set_column(3, "amount", pa.array(["nine"]))
    with pytest.raises(WarehouseError, match=r"raw_shop\.sales was not loaded"):
        load(other)
    assert len(there(warehouse)) == 1


@on("bigquery")
def test_dlt_leaves_no_file_and_the_machine_has_no_more_variables(home: Home, load: Load) -> None:
    before = dict(os.environ)
    load(rows_of(DAY))
    assert dict(os.environ) == before
    assert not [file for file in home.dlt.rglob("*") if file.is_file()]


def test_a_warehouse_without_an_account_is_refused_by_its_name(tmp_path: Path) -> None:
    home = Home(root=tmp_path, warehouse_kind="snowflake")
    for told in (dlt_destination, dbt_environment):
        with pytest.raises(ConfigError, match="the warehouse is snowflake, and nothing says where it is"):
            told(home, {})
