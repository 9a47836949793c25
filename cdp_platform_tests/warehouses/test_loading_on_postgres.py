"""Loading into PostgreSQL: twice the same call leaves the same table, days are replaced exactly, no rows are none."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("adbc_driver_postgresql", reason="the extra `postgres` is not installed")

from cdp_platform.components.dlt_destination import dlt_destination
from cdp_platform.domain.home import Home
from cdp_platform.errors import ConfigError, WarehouseError
from cdp_platform.ingest.load import LoadResult, load_table
from cdp_platform.warehouse.postgres import PostgresWarehouse
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

DAY, NEXT_DAY = date(2017, 12, 25), date(2017, 12, 26)
SCHEMA = pa.schema(
    {"day": pa.date32(), "name": pa.string(), "at": pa.timestamp("us", "UTC"), "amount": pa.decimal128(12, 2)}
)
Load = Callable[..., LoadResult]


def rows_of(*days: date) -> pa.Table:
    at = datetime(2017, 12, 25, 23, 30, tzinfo=UTC)
    rows = [{"day": day, "name": 'Zoë O\'Hara, "té"\n', "at": at, "amount": Decimal("9.90")} for day in days]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture
def home(tmp_path: Path, postgres: PostgresServer) -> Home:
    return Home(root=tmp_path, warehouse_kind="postgres", warehouse_address=postgres.new_database())


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


def there(home: Home) -> list[dict[str, Any]]:
    with closing(PostgresWarehouse(str(home.warehouse_address))) as warehouse, warehouse.session("test") as session:
        return session.rows("select * from raw_shop.sales order by day")


def test_days_are_replaced_exactly_and_values_arrive_as_they_are(home: Home, load: Load) -> None:
    for _ in range(2):
        load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(DAY, DAY), (DAY, DAY)).deleted_row_count == 1
    found = there(home)
    assert [row["day"] for row in found] == [DAY, DAY, NEXT_DAY]
    assert found[0]["name"] == 'Zoë O\'Hara, "té"\n' and found[0]["amount"] == Decimal("9.90")
    assert found[0]["at"] == datetime(2017, 12, 25, 23, 30, tzinfo=UTC)


def test_a_day_without_rows_is_an_empty_day_and_the_table_is_there_all_the_same(home: Home, load: Load) -> None:
    assert load(rows_of(), (DAY, DAY)).row_count == 0
    assert there(home) == []
    load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(), (DAY, DAY)).deleted_row_count == 1
    assert [row["day"] for row in there(home)] == [NEXT_DAY]
    load(rows_of(), None)
    assert there(home) == []


def test_a_changed_type_is_refused_before_anything_is_deleted(home: Home, load: Load) -> None:
    load(rows_of(DAY))
    other = rows_of(DAY)
    other = other.set_column(3, "amount", pa.array(["nine"]))
    with pytest.raises(WarehouseError, match=r"raw_shop\.sales was not loaded"):
        load(other)
    assert len(there(home)) == 1


def test_what_nothing_is_loaded_into_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing says where it is"):
        dlt_destination(Home(root=tmp_path, warehouse_kind="snowflake"), {})
