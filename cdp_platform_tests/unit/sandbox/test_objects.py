"""Companies, deals, custom objects, associations and lists answer as the vendor's pages say, and show themselves."""

from typing import Any

import pytest

from cdp_platform_tests.unit.sandbox.conftest import TOKEN, Account, Open, person


def upsert(account: Account, kind: str, key: str, *values: str, **properties: Any) -> list[str]:
    inputs = [{"id": value, "idProperty": key, "properties": properties} for value in values]
    answer = account.call("POST", f"/crm/v3/objects/{kind}/batch/upsert", {"inputs": inputs})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["results"]]


def link(account: Account, verb: str, *pairs: tuple[str, str], **more: Any) -> Any:
    inputs = [{"from": {"id": one}, "to": {"id": other}, **more} for one, other in pairs]
    return account.call("POST", f"/crm/v4/associations/contacts/companies/batch/{verb}", {"inputs": inputs})


def test_companies_have_their_own_properties_and_records(account: Account) -> None:
    upsert(account, "companies", "cdp_company_id", "shop-1", name="Shop", industry="RETAIL")
    names = [item["name"] for item in account.call("GET", "/crm/v3/properties/companies").json()["results"]]
    assert "industry" in names and "lapsed_loyalist" not in names
    [found] = account.call("GET", "/crm/v3/objects/0-2").json()["results"]
    assert found["properties"]["name"] == "Shop"
    assert found["properties"]["hs_lastmodifieddate"] == found["updatedAt"]
    assert account.call("GET", "/crm/v3/objects/contacts").json()["results"] == []


def test_records_are_there_again_after_a_restart(open_account: Open) -> None:
    first = open_account()
    schema = {"name": "card", "labels": {"singular": "Card"}, "properties": [{"name": "number", "label": "Number"}]}
    kind = first.call("POST", "/crm/v3/schemas", schema).json()["objectTypeId"]
    upsert(first, "companies", "cdp_company_id", "shop-1")
    again = open_account()
    assert len(again.call("GET", "/crm/v3/objects/companies").json()["results"]) == 1
    assert again.call("GET", f"/crm/v3/properties/{kind}").status_code == 200


def test_a_custom_object_is_defined_once(account: Account) -> None:
    schema = {"name": "card", "labels": {"singular": "Card"}, "properties": [{"name": "number", "label": "Number"}]}
    assert account.call("POST", "/crm/v3/schemas", schema).status_code == 201
    assert account.call("POST", "/crm/v3/schemas", schema).status_code == 409
    assert account.call("POST", "/crm/v3/schemas", schema | {"name": "No Name"}).status_code == 400


def test_an_association_holds_both_ways_and_twice_is_once(account: Account) -> None:
    [one] = [item["id"] for item in account.upsert(person(1)).json()["results"]]
    [shop] = upsert(account, "companies", "cdp_company_id", "shop-1")
    for _ in range(2):
        results = link(account, "associate/default", (one, shop)).json()["results"]
    assert [(item["from"]["id"], item["to"]["id"]) for item in results] == [(one, shop), (shop, one)]
    back = account.call("GET", f"/crm/v4/objects/companies/{shop}/associations/contacts").json()["results"]
    assert [item["toObjectId"] for item in back] == [int(one)]
    assert len(back[0]["associationTypes"]) == 1


def test_a_pair_without_its_record_is_told_in_a_207(account: Account) -> None:
    [one] = [item["id"] for item in account.upsert(person(1)).json()["results"]]
    [shop] = upsert(account, "companies", "cdp_company_id", "shop-1")
    answer = link(account, "associate/default", (one, shop), (one, "5"))
    assert answer.status_code == 207
    assert answer.json()["errors"][0]["context"] == {"fromObjectId": [one], "toObjectId": ["5"]}


def test_a_type_that_is_not_defined_refuses_the_batch(account: Account) -> None:
    answer = link(
        account, "create", ("1", "2"), types=[{"associationCategory": "USER_DEFINED", "associationTypeId": 77}]
    )
    assert answer.status_code == 400


def test_a_list_says_who_was_added_removed_and_missing(account: Account) -> None:
    ids = [item["id"] for item in account.upsert(person(1), person(2)).json()["results"]]
    body = {"name": "VIP", "objectTypeId": "0-1", "processingType": "MANUAL"}
    list_id = account.call("POST", "/crm/v3/lists", body).json()["list"]["listId"]
    path = f"/crm/v3/lists/{list_id}/memberships"
    assert account.call("PUT", f"{path}/add", [*ids, "5"]).json() == {
        "recordsIdsAdded": ids,
        "recordIdsRemoved": [],
        "recordIdsMissing": ["5"],
    }
    assert account.call("PUT", f"{path}/add", ids).json()["recordsIdsAdded"] == []
    change = {"recordIdsToAdd": [], "recordIdsToRemove": ids[:1]}
    assert account.call("PUT", f"{path}/add-and-remove", change).json()["recordIdsRemoved"] == ids[:1]
    assert account.call("GET", path).json()["total"] == 1


def test_an_ended_token_is_refused_with_its_own_word(open_account: Open) -> None:
    account = open_account(token_seconds=0.05)
    form = {"grant_type": "refresh_token", "client_id": "c", "client_secret": TOKEN, "refresh_token": TOKEN}
    told = account.call("POST", "/oauth/v1/token", token=None, data=form).json()
    assert told["token_type"] == "Bearer"
    path = "/crm/v3/objects/deals"
    while (answer := account.call("GET", path, token=told["access_token"])).status_code == 200:
        pass
    assert (answer.status_code, answer.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    wrong = account.call("POST", "/oauth/v1/token", token=None, data=form | {"client_secret": "x"})
    assert (wrong.status_code, wrong.json()) == (400, {"error": "invalid_client"})


def test_a_search_does_not_see_what_has_just_changed(open_account: Open) -> None:
    account = open_account(search_lag_seconds=3600.0)
    account.upsert(person(1))
    assert account.search(limit=10).json()["total"] == 0
    assert len(account.call("GET", "/crm/v3/objects/contacts").json()["results"]) == 1


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
def test_the_pages_show_a_company_with_its_history_and_whom_it_is_linked_with(account: Account, language: str) -> None:
    [one] = [item["id"] for item in account.upsert(person(1)).json()["results"]]
    [shop] = upsert(account, "companies", "cdp_company_id", "shop-1", name="<b>Shop</b>")
    link(account, "associate/default", (one, shop))
    listed = account.call("GET", f"/objects/companies?lang={language}", token=None).text
    assert "&lt;b&gt;Shop&lt;/b&gt;" in listed and "<b>Shop" not in listed
    shown = account.call("GET", f"/objects/companies/{shop}?lang={language}", token=None).text
    assert f"/contacts/{one}" in shown and "cdp_company_id" in shown
    assert account.call("GET", "/objects/companies/5", token=None).status_code == 404
