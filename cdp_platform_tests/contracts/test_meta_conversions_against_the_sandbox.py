"""Conversions, each once, over HTTP, against an independent reading of Meta's documents."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import Batch
from cdp_platform.connectors.registry import destination_of
from cdp_platform.destinations.meta_conversions import MetaConversions
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Counts, Operation
from cdp_platform.domain.syncs import Connection, FieldMapping, FieldType, Mode, SyncSpec
from cdp_platform.errors import ConfigError
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.sandbox.meta.account import DATASET_ID
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.testing.rows import outgoing_row
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.contracts.audience_shop import hash_of

DAY = "2017-10-05"
COLUMNS = {
    "basket_id": "event_id",
    "event_name": "event_name",
    "happened_at": "event_time",
    "source": "action_source",
    "email": "EMAIL",
    "person_id": "EXTERN_ID",
    "value": "value",
    "currency": "currency",
}


def basket(number: int, **changes: Any) -> dict[str, Any]:
    """A purchase in a shop at noon of the day."""
    return {
        "basket_id": f"basket-{number}",
        "event_name": "Purchase",
        "happened_at": f"{DAY} 12:00:00",
        "source": "physical_store",
        "email": f"person{number}@example.com",
        "person_id": f"p-{number}",
        "value": "12.50",
        "currency": "USD",
    } | changes


class Till:
    """A sync of baskets to the sandbox's dataset."""

    def __init__(self, root: Path, address: str) -> None:
        self.home, self.address, self.runs = Home(root=root), address, 0
        self.warehouse = DuckDbWarehouse(self.home.warehouse, wait_seconds=5)
        types = {"value": FieldType.parse("decimal(12,2)"), "event_time": FieldType.parse("timestamp")}
        self.spec = SyncSpec(
            name="purchases",
            source_model="baskets",
            relation="activation.baskets",
            primary_key="basket_id",
            connection=Connection(
                name="meta_conversions",
                vendor="meta_conversions",
                token_env="META_TOKEN",
                base_url=f"{address}/v26.0",
                options={"dataset_id": DATASET_ID},
            ),
            object="events",
            mode=Mode.APPEND,
            mapping=tuple(
                FieldMapping(column=column, field=field, type=types.get(field), match_key=field == "event_id")
                for column, field in COLUMNS.items()
            ),
        )
        switch(Journal(self.home), "purchases", is_enabled=True)

    def run(self, baskets: Sequence[Mapping[str, Any]]) -> Counts:
        with self.warehouse.session("test") as session:
            session.execute("create schema if not exists activation")
            session.execute(
                "create or replace table activation.baskets (basket_id varchar, event_name varchar,"
                " happened_at timestamp, source varchar, email varchar, person_id varchar, value decimal(12,2),"
                " currency varchar)"
            )
            for told in baskets:
                session.execute(
                    "insert into activation.baskets values (?, ?, ?, ?, ?, ?, ?, ?)", [told[name] for name in COLUMNS]
                )
        engine = Engine(
            home=self.home,
            warehouse=self.warehouse,
            journal=Journal(self.home),
            destination=destination_of(self.spec.connection),
            open_session=open_session,
        )
        self.runs += 1
        plan = make_plan(engine, self.spec, run_id=f"run-{self.runs}", partition=DAY)
        return send_plan(engine, self.spec, plan, run_id=plan.run_id).counts

    def events(self) -> dict[str, dict[str, Any]]:
        told = requests.get(f"{self.address}/sandbox/meta/state", timeout=5).json()["events"]
        return {event["event_id"]: event for event in told}

    def rejected(self) -> dict[str, str]:
        with self.warehouse.session("test") as session:
            return {
                row["primary_key"]: row["code"]
                for row in session.rows("select primary_key, code from cdp.rejected_rows")
            }


@pytest.fixture
def till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    monkeypatch.setenv("META_TOKEN", "secret")
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as address:
        requests.put(f"{address}/sandbox/clock", json={"day": DAY}, timeout=5).raise_for_status()
        yield Till(tmp_path / "home", address)


def test_an_event_arrives_once_with_its_person_hashed(till: Till) -> None:
    assert till.run([basket(1), basket(2)]) == Counts(planned=2, delivered=2)
    assert till.run([basket(1), basket(2), basket(3)]) == Counts(planned=1, delivered=1)
    events = till.events()
    assert {event_id: event["sent_count"] for event_id, event in events.items()} == {
        f"basket-{number}": 1 for number in (1, 2, 3)
    }
    assert hash_of("person1@example.com") in events["basket-1"]["user_data"]
    assert hash_of("p-1") in events["basket-1"]["user_data"]
    assert events["basket-1"]["custom_data"] == '{"currency": "USD", "value": 12.5}'


def test_a_bad_event_is_rejected_before_it_can_spoil_its_batch(till: Till) -> None:
    counts = till.run(
        [
            basket(1),
            basket(2, source="website"),
            basket(3, happened_at="2017-09-20 12:00:00", source="system_generated"),
            basket(4, happened_at="2017-09-20 12:00:00"),
            basket(5, happened_at="2017-07-01 12:00:00"),
            basket(6, happened_at="2017-10-09 12:00:00"),
            basket(7, source="by pigeon"),
            basket(8, value=None),
            basket(9, email="nobody", person_id=None),
        ]
    )
    assert counts == Counts(planned=9, delivered=2, rejected=7)
    assert set(till.events()) == {"basket-1", "basket-4"}
    assert till.rejected() == {
        "basket-2": "missing_field",
        "basket-3": "event_too_old",
        "basket-5": "event_too_old",
        "basket-6": "event_in_future",
        "basket-7": "invalid_value",
        "basket-8": "missing_field",
        "basket-9": "invalid_email",
    }


def test_the_age_is_that_of_metas_clock(till: Till) -> None:
    destination = MetaConversions({"dataset_id": DATASET_ID})
    fields = {"event_name": "Lead", "event_time": f"{DAY}T12:00:00Z", "action_source": "email", "EXTERN_ID": "p"}
    row = outgoing_row(ordinal=1, operation=Operation.CREATE, match_value="e-1", fields=fields)
    assert [one.code for one in destination.unfit("events", "event_id", Batch.of([row]))] == ["event_too_old"]
    session = open_session(till.spec.connection, destination, till.home, "events")
    destination.account_id(session)
    session.close()
    assert destination.unfit("events", "event_id", Batch.of([row])) == []


def test_an_event_that_is_sent_again_under_its_id_counts_once(till: Till) -> None:
    till.run([basket(1)])
    destination = destination_of(till.spec.connection)
    session = open_session(till.spec.connection, destination, till.home, "events")
    fields = {"event_name": "Purchase", "event_time": f"{DAY}T12:00:00Z", "action_source": "physical_store"}
    fields |= {"EXTERN_ID": "p-1", "currency": "USD"}
    row = outgoing_row(ordinal=1, operation=Operation.CREATE, match_value="basket-1", fields=fields | {"value": 12.5})
    session.send(destination.encode("events", "event_id", Batch.of([row])))
    session.close()
    assert till.events()["basket-1"]["sent_count"] == 2
    assert len(till.events()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "dataset_id"),
        ({"dataset_id": DATASET_ID, "pixel": "1"}, "no option 'pixel'"),
        ({"dataset_id": DATASET_ID, "deduplication_hours": "0"}, "deduplication_hours"),
    ],
)
def test_options_that_cannot_work_are_told_at_load(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MetaConversions().with_options(options)


def test_another_match_key_than_the_event_id_is_refused(till: Till) -> None:
    row = outgoing_row(ordinal=1, match_value="x", fields={})
    with pytest.raises(ConfigError, match="event_id"):
        MetaConversions().encode("events", "EMAIL", Batch.of([row]))


def test_events_of_a_trial_carry_the_code_of_the_test_and_others_do_not() -> None:
    rows = Batch.of([outgoing_row(ordinal=0, match_value="e-1", fields={"event_name": "Lead"})])
    plain = MetaConversions({"dataset_id": DATASET_ID})
    assert plain.as_test("TEST123").encode("events", "event_id", rows).body["test_event_code"] == "TEST123"
    assert "test_event_code" not in plain.encode("events", "event_id", rows).body
