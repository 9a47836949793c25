"""Loading into BigQuery, on an emulator: twice the same call leaves the same table, days are replaced exactly."""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from decimal import Decimal

from cdp_platform.components.dlt_destination import dlt_destination
from cdp_platform.domain.home import Home
from cdp_platform.errors import WarehouseError
from cdp_platform.ingest.load import LoadResult, load_table
from cdp_platform.warehouse.choice import open_warehouse
from cdp_platform_tests.warehouses.bigquery_server import Crucible
from cdp_platform_tests.warehouses.test_loading_on_postgres import DAY, NEXT_DAY, rows_of

pytestmark = pytest.mark.slow
Load = Callable[..., LoadResult]


@pytest.fixture
def home(tmp_path: Path, crucible: Crucible) -> Home:
    return crucible.new_home(tmp_path)


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
    with open_warehouse(home).session("test") as session:
        return session.rows("select * from raw_shop.sales order by day")


def test_days_are_replaced_exactly_and_values_arrive_as_they_are(home: Home, load: Load) -> None:
    for _ in range(2):
        load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(DAY, DAY), (DAY, DAY)).deleted_row_count == 1
    found = there(home)
    assert [row["day"] for row in found] == [DAY, DAY, NEXT_DAY]
    [expected] = rows_of(DAY).to_pylist()
    assert found[0] == expected
    with open_warehouse(home).session("test") as session:
        assert session.columns("raw_shop.sales")["amount"] == "DECIMAL(12,2)"


def test_a_day_without_rows_is_an_empty_day_and_the_table_is_there_all_the_same(home: Home, load: Load) -> None:
    assert load(rows_of(), (DAY, DAY)).row_count == 0
    assert there(home) == []
    load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(), (DAY, DAY)).deleted_row_count == 1
    assert [row["day"] for row in there(home)] == [NEXT_DAY]
    load(rows_of(NEXT_DAY, NEXT_DAY), None)
    assert [row["amount"] for row in there(home)] == [Decimal("9.90")] * 2
    load(rows_of(), None)
    assert there(home) == []


def test_a_changed_type_is_refused_before_anything_is_deleted(home: Home, load: Load) -> None:
    load(rows_of(DAY))
    other = rows_of(DAY)
    other = other.set_column(3, "amount", pa.array(["nine"]))
    with pytest.raises(WarehouseError, match=r"raw_shop\.sales was not loaded"):
        load(other)
    assert len(there(home)) == 1


def test_dlt_is_told_of_no_credential_and_the_machine_has_no_more_variables(home: Home, load: Load) -> None:
    before = dict(os.environ)
    load(rows_of(DAY))
    assert dict(os.environ) == before
    written = [file for file in home.dlt.rglob("*") if file.is_file()]
    assert not [file for file in written if b"private_key" in file.read_bytes()]
