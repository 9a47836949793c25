"""What sells and what does not: the model's sums are those of the raw receipts and of what the sandbox was given."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cdp_platform.ingest import retail
from cdp_platform.ingest.goods import make_goods
from cdp_platform_tests.dbt.conftest import Warehouse
from cdp_platform_tests.marketing import serving
from cdp_platform_tests.small_sources import HOUSEHOLDS_UP_TO, REPLAY

DAYS = (date(2017, 12, 26), date(2017, 12, 27))
CHAIN = "+product_performance +sync_products__crm"


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("goods") / "goods.json"
    make_goods(file, seed=2017, replay=REPLAY, read=read_few)
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """What HubSpot's account says of a day itself."""

    deals: Sequence[Mapping[str, str]]
    campaign_codes: set[str]


@pytest.fixture(scope="module")
def marketing(goods: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, dict[date, Promoted]]:
    """What our source read of HubSpot, a range first and then a day; and what the account says of these days."""
    read, told = [], {}
    with pytest.MonkeyPatch.context() as patch, serving(tmp_path_factory.mktemp("crm") / "sandbox", goods) as account:
        patch.setenv("HUBSPOT_TOKEN", "secret")
        for first, last in ((date(2017, 1, 1), DAYS[0]), (DAYS[1], DAYS[1])):
            account.turn_clock(last)
            read.append(account.read(first, last))
            told[last] = Promoted(deals=account.open_deals(), campaign_codes=account.running(last))
    return pa.concat_tables(read), told


@pytest.fixture(scope="module")
def built(
    restore: Callable[[], Warehouse], goods: dict[str, Any], marketing: tuple[pa.Table, dict[date, Promoted]]
) -> Warehouse:
    """A warehouse with two days of stock, and the offers, deals and campaigns up to the last of them."""
    warehouse = restore()
    with duckdb.connect(str(warehouse.path)) as connection:
        write_raw(connection, goods)
        connection.register("told", marketing[0])
        connection.execute("create schema raw_hubspot; create table raw_hubspot.records as select * from told")
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


def test_deals_and_campaigns_are_those_that_the_crm_tells_of_the_day(
    built: Warehouse, goods: dict[str, Any], marketing: tuple[pa.Table, dict[date, Promoted]]
) -> None:
    items = pa.array([int(item["sku"]) for item in goods["items"]])
    coupons = retail.read_table("coupons")
    coupons = coupons.filter(pc.is_in(coupons["product_id"], items)).to_pylist()
    for day, told in marketing[1].items():
        promoted = {
            (f"campaign_{coupon['campaign_id']}", coupon["product_id"])
            for coupon in coupons
            if f"campaign_{coupon['campaign_id']}" in told.campaign_codes
        }
        assert promoted and len(told.deals) > 10
        assert built.rows(
            "select sum(open_deal_count), sum(open_deal_units), sum(open_deal_value)::double,"
            f" sum(running_campaign_count) from marts.product_performance where stock_on = '{day}'"
        ) == [
            (len(told.deals), sum(int(deal["quantity"]) for deal in told.deals),
             pytest.approx(sum(float(deal["amount"]) for deal in told.deals)), len(promoted))
        ]  # fmt: skip
    before, after = (marketing[1][day] for day in DAYS)
    assert before.deals != after.deals, "the days differ, or it would not show which of them is told"


def test_a_campaign_counts_on_its_first_day_and_its_last_and_on_no_other(built: Warehouse) -> None:
    counts = "select stock_on, sum(running_campaign_count) from marts.product_performance group by 1 order by 1"
    before: dict[date, int] = dict(built.rows(counts))
    built.execute(
        "insert into raw_hubspot.records (kind, record_id, code, starts_on, ends_on, modified_on)"
        f" values ('campaign', 'one day', 'campaign_18', '{DAYS[0]}', '{DAYS[0]}', '2017-12-20')"
    )
    assert built.run("run", "--select", "int_items__stocked", "product_performance").success
    after: dict[date, int] = dict(built.rows(counts))
    assert after[DAYS[0]] > before[DAYS[0]] and after[DAYS[1]] == before[DAYS[1]]


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
