"""Google's own client, and its discovery document, against our stand-in and our requests."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.connectors.protocol import Batch
from cdp_platform.destinations.google_audiences import GoogleAudiences
from cdp_platform.domain.outcomes import Operation
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.sandbox.google.account import ACCOUNT_ID, USER_LISTS
from cdp_platform.testing.rows import outgoing_row
from cdp_platform_tests.contracts.audience_shop import hash_of

pytest.importorskip("googleapiclient")
pytest.importorskip("google_auth_httplib2")

import googleapiclient
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document

LIST_ID = next(iter(USER_LISTS))
OPTIONS = {
    "account_id": ACCOUNT_ID,
    "user_list_id": LIST_ID,
    "login_account_id": ACCOUNT_ID,
    "phone_region": "US",
    "customer_match_terms": "accepted",
}
FIELDS = {
    "emailAddress": "A.da@gmail.com",
    "phoneNumber": "(650) 555-0101",
    "givenName": "Mrs. Ada",
    "familyName": "Lindqvist",
    "regionCode": "us",
    "postalCode": "94035",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    return dict(json.loads((folder / "datamanager.v1.json").read_text(encoding="utf-8")))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as served:
        yield served


def our_request(operation: Operation) -> Any:
    row = outgoing_row(ordinal=1, operation=operation, match_value=FIELDS["emailAddress"], fields=FIELDS)
    destination = GoogleAudiences().with_options(OPTIONS)
    return destination.encode("audience", "emailAddress", Batch.of([row]))


def strangers(document: Mapping[str, Any], name: str, told: Any) -> list[str]:
    """Keys and values of `told` that the schema of this name does not know."""
    properties = document["schemas"][name]["properties"]
    found = [f"{name}.{key}" for key in told if key not in properties]
    for key, value in told.items():
        kind = properties.get(key, {})
        if value is not None and "enum" in kind and value not in kind["enum"]:
            found.append(f"{name}.{key}={value}")
        inner = kind.get("$ref") or kind.get("items", {}).get("$ref")
        for one in (value if isinstance(value, list) else [value]) if inner else ():
            found += strangers(document, inner, one)
    return found


@pytest.mark.parametrize(
    ("operation", "schema"),
    [(Operation.CREATE, "IngestAudienceMembersRequest"), (Operation.REMOVE, "RemoveAudienceMembersRequest")],
)
def test_googles_discovery_document_knows_every_word_of_our_request(
    document: dict[str, Any], operation: Operation, schema: str
) -> None:
    request = our_request(operation)
    assert strangers(document, schema, request.body) == []
    methods = document["resources"]["audienceMembers"]["methods"]
    assert f"{request.method} {request.path}" in {
        f"{method['httpMethod']} /{method['flatPath']}" for method in methods.values()
    }


def test_googles_client_ends_where_ours_ends(document: dict[str, Any], address: str) -> None:
    body = our_request(Operation.CREATE).body
    client = build_from_document(
        {**document, "rootUrl": f"{address}/"},
        credentials=Credentials(token="secret"),
    )
    taken = client.audienceMembers().ingest(body=body).execute()
    states = [
        client.requestStatus().retrieve(requestId=taken["requestId"]).execute()["requestStatusPerDestination"][0]
        for _ in range(2)
    ]
    assert [told["requestStatus"] for told in states] == ["PROCESSING", "SUCCESS"]
    assert [key for told in states for key in strangers(document, "RequestStatusPerDestination", told)] == []
    (user_list, _) = requests.get(f"{address}/sandbox/google/state", timeout=5).json()["lists"]
    (member,) = user_list["members"]
    assert member["emailAddress"] == [hash_of("ada@gmail.com")]
    assert member["phoneNumber"] == [hash_of("+16505550101")]
    assert member["address"] == ["|".join([hash_of("ada"), hash_of("lindqvist"), "US", "94035"])]
    name = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT_ID}/userLists/{LIST_ID}"
    shown = client.accountTypes().accounts().userLists().get(name=name).execute()
    assert strangers(document, "UserList", shown) == []
