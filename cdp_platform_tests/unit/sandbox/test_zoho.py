"""The inventory's stand-in: paging, search, uniqueness, limits, and the same goods in every new organisation."""

from typing import Any

import pytest
import requests

from cdp_platform_tests.unit.sandbox.conftest import TOKEN, Account, Open


def call(account: Account, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
    organisation = requests.get(
        f"{account.url}/inventory/v1/organizations", headers={"Authorization": f"Zoho-oauthtoken {TOKEN}"}, timeout=10
    ).json()["organizations"][0]["organization_id"]
    return requests.request(
        method,
        f"{account.url}/inventory/v1{path}",
        params={"organization_id": organisation, **query},
        json=body,
        headers={"Authorization": f"Zoho-oauthtoken {TOKEN}"},
        timeout=10,
    )


def test_items_come_by_pages_and_all_once(account: Account) -> None:
    first = call(account, "GET", "/items").json()
    second = call(account, "GET", "/items", page="2").json()
    assert (first["page_context"]["has_more_page"], second["page_context"]["has_more_page"]) == (True, False)
    ids = [item["item_id"] for item in [*first["items"], *second["items"]]]
    assert len(ids) == len(set(ids)) > 200


def test_a_new_organisation_has_the_same_goods_each_time(open_account: Open, tmp_path: Any) -> None:
    one, other = open_account(), open_account(state_path=tmp_path / "other" / "state.db")
    assert call(one, "GET", "/items").json() == call(other, "GET", "/items").json()
    assert call(one, "GET", "/salesorders").json() == call(other, "GET", "/salesorders").json()


def test_an_order_names_items_that_are_there(account: Account) -> None:
    order = call(account, "GET", "/salesorders", sort_column="date", sort_order="D").json()["salesorders"][0]
    assert "line_items" not in order
    whole = call(account, "GET", f"/salesorders/{order['salesorder_id']}").json()["salesorder"]
    for line in whole["line_items"]:
        assert call(account, "GET", f"/items/{line['item_id']}").status_code == 200
    assert whole["total"] == pytest.approx(sum(line["item_total"] for line in whole["line_items"]))


def test_a_second_item_of_a_name_is_refused_with_a_code(account: Account) -> None:
    known = call(account, "GET", "/items").json()["items"][0]
    answer = call(account, "POST", "/items", {"name": known["name"].upper()})
    assert (answer.status_code, answer.json()["code"]) == (400, 1001)


@pytest.mark.parametrize(
    "body", [{}, {"name": " "}, {"name": "x", "rate": "many"}, {"name": "x", "status": "active"}, []]
)
def test_what_cannot_be_an_item_is_refused(account: Account, body: Any) -> None:
    assert call(account, "POST", "/items", body).status_code == 400


def test_another_organisation_and_another_scheme_are_refused(account: Account) -> None:
    assert call(account, "GET", "/items", organization_id="1").status_code == 400
    answer = requests.get(
        f"{account.url}/inventory/v1/organizations", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
    )
    assert (answer.status_code, answer.json()["code"]) == (401, 57)


def test_the_minute_ends_with_a_429(open_account: Open) -> None:
    account = open_account(zoho_requests_per_minute=3)
    statuses = [call(account, "GET", "/items/1").status_code for _ in range(2)]
    assert statuses == [404, 404] or 429 in statuses
    headers = {"Authorization": f"Zoho-oauthtoken {TOKEN}"}
    answers = [requests.get(f"{account.url}/inventory/v1/organizations", headers=headers, timeout=10) for _ in range(3)]
    assert answers[-1].status_code == 429 and "per minute" in answers[-1].json()["message"]


def test_items_are_found_by_text_status_and_time(account: Account) -> None:
    [one] = call(account, "GET", "/items", search_text="Orchid, value").json()["items"]
    call(account, "POST", f"/items/{one['item_id']}/inactive")
    assert call(account, "GET", "/items", filter_by="Status.Inactive").json()["items"][0]["item_id"] == one["item_id"]
    since = call(account, "GET", "/items", last_modified_time="2018-01-01T00:00:00+0000").json()["items"]
    assert [item["item_id"] for item in since] == [one["item_id"]]


@pytest.mark.parametrize(("language", "word"), [("en", "Sales orders"), ("zh-Hant", "銷售訂單")])
def test_the_page_shows_items_and_orders(account: Account, language: str, word: str) -> None:
    page = account.call("GET", f"/zoho?lang={language}&show=salesorders", token=None).text
    assert word in page and "SO-00540" in page
    assert "Salmon fillet, small" in account.call("GET", f"/zoho?lang={language}", token=None).text
