"""The stock of a day is a snapshot: each day is kept, and a day that is over is not filled with the stock of now."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import requests
import yaml

from cdp_platform.components.loading import load_definitions
from cdp_platform.components.resources import PLATFORM
from cdp_platform.sandbox import SandboxSettings, environment_of, serve_sandbox

SHIPPED = Path(__file__).parents[2] / "cdp_platform" / "defs" / "ingest" / "zoho" / "defs.yaml"
STOCK = {"2017-12-24": 9, "2017-12-25": 7, "2017-12-26": 30}


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "home").mkdir()
    item = {"sku": "11", "name": "Tea (11)", "department": "GROCERY", "price": 1.5, "stock": STOCK}
    (tmp_path / "goods.json").write_text(json.dumps({"items": [item], "offers": []}), encoding="utf-8")
    told = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    told["attributes"] |= {"upstream": []}
    folder = tmp_path / "project" / "defs" / "zoho"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as served:
        for name, value in {**environment_of(served, "secret"), "CDP_HOME": str(tmp_path / "home")}.items():
            monkeypatch.setenv(name, value)
        yield served


def load(address: str, project: Path, first: str, last: str | None = None) -> None:
    requests.put(f"{address}/sandbox/clock", json={"day": last or first}, timeout=5).raise_for_status()
    assets = load_definitions(project / "defs", project).resolve_asset_graph().assets_defs
    [items] = [asset for asset in assets if asset.key.path[-1] == "items"]
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last or first}
    assert dg.materialize([items], tags=tags).success


def stocks() -> dict[str, int]:
    with PLATFORM.warehouse.session("test") as session:
        rows = session.rows("select cast(stock_on as varchar) as day, stock_on_hand from raw_zoho.items order by 1")
    return {row["day"]: int(row["stock_on_hand"]) for row in rows}


def test_each_day_is_kept_a_range_is_its_last_day_and_the_past_is_not_asked_for(address: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    load(address, project, "2017-12-01", "2017-12-24")
    assert stocks() == {"2017-12-24": 9}
    load(address, project, "2017-12-25")
    load(address, project, "2017-12-25")
    load(address, project, "2017-12-26")
    assert stocks() == STOCK
    load(address, project, "2017-12-25")
    assert stocks() == STOCK, "the stock of now is not the stock of a day that is over"
