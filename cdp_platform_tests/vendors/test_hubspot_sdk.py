"""HubSpot's own Python client against the sandbox: it ends in the same state as our destination, in the same words."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.connectors.protocol import Batch, OutgoingRow
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.domain.outcomes import Operation
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.testing.rows import outgoing_row

hubspot = pytest.importorskip("hubspot")
from hubspot.crm import associations, contacts, companies  # noqa: E402, I001 - only where the SDK is installed


class Client:
    """The vendor's client, led to a sandbox, and the bodies that it sent."""

    def __init__(self, address: str) -> None:
        self.crm = hubspot.Client.create(access_token="secret").crm
        self.address = address
        self.sent: list[Any] = []

    def led(self, api: Any) -> Any:
        """Let one API of the client talk to the sandbox, and listen."""
        client = api.api_client
        client.configuration.host = self.address
        request = client.request

        def listened(method: str, url: str, **more: Any) -> Any:
            self.sent.append(more.get("body"))
            return request(method, url, **more)

        client.request = listened
        return api


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    settings = SandboxSettings(
        state_path=tmp_path / "crm.sqlite", token="secret", port=0, searches_per_second=100, requests_per_window=1000
    )
    with serve_sandbox(settings) as address:
        yield Client(address)


def row(ordinal: int, key: str, **fields: Any) -> OutgoingRow:
    return outgoing_row(ordinal=ordinal, operation=Operation.CREATE, match_value=key, record_id=None, fields=fields)


def inputs_of(kind: Any, body: Mapping[str, Any]) -> Any:
    """Our request's body as the client's own objects."""
    return kind.BatchInputSimplePublicObjectBatchInputUpsert(
        inputs=[
            kind.SimplePublicObjectBatchInputUpsert(
                id=item["id"],
                id_property=item["idProperty"],
                object_write_trace_id=item["objectWriteTraceId"],
                properties=item["properties"],
            )
            for item in body["inputs"]
        ]
    )


def test_an_upsert_of_ours_is_word_for_word_the_clients(client: Client) -> None:
    ours = HubSpot().encode(
        "contacts", "cdp_person_id", Batch.of([row(1, "p-1", email="a@example.com", lifetime_value=8.5)])
    )
    api = client.led(client.crm.contacts.batch_api)
    answer = api.upsert(inputs_of(contacts, ours.body))
    assert client.sent == [ours.body]
    assert [result.new for result in answer.results] == [True]
    assert api.upsert(inputs_of(contacts, ours.body)).results[0].new is False


def test_a_207_of_the_sandbox_is_one_to_the_client(client: Client) -> None:
    rows = Batch.of([row(1, "shop-1", industry="RETAIL"), row(2, "shop-2", industry="perhaps")])
    body = HubSpot().encode("companies", "cdp_company_id", rows).body
    answer = client.led(client.crm.companies.batch_api).upsert(inputs_of(companies, body))
    assert (answer.num_errors, len(answer.results)) == (1, 1)
    assert answer.errors[0].context["objectWriteTraceId"] == ["2"]


def test_the_client_finds_by_search_what_was_written(client: Client) -> None:
    body = HubSpot().encode("contacts", "cdp_person_id", Batch.of([row(1, "p-1", email="a@example.com")])).body
    client.led(client.crm.contacts.batch_api).upsert(inputs_of(contacts, body))
    search = client.led(client.crm.contacts.search_api)
    asked = contacts.PublicObjectSearchRequest(
        filter_groups=[{"filters": [{"propertyName": "cdp_person_id", "operator": "EQ", "value": "p-1"}]}],
        properties=["email"],
        sorts=[],
        limit=10,
    )
    found = search.do_search(asked)
    assert (found.total, found.results[0].properties["email"]) == (1, "a@example.com")


def test_deals_are_listed_by_the_client(client: Client) -> None:
    body = HubSpot().encode("deals", "cdp_deal_id", Batch.of([row(1, "d-1", dealname="One")])).body
    from hubspot.crm import deals

    client.led(client.crm.deals.batch_api).upsert(inputs_of(deals, body))
    page = client.led(client.crm.deals.basic_api).get_page(limit=10, properties=["dealname"])
    assert [deal.properties["dealname"] for deal in page.results] == ["One"]


def test_an_association_of_ours_is_word_for_word_the_clients(client: Client) -> None:
    people = HubSpot().encode("contacts", "cdp_person_id", Batch.of([row(1, "p-1")])).body
    shops = HubSpot().encode("companies", "cdp_company_id", Batch.of([row(1, "shop-1")])).body
    one = client.led(client.crm.contacts.batch_api).upsert(inputs_of(contacts, people)).results[0].id
    shop = client.led(client.crm.companies.batch_api).upsert(inputs_of(companies, shops)).results[0].id
    pair = outgoing_row(
        ordinal=1, operation=Operation.CREATE, match_value="p-1|shop-1", record_id=f"{one}:{shop}", fields={}
    )
    ours = HubSpot().encode("contacts_to_companies", "pair", Batch.of([pair]))
    client.sent.clear()
    api = client.led(client.crm.associations.v4.batch_api)
    answer = api.create_default(
        "contacts",
        "companies",
        batch_input_public_default_association_multi_post=associations.v4.BatchInputPublicDefaultAssociationMultiPost(
            inputs=[{"from": {"id": one}, "to": {"id": shop}}]
        ),
    )
    assert client.sent == [ours.body]
    assert answer.status == "COMPLETE"
    basic = client.led(client.crm.associations.v4.basic_api)
    assert [str(link.to_object_id) for link in basic.get_page("contacts", one, "companies").results] == [shop]
