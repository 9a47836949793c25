"""HubSpot's campaigns, deals and line items as a source: each change by its day, and none is lost."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.connectors.protocol import Answer
from cdp_platform.errors import ContractBroken
from cdp_platform.ingest.hubspot_marketing import SOURCE
from cdp_platform_tests.marketing import Marketing, serving

FIRST, DAY = date(2017, 1, 1), date(2017, 12, 26)
GOODS = {
    "items": [{"sku": "11", "name": "Tea", "department": "GROCERY", "price": 1.5, "stock": {"2017-12-24": 9}}],
    "offers": [],
    "campaigns": [
        {"number": 7, "name": "Campaign 7", "code": "campaign_7", "starts_on": "2017-12-26", "ends_on": "2017-12-30",
         "budget": 100},
    ],
    "deals": [
        {"sku": "11", "quantity": 8, "price": 1.35, "opened_on": "2017-12-20", "closed_on": "2017-12-26",
         "is_won": False},
    ],
}  # fmt: skip


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Marketing]:
    monkeypatch.setenv("HUBSPOT_TOKEN", "secret")
    with serving(tmp_path / "sandbox", GOODS) as served:
        yield served


def told(account: Marketing, first: date, last: date) -> list[tuple[Any, ...]]:
    account.turn_clock(last)
    rows = account.read(first, last).to_pylist()
    return [(row["kind"], row["name"], row["status"], row["modified_on"]) for row in rows]


def test_a_day_holds_what_was_changed_on_it_and_nothing_else(account: Marketing) -> None:
    assert told(account, FIRST, DAY - timedelta(days=1)) == [
        ("campaign", "Campaign 7", "planned", date(2017, 12, 12)),
        ("deal", "8 × Tea", "appointmentscheduled", date(2017, 12, 20)),
        ("line_item", "Tea", None, date(2017, 12, 20)),
    ]
    assert told(account, DAY, DAY) == [
        ("campaign", "Campaign 7", "in_progress", DAY),
        ("deal", "8 × Tea", "closedlost", DAY),
    ]
    assert told(account, DAY + timedelta(days=1), DAY + timedelta(days=1)) == []


def test_a_campaign_has_its_days_its_code_and_its_money_and_a_line_its_product_and_deal(account: Marketing) -> None:
    account.turn_clock(DAY)
    campaign, deal, line = account.read(FIRST, DAY).to_pylist()
    assert (campaign["starts_on"], campaign["ends_on"], campaign["code"]) == (DAY, date(2017, 12, 30), "campaign_7")
    assert (campaign["budget"], campaign["spend"]) == (Decimal("100.00"), Decimal("60.00"))
    assert (line["sku"], line["quantity"], line["amount"]) == ("11", Decimal("8.00"), Decimal("10.80"))
    assert line["deal_id"] == deal["record_id"] and deal["modified_at"].date() == DAY


def test_a_deal_that_is_archived_is_told_with_the_day_of_it(account: Marketing) -> None:
    account.turn_clock(DAY)
    [deal] = [row for row in account.read(FIRST, DAY).to_pylist() if row["kind"] == "deal"]
    requests.post(
        f"{account.url}/crm/v3/objects/deals/batch/archive",
        json={"inputs": [{"id": deal["record_id"]}]},
        headers={"Authorization": "Bearer secret"},
        timeout=10,
    ).raise_for_status()
    [gone] = [row for row in account.read(DAY, date.max).to_pylist() if row["kind"] == "deal"]
    assert gone["is_archived"] and gone["modified_on"] > DAY


def test_more_than_a_page_comes_whole(account: Marketing) -> None:
    inputs = [{"properties": {"dealname": f"Deal {number}"}} for number in range(100)]
    for _ in range(2):
        requests.post(
            f"{account.url}/crm/v3/objects/deals/batch/create",
            json={"inputs": inputs},
            headers={"Authorization": "Bearer secret"},
            timeout=10,
        ).raise_for_status()
    rows = [row["record_id"] for row in account.read(FIRST, date.max).to_pylist() if row["kind"] == "deal"]
    assert len(rows) == len(set(rows)) == 201


def test_a_line_item_of_no_deal_is_none(account: Marketing) -> None:
    requests.post(
        f"{account.url}/crm/v3/objects/line_items/batch/create",
        json={"inputs": [{"properties": {"name": "of a quote", "hs_sku": "12"}}]},
        headers={"Authorization": "Bearer secret"},
        timeout=10,
    ).raise_for_status()
    assert "of a quote" not in [row["name"] for row in account.read(FIRST, date.max).to_pylist()]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"results": None},
        {"results": [1]},
        {"results": [{"id": "1"}]},
        {"results": [], "paging": {"next": {}}},
        {"results": [], "paging": {"next": "2"}},
    ],
)
def test_a_page_that_cannot_be_read_is_not_taken_for_the_last(body: Any) -> None:
    for listing in (SOURCE.tables["records"], *SOURCE.tables["records"].also):
        with pytest.raises(ContractBroken):
            listing.read_page(Answer(status=200, headers={}, body=body))
