"""Meta's own client against our stand-in: it must end where ours ends, and hash as ours does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import Batch
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.syncs import Connection
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.sandbox.meta.account import ACCOUNT_ID, DATASET_ID
from cdp_platform.testing.rows import outgoing_row

pytest.importorskip("facebook_business")

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

DAY = "2017-10-05"
NOON = 1_507_204_800
PEOPLE = [
    {"EMAIL": " Person1@Example.com", "PHONE": "+1 (650) 555-0101", "FN": "Ada", "LN": "O'Neil", "COUNTRY": "US"},
    {"EMAIL": "person2@example.com", "PHONE": "16505550102", "FN": "Mary Ann", "LN": "Smith-Jones", "COUNTRY": "us"},
]
MORE = {"CT": "St. Louis", "ST": "MO", "ZIP": "63101-1234", "GEN": "f"}
SCHEMA = ["EMAIL", "PHONE", "FN", "LN", "COUNTRY", "CT", "ST", "ZIP", "GEN"]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("META_TOKEN", "secret")
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as served:
        requests.put(f"{served}/sandbox/clock", json={"day": DAY}, timeout=5).raise_for_status()
        monkeypatch.setattr(FacebookSession, "GRAPH", served)
        FacebookAdsApi.init(access_token="secret", api_version="v26.0", crash_log=False)
        yield served


def state(address: str) -> Any:
    return requests.get(f"{address}/sandbox/meta/state", timeout=5).json()


def send(address: str, home: Path, vendor: str, object_name: str, options: dict[str, str], rows: Batch) -> None:
    """Send rows as a run would, without its bookkeeping."""
    connection = Connection(
        name=vendor, vendor=vendor, token_env="META_TOKEN", base_url=f"{address}/v26.0", options=options
    )
    destination = destination_of(connection)
    session = open_session(connection, destination, Home(root=home), object_name)
    destination.account_id(session)
    match_field = "event_id" if object_name == "events" else "EMAIL"
    destination.read(rows, session.send(destination.encode(object_name, match_field, rows)))
    session.close()


def row_of(ordinal: int, match_value: str, fields: dict[str, Any], operation: Operation = Operation.CREATE) -> Any:
    return outgoing_row(ordinal=ordinal, operation=operation, match_value=match_value, fields=fields)


def test_people_whom_metas_client_adds_are_those_whom_ours_adds(address: str, tmp_path: Path) -> None:
    theirs = AdAccount(f"act_{ACCOUNT_ID}").create_custom_audience(
        params={"name": "theirs", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    )
    users = [[(person | MORE)[key] for key in SCHEMA] for person in PEOPLE]
    # Meta's client takes postal codes and cities as they come; what it does not normalise is given in its form.
    users = [[*user[:5], "stlouis", "mo", "63101", "f"] for user in users]
    answer = CustomAudience(theirs["id"]).add_users(SCHEMA, users, is_raw=True).json()
    assert (answer["num_received"], answer["num_invalid_entries"]) == (2, 0)
    options = {"ad_account_id": ACCOUNT_ID, "audience": "ours", "phone_region": "US"}
    rows = Batch.of(row_of(place, person["EMAIL"], person | MORE) for place, person in enumerate(PEOPLE))
    send(address, tmp_path, "meta_audiences", "audience", options, rows)
    found = {audience["name"]: audience["members"] for audience in state(address)["audiences"]}
    assert found["ours"] == found["theirs"]
    assert all(len(member) == len(SCHEMA) for member in found["ours"])


def test_people_whom_metas_client_removes_are_gone_as_those_whom_ours_removes(address: str, tmp_path: Path) -> None:
    options = {"ad_account_id": ACCOUNT_ID, "audience": "ours", "phone_region": "US"}
    rows = Batch.of(row_of(place, person["EMAIL"], dict(person)) for place, person in enumerate(PEOPLE))
    send(address, tmp_path, "meta_audiences", "audience", options, rows)
    (audience,) = AdAccount(f"act_{ACCOUNT_ID}").get_custom_audiences(fields=["id", "name"])
    answer = CustomAudience(audience["id"]).remove_users("EMAIL_SHA256", ["person1@example.com"]).json()
    assert answer["num_received"] == 1
    assert [found["size"] for found in state(address)["audiences"]] == [1]
    gone = Batch.of([row_of(1, "person2@example.com", {}, Operation.REMOVE)])
    send(address, tmp_path, "meta_audiences", "audience", options, gone)
    assert [found["size"] for found in state(address)["audiences"]] == [0]


def test_an_event_of_metas_client_has_the_hashes_of_ours(address: str, tmp_path: Path) -> None:
    person = UserData(
        emails=[" Person1@Example.com"],
        phones=["+1 (650) 555-0101"],
        first_names=["Mary Ann"],
        last_names=["Lindqvist"],
        genders=[],
        cities=["St. Louis"],
        states=["MO"],
        zip_codes=["63101-1234"],
        country_codes=["US"],
    )
    event = Event(
        event_name="Purchase",
        event_time=NOON,
        event_id="theirs",
        action_source=ActionSource.PHYSICAL_STORE,
        user_data=person,
        custom_data=CustomData(value=12.5, currency="usd"),
    )
    answer = EventRequest(pixel_id=DATASET_ID, events=[event]).execute()
    assert answer.events_received == 1
    fields = {"EMAIL": " Person1@Example.com", "PHONE": "+1 (650) 555-0101", "FN": "Mary Ann", "LN": "Lindqvist"}
    fields |= {"CT": "St. Louis", "ST": "MO", "ZIP": "63101-1234", "COUNTRY": "US"}
    fields |= {"event_name": "Purchase", "event_time": NOON, "action_source": "physical_store", "currency": "usd"}
    rows = Batch.of([row_of(1, "ours", fields | {"value": "12.50"})])
    send(address, tmp_path, "meta_conversions", "events", {"dataset_id": DATASET_ID}, rows)
    told = {event["event_id"]: event for event in state(address)["events"]}
    people = {name: json.loads(event["user_data"]) for name, event in told.items()}
    theirs = {key: value[0] if isinstance(value, list) else value for key, value in people["theirs"].items()}
    assert people["ours"] == theirs
    assert json.loads(told["ours"]["custom_data"]) == json.loads(told["theirs"]["custom_data"])
