"""The sandbox's advertising accounts: what they refuse, what they count, and what their pages show."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.sandbox.google.account import ACCOUNT_ID as GOOGLE_ACCOUNT
from cdp_platform.sandbox.google.account import USER_LISTS
from cdp_platform.sandbox.meta.account import ACCOUNT_ID, DATASET_ID

ACCOUNT = f"/v26.0/act_{ACCOUNT_ID}"


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Client(requests.Session):
    """Requests by path."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **more: Any) -> requests.Response:
        return super().request(method, f"{self.address}{url!s}", *args, timeout=10, **more)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    settings = SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)
    with serve_sandbox(settings) as address, Client(address) as opened:
        opened.headers["Authorization"] = "Bearer secret"
        yield opened


@pytest.fixture
def audience(client: Client) -> str:
    body = {"name": "Loyal <people>", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    return str(client.post(f"{ACCOUNT}/customaudiences", data=body).json()["id"])


def upload(client: Client, audience: str, schema: Any, data: Any, **more: Any) -> Any:
    fields = {"payload": json.dumps({"schema": schema, "data": data}), **more}
    return client.post(f"/v26.0/{audience}/users", data=fields).json()


def test_a_wrong_token_is_told_as_meta_tells_it(client: Client) -> None:
    answer = client.get("/v26.0/me", headers={"Authorization": "Bearer other"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 190)
    assert client.get("/v26.0/debug_token?access_token=secret").json()["data"]["is_valid"] is True


def test_another_ad_account_does_not_exist(client: Client) -> None:
    assert client.get("/v26.0/act_5/customaudiences").json()["error"]["error_subcode"] == 33
    assert client.get("/v26.0/5").json()["error"]["code"] == 100


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EMAIL", "ada@example.com"),
        ("EMAIL", hash_of("")),
        ("GEN", hash_of("female")),
        ("DOBM", hash_of("2")),
        ("COUNTRY", hash_of("US")),
        ("PHONE", hash_of("1").upper()),
    ],
)
def test_an_entry_that_was_not_normalised_and_hashed_is_counted_as_invalid(
    client: Client, audience: str, key: str, value: str
) -> None:
    answer = upload(client, audience, [key, "EXTERN_ID"], [[value, "p-1"]])
    assert (answer["num_received"], answer["num_invalid_entries"]) == (1, 1)


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (["EMAIL"], []),
        (["SHOE_SIZE"], [["x"]]),
        (["EMAIL", "EMAIL"], [["x", "y"]]),
        (["EMAIL"], [[hash_of("a")]] * 10_001),
        ([], [["x"]]),
        ("EMAIL", "x"),
    ],
)
def test_an_upload_that_cannot_be_read_is_refused_whole(client: Client, audience: str, schema: Any, data: Any) -> None:
    assert upload(client, audience, schema, data)["error"]["code"] == 100


def test_replacing_people_leaves_only_those_of_the_session(client: Client, audience: str) -> None:
    upload(client, audience, ["EMAIL"], [[hash_of("a")], [hash_of("b")]])
    for sequence, name in ((1, "c"), (2, "d")):
        fields = {
            "payload": json.dumps({"schema": ["EMAIL"], "data": [[hash_of(name)]]}),
            "session": json.dumps({"session_id": 1, "batch_seq": sequence, "last_batch_flag": sequence == 2}),
        }
        assert client.post(f"/v26.0/{audience}/usersreplace", data=fields).json()["num_received"] == 1
    (found,) = client.get("/sandbox/meta/state").json()["audiences"]
    assert sorted(member["EMAIL"][0] for member in found["members"]) == sorted([hash_of("c"), hash_of("d")])


def test_one_bad_event_refuses_the_good_ones_beside_it(client: Client) -> None:
    client.put("/sandbox/clock", json={"day": "2017-10-05"}).raise_for_status()
    good = {
        "event_name": "Lead",
        "event_time": 1_507_204_800,
        "action_source": "email",
        "event_id": "e-1",
        "user_data": {"em": [hash_of("ada@example.com")]},
    }
    for change in (
        {"event_time": 1_500_000_000},
        {"event_time": 1_600_000_000},
        {"user_data": {}},
        {"user_data": {"em": "ada@example.com"}},
        {"action_source": "pigeon"},
        {"event_name": "Purchase"},
    ):
        answer = client.post(f"/v26.0/{DATASET_ID}/events", json={"data": [good, good | change]})
        assert answer.status_code == 400, change
    assert client.get("/sandbox/meta/state").json()["events"] == []
    answer = client.post(f"/v26.0/{DATASET_ID}/events", json={"data": [good, good]})
    assert answer.json()["events_received"] == 2
    assert [event["sent_count"] for event in client.get("/sandbox/meta/state").json()["events"]] == [2]


def test_google_refuses_a_request_for_one_bad_record_and_names_its_place(client: Client) -> None:
    destination = {
        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": GOOGLE_ACCOUNT},
        "productDestinationId": next(iter(USER_LISTS)),
    }
    members = [{"userData": {"userIdentifiers": [{"emailAddress": value}]}} for value in (hash_of("a"), "plain")]
    body = {"destinations": [destination], "audienceMembers": members, "encoding": "HEX"}
    refused = client.post("/v1/audienceMembers:ingest", json=body).json()["error"]
    assert refused["details"][0]["fieldViolations"][0]["field"] == "terms_of_service"
    body["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
    refused = client.post("/v1/audienceMembers:ingest", json=body).json()["error"]
    assert "audience_members[1]" in refused["details"][0]["fieldViolations"][0]["field"]
    assert refused["status"] == "INVALID_ARGUMENT"


def test_google_lets_in_300_requests_a_minute(client: Client) -> None:
    codes = [client.get("/v1/requestStatus:retrieve?requestId=x").status_code for _ in range(301)]
    assert codes[:300] == [404] * 300
    assert codes[300] == 429


@pytest.mark.parametrize(("language", "word"), [("en", "Audiences"), ("zh-Hant", "受眾")])
def test_metas_page_shows_audiences_events_and_campaigns(
    client: Client, audience: str, language: str, word: str
) -> None:
    client.put("/sandbox/clock", json={"day": "2017-10-05"}).raise_for_status()
    for count in (3, 1):
        upload(client, audience, ["EMAIL"], [[hash_of(str(number))] for number in range(count)])
    page = client.get(f"/meta?lang={language}").text
    assert word in page and "Loyal &lt;people&gt;" in page and "<polyline" in page and "Win back" in page
    assert f'lang="{language}"' in page


@pytest.mark.parametrize(("language", "word"), [("en", "User lists"), ("zh-Hant", "使用者名單"), ("xx", "User lists")])
def test_googles_page_shows_its_lists(client: Client, language: str, word: str) -> None:
    page = client.get(f"/google?lang={language}").text
    assert word in page and next(iter(USER_LISTS.values())) in page


def test_insights_come_in_pages_and_only_of_days_that_were(client: Client) -> None:
    client.put("/sandbox/clock", json={"day": "2017-01-03"}).raise_for_status()
    query = {"level": "campaign", "time_increment": "1", "fields": "campaign_id,clicks", "limit": "5"}
    query |= {"time_range": json.dumps({"since": "2016-12-30", "until": "2017-01-31"})}
    found = []
    for _ in range(3):
        page = client.get(f"{ACCOUNT}/insights", params=query).json()
        found += page["data"]
        query |= {"after": page["paging"]["cursors"]["after"]}
    assert "next" not in page["paging"]
    assert sorted({row["date_start"] for row in found}) == ["2017-01-01", "2017-01-02", "2017-01-03"]
    assert len(found) == 12
