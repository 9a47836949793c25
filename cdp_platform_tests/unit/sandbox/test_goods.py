"""The goods of a replay: the inventory has the stock of the day, sales and marketing what was begun by then."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform_tests.unit.sandbox.conftest import TOKEN, Account, Open

GOODS = {
    "items": [
        {"sku": "11", "name": "Tea (11)", "department": "GROCERY", "price": 1.5,
         "stock": {"2017-12-24": 9, "2017-12-25": 7, "2017-12-26": 30}},
        {"sku": "12", "name": "Cake (12)", "department": "PASTRY", "price": 4,
         "stock": {"2017-12-24": 40, "2017-12-25": 40, "2017-12-26": 40}},
    ],
    "offers": [
        {"sku": "11", "quantity": 60, "price": 1.2, "opened_on": "2017-12-20"},
        {"sku": "12", "quantity": 12, "price": 3.2, "opened_on": "2017-12-26"},
    ],
    "campaigns": [
        {"number": 7, "name": "Campaign 7", "code": "campaign_7", "starts_on": "2017-12-25", "ends_on": "2017-12-26",
         "budget": 100},
        {"number": 8, "name": "Campaign 8", "code": "campaign_8", "starts_on": "2018-02-01", "ends_on": "2018-02-09",
         "budget": 50},
    ],
    "deals": [
        {"sku": "11", "quantity": 8, "price": 1.35, "opened_on": "2017-12-20", "closed_on": "2017-12-26",
         "is_won": True},
        {"sku": "12", "quantity": 4, "price": 3.6, "opened_on": "2017-12-25", "closed_on": None, "is_won": False},
    ],
}  # fmt: skip
CAMPAIGNS = "/marketing/v3/campaigns"
LINES = "SELECT OpportunityId, ProductCode, Quantity, TotalPrice FROM OpportunityLineItem ORDER BY SystemModstamp"


@pytest.fixture
def shop(open_account: Open, tmp_path: Path) -> Account:
    state = tmp_path / "shop" / "crm.sqlite"
    state.parent.mkdir()
    account = open_account(state_path=state)
    (state.parent / "goods.json").write_text(json.dumps(GOODS), encoding="utf-8")
    return account


def zoho(account: Account, path: str, **query: str) -> dict[str, Any]:
    headers = {"Authorization": f"Zoho-oauthtoken {TOKEN}"}
    base = f"{account.url}/inventory/v1"
    told = requests.get(f"{base}/organizations", headers=headers, timeout=10).json()["organizations"][0]
    query["organization_id"] = told["organization_id"]
    found: dict[str, Any] = requests.get(f"{base}{path}", params=query, headers=headers, timeout=10).json()
    return found


def lines(account: Account) -> list[dict[str, Any]]:
    found = account.call("GET", "/services/data/v67.0/query", params={"q": LINES}).json()["records"]
    return [{name: value for name, value in line.items() if name != "attributes"} for line in found]


def stock(account: Account) -> dict[str, int]:
    return {item["sku"]: item["stock_on_hand"] for item in zoho(account, "/items")["items"]}


def test_the_inventory_has_these_goods_with_the_stock_of_the_day(shop: Account) -> None:
    shop.turn_clock("2017-12-24")
    assert stock(shop) == {"11": 9, "12": 40}
    shop.turn_clock("2017-12-26")
    assert stock(shop) == {"11": 30, "12": 40}


def test_what_is_to_come_is_told_by_no_answer(shop: Account) -> None:
    shop.turn_clock("2017-12-25")
    [item, _] = zoho(shop, "/items")["items"]
    assert zoho(shop, f"/items/{item['item_id']}")["item"] == item
    assert not [name for name in item if name.startswith("_")]
    orders = zoho(shop, "/salesorders", sort_column="date", sort_order="D")["salesorders"]
    assert orders[0]["date"] == "2017-12-25"


def test_a_changed_item_keeps_the_stock_of_the_days_to_come(shop: Account) -> None:
    shop.turn_clock("2017-12-25")
    [item, _] = zoho(shop, "/items")["items"]
    requests.put(
        f"{shop.url}/inventory/v1/items/{item['item_id']}",
        params={"organization_id": zoho(shop, "/organizations")["organizations"][0]["organization_id"]},
        json={"name": "Black tea"},
        headers={"Authorization": f"Zoho-oauthtoken {TOKEN}"},
        timeout=10,
    ).raise_for_status()
    shop.turn_clock("2017-12-26")
    [changed, _] = zoho(shop, "/items")["items"]
    assert (changed["name"], changed["stock_on_hand"]) == ("Black tea", 30)


def test_an_offer_is_there_from_its_day_and_once(shop: Account) -> None:
    shop.turn_clock("2017-12-25")
    first = lines(shop)
    assert [(line["ProductCode"], line["Quantity"], line["TotalPrice"]) for line in first] == [("11", 60, 72)]
    shop.turn_clock("2017-12-26")
    assert lines(shop) == lines(shop) and lines(shop)[0] == first[0]
    assert [line["ProductCode"] for line in lines(shop)] == ["11", "12"]


def test_an_offer_is_an_open_opportunity_of_an_account(shop: Account) -> None:
    shop.turn_clock("2017-12-25")
    [line] = lines(shop)
    told = shop.call("GET", f"/services/data/v67.0/sobjects/Opportunity/{line['OpportunityId']}").json()
    assert told["Name"] == "60 × Tea (11)" and told["StageName"] == "Prospecting" and told["Amount"] == 72
    assert shop.call("GET", f"/services/data/v67.0/sobjects/Account/{told['AccountId']}").status_code == 200


def test_goods_that_are_being_written_change_nothing_yet(open_account: Open, tmp_path: Path) -> None:
    state = tmp_path / "cut" / "crm.sqlite"
    state.parent.mkdir()
    account = open_account(state_path=state)
    before = stock(account)
    (state.parent / "goods.json").write_text(json.dumps(GOODS)[:90], encoding="utf-8")
    assert before and stock(account) == before
    (state.parent / "goods.json").write_text(json.dumps(GOODS), encoding="utf-8")
    assert set(stock(account)) == {"11", "12"}


def campaigns(account: Account, **query: str) -> list[dict[str, Any]]:
    query["properties"] = "hs_name,hs_start_date,hs_campaign_status,hs_spend_items_sum_amount,unheard_of"
    found: list[dict[str, Any]] = account.call("GET", CAMPAIGNS, params=query).json()["results"]
    return found


def deals(account: Account) -> list[tuple[str, str, str]]:
    found = account.call("GET", "/crm/v3/objects/deals", params={"properties": "dealname,dealstage"}).json()["results"]
    return [(one["properties"]["dealname"], one["properties"]["dealstage"], one["updatedAt"][:10]) for one in found]


def test_a_campaign_is_planned_begins_and_ends_on_its_days(shop: Account) -> None:
    shop.turn_clock("2017-12-10")
    assert campaigns(shop) == []
    told = {}
    for day in ("2017-12-24", "2017-12-25", "2017-12-27"):
        shop.turn_clock(day)
        [found] = campaigns(shop)
        told[day] = (*found["properties"].values(), found["updatedAt"][:10])
    assert told == {
        "2017-12-24": ("Campaign 7", "2017-12-25", "planned", "0.00", "2017-12-11"),
        "2017-12-25": ("Campaign 7", "2017-12-25", "in_progress", "60.00", "2017-12-25"),
        "2017-12-27": ("Campaign 7", "2017-12-25", "completed", "100.00", "2017-12-27"),
    }


def test_campaigns_come_in_pages_in_the_order_asked_for_and_by_a_part_of_the_name(shop: Account) -> None:
    shop.turn_clock("2018-02-01")
    told = shop.call("GET", CAMPAIGNS, params={"limit": "1", "sort": "-hs_name"}).json()
    assert (told["total"], told["paging"]) == (2, {"next": {"after": "1"}})
    assert told["results"][0]["properties"] == {}, "no property is told that was not asked for"
    assert [one["properties"]["hs_name"] for one in campaigns(shop, after="1")] == ["Campaign 8"]
    assert [one["properties"]["hs_name"] for one in campaigns(shop, name="gn 8")] == ["Campaign 8"]


@pytest.mark.parametrize("query", [{"limit": "101"}, {"limit": "0"}, {"after": "x"}, {"sort": "hs_budget"}])
def test_a_question_that_the_vendor_does_not_take_is_refused(shop: Account, query: dict[str, str]) -> None:
    assert shop.call("GET", CAMPAIGNS, params=query).status_code == 400


def test_a_campaign_tells_its_budget_and_one_that_is_not_there_nothing(shop: Account) -> None:
    shop.turn_clock("2017-12-25")
    [found] = campaigns(shop)
    totals = shop.call("GET", f"{CAMPAIGNS}/{found['id']}/budget/totals").json()
    assert (totals["budgetTotal"], totals["spendTotal"], totals["remainingBudget"]) == (100, 60, 40)
    assert shop.call("GET", f"{CAMPAIGNS}/{found['id']}", params={"properties": "hs_utm"}).json()["properties"] == {
        "hs_utm": "campaign_7"
    }
    assert shop.call("GET", f"{CAMPAIGNS}/{'0' * 8}").status_code == 404


def test_a_deal_is_opened_and_closed_on_its_days_and_once(shop: Account) -> None:
    shop.turn_clock("2017-12-24")
    assert deals(shop) == [("8 × Tea (11)", "appointmentscheduled", "2017-12-20")]
    shop.turn_clock("2017-12-26")
    expected = [("8 × Tea (11)", "closedwon", "2017-12-26"), ("4 × Cake (12)", "qualifiedtobuy", "2017-12-25")]
    assert deals(shop) == deals(shop) == expected


def test_a_deals_product_stands_in_a_line_item_of_it(shop: Account) -> None:
    shop.turn_clock("2017-12-24")
    query = {"properties": "hs_sku,quantity,amount", "associations": "deals"}
    [line] = shop.call("GET", "/crm/v3/objects/line_items", params=query).json()["results"]
    [deal] = shop.call("GET", "/crm/v3/objects/deals").json()["results"]
    assert [line["properties"][name] for name in ("hs_sku", "quantity", "amount")] == ["11", "8", "10.80"]
    assert line["associations"] == {"deals": {"results": [{"id": deal["id"], "type": "line_item_to_deal"}]}}


def test_the_crms_page_shows_campaigns_and_deals(shop: Account) -> None:
    shop.turn_clock("2017-12-25")
    page = requests.get(f"{shop.url}/campaigns", params={"lang": "zh-Hant"}, timeout=10).text
    assert "行銷活動" in page and "Campaign 7" in page and "60.00" in page and "Campaign 8" not in page
    assert "8 × Tea (11)" in requests.get(f"{shop.url}/objects/deals", timeout=10).text
    assert "Line items" in requests.get(f"{shop.url}/objects/line_items", timeout=10).text


def test_without_goods_there_are_no_campaigns(open_account: Open) -> None:
    account = open_account()
    assert campaigns(account) == []
    assert requests.get(f"{account.url}/campaigns", timeout=10).status_code == 200
