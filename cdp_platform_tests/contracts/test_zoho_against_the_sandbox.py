"""Zoho Inventory at the sandbox: one record a request, no twins, inactive and back, limits of a minute and of a day."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.destinations.zoho_inventory import ZohoInventory
from cdp_platform.domain.outcomes import Counts, RunRecord
from cdp_platform.domain.syncs import Connection, FieldMapping, FieldType, Grant, Limits, Mode, OAuth, Removal, SyncSpec
from cdp_platform.errors import ConfigError, RateLimited
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform_tests.unit.syncs.conftest import Shop

Row = dict[str, Any]
SEEDED = 266
"""Items that a new organisation has."""


class Inventory:
    """An organisation at the sandbox, and a sync of items into it."""

    def __init__(self, root: Path, address: str) -> None:
        self.shop = Shop(root)
        self.address = address
        self.runs = 0
        self.sleeps: list[float] = []
        self.organisation = str(self.call("GET", "/organizations")["organizations"][0]["organization_id"])

    def call(self, method: str, path: str, **query: str) -> Any:
        told = {"organization_id": getattr(self, "organisation", ""), **query}
        headers = {"Authorization": "Zoho-oauthtoken secret"}
        answer = requests.request(
            method, f"{self.address}/inventory/v1{path}", params=told, headers=headers, timeout=10
        )
        assert answer.ok, answer.text
        return answer.json()

    def items(self, text: str) -> list[Row]:
        found: list[Row] = self.call("GET", "/items", search_text=text)["items"]
        return found

    def fault(self, **rule: Any) -> None:
        assert requests.post(f"{self.address}/sandbox/faults", json={"rules": [rule]}, timeout=5).ok

    def faults_met(self) -> int:
        rules = requests.get(f"{self.address}/sandbox/faults", timeout=5).json()["rules"]
        return sum(rule["used"] for rule in rules)

    def run(self, rows: list[Row], **more: Any) -> RunRecord:
        options = {"organization_id": self.organisation, "requests_per_minute": "1000", **more.pop("options", {})}
        with self.shop.warehouse.session("model") as session:
            session.execute("create schema if not exists activation")
            session.register("given", pa.Table.from_pylist(rows))
            session.execute("create or replace table activation.items as select * from given")
        spec = SyncSpec(
            name="inventory_items",
            source_model="items",
            relation="activation.items",
            primary_key="sku",
            connection=Connection(
                name="zoho",
                vendor="zoho_inventory",
                base_url=f"{self.address}/inventory/v1",
                options=options,
                oauth=OAuth(
                    token_url=f"{self.address}/oauth/v2/token",
                    grant=Grant.REFRESH_TOKEN,
                    client_id_env="CLIENT_ID",
                    client_secret_env="CLIENT_SECRET",
                    refresh_token_env="REFRESH_TOKEN",
                ),
            ),
            object="items",
            mode=Mode.MIRROR,
            removal=Removal.ARCHIVE,
            mapping=(
                FieldMapping(column="sku", field="sku", match_key=True),
                FieldMapping(column="name", field="name"),
                FieldMapping(column="rate", field="rate", type=FieldType.parse("decimal(10,2)")),
            ),
            limits=Limits(shrunk_share=1.0, removed_rows=1000),
            **more,
        )
        engine = Engine(
            home=self.shop.home,
            warehouse=self.shop.warehouse,
            journal=Journal(self.shop.home),
            destination=ZohoInventory().with_options(options),
            open_session=open_session,
        )
        switch(engine.journal, spec.name, is_enabled=True)
        self.runs += 1
        plan = make_plan(engine, spec, run_id=f"run-{self.runs}")
        assert plan.is_allowed, plan.verdicts
        timing = Timing(sleep=self.sleeps.append, jitter=lambda: 0.0)
        return send_plan(engine, spec, plan, run_id=plan.run_id, timing=timing)


Open = Callable[..., Inventory]


@pytest.fixture
def open_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    for name in ("CLIENT_SECRET", "REFRESH_TOKEN"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("CLIENT_ID", "client")
    with ExitStack() as stack:

        def open_one(**settings: Any) -> Inventory:
            limits = {"zoho_requests_per_minute": 100_000, **settings}
            told = SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0, **limits)
            return Inventory(tmp_path / "home", stack.enter_context(serve_sandbox(told)))

        yield open_one


@pytest.fixture
def inventory(open_inventory: Open) -> Inventory:
    return open_inventory()


def item(number: int, **fields: Any) -> Row:
    return {"sku": f"NEW-{number:04}", "name": f"New thing {number:04}", "rate": 1.5, **fields}


def test_items_are_made_changed_marked_as_inactive_and_come_back(inventory: Inventory) -> None:
    assert inventory.run([item(1), item(2)]).counts == Counts(planned=2, delivered=2)
    assert inventory.run([item(1, rate=2.5)]).counts == Counts(planned=2, delivered=2)
    assert [(found["rate"], found["status"]) for found in inventory.items("NEW-")] == [
        (2.5, "active"),
        (1.5, "inactive"),
    ]
    assert inventory.run([item(1, rate=2.5), item(2, rate=3.0)]).counts == Counts(planned=1, delivered=1)
    assert [(found["rate"], found["status"]) for found in inventory.items("NEW-")] == [(2.5, "active"), (3.0, "active")]


def test_an_item_that_is_there_already_is_changed_and_has_no_twin(inventory: Inventory) -> None:
    known = inventory.items("Orchid, value")[0]
    row = {"sku": known["sku"], "name": known["name"], "rate": 99.0}
    assert inventory.run([row]).counts.delivered == 1
    [after] = inventory.items("Orchid, value")
    assert (after["item_id"], after["rate"], after["available_stock"]) == (
        known["item_id"], 99.0, known["available_stock"],
    )  # fmt: skip


def test_an_answer_that_never_came_makes_no_twin(inventory: Inventory) -> None:
    inventory.fault(path="/inventory/v1/items", method="POST", reset=True)
    assert inventory.run([item(1)]).counts == Counts(planned=1, delivered=1)
    assert inventory.faults_met() == 1
    assert len(inventory.items("NEW-0001")) == 1


def test_an_item_that_was_deleted_there_is_made_anew(inventory: Inventory) -> None:
    inventory.run([item(1)])
    [made] = inventory.items("NEW-0001")
    inventory.call("DELETE", f"/items/{made['item_id']}")
    assert inventory.run([item(1, rate=9.0)]).counts.delivered == 1
    [again] = inventory.items("NEW-0001")
    assert (again["rate"], again["name"]) == (9.0, "New thing 0001")


def test_an_item_that_is_gone_counts_as_removed(inventory: Inventory) -> None:
    inventory.run([item(1), item(2)])
    [made] = inventory.items("NEW-0002")
    inventory.call("DELETE", f"/items/{made['item_id']}")
    assert inventory.run([item(1)]).counts == Counts(planned=1, delivered=1)


def test_a_bad_row_is_rejected_with_its_reason_and_the_others_arrive(inventory: Inventory) -> None:
    taken = inventory.items("Salmon fillet, small")[0]["name"]
    record = inventory.run([item(1), item(2, name=taken), item(3, name="")])
    assert record.counts == Counts(planned=3, delivered=1, rejected=2)
    kept = inventory.shop.sql("select primary_key, code from cdp.rejected_rows order by primary_key")
    assert [row["code"] for row in kept] == ["duplicate_value", "invalid_value"]


def test_an_error_inside_a_200_is_no_acceptance(inventory: Inventory) -> None:
    body = {"code": 1001, "message": 'Item "New thing 0001" already exists.'}
    inventory.fault(path="/inventory/v1/items", method="POST", status=200, body=body)
    assert inventory.run([item(1)]).counts == Counts(planned=1, rejected=1)
    assert inventory.faults_met() == 1


def test_a_used_up_day_defers_the_run(open_inventory: Open) -> None:
    inventory = open_inventory(zoho_daily_limit=40)
    with pytest.raises(RateLimited):
        inventory.run([item(number) for number in range(20)])
    [run] = inventory.shop.sql("select status, delivered, pending from cdp.sync_runs")
    assert run["status"] == "deferred" and run["delivered"] > 0 and run["delivered"] + run["pending"] == 20


def test_the_requests_of_a_day_are_counted_over_runs_and_zoho_is_never_asked_for_one_too_many(
    inventory: Inventory,
) -> None:
    day = {"options": {"requests_per_day": "70"}}
    assert inventory.run([item(number) for number in range(10)], **day).status == "done"
    with pytest.raises(RateLimited, match="70 requests that zoho_inventory gives"):
        inventory.run([item(number) for number in range(40)], **day)
    [run] = inventory.shop.sql("select status, delivered, pending from cdp.sync_runs where run_id = 'run-2'")
    assert run["status"] == "deferred" and run["delivered"] > 0 and run["delivered"] + run["pending"] == 30
    assert not inventory.sleeps, "nobody waits for the next day"
    with pytest.raises(RateLimited):
        inventory.run([item(number) for number in range(40)], **day)
    assert len(inventory.items("NEW-")) == 10 + run["delivered"]
    rest = inventory.run([item(number) for number in range(40)], options={"plan": "free"})
    assert rest.counts == Counts(planned=run["pending"], delivered=run["pending"])


@pytest.mark.parametrize(
    ("options", "requests_a_day"),
    [({}, None), ({"plan": "standard"}, 2_500), ({"plan": "premium", "requests_per_day": "7500"}, 7_500)],
)
def test_a_plan_says_how_many_requests_a_day_has_and_a_number_says_it_better(
    options: dict[str, str], requests_a_day: int | None
) -> None:
    told = ZohoInventory().with_options({"organization_id": "1", **options}).capabilities("items")
    assert told.requests_per_day == requests_a_day


@pytest.mark.parametrize(("span", "seconds"), [("minute", 60.0), ("day", 3600.0)])
def test_a_429_says_how_long_to_wait(span: str, seconds: float) -> None:
    body = {"code": 44, "message": f"The API call was blocked for exceeding the maximum number per {span}."}
    error = ZohoInventory().error_of(429, {}, body)
    assert isinstance(error, RateLimited) and error.retry_after_seconds == seconds


def test_a_token_that_ends_is_renewed_on_the_way(open_inventory: Open) -> None:
    inventory = open_inventory(token_seconds=1.0)
    assert inventory.run([item(1)]).counts.delivered == 1
    time.sleep(1.1)
    assert inventory.run([item(1), item(2)]).counts.delivered == 1


def test_another_organisation_stops_before_anything_is_planned(inventory: Inventory) -> None:
    with pytest.raises(ConfigError, match="organization_id"):
        inventory.run([item(1)], options={"organization_id": "1"})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"organization_id": "x"},
        {"organization_id": "1", "size": "small"},
        {"organization_id": "1", "plan": "fre"},
        {"organization_id": "1", "requests_per_day": "0"},
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="option"):
        ZohoInventory().with_options(options)


def test_a_thousand_rows_are_looked_up_together(inventory: Inventory) -> None:
    before = len(inventory.call("GET", "/items", per_page="200")["items"])
    record = inventory.run([item(number) for number in range(60)])
    assert record.counts.delivered == 60
    assert before == 200 and record.traffic.request_count < 200
