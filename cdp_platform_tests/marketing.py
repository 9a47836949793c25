"""HubSpot's stand-in with the goods of a replay: what it says itself of a day, and what our source reads of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.registry import find_destination
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection
from cdp_platform.ingest.hubspot_marketing import SOURCE
from cdp_platform.ingest.vendor_api import read_table
from cdp_platform.sandbox import SandboxSettings, serve_sandbox

CLOSED = ("closedwon", "closedlost")


@dataclass(frozen=True, kw_only=True)
class Marketing:
    """One served account."""

    url: str
    home: Path

    def turn_clock(self, day: date) -> None:
        requests.put(f"{self.url}/sandbox/clock", json={"day": str(day)}, timeout=10).raise_for_status()

    def read(self, first: date, last: date) -> pa.Table:
        """What our source reads of the days."""
        connection = Connection(name="hubspot", vendor="hubspot", token_env="HUBSPOT_TOKEN", base_url=self.url)
        session = open_session(connection, find_destination("hubspot"), Home(root=self.home), "deals")
        try:
            return read_table(session, SOURCE.tables["records"], {}, (first, last))
        finally:
            session.close()

    def running(self, day: date) -> set[str]:
        """The UTM values of the campaigns that run on a day, by the account's own answer."""
        found = self._ask("/marketing/v3/campaigns", properties="hs_utm,hs_start_date,hs_end_date")
        told = [each["properties"] for each in found]
        return {one["hs_utm"] for one in told if one["hs_start_date"] <= str(day) <= one["hs_end_date"]}

    def open_deals(self) -> list[Mapping[str, str]]:
        """Products in open deals, by the account's own answer: deal, hs_sku, quantity, amount."""
        stages = {one["id"]: one["properties"]["dealstage"] for one in self._ask("/crm/v3/objects/deals")}
        query = {"properties": "hs_sku,quantity,amount", "associations": "deals"}
        lines = [
            {**line["properties"], "deal": each["id"]}
            for line in self._ask("/crm/v3/objects/line_items", **query)
            for each in line["associations"]["deals"]["results"]
        ]
        return [line for line in lines if stages[line["deal"]] not in CLOSED]

    def _ask(self, path: str, **query: str) -> Sequence[Any]:
        headers = {"Authorization": "Bearer secret"}
        answer = requests.get(self.url + path, params={"limit": "100", **query}, headers=headers, timeout=10).json()
        assert "paging" not in answer
        found: Sequence[Any] = answer["results"]
        return found


@contextmanager
def serving(folder: Path, goods: Mapping[str, Any]) -> Iterator[Marketing]:
    """Serve an account that has these goods; HUBSPOT_TOKEN has to be `secret`."""
    folder.mkdir(parents=True)
    (folder / "goods.json").write_text(json.dumps(goods), encoding="utf-8")
    with serve_sandbox(SandboxSettings(state_path=folder / "crm.sqlite", token="secret", port=0)) as url:
        yield Marketing(url=url, home=folder / "home")
