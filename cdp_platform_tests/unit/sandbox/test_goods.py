"""The goods of a replay: the inventory has the stock of the day, the sales system the offers opened by then."""

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
}  # fmt: skip
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
