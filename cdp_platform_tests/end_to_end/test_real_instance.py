"""Dagster's web server and daemon as processes, spoken to as a person's browser does: rest, backfill, repair, sensor.

The tests tell one story on one instance, in their order. CDP_REST_SECONDS is how long the first one watches (20).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cdp_platform.components.resources import dagster_home
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform_tests.components.test_sync_component import DEFINITION
from cdp_platform_tests.components.test_sync_partitions import DAYS, EVERYBODY, KEYS, people_at, write
from cdp_platform_tests.end_to_end.conftest import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PLAN, CONTACTS = ["plans", "crm_contacts"], ["hubspot", "crm_contacts"]
REST_SECONDS = float(os.environ.get("CDP_REST_SECONDS", "20"))
SENSORS = ("crm", "new_file", "unfinished_sends", "approved_plans")
_CODE = """
from pathlib import Path
from cdp_platform.components.loading import load_definitions
here = Path(__file__).parent
defs = load_definitions(here / "defs", project_root=here)
"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_BACKFILL_STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status } } }"""
_RUN_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_PARTITIONS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } } } } }"""
_START = """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
    __typename ... on PythonError { message } } }"""
_TICKS = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
    sensorState { ticks(limit: 20) { status runIds skipReason error { message } } } } } }"""
_LOCATIONS = "query { workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError {\
    __typename ... on PythonError { message } } } } } }"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """The web server's address, the destination's, and the project's folder."""

    url: str
    shop: str
    folder: Path

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        told = answer.json()
        assert "errors" not in told, told
        [found] = told["data"].values()
        assert found.get("__typename") != "PythonError", found
        return dict(found)

    def backfill(self, days: tuple[str, ...]) -> str:
        params = {"assetSelection": [{"path": PLAN}, {"path": CONTACTS}], "partitionNames": list(days)}
        name = str(self.ask(_BACKFILL, params=params)["backfillId"])
        return until(lambda: _ended(self.ask(_BACKFILL_STATUS, id=name)["status"]))

    def materialize(self, day: str) -> str:
        selector = {
            "repositoryLocationName": "project",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": PLAN}, {"path": CONTACTS}],
            "assetCheckSelection": None,
        }
        tags = [{"key": "dagster/partition", "value": day}]
        params = {"mode": "default", "runConfigData": "{}", "selector": selector, "executionMetadata": {"tags": tags}}
        run_id = self.ask(_LAUNCH, params=params)["run"]["runId"]
        return self.ended(run_id)

    def ended(self, run_id: str) -> str:
        return until(lambda: _ended(self.ask(_RUN_STATUS, id=run_id)["status"]), seconds=600)

    def partitions(self, key: list[str]) -> dict[str, str]:
        told = self.ask(_PARTITIONS, key={"path": key})["assetPartitionStatuses"]["ranges"]
        return {day: one["status"] for one in told for day in KEYS if one["startKey"] <= day <= one["endKey"]}

    def start(self, sensor: str) -> None:
        self.ask(_START, sensor=_selector(sensor))

    def ticks(self, sensor: str) -> list[dict[str, Any]]:
        return list(self.ask(_TICKS, sensor=_selector(sensor))["sensorState"]["ticks"])


def _selector(sensor: str) -> dict[str, str]:
    return {"repositoryName": "__repository__", "repositoryLocationName": "project", "sensorName": sensor}


def _ended(status: str) -> str | None:
    return status if status not in ("REQUESTED", "QUEUED", "NOT_STARTED", "STARTING", "STARTED", "FAILING") else None


def until(look: Callable[[], Any], seconds: float = 240) -> Any:
    """Look every half second until there is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError("nothing came of it in time")


def write_project(folder: Path) -> None:
    """A project of its own: our models, one sync by day, its automation."""
    (folder / "inbox").mkdir(parents=True)
    models = yaml.safe_load((ROOT / "cdp_platform" / "defs" / "models" / "defs.yaml").read_text(encoding="utf-8"))
    sync = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    automation = {
        "type": "cdp_platform.components.AutomationComponent",
        "attributes": {
            "run": {"crm": {"syncs": ["crm_contacts"]}},
            "watch": {"new_file": {"files": "inbox/*.csv", "runs": ["plans/crm_contacts"], "every_seconds": 5}},
        },
    }
    sync["attributes"] |= {"days": DAYS, **EVERYBODY}
    for content in (models, sync):
        content["attributes"]["project"] = str(ROOT / "dbt_project")
    for name, content in {"models": models, "sync": sync, "automation": automation}.items():
        (folder / "defs" / name).mkdir(parents=True)
        (folder / "defs" / name / "defs.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "shop_definitions.py").write_text(_CODE, encoding="utf-8")
    location = {"python_file": {"relative_path": "shop_definitions.py", "location_name": "project"}}
    (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [location]}), encoding="utf-8")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    settings = SandboxSettings(state_path=folder / "sandbox.sqlite", token="secret-token-of-the-test", port=0)
    with pytest.MonkeyPatch.context() as patch, serve_sandbox(settings) as shop:
        for name, value in {
            "CDP_HOME": str(folder / "home"),
            "DAGSTER_HOME": "",
            "HUBSPOT_BASE_URL": shop,
            "HUBSPOT_TOKEN": settings.token,
            "PYTHONPATH": str(ROOT),
        }.items():
            patch.setenv(name, value)
        dagster_home(cdp_home())
        write({"p-1": (KEYS[0], "x"), "p-2": (KEYS[1], "x"), "p-3": (KEYS[2], "x")})
        port = free_port()
        lines = (["dagster_webserver", "-h", "127.0.0.1", "-p", str(port)], ["dagster._daemon", "run"])
        processes = [_start(folder, line) for line in lines]
        found = Instance(url=f"http://127.0.0.1:{port}", shop=shop, folder=folder)
        try:
            until(lambda: _is_loaded(found, processes))
            yield found
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)


def _start(folder: Path, line: list[str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-W", "ignore", "-m", *line, "-w", str(folder / "workspace.yaml")]
    with open(folder / f"{line[0]}.log", "wb") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)


def _is_loaded(instance: Instance, processes: "list[subprocess.Popen[bytes]]") -> bool:
    assert [process.poll() for process in processes] == [None, None], "a process of Dagster's ended by itself"
    try:
        [entry] = instance.ask(_LOCATIONS)["locationEntries"]
    except requests.ConnectionError:
        return False
    assert (entry["locationOrLoadError"] or {}).get("__typename") != "PythonError", entry
    return bool(entry["loadStatus"] == "LOADED")


def requests_at(shop: str) -> int:
    return int(requests.get(f"{shop}/sandbox/stats", timeout=5).json()["requests"])


def test_with_every_sensor_on_nothing_is_asked_of_a_destination_until_a_sync_is_switched_on(
    instance: Instance,
) -> None:
    for sensor in SENSORS:
        instance.start(sensor)
    until(lambda: all(instance.ticks(sensor) for sensor in SENSORS))
    (instance.folder / "inbox" / "first.csv").write_text("a")
    [planned] = until(lambda: [run for tick in instance.ticks("new_file") for run in tick["runIds"]])
    assert instance.ended(planned) == "SUCCESS", "the plan was made"
    time.sleep(REST_SECONDS)
    failed = [tick for sensor in SENSORS for tick in instance.ticks(sensor) if tick["status"] == "FAILURE"]
    assert failed == []
    assert requests_at(instance.shop) == 0


def test_a_backfill_whose_second_day_is_stopped_by_a_check_sends_the_others_and_nothing_of_it(
    instance: Instance,
) -> None:
    switch(Journal(cdp_home()), "crm_contacts", is_enabled=True)
    _double("p-2")
    begun = time.monotonic()
    instance.backfill(KEYS)
    print(f"Three days took {time.monotonic() - begun:.0f} s.")
    assert people_at(instance.shop) == ["p-1", "p-3"]
    assert instance.partitions(CONTACTS) == {KEYS[0]: "MATERIALIZED", KEYS[1]: "FAILED", KEYS[2]: "MATERIALIZED"}


def test_the_day_that_failed_is_repaired_alone(instance: Instance) -> None:
    _double("p-2", times=1)
    assert instance.materialize(KEYS[1]) == "SUCCESS"
    assert people_at(instance.shop) == ["p-1", "p-3", "p-2"]
    assert instance.partitions(CONTACTS) == dict.fromkeys(KEYS, "MATERIALIZED")


def _double(person: str, times: int = 2) -> None:
    """Let a person's row stand so many times in the source model."""
    from cdp_platform.warehouse.duckdb import DuckDbWarehouse

    with DuckDbWarehouse(cdp_home().warehouse).session("test") as session:
        model = "activation.sync_contacts__crm"
        session.execute(f"create temporary table one as select * from {model} where person_id = ? limit 1", [person])
        session.execute(f"delete from {model} where person_id = ?", [person])
        for _ in range(times):
            session.execute(f"insert into {model} select * from one")
