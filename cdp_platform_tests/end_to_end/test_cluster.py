"""Dagster's distributed executor for real: Redis, PostgreSQL, two workers, two syncs of one account at once.

Each worker has a home of its own; `deploy/dagster.yaml` is the instance's file. Nothing is a stand-in but the vendor.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
import yaml

pytest.importorskip("dagster_celery", reason="the extra `cluster` is not installed: the cluster was NOT tested")

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.postgres import PostgresWarehouse
from cdp_platform_tests.end_to_end.conftest import ROOT, free_port
from cdp_platform_tests.end_to_end.test_real_instance import Instance, _is_loaded, until
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
WORKERS = ("first", "second")
CONTACTS, PRODUCTS = "crm_contacts", "products_crm"
PEOPLE, ITEMS = 120, 150
BATCH = "/crm/v3/objects/contacts/batch/"
TOKEN = "secret-token-of-the-test"
_CODE = """
from pathlib import Path
from cdp_platform.components.loading import load_definitions
here = Path(__file__).parent
defs = load_definitions(here / "defs", project_root=here)
"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_EVENTS = """query($id: ID!) { logsForRun(runId: $id, limit: 1000) { __typename ... on EventConnection { events {
    __typename ... on MessageEvent { message stepKey timestamp }
    ... on EngineEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
    ... on MaterializationEvent { metadataEntries { label ... on IntMetadataEntry { intValue } } } } } } }"""


def write_project(folder: Path) -> None:
    """Two syncs of one account: people as contacts, and items as products."""
    models = definition_of("models")
    contacts, products = definition_of(f"syncs/{CONTACTS}"), definition_of(f"syncs/{PRODUCTS}")
    columns = {"person_id", "email", "email_permission", "product_id", "product_name"}
    for content in (contacts, products):
        mapping = content["attributes"]["mapping"]
        content["attributes"]["mapping"] = [entry for entry in mapping if entry["column"] in columns]
    for name, content in {"models": models, "contacts": contacts, "products": products}.items():
        content["attributes"]["project"] = str(ROOT / "dbt_project")
        (folder / "defs" / name).mkdir(parents=True)
        (folder / "defs" / name / "defs.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "shop_definitions.py").write_text(_CODE, encoding="utf-8")
    location = {"python_file": {"relative_path": "shop_definitions.py", "location_name": "project"}}
    (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [location]}), encoding="utf-8")


def definition_of(name: str) -> dict[str, Any]:
    file = ROOT / "cdp_platform" / "defs" / name / "defs.yaml"
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


def fill(address: str) -> None:
    """Write both source models and the consents into the warehouse."""
    people = [(f"p-{number:03}", f"p-{number:03}@example.com") for number in range(PEOPLE)]
    with closing(PostgresWarehouse(address, wait_seconds=5)) as warehouse, warehouse.session("test") as session:
        for schema in ("activation", "marts"):
            session.execute(f"create schema {schema}")
        session.execute(
            "create table activation.sync_contacts__crm (person_id varchar, email varchar, email_permission varchar)"
        )
        session.execute("create table activation.sync_products__crm (product_id varchar, product_name varchar)")
        consents = "identifier varchar, entity varchar, channel varchar, purpose varchar, status varchar"
        session.execute(f"create table marts.consents ({consents})")
        session.execute("create table marts.suppressions (identifier varchar, channel varchar, entity varchar)")
        for person, email in people:
            session.execute("insert into activation.sync_contacts__crm values (?, ?, 'granted')", [person, email])
            consent = "insert into marts.consents values (?, 'retail_us', 'email', 'email_marketing', 'granted')"
            session.execute(consent, [email])
        for number in range(ITEMS):
            item = [f"i-{number:03}", f"Item {number}"]
            session.execute("insert into activation.sync_products__crm values (?, ?)", item)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis of this test's own; the answer is its address."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: the cluster was NOT tested")
    port = free_port()
    line = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def running(folder: Path, name: str, line: list[str], **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the cluster, its words in a file."""
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", *line],
            cwd=folder,
            env=os.environ | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("cluster")
    write_project(folder)
    state = postgres.new_database("template template0 encoding 'UTF8' locale 'C'")
    fill(state)
    (folder / "dagster").mkdir()
    shipped = (ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8")
    patient = "code_servers:\n  local_startup_timeout: 600\n"
    (folder / "dagster" / "dagster.yaml").write_text(shipped + patient, encoding="utf-8")
    settings = SandboxSettings(state_path=folder / "crm.sqlite", token=TOKEN, port=0, latency_seconds=0.2)
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        values = {
            "CDP_BROKER": stack.enter_context(redis_server(folder)),
            "CDP_ENVIRONMENT": "cluster",
            "CDP_HOME": str(folder / "home"),
            "CDP_JOURNAL": state,
            "CDP_PLANS_URL": f"file://{folder}/plans",
            "CDP_POSTGRES": state,
            "CDP_WAREHOUSE": "postgres",
            "DAGSTER_HOME": str(folder / "dagster"),
            "DAGSTER_POSTGRES_URL": postgres.new_database().replace("postgresql:", "postgresql+psycopg2:"),
            "HUBSPOT_BASE_URL": stack.enter_context(serve_sandbox(settings)),
            "HUBSPOT_TOKEN": TOKEN,
            "PYTHONPATH": str(ROOT),
        }
        for name, value in values.items():
            patch.setenv(name, value)
        for sync in (CONTACTS, PRODUCTS):
            switch(Journal(cdp_home()), sync, is_enabled=True)
        port = free_port()
        place = ["-w", str(folder / "workspace.yaml")]
        lines = [["dagster_webserver", "-h", "127.0.0.1", "-p", str(port), *place], ["dagster._daemon", "run", *place]]
        processes = [stack.enter_context(running(folder, line[0], line)) for line in lines]
        found = Instance(url=f"http://127.0.0.1:{port}", shop=values["HUBSPOT_BASE_URL"], folder=folder)
        until(lambda: _is_loaded(found, processes), seconds=600)
        for worker in WORKERS:
            home = folder / f"home-of-{worker}"
            # As an image would have it: what dbt parsed need not be parsed by every worker.
            parsed = cdp_home().dbt_target
            shutil.copytree(parsed, home / parsed.name)
            line = ["cdp_platform.cli", "worker", "--name", worker]
            stack.enter_context(running(folder, f"worker-{worker}", line, CDP_HOME=str(home)))
        yield found


def launch(cluster: Instance, sync: str) -> str:
    """Ask the web server for a run of one sync: its plan and what it sends."""
    selector = {
        "repositoryLocationName": "project",
        "repositoryName": "__repository__",
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": ["plans", sync]}, {"path": ["hubspot", sync]}],
        "assetCheckSelection": None,
    }
    params = {"mode": "default", "runConfigData": "{}", "selector": selector}
    return str(cluster.ask(_LAUNCH, params=params)["run"]["runId"])


def events_of(cluster: Instance, run_id: str) -> list[dict[str, Any]]:
    return list(cluster.ask(_EVENTS, id=run_id)["events"])


def workers_of(events: list[dict[str, Any]]) -> set[str]:
    """The workers that did steps of a run, as Dagster's own events name them."""
    entries = [entry for event in events for entry in event.get("metadataEntries", [])]
    return {entry["text"] for entry in entries if entry["label"] == "Celery worker"}


def test_two_syncs_of_one_account_go_at_once_on_two_workers_under_one_bucket(cluster: Instance) -> None:
    runs = {sync: launch(cluster, sync) for sync in (CONTACTS, PRODUCTS)}
    ends = {sync: cluster.ended(run_id) for sync, run_id in runs.items()}
    events = {sync: events_of(cluster, run_id) for sync, run_id in runs.items()}
    assert ends == dict.fromkeys(runs, "SUCCESS"), [event["message"] for event in events[CONTACTS]][-12:]
    names = [workers_of(found) for found in events.values()]
    assert set().union(*names) == {f"celery@{worker}" for worker in WORKERS} or set().union(*names) == set(WORKERS)
    stats = requests.get(f"{cluster.shop}/sandbox/stats", timeout=5).json()
    assert stats["contacts"] == PEOPLE
    assert stats["refused_requests"] == 0, "nobody ran into the limit"
    with Journal(cdp_home()).transaction() as connection:
        planned = connection.execute("select sync, run_id from plans").fetchall()
        holders = [holder for (holder,) in connection.execute("select holder from leases").fetchall()]
        left = connection.execute("select count(*) from requests").fetchone()[0]
    assert set(planned) == set(runs.items()), "the journal tells of both"
    assert len({holder.split("/")[1] for holder in holders}) >= 1
    assert left == 0
    assert buckets() == 1, "one account, one bucket"
    assert not list(cluster.folder.glob("home-of-*/*.sqlite")), "no host keeps books of its own"


def test_a_worker_that_is_killed_with_a_step_ends_the_run_and_the_next_run_loses_nothing(cluster: Instance) -> None:
    with rows_of(cluster) as warehouse:
        warehouse.execute("update activation.sync_contacts__crm set email = 'new.' || email")
        warehouse.execute("insert into marts.consents select 'new.' || identifier, entity, channel, purpose, status"
                          " from marts.consents")  # fmt: skip
    before = writes(cluster)
    # The first request of the run is answered; the second stands still, so that the worker can be killed within it.
    slow = {"path": BATCH, "method": "POST", "count": 9, "delay_seconds": 100, "status": 503}
    passed = {"path": BATCH, "method": "POST", "count": 1}
    requests.post(f"{cluster.shop}/sandbox/faults", json={"rules": [passed, slow]}, timeout=5).raise_for_status()
    run_id = launch(cluster, CONTACTS)
    process = until(lambda: len(writes(cluster)) > len(before) and at_work(), seconds=600)
    kill(process)
    requests.delete(f"{cluster.shop}/sandbox/faults", timeout=5).raise_for_status()
    assert len(writes(cluster)) > len(before), "work had happened before the fault"
    assert cluster.ended(run_id) == "FAILURE"
    assert cluster.ended(launch(cluster, CONTACTS)) == "SUCCESS", "the other worker goes on"
    told = [write for write in writes(cluster) if write not in before]
    assert len(told) == PEOPLE, "each person was changed once"
    stats = requests.get(f"{cluster.shop}/sandbox/stats", timeout=5).json()
    assert stats["contacts"] == PEOPLE


def writes(cluster: Instance) -> list[dict[str, Any]]:
    asked = requests.get(f"{cluster.shop}/sandbox/writes", params={"limit": "10000"}, timeout=30,
                         headers={"Authorization": f"Bearer {TOKEN}"})  # fmt: skip
    return list(asked.json()["results"])


def at_work() -> int | None:
    """The process that holds a lease, as the journal names it."""
    with Journal(cdp_home()).transaction() as connection:
        rows = connection.execute("select holder from leases where expires_at > 0").fetchall()
    return int(rows[0][0].split("/")[1]) if rows else None


def kill(process: int) -> None:
    """Kill the process that does a step, and its worker before it: a host that is gone."""
    status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    worker = int(status.rpartition(")")[2].split()[1])
    for pid in (worker, process):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def rows_of(cluster: Instance) -> Iterator[Any]:
    address = os.environ["CDP_POSTGRES"]
    with closing(PostgresWarehouse(address, wait_seconds=60)) as warehouse, warehouse.session("test") as session:
        yield session


def buckets() -> int:
    """How many credentials have a pace in the database that the hosts share."""
    address = cdp_home().journal_address or ""
    with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(distinct bucket) from cdp_journal.slots")
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def test_no_secret_stands_in_what_dagster_keeps(cluster: Instance) -> None:
    with (
        closing(psycopg2.connect(os.environ["DAGSTER_POSTGRES_URL"].replace("+psycopg2", ""))) as connection,
        connection.cursor() as cursor,
    ):
        for table, column in (("event_logs", "event"), ("runs", "run_body")):
            cursor.execute(f"select count(*), count(*) filter (where {column} like %s) from {table}", [f"%{TOKEN}%"])
            kept, told = cursor.fetchone() or (0, 0)
            assert kept > 0 and told == 0
            cursor.execute(f"select count(*) from {table} where {column} like %s", [f"%{os.environ['CDP_BROKER']}%"])
            assert cursor.fetchone() == (0,)
