"""What was delivered is dated by the loop's clock, once, and told to the models as the history of it."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_platform.components.clock import set_clock
from cdp_platform.components.deliveries import DeliveriesComponent
from cdp_platform.components.resources import PLATFORM
from cdp_platform.syncs.ledger import ensure_tables

HISTORY = dg.AssetKey(["feedback", "loop", "deliveries_history"])


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with PLATFORM.warehouse.session("test") as session:
        ensure_tables(session)


def settle(version: int, *people: str) -> None:
    with PLATFORM.warehouse.session("test") as session:
        session.execute(
            "insert into cdp.settles (ledger_id, version, sync) values ('l', ?, 'lapsed_loyalists_ads')", [version]
        )
        for person in people:
            session.execute(
                "insert into cdp.delivered_rows (ledger_id, version, primary_key, operation) values ('l', ?, ?, ?)",
                [version, person, "create"],
            )


def run(day: date) -> dg.ExecuteInProcessResult:
    set_clock(PLATFORM.warehouse, day)
    component = DeliveriesComponent(syncs=["meta_audiences/lapsed_loyalists_ads"])
    definitions = component.build_defs(dg.ComponentLoadContext.__new__(dg.ComponentLoadContext))
    [asset] = [one for one in definitions.assets or () if isinstance(one, dg.AssetsDefinition)]
    return dg.materialize([asset], resources={"platform": PLATFORM})


def deliveries() -> list[dict[str, Any]]:
    with PLATFORM.warehouse.session("test") as session:
        return session.rows(
            "select primary_key as person, cast(delivered_on as varchar) as day from cdp.deliveries order by 1, 2"
        )


def test_each_settle_has_the_day_of_the_clock_after_which_it_was_found_and_keeps_it(loop: None) -> None:
    settle(1, "ann", "bob")
    first = run(date(2017, 12, 25))
    assert [event.asset_key for event in first.get_asset_materialization_events() if event.asset_key == HISTORY]
    settle(2, "ann")
    run(date(2017, 12, 26))
    run(date(2017, 12, 26))
    assert deliveries() == [
        {"person": "ann", "day": "2017-12-25"},
        {"person": "ann", "day": "2017-12-26"},
        {"person": "bob", "day": "2017-12-25"},
    ]


def test_where_nothing_was_ever_sent_nothing_is_dated(loop: None) -> None:
    run(date(2017, 12, 24))
    assert deliveries() == []
