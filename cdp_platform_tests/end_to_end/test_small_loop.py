"""Two days of the loop on a slice of the data: the books of every tool and of the warehouse agree."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.end_to_end.conftest import Accounts, Demo, served_again

LAST_DAY = "2017-12-26"
SYNCS = ["crm_contacts", "lapsed_loyalists_ads", "products_crm", "redemptions_ads", "sales_accounts"]
MARKETING = {"rfm_segment", "lifetime_value", "favourite_department", "last_order_on"}


@pytest.fixture(scope="module")
def ended(shared_demo: Demo) -> "subprocess.CompletedProcess[str]":
    return shared_demo.cdp(*shared_demo.demo_arguments(LAST_DAY))


@pytest.fixture(scope="module")
def warehouse(shared_demo: Demo, ended: "subprocess.CompletedProcess[str]") -> DuckDbWarehouse:
    return DuckDbWarehouse(shared_demo.home / "cdp" / "warehouse.duckdb")


@pytest.fixture(scope="module")
def accounts(shared_demo: Demo, ended: "subprocess.CompletedProcess[str]") -> Iterator[Accounts]:
    with served_again(shared_demo.home / "cdp") as found:
        yield found


@pytest.fixture(scope="module")
def writes(accounts: Accounts) -> list[dict[str, Any]]:
    """The CRM's own log of every change, which shares nothing with our books."""
    return list(accounts.asked("/sandbox/writes", limit="10000")["results"])


def test_the_demo_ends_well_and_says_what_it_did(ended: "subprocess.CompletedProcess[str]") -> None:
    assert ended.returncode == 0, ended.stderr
    assert LAST_DAY in ended.stdout
    assert "not the effect of our sync" in ended.stdout
    assert "0 records to send" in ended.stdout
    assert all(f" {sync} " in ended.stdout for sync in SYNCS)
    assert len(ended.stdout.splitlines()) < 40
    assert max(map(len, ended.stdout.splitlines())) <= 120


def test_the_contacts_are_exactly_the_people_ever_delivered(
    warehouse: DuckDbWarehouse, writes: list[dict[str, Any]]
) -> None:
    delivered = delivered_by(warehouse, "crm_contacts")
    assert delivered
    assert {write["cdp_person_id"] for write in writes} == delivered
    assert len({write["contact_id"] for write in writes}) == len(delivered)


def test_sales_has_an_account_for_each_household_of_high_value_and_nothing_else_of_theirs_is_written(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    known = accounts.sales_accounts()
    ours = {found["CDP_Id__c"]: found for found in known if found["CDP_Id__c"]}
    assert ours.keys() == delivered_by(warehouse, "sales_accounts") != set()
    assert {found["Tier__c"] for found in ours.values()} == {"Gold", "Silver"}
    assert all(found["Name"] for found in ours.values())
    assert not [found for found in ours.values() if found["Industry"] or found["Phone"] or found["AnnualRevenue"]]
    theirs = [found for found in known if not found["CDP_Id__c"]]
    assert theirs and not [found for found in theirs if found["Tier__c"]]


def test_the_accounts_of_a_day_are_known_again_by_our_id_on_the_next_and_keep_their_names(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    sent = rows(
        warehouse,
        "select primary_key, json_extract_string(payload, '$.Name') as name from cdp.sync_log"
        " where sync = 'sales_accounts' and operation = 'create' and \"partition\" < '2017-12-26'",
    )
    known = rows(
        warehouse, "select distinct external_id, name from raw_salesforce.accounts where external_id is not null"
    )
    assert {(row["external_id"], row["name"]) for row in known} == {(row["primary_key"], row["name"]) for row in sent}
    now = {found["CDP_Id__c"]: found["Name"] for found in accounts.sales_accounts()}
    assert sent and all(now[row["primary_key"]] == row["name"] for row in sent)


def test_the_ads_audience_is_the_audience_as_far_as_people_said_yes_to_ads(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    members = {person for member in accounts.audience()["members"] for person in member["EXTERN_ID"]}
    assert members == permitted_members(warehouse) != set()


def test_each_redemption_of_the_last_seven_days_is_told_to_the_ads_once(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    events = accounts.events()
    assert {event["event_id"] for event in events} == delivered_by(warehouse, "redemptions_ads") != set()
    assert all(event["sent_count"] == 1 and event["event_name"] == "CouponRedeemed" for event in events)
    [told] = rows(warehouse, "select count(*) as events, min(happened_at) as first_at from activation.sync_events__ads")
    assert told["events"] >= len(events)
    assert str(told["first_at"]) >= "2017-12-20"


def test_the_crm_knows_the_items_of_the_inventory_with_the_stock_of_the_last_day(
    shared_demo: Demo, warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    goods = json.loads((shared_demo.home / "cdp" / "sandbox" / "goods.json").read_text(encoding="utf-8"))
    stock: dict[str, float] = {}
    created: set[str] = set()
    for write in accounts.asked("/sandbox/writes", object="products", limit="10000")["results"]:
        # Each property is told with its old and its new value.
        told = {name: new for name, (_, new) in write["properties"].items()}
        created |= {told["cdp_product_id"]} if write["operation"] == "create" else set()
        stock |= {write["contact_id"]: float(told["stock"])} if "stock" in told else {}
    assert created == delivered_by(warehouse, "products_crm") == {item["sku"] for item in goods["items"]}
    assert sorted(stock.values()) == sorted(float(item["stock"][LAST_DAY]) for item in goods["items"])
    days = rows(warehouse, "select distinct cast(stock_on as varchar) as day from marts.product_performance order by 1")
    assert [row["day"] for row in days] == ["2017-12-24", "2017-12-25", LAST_DAY]


def test_the_products_know_the_deals_and_campaigns_that_the_crm_has_on_the_last_day(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    found = accounts.asked("/marketing/v3/campaigns", limit="100", properties="hs_utm,hs_start_date,hs_end_date")
    told = [each["properties"] for each in found["results"]]
    running = [one["hs_utm"] for one in told if one["hs_start_date"] <= LAST_DAY <= one["hs_end_date"]]
    deals = accounts.asked("/crm/v3/objects/deals", limit="100")["results"]
    still_open = [deal for deal in deals if deal["properties"]["dealstage"] not in ("closedwon", "closedlost")]
    codes = ", ".join(f"'{code}'" for code in running)
    [promoted] = rows(
        warehouse,
        f"""select count(distinct concat(campaign_id, ' ', product_id)) as times from raw_retail.coupons
        where concat('campaign_', campaign_id) in ({codes}) and cast(product_id as varchar) in (
            select product_id from marts.product_performance)""",
    )
    [known] = rows(
        warehouse,
        f"""select sum(open_deal_count) as deals, sum(open_deal_value)::double as value,
            sum(running_campaign_count) as times from marts.product_performance where stock_on = '{LAST_DAY}'""",
    )
    assert known["times"] == promoted["times"] > 0
    assert known["deals"] == len(still_open) > 10
    assert known["value"] == pytest.approx(sum(float(deal["properties"]["amount"]) for deal in still_open))


def test_the_campaign_knows_who_was_sent_on_the_day_before_and_is_no_effect(warehouse: DuckDbWarehouse) -> None:
    [sent] = rows(
        warehouse,
        "select count(distinct primary_key) as people from cdp.deliveries where sync = 'lapsed_loyalists_ads'"
        " and operation in ('create', 'update') and delivered_on < (select as_of_on from cdp.loop_clock)",
    )
    [told] = rows(
        warehouse,
        "select sent_people as people, bought_people, is_causal from activation.ad_campaign_results"
        " where sync = 'lapsed_loyalists_ads'",
    )
    assert told["people"] == sent["people"] > 0
    assert told["bought_people"] <= told["people"] and not told["is_causal"]


def test_every_day_was_ingested_described_and_read_back(warehouse: DuckDbWarehouse) -> None:
    days = rows(warehouse, "select distinct cast(feedback_day as varchar) as day from raw_hubspot.contacts order by 1")
    assert [row["day"] for row in days] == ["2017-12-25", LAST_DAY]
    [clock] = rows(warehouse, "select cast(as_of_on as varchar) as day from cdp.loop_clock")
    assert clock["day"] == LAST_DAY


def test_the_year_before_was_loaded_with_its_first_day(warehouse: DuckDbWarehouse) -> None:
    [found] = rows(
        warehouse,
        "select cast(min(transaction_day) as varchar) as first, count(distinct transaction_day) as days"
        " from raw_retail.transactions",
    )
    assert found["first"].startswith("2017-01-0")
    assert found["days"] > 300


def test_the_books_of_every_run_balance(warehouse: DuckDbWarehouse) -> None:
    found = rows(
        warehouse,
        "select planned, delivered + rejected + unknown + skipped + pending as accounted, unknown, pending"
        " from cdp.sync_runs",
    )
    assert len(found) >= 2 * len(SYNCS)
    assert all(row["planned"] == row["accounted"] and not row["unknown"] and not row["pending"] for row in found)


def test_nothing_marketing_is_written_after_a_withdrawal(writes: list[dict[str, Any]]) -> None:
    opted_out: set[str] = set()
    for write in sorted(writes, key=lambda write: write["seq"]):
        person = write["cdp_person_id"]
        if write["actor"] == "api" and person in opted_out:
            assert not MARKETING & set(write["properties"])
        if write["actor"] == "person" and "hs_email_optout" in write["properties"]:
            opted_out.add(person)


def test_a_second_demo_sends_nothing(shared_demo: Demo, warehouse: DuckDbWarehouse, accounts: Accounts) -> None:
    uploads = accounts.audience()["uploads"]
    before = rows(warehouse, "select count(*) as changes from cdp.sync_log")
    again = shared_demo.cdp(*shared_demo.demo_arguments(LAST_DAY))
    assert again.returncode == 0, again.stderr
    assert "nothing is run again" in again.stdout
    assert rows(warehouse, "select count(*) as changes from cdp.sync_log") == before
    assert accounts.audience()["uploads"] == uploads


def test_status_speaks_json(shared_demo: Demo, warehouse: DuckDbWarehouse) -> None:
    syncs = json.loads(shared_demo.cdp("status", "--json").stdout)["syncs"]
    assert sorted(sync["name"] for sync in syncs) == SYNCS
    assert not [sync for sync in syncs if sync["pending"]]


def test_the_report_tells_of_every_destination_in_its_own_words(
    shared_demo: Demo, ended: "subprocess.CompletedProcess[str]"
) -> None:
    page = (shared_demo.home / "cdp" / "reports" / "2017-12-25.en.html").read_text(encoding="utf-8")
    assert all(told in page for told in ("HubSpot", "Salesforce", "put into the audience", "told"))


def test_no_address_of_a_person_stands_in_dagsters_files(shared_demo: Demo, warehouse: DuckDbWarehouse) -> None:
    [person] = rows(warehouse, "select email from marts.profiles limit 1")
    files = [file for file in (shared_demo.home / "cdp" / "dagster").rglob("*") if file.is_file()]
    assert files
    assert [file.name for file in files if contains(file, person["email"])] == []


def delivered_by(warehouse: DuckDbWarehouse, sync: str) -> set[str]:
    found = rows(warehouse, f"select distinct primary_key from cdp.sync_log where sync = '{sync}'")
    return {row["primary_key"] for row in found}


def permitted_members(warehouse: DuckDbWarehouse) -> set[str]:
    """Members of the audience whose present address said yes to ads and is not suppressed, by the marts alone."""
    found = rows(
        warehouse,
        """select person_id from audiences.lapsed_loyalists join marts.profiles using (person_id)
        join marts.consents on identifier = email and purpose = 'advertising' and status <> 'withdrawn'
        where email not in (select identifier from marts.suppressions where channel = 'email')""",
    )
    return {row["person_id"] for row in found}


def rows(warehouse: DuckDbWarehouse, sql: str) -> list[dict[str, Any]]:
    with warehouse.session("test") as session:
        return session.rows(sql)


def contains(file: Path, text: str) -> bool:
    return text.encode() in file.read_bytes()
