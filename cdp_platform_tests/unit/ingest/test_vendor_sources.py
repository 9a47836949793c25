"""Zoho and HubSpot as sources, read from the sandbox: every record once, in its types, day by day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import Answer, Session
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.destinations.zoho_inventory import ZohoInventory
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import ContractBroken
from cdp_platform.ingest.hubspot_records import KINDS, reader_of, schema_of
from cdp_platform.ingest.vendor_api import read_table
from cdp_platform.ingest.zoho import SOURCE
from cdp_platform.sandbox import SandboxSettings, serve_sandbox

DAY = date(2017, 12, 24)
READ_AT = datetime(2017, 12, 26, tzinfo=UTC)


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TOKEN", "secret")
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as served:
        yield served


@pytest.fixture
def zoho(address: str, tmp_path: Path) -> Iterator[tuple[Session, dict[str, str]]]:
    connection = Connection(name="zoho", vendor="zoho_inventory", token_env="TOKEN", base_url=f"{address}/inventory/v1")
    session = open_session(connection, ZohoInventory(), Home(root=tmp_path / "home"), "items")
    yield session, {"organization_id": ZohoInventory().account_id(session)}
    session.close()


def test_items_come_whole_with_their_stock(zoho: tuple[Session, dict[str, str]]) -> None:
    rows = read_table(zoho[0], SOURCE.tables["items"], zoho[1], (date.min, date.max)).to_pylist()
    assert len(rows) == len({row["item_id"] for row in rows}) > 200
    salmon = next(row for row in rows if row["name"] == "Salmon fillet, small")
    assert isinstance(salmon["rate"], Decimal) and salmon["available_stock"] <= salmon["stock_on_hand"]


def test_orders_come_by_their_days(zoho: tuple[Session, dict[str, str]]) -> None:
    table = SOURCE.tables["sales_orders"]
    rows = read_table(zoho[0], table, zoho[1], (date(2017, 12, 23), DAY)).to_pylist()
    assert [row["ordered_on"] for row in rows].count(DAY) == len(rows) // 2 == 6
    assert read_table(zoho[0], table, zoho[1], (date(2018, 1, 1), date(2018, 1, 2))).num_rows == 0


def test_reading_twice_gives_the_same(zoho: tuple[Session, dict[str, str]]) -> None:
    table = SOURCE.tables["sales_orders"]
    assert read_table(zoho[0], table, zoho[1], (DAY, DAY)).equals(read_table(zoho[0], table, zoho[1], (DAY, DAY)))


@pytest.mark.parametrize("body", [None, [], {"code": 57}, {"code": 0, "items": None}, {"code": 0, "items": []}])
def test_an_answer_that_is_no_page_is_a_broken_contract(body: Any) -> None:
    with pytest.raises(ContractBroken):
        SOURCE.tables["items"].read_page(Answer(status=200, headers={}, body=body))


@pytest.mark.parametrize("kind", list(KINDS))
def test_companies_and_deals_are_read_back_with_the_time_of_the_reading(
    address: str, tmp_path: Path, kind: str
) -> None:
    key = KINDS[kind][0]
    for start in (0, 100):
        inputs = [
            {"id": f"k-{number}", "idProperty": key, "properties": {KINDS[kind][1]: f"Name {number}"}}
            for number in range(start, start + 100)
        ]
        requests.post(
            f"{address}/crm/v3/objects/{kind}/batch/upsert",
            json={"inputs": inputs},
            headers={"Authorization": "Bearer secret"},
            timeout=10,
        ).raise_for_status()
    connection = Connection(name="hubspot", vendor="hubspot", token_env="TOKEN", base_url=address)
    session = open_session(connection, HubSpot(), Home(root=tmp_path / "home"), kind)
    table = reader_of(kind)(session, KINDS[kind], DAY, now=lambda: READ_AT)
    session.close()
    assert table.schema.equals(schema_of(kind)) and table.num_rows == 200
    assert {row[key] for row in table.to_pylist()} == {f"k-{number}" for number in range(200)}
    assert {(row["feedback_day"], row["read_at"]) for row in table.to_pylist()} == {(DAY, READ_AT)}
