"""What runs by itself: conditions that look at checks, watches with a cursor, sends that are taken up again."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_platform.components import automation
from cdp_platform.components.automation import AutomationComponent, RunRule, refuse_double
from cdp_platform.components.resources import Platform
from cdp_platform.components.sync_sensors import journal_sensors
from cdp_platform.components.watching import WatchRule, watch_sensor
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.syncs.controls import approve, switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

SYNCS = {"crm": dg.AssetKey(["hubspot", "crm"])}
ORDERS = dg.AssetKey(["raw", "shop", "orders"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    return Platform()


class Ticking:
    """A sensor on an instance; its cursor is kept from tick to tick, as the daemon does."""

    def __init__(
        self, sensor: dg.SensorDefinition, instance: dg.DagsterInstance, assets: list[Any], platform: Any = None
    ) -> None:
        self.sensor, self.instance, self.cursor = sensor, instance, None
        self.resources = {"platform": platform} if platform else {}
        self.definitions = dg.Definitions(assets=assets, sensors=[sensor], resources=self.resources)

    def tick(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.definitions.get_repository_def(),
            cursor=self.cursor,
            resources=self.resources,
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor, self.message = result.cursor or self.cursor, result.skip_message
        return list(result.run_requests or [])


def keys_of(requests: list[dg.RunRequest]) -> list[list[str]]:
    return [sorted(key.to_user_string() for key in request.asset_selection or ()) for request in requests]


def crm(passes: list[bool]) -> list[Any]:
    """A daily raw table, a model below it whose check passes as told, a plan and a destination."""

    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-11-01"))
    def daily() -> None:
        """Stands for a loader."""

    @dg.asset(deps=[daily], check_specs=[dg.AssetCheckSpec("ok", asset="model", blocking=True)])
    def model() -> Iterator[Any]:
        yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=passes[-1])])

    @dg.asset(key=["plans", "crm"], deps=[model], group_name="plans")
    def plan() -> None:
        """Stands for a plan."""

    @dg.asset(key=["hubspot", "crm"], deps=[plan])
    def send() -> None:
        """Stands for a send."""

    return [daily, model, plan, send]


def test_a_sync_runs_when_its_model_is_new_and_its_check_passed_though_most_days_are_missing(
    instance: dg.DagsterInstance,
) -> None:
    passes = [True]
    assets = crm(passes)
    ticking = Ticking(automation._rule_sensor("crm", RunRule(syncs=["crm"]), SYNCS), instance, assets)

    def build() -> None:
        dg.materialize(assets[:2], selection=["model"], instance=instance, raise_on_error=False)

    dg.materialize(assets[:1], instance=instance, partition_key="2026-11-20")
    assert ticking.tick() == []
    build()
    assert keys_of(ticking.tick()) == [["hubspot/crm", "plans/crm"]]
    assert ticking.tick() == [], "what was asked for is not asked for twice"
    passes.append(False)
    build()
    assert ticking.tick() == [], "a failed blocking check of an earlier run holds it back"
    passes.append(True)
    build()
    assert keys_of(ticking.tick()) == [["hubspot/crm", "plans/crm"]]


def test_a_rule_with_a_time_has_a_condition_of_its_own() -> None:
    condition = RunRule(syncs=["crm"], cron="0 6 * * *", time_zone="Asia/Taipei").condition
    assert "0 6 * * *" in str(condition) and "all_deps_blocking_checks_passed" in str(condition)


def test_every_sensor_is_stopped_until_somebody_starts_it() -> None:
    sensors = [*journal_sensors(SYNCS), automation._rule_sensor("crm", RunRule(syncs=["crm"]), SYNCS)]
    sensors.append(watch_sensor("files", WatchRule(files="*.csv", runs=["a"]), Path()))
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.STOPPED}


# rules that cannot work


def component(**attributes: Any) -> AutomationComponent:
    return AutomationComponent(**attributes)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        (
            {"run": {"a": RunRule(syncs=["crmm"])}},
            r"`run.a.syncs`: there is no sync 'crmm'\. Did you mean `crm`",
        ),
        (
            {"run": {"a": RunRule(syncs=["crm"], environments=["locl"])}},
            r"`run.a.environments`: there is no environment 'locl'\. Did you mean `local`",
        ),
        (
            {"run": {"a": RunRule(syncs=["crm"]), "b": RunRule(syncs=["crm"], environments=["local"])}},
            r"the sync 'crm' is run by 'a' and by 'b' in the environment 'local'",
        ),
        ({"watch": {"w": WatchRule(runs=["x"])}}, r"`watch.w`: the watch 'w' names nothing"),
        ({"watch": {"w": WatchRule(runs=["x"], files="a", asset="b")}}, r"names files, asset"),
        ({"watch": {"w": WatchRule(runs=["x"], files="a", environments=["loca"])}}, r"Did you mean `local`"),
    ],
)
def test_a_rule_that_cannot_work_is_named_with_what_comes_nearest(attributes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        component(**attributes)._check(["crm", "ads"])


def test_rules_of_two_environments_may_run_one_sync() -> None:
    here, there = (RunRule(syncs=["crm"], environments=[name]) for name in ("embedded", "local"))
    component(run={"a": here, "b": there})._check(["crm"])
    with pytest.raises(ConfigError):
        refuse_double([("a", here), ("b", there), ("c", here)])


# watches


def orders() -> list[Any]:
    @dg.asset(key=ORDERS)
    def load() -> None:
        """Stands for a loader."""

    return [load]


def watching(rule: WatchRule, root: Path, instance: dg.DagsterInstance, platform: Platform) -> Ticking:
    return Ticking(watch_sensor("watched", rule, root), instance, orders(), platform)


def test_a_file_that_arrives_asks_once(tmp_path: Path, instance: dg.DagsterInstance, platform: Platform) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old.csv").write_text("a")
    ticking = watching(WatchRule(files="data/*.csv", runs=["raw/shop/orders"]), tmp_path, instance, platform)
    assert ticking.tick() == [] and "begins" in str(ticking.message)
    assert ticking.tick() == [] and "has not changed" in str(ticking.message)
    (tmp_path / "data" / "new.csv").write_text("b")
    [request] = ticking.tick()
    assert keys_of([request]) == [["raw/shop/orders"]]
    assert ticking.tick() == []
    (tmp_path / "data" / "new.csv").unlink()
    [back] = ticking.tick()
    assert back.run_key != request.run_key, "a state that comes back is another change"


def test_a_tick_that_is_repeated_with_the_same_cursor_asks_with_the_same_key(
    tmp_path: Path, instance: dg.DagsterInstance, platform: Platform
) -> None:
    ticking = watching(WatchRule(files="*.csv", runs=["raw/shop/orders"]), tmp_path, instance, platform)
    ticking.tick()
    (tmp_path / "new.csv").write_text("b")
    before = ticking.cursor
    [first] = ticking.tick()
    ticking.cursor = before
    [again] = ticking.tick()
    assert first.run_key == again.run_key


def test_a_table_of_the_warehouse_or_of_a_file_asks_when_it_changes(
    tmp_path: Path, instance: dg.DagsterInstance, platform: Platform
) -> None:
    warehouse = DuckDbWarehouse(platform.home.warehouse)
    with warehouse.session("test") as session:
        session.execute("create table orders (changed_on date)")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table orders (number integer)")
    rules = [
        WatchRule(table="orders", column="changed_on", runs=["raw/shop/orders"]),
        WatchRule(sqlite="shop.db", table="orders", runs=["raw/shop/orders"]),
    ]
    tickings = [watching(rule, tmp_path, instance, platform) for rule in rules]
    assert [ticking.tick() for ticking in tickings] == [[], []]
    with warehouse.session("test") as session:
        session.execute("insert into orders values (date '2026-11-22')")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("insert into orders values (1)")
    assert [len(ticking.tick()) for ticking in tickings] == [1, 1]
    assert [ticking.tick() for ticking in tickings] == [[], []]


def test_an_asset_that_was_made_elsewhere_asks(
    tmp_path: Path, instance: dg.DagsterInstance, platform: Platform
) -> None:
    ticking = watching(WatchRule(asset="other/team/people", runs=["raw/shop/orders"]), tmp_path, instance, platform)
    assert ticking.tick() == []
    instance.report_runless_asset_event(dg.AssetMaterialization(["other", "team", "people"]))
    assert len(ticking.tick()) == 1


@pytest.mark.parametrize("cursor", ["12", "{", json.dumps({"version": 0, "mark": "x", "count": 1})])
def test_a_cursor_of_another_version_begins_anew_and_says_so(
    cursor: str, tmp_path: Path, instance: dg.DagsterInstance, platform: Platform
) -> None:
    ticking = watching(WatchRule(files="*.csv", runs=["raw/shop/orders"]), tmp_path, instance, platform)
    ticking.cursor = cursor
    assert ticking.tick() == [] and "begins anew: its cursor is of another version" in str(ticking.message)
    (tmp_path / "new.csv").write_text("b")
    assert len(ticking.tick()) == 1


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"files": "nowhere/*.csv"}, "there is no folder nowhere to watch. Make it"),
        ({"sqlite": "no.db", "table": "orders"}, "no.db cannot be watched.*Check `sqlite`"),
    ],
)
def test_a_watch_that_fails_says_why_and_what_to_do(
    rule: dict[str, str], told: str, tmp_path: Path, instance: dg.DagsterInstance, platform: Platform
) -> None:
    ticking = watching(WatchRule(runs=["raw/shop/orders"], **rule), tmp_path, instance, platform)
    with pytest.raises(CdpError, match=told):
        ticking.tick()


# the journal


def journal_ticking(name: str, shop: Shop, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Ticking:
    monkeypatch.setenv("CDP_HOME", str(shop.home.root))
    syncs = {shop.spec.name: dg.AssetKey(["fake", shop.spec.name])}
    [sensor] = [one for one in journal_sensors(syncs) if one.name == name]
    made = [_asset(dg.AssetKey(["plans", shop.spec.name])), *map(_asset, syncs.values())]
    return Ticking(sensor, instance, made, Platform())


def _asset(key: dg.AssetKey) -> Any:
    @dg.asset(key=key)
    def made() -> None:
        """Stands for a sync's asset."""

    return made


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def test_a_plan_is_sent_once_a_person_has_approved_it_and_nobody_is_asked_before(
    shop: Shop, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.spec = spec_of(needs_approval=True)
    shop.people([person_of(1)])
    plan = shop.plan()
    ticking = journal_ticking("approved_plans", shop, instance, monkeypatch)
    assert ticking.tick() == []
    assert f"cdp approve crm_contacts {plan.digest[:12]}" in str(ticking.message)
    approve(Journal(shop.home), "crm_contacts", plan.digest, approved_by="olive")
    first, again = ticking.tick(), ticking.tick()
    assert keys_of(first) == [["fake/crm_contacts"]]
    assert [one.run_key for one in first] == [one.run_key for one in again], "one key, one run"
    shop.send(plan)
    assert ticking.tick() == []


def test_a_send_that_was_cut_off_is_planned_and_sent_again(
    shop: Shop, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.people([person_of(1)])
    shop.plan()
    ticking = journal_ticking("unfinished_sends", shop, instance, monkeypatch)
    assert ticking.tick() == [] and ticking.message == "No send was cut off."
    with Journal(shop.home).transaction() as connection:
        connection.execute("update leases set holder = 'elsewhere/1/x', expires_at = 0.001")
    [request] = ticking.tick()
    assert keys_of([request]) == [["fake/crm_contacts", "plans/crm_contacts"]]
    switch(Journal(shop.home), "crm_contacts", is_enabled=False)
    assert ticking.tick() == []
