import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdp_platform.sandbox import SandboxSettings
from cdp_platform.sandbox.hubspot.answers import RequestError
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.hubspot.limits import Limits
from cdp_platform_tests.unit.sandbox.conftest import CONTACTS, Account, Open, person

UPSERT = f"{CONTACTS}/batch/upsert"


@pytest.mark.parametrize("token", [None, "wrong", "", "tëst"])
def test_the_api_asks_for_the_token(shared_account: Account, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")} if token is not None else {}
    answer = shared_account.call("GET", CONTACTS, token=None, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["category"] == "INVALID_AUTHENTICATION"
    assert "X-HubSpot-RateLimit-Remaining" in answer.headers


def test_every_answer_of_the_api_says_what_is_left(open_account: Open) -> None:
    account = open_account(requests_per_window=50, window_seconds=60, daily_limit=1000)
    headers = [account.call("GET", CONTACTS).headers for _ in range(2)][-1]

    assert headers["X-HubSpot-RateLimit-Daily"] == "1000"
    assert headers["X-HubSpot-RateLimit-Daily-Remaining"] == "998"
    assert headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "60000"
    assert headers["X-HubSpot-RateLimit-Max"] == "50"
    assert headers["X-HubSpot-RateLimit-Remaining"] == "48"


@pytest.mark.parametrize(
    ("limits", "policy"),
    [
        ({"requests_per_window": 2, "window_seconds": 60}, "TEN_SECONDLY_ROLLING"),
        ({"daily_limit": 2}, "DAILY"),
    ],
)
def test_too_many_requests_are_refused_and_write_nothing(
    open_account: Open, limits: dict[str, Any], policy: str
) -> None:
    account = open_account(**limits)
    answers = [account.upsert(person(number)) for number in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    body = answers[-1].json()
    assert (body["status"], body["errorType"], body["policyName"]) == ("error", "RATE_LIMIT", policy)
    assert answers[-1].headers["X-HubSpot-RateLimit-Remaining"] is not None
    assert account.stats()["contacts"] == 2
    assert (account.stats()["requests"], account.stats()["refused_requests"]) == (2, 1)


def test_search_has_a_limit_of_its_own(open_account: Open) -> None:
    account = open_account(searches_per_second=1)
    answers = [account.search() for _ in range(4)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.json()["policyName"] for answer in refused} == {"SECONDLY"}


@pytest.fixture
def store(tmp_path: Any) -> Iterator[ContactStore]:
    made = ContactStore(tmp_path / "state.db")
    yield made
    made.close()


def test_the_window_rolls(store: ContactStore, tmp_path: Any) -> None:
    now = [0.0]
    limits = Limits(
        SandboxSettings(state_path=tmp_path, token="t", requests_per_window=2, window_seconds=10),
        store,
        clock=lambda: now[0],
    )

    for now[0] in (0.0, 6.0):
        limits.admit(is_search=False)
    now[0] = 9.9
    with pytest.raises(RequestError):
        limits.admit(is_search=False)
    now[0] = 10.0
    limits.admit(is_search=False)
    assert limits.headers()["X-HubSpot-RateLimit-Remaining"] == "0"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b'"x"',
        b'{"inputs": 1}',
        b'{"inputs": [1]}',
        b"[" * 100_000,
        b'{"inputs": NaN}',
        b"1" * 5_000,
        json.dumps({"inputs": [person(1, firstname="\ud800")]}).encode(),
        json.dumps({"inputs": [person(1, firstname="a\0b")]}).encode(),
    ],
)
def test_malformed_json_is_a_400(shared_account: Account, data: bytes) -> None:
    for path in (UPSERT, f"{CONTACTS}/batch/archive", f"{CONTACTS}/batch/read", "/crm/v3/properties/contacts"):
        answer = shared_account.call("POST", path, data=data)
        assert (answer.status_code, answer.json()["status"]) == (400, "error"), (path, answer.text)


def test_a_body_above_five_megabytes_is_refused(shared_account: Account) -> None:
    answer = shared_account.call("POST", UPSERT, data=b" " * (5 * 1024 * 1024 + 1))

    assert answer.status_code == 413


texts = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
names = st.sampled_from(["email", "lifetime_value", "last_order_on", "cdp_person_id", "lapsed_loyalist"]) | texts
rows = st.fixed_dictionaries(
    {"id": scalars, "properties": st.dictionaries(names, scalars, max_size=4)},
    optional={
        "idProperty": st.sampled_from(["cdp_person_id", "email", "firstname"]) | scalars,
        "objectWriteTraceId": scalars,
    },
)


@settings(max_examples=60, deadline=None)
@example(inputs=[{"id": False, "properties": {}, "idProperty": ""}], verb="update")
@given(inputs=st.lists(rows, max_size=4), verb=st.sampled_from(["upsert", "update", "create", "read", "archive"]))
def test_no_input_makes_the_sandbox_fail(shared_account: Account, inputs: list[dict[str, Any]], verb: str) -> None:
    data = json.dumps({"inputs": inputs}).encode()

    answer = shared_account.call("POST", f"{CONTACTS}/batch/{verb}", data=data)

    assert answer.status_code in (200, 201, 204, 207, 400, 404, 409), answer.text


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=-1", "after=%F0%9F", "limit=%00"])
def test_a_bad_page_is_refused(shared_account: Account, query: str) -> None:
    assert shared_account.call("GET", f"{CONTACTS}?{query}").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/crm/v3/objects/tickets"), ("DELETE", CONTACTS), ("GET", "/account-info/v3/usage")]
)
def test_what_is_not_built_is_a_404_in_the_vendors_shape(shared_account: Account, method: str, path: str) -> None:
    answer = shared_account.call(method, path)

    assert (answer.status_code, answer.json()["category"]) == (404, "OBJECT_NOT_FOUND")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "crm.attacker.example"},
        {"Host": "127.0.0.1.attacker.example"},
        {"Host": "["},
        {"Origin": "http://attacker.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/sandbox/stats", "/sandbox/writes", "/", "/contacts/1"])
def test_a_page_elsewhere_cannot_reach_the_account(shared_account: Account, headers: dict[str, str], path: str) -> None:
    assert shared_account.call("GET", path, token=None, headers=headers).status_code == 403


def test_a_page_elsewhere_cannot_turn_the_clock(shared_account: Account) -> None:
    answer = shared_account.call(
        "PUT", "/sandbox/clock", {"day": "2017-03-01"}, headers={"Origin": "http://attacker.example"}
    )

    assert answer.status_code == 403
    assert shared_account.stats()["day"] is None


def test_the_pages_own_origin_is_let_in(shared_account: Account) -> None:
    assert (
        shared_account.call("GET", "/sandbox/health", token=None, headers={"Origin": shared_account.url}).status_code
        == 200
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": " "},
        {"port": 70_000},
        {"daily_limit": 0},
        {"window_seconds": 0},
        {"unsubscribe_share": 1.1},
        {"email_change_share": -0.1},
        {"latency_seconds": -1},
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SandboxSettings(**{"state_path": tmp_path, "token": "t", **wrong})


def test_the_token_is_in_no_representation(tmp_path: Any) -> None:
    assert "s3cret" not in repr(SandboxSettings(state_path=tmp_path, token="s3cret"))
