"""A vendor's API as an asset: a day is loaded with the days that the vendor still restates, and replaces them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests

from cdp_platform.components.loading import load_definitions
from cdp_platform.components.resources import PLATFORM
from cdp_platform.errors import ConfigError
from cdp_platform.sandbox import SandboxSettings, serve_sandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "sources" / "meta" / "defs.yaml"
KEY = dg.AssetKey(["raw", "meta", "insights"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("META_TOKEN", "secret")
    (tmp_path / "home").mkdir()
    folder = tmp_path / "project" / "defs" / "meta"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(EXAMPLE.read_text())
    return tmp_path / "project"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as served:
        monkeypatch.setenv("META_BASE_URL", f"{served}/v26.0")
        yield served


def load(project: Path, address: str, day: str) -> dg.ExecuteInProcessResult:
    requests.put(f"{address}/sandbox/clock", json={"day": day}, timeout=5).raise_for_status()
    definitions = load_definitions(project / "defs", project)
    (asset,) = definitions.resolve_asset_graph().assets_defs
    return dg.materialize([asset], partition_key=day)


def rows(day: str) -> list[dict[str, Any]]:
    with PLATFORM.warehouse.session("test") as session:
        return session.rows("select * from raw_meta.insights where day = ? order by campaign_id", [day])


def days() -> list[str]:
    with PLATFORM.warehouse.session("test") as session:
        found = session.rows("select distinct cast(day as varchar) as day from raw_meta.insights order by day")
    return [row["day"] for row in found]


def test_a_day_is_loaded_with_the_27_before_it_and_what_was_restated_replaces_what_was_told(
    project: Path, address: str
) -> None:
    first = load(project, address, "2017-03-01")
    told = rows("2017-03-01")
    assert len(told) == 4 and days() == [f"2017-02-{day:02}" for day in range(2, 29)] + ["2017-03-01"]
    assert first.asset_materializations_for_node("raw__meta__insights")[0].metadata
    load(project, address, "2017-03-20")
    later = rows("2017-03-01")
    assert [row["campaign_id"] for row in later] == [row["campaign_id"] for row in told], "replaced, not appended"
    assert sum(row["clicks"] for row in later) > sum(row["clicks"] for row in told)
    assert [row["impressions"] for row in later] == [row["impressions"] for row in told]
    assert days()[0] == "2017-02-02" and days()[-1] == "2017-03-20"


def test_nothing_is_loaded_from_before_the_first_day(project: Path, address: str) -> None:
    load(project, address, "2017-01-03")
    assert days() == ["2017-01-01", "2017-01-02", "2017-01-03"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: meta", "source: mate", "no vendor 'mate'"),
        ("ad_account_id:", "account_id:", "option"),
        ("  days: {start: 2017-01-01, end: 2017-12-31, time_zone: UTC}\n", "", "has days"),
    ],
)
def test_a_definition_that_cannot_work_is_told_at_load(project: Path, old: str, new: str, message: str) -> None:
    file = project / "defs" / "meta" / "defs.yaml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_definitions(project / "defs", project)
