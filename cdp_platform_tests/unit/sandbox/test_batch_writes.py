from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cdp_platform_tests.unit.sandbox.conftest import CONTACTS, Account, person


def codes(error: dict[str, Any]) -> list[str]:
    return [detail["code"] for detail in error["errors"]]


def test_an_upsert_creates_first_and_updates_afterwards(account: Account) -> None:
    first = account.upsert(person(1, lifetime_value=12.5))
    second = account.upsert(person(1, lifetime_value="20.00"))

    assert (first.status_code, second.status_code) == (200, 200)
    created, updated = first.json()["results"][0], second.json()["results"][0]
    assert (created["new"], updated["new"]) == (True, False)
    assert created["id"] == updated["id"]
    assert created["objectWriteTraceId"] == "row-1"
    assert (created["properties"]["lifetime_value"], updated["properties"]["lifetime_value"]) == ("12.5", "20.00")


def test_only_the_listed_properties_change_and_an_empty_text_clears(account: Account) -> None:
    account.upsert(person(1, lifetime_value="12.5", phone="555-0100"))

    account.upsert({"id": "p1", "idProperty": "cdp_person_id", "properties": {"lifetime_value": ""}})

    properties = account.contact("p1")["properties"]
    assert properties["lifetime_value"] is None
    assert properties["firstname"] == "Person 1"


def test_an_update_that_changes_nothing_leaves_the_contact_and_the_log_alone(account: Account) -> None:
    account.upsert(person(1))
    before = account.contact("p1")

    account.upsert(person(1))

    assert account.contact("p1") == before
    assert len(account.writes()) == 1
    assert account.stats()["unchanged_rows"] == 1


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"no_such_property": "1"}, "PROPERTY_DOESNT_EXIST"),
        ({"lifetime_value": "twelve"}, "INVALID_NUMBER"),
        ({"lifetime_value": "NaN"}, "INVALID_NUMBER"),
        ({"last_order_on": "2017-02-30"}, "INVALID_DATE"),
        ({"last_order_on": "24.12.2017"}, "INVALID_DATE"),
        ({"lapsed_loyalist": "yes"}, "INVALID_BOOLEAN"),
        ({"email_permission": "maybe"}, "INVALID_OPTION"),
        ({"email": "no address"}, "INVALID_EMAIL"),
        ({"email": "two@@example.com"}, "INVALID_EMAIL"),
        ({"email_confirmed_on": "2017-12-24"}, "READ_ONLY_VALUE"),
        ({"createdate": "2017-12-24"}, "READ_ONLY_VALUE"),
        ({"firstname": None}, "NULL_VALUE"),
        ({"firstname": "x" * 65_537}, "INVALID_STRING_LENGTH"),
    ],
)
def test_a_bad_row_is_named_by_its_trace_id_and_the_good_one_is_taken(
    account: Account, properties: dict[str, Any], code: str
) -> None:
    answer = account.upsert(person(1), person(2, **properties))

    body = answer.json()
    assert answer.status_code == 207
    assert [row["objectWriteTraceId"] for row in body["results"]] == ["row-1"]
    assert body["numErrors"] == len(body["errors"]) == 1
    assert body["errors"][0]["context"]["objectWriteTraceId"] == ["row-2"]
    assert codes(body["errors"][0]) == [code]
    assert account.stats()["contacts"] == 1


def test_an_email_that_another_contact_has_is_a_conflict_also_in_other_case(account: Account) -> None:
    account.upsert(person(1))

    answer = account.upsert(person(2, email=" P1@Example.com "))

    error = answer.json()["errors"][0]
    assert answer.status_code == 207
    assert error["category"] == "CONFLICT"
    assert error["context"]["existingId"] == [account.contact("p1")["id"]]


def test_two_rows_of_one_batch_cannot_take_the_same_email(account: Account) -> None:
    answer = account.upsert(person(1, email="same@example.com"), person(2, email="same@example.com"))

    assert [row["objectWriteTraceId"] for row in answer.json()["results"]] == ["row-1"]
    assert answer.json()["errors"][0]["context"]["objectWriteTraceId"] == ["row-2"]


def test_an_email_given_free_in_a_batch_can_be_taken_in_the_same_batch(account: Account) -> None:
    account.upsert(person(1))

    answer = account.upsert(person(1, email="moved@example.com"), person(2, email="p1@example.com"))

    assert answer.status_code == 200
    assert account.contact("p1")["properties"]["email"] == "moved@example.com"
    assert account.contact("p2")["properties"]["email"] == "p1@example.com"


def test_without_trace_ids_one_bad_row_refuses_the_whole_batch(account: Account) -> None:
    rows = [person(1), person(2, lifetime_value="twelve")]
    untraced = [{name: value for name, value in row.items() if name != "objectWriteTraceId"} for row in rows]

    answer = account.upsert(*untraced)

    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert account.stats()["contacts"] == 0


@pytest.mark.parametrize(
    "rows",
    [
        [person(number) for number in range(101)],
        [],
        [person(1), {**person(1), "objectWriteTraceId": "other"}],
        [person(1), {**person(2), "objectWriteTraceId": "row-1"}],
        [{**person(1), "idProperty": "firstname"}],
        [{**person(1), "idProperty": "hs_object_id"}],
        [{**person(1), "idProperty": None}],
        [{**person(1), "id": " "}],
        [{"id": "p1", "idProperty": "cdp_person_id"}],
        [{**person(1), "properties": {"firstname": {"nested": 1}}}],
    ],
    ids=[
        "101 inputs",
        "no inputs",
        "same id twice",
        "same trace id twice",
        "key not unique",
        "record id as key",
        "no key",
        "blank id",
        "no properties",
        "nested value",
    ],
)
def test_a_malformed_batch_is_refused_whole(shared_account: Account, rows: list[dict[str, Any]]) -> None:
    answer = shared_account.upsert(*rows)

    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["correlationId"]
    assert shared_account.writes() == []


def test_ids_that_differ_only_in_the_case_of_an_email_are_the_same_id(account: Account) -> None:
    rows = [{"id": text, "idProperty": "email", "properties": {}} for text in ("a@example.com", "A@example.com")]

    assert account.upsert(*rows).status_code == 400


def test_an_update_by_record_id_renames_and_never_creates(account: Account) -> None:
    contact_id = account.upsert(person(1)).json()["results"][0]["id"]
    inputs = [
        {"id": contact_id, "objectWriteTraceId": "a", "properties": {"email": "new@example.com"}},
        {"id": "999", "objectWriteTraceId": "b", "properties": {"email": "other@example.com"}},
    ]

    answer = account.call("POST", f"{CONTACTS}/batch/update", {"inputs": inputs})

    assert answer.status_code == 207
    assert answer.json()["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert answer.json()["errors"][0]["context"] == {"ids": ["999"], "objectWriteTraceId": ["b"]}
    assert account.contact("p1")["properties"]["email"] == "new@example.com"
    assert account.stats()["contacts"] == 1


def test_a_create_of_a_known_email_is_refused_with_the_id_of_the_one_there(account: Account) -> None:
    inputs = [{"properties": {"email": "new@example.com"}}]
    first = account.call("POST", f"{CONTACTS}/batch/create", {"inputs": inputs})
    second = account.call("POST", f"{CONTACTS}/batch/create", {"inputs": inputs})

    assert (first.status_code, second.status_code) == (201, 409)
    assert first.json()["results"][0]["id"] in second.json()["message"]


def test_an_archived_contact_is_gone_and_frees_its_email(account: Account) -> None:
    contact_id = account.upsert(person(1)).json()["results"][0]["id"]

    archive = {"inputs": [{"id": contact_id}, {"id": "12345"}]}
    answers = [account.call("POST", f"{CONTACTS}/batch/archive", archive) for _ in range(2)]
    again = account.upsert(person(1))

    assert [answer.status_code for answer in answers] == [204, 204]
    assert again.json()["results"][0]["new"] is True
    assert again.json()["results"][0]["id"] != contact_id
    archived = account.call("GET", f"{CONTACTS}?archived=true").json()["results"]
    assert [item["id"] for item in archived] == [contact_id]
    assert [item["operation"] for item in account.writes()] == ["create", "archive", "create"]


def test_the_log_holds_old_and_new_values_in_order(account: Account) -> None:
    account.turn_clock("2017-03-01")
    account.upsert(person(1, lifetime_value="1"))
    account.upsert(person(1, lifetime_value="2", firstname=""))

    created, updated = account.writes()
    assert created["properties"]["lifetime_value"] == [None, "1"]
    assert updated["properties"] == {"lifetime_value": ["1", "2"], "firstname": ["Person 1", None]}
    assert (updated["seq"], updated["actor"], updated["operation"]) == (2, "api", "update")
    assert (updated["day"], updated["cdp_person_id"]) == ("2017-03-01", "p1")
    assert account.writes(after=1) == [updated]


def test_clients_that_write_and_read_at_once_lose_nothing_and_make_no_twins(account: Account) -> None:
    def work(worker: int) -> list[int]:
        client = Account(account.url)
        statuses = []
        for first in range(0, 30, 10):
            # Two workers at a time send the same people.
            rows = [person(worker // 2 * 100 + first + number) for number in range(10)]
            statuses += [client.upsert(*rows).status_code, client.call("GET", CONTACTS).status_code]
        return statuses

    with ThreadPoolExecutor(max_workers=6) as pool:
        statuses = [status for found in pool.map(work, range(6)) for status in found]

    assert set(statuses) == {200}
    assert account.stats()["contacts"] == 90
    assert [item["operation"] for item in account.writes()] == ["create"] * 90


@pytest.mark.parametrize("is_archived", [False, True])
def test_an_erased_contact_is_gone_for_good_with_all_that_was_written_of_it(
    account: Account, is_archived: bool
) -> None:
    contact_id = account.upsert(person(1)).json()["results"][0]["id"]
    if is_archived:
        account.call("POST", f"{CONTACTS}/batch/archive", {"inputs": [{"id": contact_id}]})
    assert account.call("POST", f"{CONTACTS}/gdpr-delete", {"objectId": contact_id}).status_code == 204
    assert account.writes() == []
    for archived in ("false", "true"):
        assert account.call("GET", f"{CONTACTS}?archived={archived}").json()["results"] == []
    assert account.call("POST", f"{CONTACTS}/gdpr-delete", {"objectId": contact_id}).status_code == 404


def test_a_contact_is_erased_by_a_unique_property_too(account: Account) -> None:
    account.upsert(person(1))
    body = {"objectId": "p1", "idProperty": "cdp_person_id"}
    assert account.call("POST", f"{CONTACTS}/gdpr-delete", body).status_code == 204


def test_a_row_that_is_found_by_one_id_may_not_take_that_of_another(account: Account) -> None:
    account.upsert(person(1, firstname="Ann"), person(2, firstname="Bob"))

    answer = account.upsert(person(1, firstname="Eve", cdp_person_id="p2"))

    assert (answer.status_code, answer.json()["errors"][0]["category"]) == (207, "CONFLICT")
    assert account.contact("p1")["properties"]["firstname"] == "Ann"
    assert account.contact("p2")["properties"]["firstname"] == "Bob"
