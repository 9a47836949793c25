"""The whole demo on all of the data, seven days: what the newcomer gets is what was promised. Takes four minutes."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.identity.labelled import read_truth
from cdp_platform.identity.pairs import score_people
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.end_to_end.conftest import Accounts, free_port, own_environment, served_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SYNCS = ("crm_contacts", "lapsed_loyalists_ads", "products_crm", "redemptions_ads", "sales_accounts")
DAYS = [f"2017-12-{day}" for day in range(25, 32)]
FLAGS = {
    "lapsed_loyalists": "lapsed_loyalist",
    "high_value_at_risk": "high_value_at_risk",
    "coupon_lovers": "coupon_lover",
    "new_department_explorers": "new_department_explorer",
    "big_basket_families": "big_basket_family",
}
MARKETING = {"rfm_segment", "lifetime_value", "favourite_department", "last_order_on", "firstname", "lastname", "phone"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the demo has run to its end."""
    folder = tmp_path_factory.mktemp("week")
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cdp_platform.cli", "demo", "--sandbox-port", str(free_port())],
        cwd=folder,
        env={**own_environment(), "CDP_HOME": str(folder / "cdp")},
        capture_output=True,
        text=True,
        timeout=1000,
    )
    assert ended.returncode == 0, ended.stderr
    assert all(day in ended.stdout for day in DAYS)
    return folder / "cdp"


@pytest.fixture(scope="module")
def warehouse(home: Path) -> DuckDbWarehouse:
    return DuckDbWarehouse(home / "warehouse.duckdb")


@pytest.fixture(scope="module")
def accounts(home: Path) -> Iterator[Accounts]:
    """The accounts as the demo left them."""
    with served_again(home) as found:
        yield found


@pytest.fixture(scope="module")
def sandbox(accounts: Accounts) -> tuple[str, str]:
    """Address and token."""
    return accounts.variables["CDP_SANDBOX_URL"], accounts.variables["HUBSPOT_TOKEN"]


def rows(warehouse: DuckDbWarehouse, sql: str) -> list[dict[str, Any]]:
    with warehouse.session("test") as session:
        return session.rows(sql)


def asked(sandbox: tuple[str, str], path: str) -> dict[str, Any]:
    address, token = sandbox
    request = urllib.request.Request(f"{address}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def contacts(sandbox: tuple[str, str]) -> list[dict[str, str | None]]:
    """Every contact's properties."""
    names = ",".join(["cdp_person_id", *FLAGS.values(), "email", "hs_email_optout", "email_permission"])
    found: list[dict[str, str | None]] = []
    after: str | None = "0"
    while after is not None:
        page = asked(sandbox, f"/crm/v3/objects/contacts?limit=100&properties={names}&after={after}")
        found += [contact["properties"] for contact in page["results"]]
        after = page.get("paging", {}).get("next", {}).get("after")
    return found


def test_the_contacts_are_exactly_the_distinct_people_ever_delivered_and_who_was_merged_has_one(
    warehouse: DuckDbWarehouse, sandbox: tuple[str, str]
) -> None:
    found = rows(warehouse, "select distinct primary_key from cdp.sync_log where sync = 'crm_contacts'")
    delivered = {row["primary_key"] for row in found}
    ids = rows(warehouse, "select person_id, present_person_id from identity.identity_person_ids")
    present = {row["person_id"]: row["present_person_id"] for row in ids}
    people = [contact["cdp_person_id"] for contact in contacts(sandbox)]
    assert len(delivered) > 1_900
    assert len(people) == len(set(people))
    assert set(people) == {present[person] for person in delivered}
    assert len(delivered) > len(people)


def test_the_tickets_of_the_week_merge_people_and_the_truth_agrees(warehouse: DuckDbWarehouse, home: Path) -> None:
    days = rows(
        warehouse,
        "select distinct cast(cast(resolved_at at time zone 'UTC' as date) as varchar) as day"
        " from identity.identity_merges where kind = 'merge'",
    )
    assert len(days) >= 4
    assert {row["day"] for row in days} <= set(DAYS)
    score = score_people(warehouse, "identity", read_truth(home / "demo" / "truth.parquet", "record_key"))
    assert score.precision is not None and score.precision >= 0.998
    assert score.recall is not None and score.recall >= 0.96


def test_the_marked_members_are_the_members_in_the_warehouse(
    warehouse: DuckDbWarehouse, sandbox: tuple[str, str]
) -> None:
    known = contacts(sandbox)
    for audience, flag in FLAGS.items():
        members = {row["person_id"] for row in rows(warehouse, f"select person_id from audiences.{audience}")}
        marked = {contact["cdp_person_id"] for contact in known if contact[flag] == "true"}
        assert len(members) > 20
        assert marked == members
    held_out = rows(warehouse, "select person_id from audiences.audience_members where is_held_out")
    assert held_out
    assert not {row["person_id"] for row in held_out} & {
        contact["cdp_person_id"] for contact in known if contact["coupon_lover"] == "true"
    }


def test_who_entered_and_left_accounts_for_every_days_size_and_each_has_a_reason(warehouse: DuckDbWarehouse) -> None:
    days = rows(
        warehouse,
        "select member_count, entered_count, left_count from audiences.audience_sizes"
        " where audience = 'lapsed_loyalists' order by as_of_on",
    )
    assert len(days) == len(DAYS) + 1
    assert sum(day["left_count"] or 0 for day in days) > 10
    for before, after in pairwise(days):
        assert after["member_count"] == before["member_count"] + after["entered_count"] - after["left_count"]
    reasons = rows(warehouse, "select distinct change, reason from audiences.audience_membership_changes")
    assert {(row["change"], row["reason"]) for row in reasons} >= {("entered", "condition"), ("left", "condition")}
    assert all(row["reason"] for row in reasons)


def test_who_unsubscribed_still_exists_and_got_no_marketing_field_after_that_day(sandbox: tuple[str, str]) -> None:
    writes = asked(sandbox, "/sandbox/writes?limit=10000")["results"]
    left_on = {
        write["cdp_person_id"]: write["day"]
        for write in writes
        if write["actor"] == "person" and "hs_email_optout" in write["properties"]
    }
    after = [
        write
        for write in writes
        if write["actor"] == "api" and write["day"] > left_on.get(write["cdp_person_id"], "9999")
    ]
    people = {contact["cdp_person_id"] for contact in contacts(sandbox)}
    assert len(left_on) > 20
    assert left_on.keys() <= people
    assert after, "the opt-outs themselves are written"
    assert not [write for write in after if MARKETING & set(write["properties"])]


def test_a_changed_address_made_no_twin_and_is_not_written_back(
    warehouse: DuckDbWarehouse, sandbox: tuple[str, str]
) -> None:
    writes = asked(sandbox, "/sandbox/writes?limit=10000")["results"]
    moved = {
        write["cdp_person_id"] for write in writes if write["actor"] == "person" and "email" in write["properties"]
    }
    assert len(moved) > 10
    known = rows(warehouse, "select cdp_person_id, email from raw_hubspot.contacts where feedback_day = '2017-12-30'")
    profiles = {
        row["person_id"]: row["email"] for row in rows(warehouse, "select person_id, email from marts.profiles")
    }
    changed = [row for row in known if row["cdp_person_id"] in moved]
    assert changed
    assert all(profiles[row["cdp_person_id"]] == row["email"] for row in changed)


def test_who_bought_on_a_day_is_a_member_of_the_ads_audience_no_more_from_that_days_run_on(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    log = rows(
        warehouse,
        """select primary_key, operation, "partition" as day from cdp.sync_log
        where sync = 'lapsed_loyalists_ads' order by delivered_at, version""",
    )
    # Their purchases of the days before stand with the id that stayed.
    bought = rows(
        warehouse,
        """select cast(order_day as varchar) as day, person_id from marts.person_orders
        where is_purchase and person_id not in (
            select unnest([person_id, former_person_id]) from identity.identity_merges)""",
    )
    members: set[str] = set()
    left_by_buying = 0
    for day in DAYS:
        buyers = {row["person_id"] for row in bought if row["day"] == day}
        before = set(members)
        for entry in (entry for entry in log if entry["day"] == day):
            (members.discard if entry["operation"] == "remove" else members.add)(entry["primary_key"])
        left_by_buying += len(buyers & before)
        assert not members & buyers
    assert left_by_buying > 3
    assert {person for member in accounts.audience()["members"] for person in member["EXTERN_ID"]} == members


def test_sales_has_the_households_of_high_value_and_no_field_of_theirs_was_written(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    ours = {found["CDP_Id__c"]: found for found in accounts.sales_accounts() if found["CDP_Id__c"]}
    model = {row["person_id"]: row for row in rows(warehouse, "select * from activation.sync_accounts__sales")}
    assert len(ours) > 200
    assert {"Gold", "Silver"} == {found["Tier__c"] for found in ours.values()}
    permitted = ours.keys() & model.keys()
    assert len(permitted) > 0.9 * len(ours)
    assert not [found for found in ours.values() if found["Industry"] or found["Phone"] or found["AnnualRevenue"]]


def test_each_redemption_was_told_to_the_ads_once_and_within_seven_days(
    warehouse: DuckDbWarehouse, accounts: Accounts
) -> None:
    events = accounts.events()
    told = rows(warehouse, "select primary_key, \"partition\" as day from cdp.sync_log where sync = 'redemptions_ads'")
    assert sorted(event["event_id"] for event in events) == sorted(row["primary_key"] for row in told)
    assert len(events) > 30
    assert all(event["sent_count"] == 1 for event in events)
    for event in events:
        happened = datetime.fromtimestamp(event["event_time"], UTC).date()
        assert happened <= date.fromisoformat(event["day"]) < happened + timedelta(days=7)


def test_every_day_balances_and_was_read_back(warehouse: DuckDbWarehouse) -> None:
    runs = rows(warehouse, 'select * from cdp.sync_runs order by "partition", ended_at')
    assert sorted({(run["sync"], run["partition"]) for run in runs}) == [(sync, day) for sync in SYNCS for day in DAYS]
    for run in runs:
        parts = ("delivered", "rejected", "unknown", "skipped", "pending")
        assert run["planned"] == sum(run[part] for part in parts)
        assert run["pending"] == 0
    read = rows(warehouse, "select distinct cast(feedback_day as varchar) as day from raw_hubspot.contacts order by 1")
    assert [row["day"] for row in read] == DAYS
