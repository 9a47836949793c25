"""What sells and what does not: the model's sums are those of the raw receipts and of what the sandbox was given."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cdp_platform.ingest import retail
from cdp_platform.ingest.goods import make_goods
from cdp_platform_tests.dbt.conftest import Warehouse
from cdp_platform_tests.small_sources import HOUSEHOLDS_UP_TO, REPLAY

DAYS = (date(2017, 12, 26), date(2017, 12, 27))
CHAIN = "+product_performance +sync_products__crm"


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("goods") / "goods.json"
    make_goods(file, seed=2017, replay=REPLAY, read=read_few)
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told


@pytest.fixture(scope="module")
def built(restore: Callable[[], Warehouse], goods: dict[str, Any]) -> Warehouse:
    """A warehouse with two days of stock and the offers up to the last of them."""
    warehouse = restore()
    with duckdb.connect(str(warehouse.path)) as connection:
        write_raw(connection, goods)
    warehouse.set_clock(DAYS[1])
    result = warehouse.run("build", "--select", *CHAIN.split(), "--exclude", "tag:facts")
    assert result.success, result.exception
    return warehouse


def write_raw(connection: "duckdb.DuckDBPyConnection", goods: dict[str, Any]) -> None:
    items = [
        (day, item["sku"], item["sku"], item["name"], item["department"], item["price"], item["stock"][str(day)])
        for item in goods["items"]
        for day in DAYS
    ]
    offers = [offer for offer in goods["offers"] if offer["opened_on"] <= str(DAYS[1])]
    connection.execute("create schema raw_zoho; create schema raw_salesforce")
    connection.execute(
        "create table raw_zoho.items (stock_on date, item_id varchar, sku varchar, name varchar, category_name varchar,"
        " rate decimal(14,2), stock_on_hand decimal(14,2), status varchar default 'active',"
        " available_stock decimal(14,2))"
    )
    connection.executemany("insert into raw_zoho.items values (?, ?, ?, ?, ?, ?, ?, 'active', 0)", items)
    connection.execute(
        "create table raw_salesforce.opportunities (opportunity_id varchar, account_id varchar, name varchar,"
        " stage varchar, amount decimal(18,2), closes_on date, is_deleted boolean, modified_at timestamptz,"
        " modified_on date)"
    )
    connection.execute(
        "create table raw_salesforce.opportunity_lines (line_id varchar, opportunity_id varchar, product_code varchar,"
        " quantity decimal(18,2), total_price decimal(18,2), is_deleted boolean, modified_at timestamptz,"
        " modified_on date)"
    )
    for number, offer in enumerate(offers):
        opened, total = offer["opened_on"], offer["quantity"] * offer["price"]
        # The first was lost on the last day.
        states = [("Prospecting", opened), *([("Closed Lost", str(DAYS[1]))] if number == 0 else [])]
        for stage, day in states:
            connection.execute(
                "insert into raw_salesforce.opportunities values (?, 'a', 'o', ?, ?, ?, false, ?, ?)",
                [f"o{number}", stage, total, day, day, day],
            )
        connection.execute(
            "insert into raw_salesforce.opportunity_lines values (?, ?, ?, ?, ?, false, ?, ?)",
            [f"l{number}", f"o{number}", offer["sku"], offer["quantity"], total, opened, opened],
        )


def read_few(name: str, days: tuple[date, date] | None) -> pa.Table:
    rows = retail.read_table(name, days)
    if "household_id" in rows.column_names:
        rows = rows.filter(pc.less_equal(rows["household_id"], HOUSEHOLDS_UP_TO))
    return rows


def receipts(goods: dict[str, Any], first: date, last: date) -> tuple[int, float]:
    """Pieces and money of these goods, straight from the retailer's files."""
    numbers = pa.array([int(item["sku"]) for item in goods["items"]])
    lines = read_few("transactions", (first, last))
    chosen = lines.filter(pc.is_in(lines["product_id"], numbers))
    return pc.sum(chosen["quantity"]).as_py() or 0, pc.sum(chosen["sales_value"]).as_py() or 0.0


def test_stock_sales_and_offers_are_those_of_their_sources(built: Warehouse, goods: dict[str, Any]) -> None:
    for day in DAYS:
        sums = built.rows(
            "select count(*), sum(stock_count), sum(units_sold), sum(revenue)::double, sum(units_sold_28d),"
            " sum(revenue_28d)::double,"
            f" sum(open_offer_count), sum(open_offer_units) from marts.product_performance where stock_on = '{day}'"
        )
        units, revenue = receipts(goods, day, day)
        units_28d, revenue_28d = receipts(goods, day - timedelta(days=27), day)
        opened = [offer for offer in goods["offers"] if offer["opened_on"] <= str(day)]
        still = opened[1:] if day == DAYS[1] else opened
        stock = sum(item["stock"][str(day)] for item in goods["items"])
        assert units > 0 and len(still) > 10
        assert sums == [
            (len(goods["items"]), stock, units, pytest.approx(revenue), units_28d, pytest.approx(revenue_28d),
             len(still), sum(offer["quantity"] for offer in still))
        ]  # fmt: skip


def test_in_stock_and_sells_badly_is_a_rule_of_two_thresholds(built: Warehouse) -> None:
    wrong = "is_slow_seller <> (stock_count >= 20 and units_sold_28d <= 3)"
    assert built.rows(f"select count(*) from marts.product_performance where {wrong}") == [(0,)]
    [(slow, quick)] = built.rows(
        "select count(*) filter (is_slow_seller), count(*) filter (not is_slow_seller) from marts.product_performance"
    )
    assert slow > 10 and quick > 10


def test_the_crm_is_told_of_each_product_once_as_of_the_newest_day(built: Warehouse, goods: dict[str, Any]) -> None:
    rows = built.rows("select product_id, stock_count from activation.sync_products__crm")
    assert dict(rows) == {item["sku"]: item["stock"][str(DAYS[1])] for item in goods["items"]}


def test_a_stock_that_was_read_after_the_clock_is_not_known_yet(built: Warehouse, goods: dict[str, Any]) -> None:
    built.set_clock(DAYS[0])
    assert built.run("run", "--select", *CHAIN.split(), "--exclude", "tag:facts").success
    assert built.rows("select distinct stock_on from marts.product_performance") == [(DAYS[0],)]


def test_before_anything_was_read_there_are_no_products(warehouse: Warehouse) -> None:
    warehouse.set_clock(DAYS[0])
    assert warehouse.run("build", "--select", *CHAIN.split(), "--exclude", "tag:facts").success
    assert warehouse.rows("select count(*) from activation.sync_products__crm") == [(0,)]
