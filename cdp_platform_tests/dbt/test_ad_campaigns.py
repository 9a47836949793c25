"""What an ad campaign did: who was sent by the sync log, who bought on a later day, and whether that is an effect."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from cdp_platform_tests.dbt.conftest import Warehouse

DAY = date(2017, 12, 20)
SENT_ON, ALSO_SENT_ON = date(2017, 12, 10), date(2017, 12, 15)
WIN_BACK, FRESH = "23860000000000103", "23860000000000102"
SYNC = "lapsed_loyalists_ads"
RESULTS = "select sent_people, bought_people, revenue_after_sent, is_causal from activation.ad_campaign_results"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A warehouse after some people were sent to the ad audience."""

    warehouse: Warehouse
    people: list[str]
    """The first twenty were sent on SENT_ON, again on ALSO_SENT_ON; the next ten on the clock's day itself."""


@pytest.fixture(scope="module")
def sent(restore: Callable[[], Warehouse]) -> Sent:
    warehouse = restore()
    warehouse.execute("create schema raw_meta; create schema if not exists cdp")
    warehouse.execute(
        "create table raw_meta.insights as select day::date as day, campaign as campaign_id, 'Name' as campaign_name,"
        " 100::bigint as impressions, 7::bigint as clicks, 2.5::decimal(14,2) as spend, 'USD' as currency"
        " from generate_series(date '2017-12-01', date '2017-12-24', interval 1 day) as days (day),"
        f" (values ('{WIN_BACK}'), ('{FRESH}')) as campaigns (campaign)"
    )
    assert warehouse.run_people(DAY).success
    people = [key for (key,) in warehouse.rows("select person_id from marts.profiles order by 1 limit 30")]
    warehouse.execute(
        "create table cdp.deliveries (ledger_id varchar, version bigint, sync varchar, primary_key varchar,"
        " operation varchar, delivered_on date)"
    )
    deliver(warehouse, 1, SYNC, people[:20], "create", SENT_ON)
    deliver(warehouse, 2, SYNC, people[:20], "update", ALSO_SENT_ON)
    deliver(warehouse, 3, SYNC, people[:5], "remove", ALSO_SENT_ON)
    deliver(warehouse, 4, SYNC, people[20:], "create", DAY)
    deliver(warehouse, 5, "crm_contacts", people, "create", SENT_ON)
    assert warehouse.run_people(DAY).success
    return Sent(warehouse=warehouse, people=people)


def deliver(warehouse: Warehouse, version: int, sync: str, people: list[str], operation: str, day: date) -> None:
    values = ", ".join(f"('l', {version}, '{sync}', '{person}', '{operation}', date '{day}')" for person in people)
    warehouse.execute(f"insert into cdp.deliveries values {values}")


def test_a_campaign_costs_what_its_days_up_to_the_clock_cost(sent: Sent) -> None:
    days = (DAY - date(2017, 12, 1)).days + 1
    rows = sent.warehouse.rows("select impressions, clicks, spend from activation.ad_campaign_results")
    assert [(row[0], row[1], float(row[2])) for row in rows] == [(100 * days, 7 * days, 2.5 * days)] * 2


def test_who_was_sent_and_bought_on_a_later_day_counts_once(sent: Sent) -> None:
    people = ", ".join(f"'{person}'" for person in sent.people[:20])
    [(buyers, revenue)] = sent.warehouse.rows(
        "select count(distinct person_id), sum(order_value) from marts.person_orders where is_purchase"
        f" and person_id in ({people}) and order_day between '{SENT_ON + timedelta(days=1)}' and '{DAY}'"
    )
    assert 0 < buyers < 20
    assert sent.warehouse.rows(f"{RESULTS} where campaign_id = '{WIN_BACK}'") == [(20, buyers, revenue, False)]


def test_a_campaign_whose_audience_nobody_wrote_down_has_sent_nobody(sent: Sent) -> None:
    [(people, buyers, _, is_causal)] = sent.warehouse.rows(f"{RESULTS} where campaign_id = '{FRESH}'")
    assert (people, buyers, is_causal) == (0, 0, False)


def test_it_is_an_effect_only_where_a_lot_holds_somebody_out(sent: Sent) -> None:
    sent.warehouse.execute(
        "insert into audiences.audience_assignments select 'lapsed_loyalists', person_id,"
        " case when row_number() over (order by person_id) <= 30 then 'reached' else 'held_out' end, 0.1,"
        f" date '{SENT_ON}', null from marts.profiles"
    )
    assert sent.warehouse.run("run", "--select", "ad_campaign_results").success
    [(is_causal, held_out, bought)] = sent.warehouse.rows(
        "select is_causal, held_out_people, held_out_bought_people from activation.ad_campaign_results"
        f" where campaign_id = '{WIN_BACK}'"
    )
    [(people,)] = sent.warehouse.rows("select count(*) from marts.profiles")
    assert (is_causal, held_out) == (True, people - 30)
    assert 0 < bought < held_out
