"""Faults on demand: what a rule says happens to so many requests, and to no other."""

import time
from typing import Any

import pytest
import requests

from cdp_platform_tests.unit.sandbox.conftest import CONTACTS, Account, person


def set_rules(account: Account, *rules: dict[str, Any]) -> requests.Response:
    return account.call("POST", "/sandbox/faults", {"rules": list(rules)}, token=None)


def uses(account: Account) -> list[int]:
    return [rule["used"] for rule in account.call("GET", "/sandbox/faults", token=None).json()["rules"]]


def test_a_rule_answers_in_the_vendors_place_as_often_as_it_says(account: Account) -> None:
    set_rules(account, {"path": CONTACTS, "status": 429, "body": {"a": 1}, "headers": {"Retry-After": "7"}, "count": 2})
    for _ in range(2):
        answer = account.call("GET", CONTACTS)
        assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (429, {"a": 1}, "7")
    assert account.call("GET", CONTACTS).status_code == 200
    assert uses(account) == [2]


def test_a_rule_holds_for_its_path_and_method_alone(account: Account) -> None:
    set_rules(account, {"path": CONTACTS, "method": "POST", "status": 500})
    assert account.call("GET", CONTACTS).status_code == 200
    assert account.call("GET", "/account-info/v3/details").status_code == 200
    assert account.upsert(person(1)).status_code == 500


def test_a_reset_comes_after_the_vendors_work(account: Account) -> None:
    set_rules(account, {"path": CONTACTS, "reset": True})
    with pytest.raises(requests.ConnectionError):
        account.upsert(person(1))
    assert uses(account) == [1]
    assert account.contact("p1")["id"], "the vendor did its work before the connection broke off"


def test_a_reset_with_a_status_comes_before_it(account: Account) -> None:
    set_rules(account, {"path": CONTACTS, "reset": True, "status": 200})
    with pytest.raises(requests.ConnectionError):
        account.upsert(person(1))
    assert account.call("GET", CONTACTS).json()["results"] == []


def test_a_cut_body_ends_early_though_its_length_was_told(account: Account) -> None:
    set_rules(account, {"path": CONTACTS, "cut_bytes": 5})
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        account.call("GET", CONTACTS)


def test_a_delay_is_waited_before_the_answer(account: Account) -> None:
    set_rules(account, {"path": CONTACTS, "delay_seconds": 0.2})
    began_at = time.monotonic()
    assert account.call("GET", CONTACTS).status_code == 200
    assert time.monotonic() - began_at >= 0.2


def test_rules_are_taken_away(account: Account) -> None:
    set_rules(account, {"path": "/", "status": 503, "count": 100})
    account.call("DELETE", "/sandbox/faults", token=None)
    assert account.call("GET", CONTACTS).status_code == 200


@pytest.mark.parametrize(
    "rule", [{"path": "x"}, {"path": "/", "status": 99}, {"path": "/", "wait": 1}, {"path": "/", "delay_seconds": 1e9}]
)
def test_a_rule_that_cannot_be_is_refused(account: Account, rule: dict[str, Any]) -> None:
    assert set_rules(account, rule).status_code == 400


def test_another_origin_sets_no_rules(account: Account) -> None:
    headers = {"Origin": "http://elsewhere.example"}
    assert account.call("POST", "/sandbox/faults", {"rules": []}, token=None, headers=headers).status_code == 403
