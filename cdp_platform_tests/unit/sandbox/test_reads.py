from typing import Any

import pytest

from cdp_platform_tests.unit.sandbox.conftest import CONTACTS, Account, Open, person


@pytest.fixture(scope="module")
def filled(shared_account: Account) -> Account:
    shared_account.upsert(
        person(1, firstname="Anna", lifetime_value="9", last_order_on="2017-01-05", lapsed_loyalist=True),
        person(2, firstname="Ben", lifetime_value="10", last_order_on="2017-06-05"),
        person(3, firstname="Clara_100%", lifetime_value="100"),
    )
    return shared_account


def found(account: Account, *filters: dict[str, Any], **more: Any) -> list[str]:
    answer = account.search(filterGroups=[{"filters": list(filters)}], properties=["cdp_person_id"], **more)
    assert answer.status_code == 200, answer.text
    return [item["properties"]["cdp_person_id"] for item in answer.json()["results"]]


def condition(name: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, "value": value, **more}


def test_the_list_is_paged_to_its_end_without_loss_or_repetition(account: Account) -> None:
    account.upsert(*(person(number) for number in range(7)))

    after, pages = "", []
    while True:
        body = account.call("GET", f"{CONTACTS}?limit=3&properties=cdp_person_id&after={after}").json()
        pages.append([item["properties"]["cdp_person_id"] for item in body["results"]])
        if "paging" not in body:
            break
        after = body["paging"]["next"]["after"]

    assert pages == [["p0", "p1", "p2"], ["p3", "p4", "p5"], ["p6"]]


def test_asked_properties_are_given_null_where_empty_and_unknown_ones_are_passed_over(filled: Account) -> None:
    body = filled.call("GET", f"{CONTACTS}/p1?idProperty=cdp_person_id&properties=phone,nonsense").json()

    assert set(body["properties"]) == {"phone", "createdate", "lastmodifieddate", "hs_object_id"}
    assert body["properties"]["phone"] is None
    assert body["properties"]["hs_object_id"] == body["id"]


def test_a_contact_that_is_not_there_is_a_404(filled: Account) -> None:
    for key in ("1", "9" * 30, "nobody"):
        answer = filled.call("GET", f"{CONTACTS}/{key}")
        assert (answer.status_code, answer.json()["category"]) == (404, "OBJECT_NOT_FOUND")


def test_a_batch_read_gives_what_is_there_and_names_what_is_not(filled: Account) -> None:
    inputs = [{"id": "P1@example.com"}, {"id": "no@example.com"}]
    body = {"idProperty": "email", "inputs": inputs, "properties": ["email"]}
    answer = filled.call("POST", f"{CONTACTS}/batch/read", body)

    assert answer.status_code == 207
    assert [item["properties"]["email"] for item in answer.json()["results"]] == ["p1@example.com"]
    assert answer.json()["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert answer.json()["errors"][0]["context"]["ids"] == ["no@example.com"]


@pytest.mark.parametrize(
    ("filters", "people"),
    [
        ([condition("firstname", "EQ", "anna")], ["p1"]),
        ([condition("firstname", "NEQ", "Anna")], ["p2", "p3"]),
        ([condition("lifetime_value", "GT", "9")], ["p2", "p3"]),
        ([condition("lifetime_value", "GTE", 9)], ["p1", "p2", "p3"]),
        ([condition("last_order_on", "LT", "2017-06-05")], ["p1"]),
        ([condition("last_order_on", "LTE", "2017-06-05")], ["p1", "p2"]),
        ([condition("last_order_on", "NOT_HAS_PROPERTY")], ["p3"]),
        ([condition("last_order_on", "HAS_PROPERTY"), condition("lapsed_loyalist", "EQ", "true")], ["p1"]),
        ([condition("firstname", "IN", values=["Anna", "Ben"])], ["p1", "p2"]),
        ([condition("email", "CONTAINS_TOKEN", "*@example.com")], ["p1", "p2", "p3"]),
        ([condition("email", "CONTAINS_TOKEN", "exampl")], []),
        ([condition("createdate", "GT", "2001-01-01T00:00:00Z")], ["p1", "p2", "p3"]),
        ([condition("lastmodifieddate", "LT", "1000000000000")], []),
    ],
)
def test_search_finds_by_filter(filled: Account, filters: list[dict[str, Any]], people: list[str]) -> None:
    assert found(filled, *filters) == people


def test_search_takes_the_words_of_a_query_literally(filled: Account) -> None:
    def names(query: str) -> int:
        return int(filled.search(query=query).json()["total"])

    assert (names("anna"), names("anna p1@"), names("anna ben"), names("_100%"), names("'"), names("%")) == (
        1,
        1,
        0,
        1,
        0,
        1,
    )


def test_search_sorts_numbers_as_numbers_and_pages(filled: Account) -> None:
    sorts = [{"propertyName": "lifetime_value", "direction": "DESCENDING"}]
    first = filled.search(sorts=sorts, limit=2, properties=["lifetime_value"]).json()
    second = filled.search(sorts=sorts, limit=2, after=first["paging"]["next"]["after"]).json()

    assert [item["properties"]["lifetime_value"] for item in first["results"]] == ["100", "10"]
    assert (first["total"], len(second["results"]), "paging" in second) == (3, 1, False)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": 100, "after": 9_901},
        {"after": "x"},
        {"sorts": ["no_such_property"]},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [condition("email", "HAS_PROPERTY")] * 7}]},
        {"filterGroups": [{"filters": [condition("email", "LIKE", "x")]}]},
        {"filterGroups": [{"filters": [condition("email') or 1 --", "EQ", "x")]}]},
        {"filterGroups": [{"filters": [condition("lifetime_value", "GT", "much")]}]},
        {"filterGroups": [{"filters": [condition("email", "EQ")]}]},
        {"filterGroups": [{"filters": [condition("email", "IN")]}]},
    ],
)
def test_a_search_beyond_the_documented_bounds_is_refused(filled: Account, body: dict[str, Any]) -> None:
    answer = filled.search(**body)

    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_a_new_account_has_its_properties_and_takes_another_unique_one(account: Account) -> None:
    new = {
        "name": "shop_number",
        "label": "Shop number",
        "type": "string",
        "fieldType": "text",
        "groupName": "contactinformation",
        "hasUniqueValue": True,
    }
    first, second = (account.call("POST", "/crm/v3/properties/contacts", new) for _ in range(2))
    known = {item["name"]: item for item in account.call("GET", "/crm/v3/properties/contacts").json()["results"]}
    upsert = account.upsert({"id": "7", "idProperty": "shop_number", "properties": {"firstname": "Anna"}})

    assert (first.status_code, second.status_code, upsert.status_code) == (201, 409, 200)
    assert {"email", "cdp_person_id", "hs_email_optout", "lapsed_loyalist", "shop_number"} <= set(known)
    assert known["shop_number"]["hasUniqueValue"] is True
    assert [item["value"] for item in known["email_permission"]["options"]] == ["granted", "withdrawn"]
    assert known["email_confirmed_on"]["modificationMetadata"]["readOnlyValue"] is True


@pytest.mark.parametrize(
    "change",
    [{"name": "Bad-Name"}, {"type": "colour"}, {"type": "enumeration"}, {"type": "date", "hasUniqueValue": True}],
)
def test_a_property_that_cannot_be_is_refused(shared_account: Account, change: dict[str, Any]) -> None:
    new = {"name": "fine", "label": "Fine", "type": "string", "fieldType": "text", "groupName": "g", **change}

    assert shared_account.call("POST", "/crm/v3/properties/contacts", new).status_code == 400


def test_state_and_portal_id_survive_a_restart(open_account: Open) -> None:
    first = open_account()
    first.turn_clock("2017-05-01")
    first.upsert(person(1))
    second = open_account()

    portals = [each.call("GET", "/account-info/v3/details").json()["portalId"] for each in (first, second)]
    assert portals[0] == portals[1] > 0
    assert second.contact("p1")["properties"]["email"] == "p1@example.com"
    assert second.stats()["day"] == "2017-05-01"
