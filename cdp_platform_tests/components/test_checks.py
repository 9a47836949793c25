"""Checks that YAML declares: a threshold, a severity, and what is said where nothing can be judged yet."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from cdp_platform.components import checks
from cdp_platform.components.checks import ChecksComponent
from cdp_platform.components.definition_file import DefinitionFile
from cdp_platform.components.row_history import judge
from cdp_platform.components.source_age import source_age
from cdp_platform.domain.plans import Plan
from cdp_platform.errors import ConfigError
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

TAIPEI = ZoneInfo("Asia/Taipei")
MADE_AT = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
LOADED_AT = datetime(2026, 11, 21, 6, 5, tzinfo=UTC)
ORDERS = dg.AssetKey(["raw", "shop", "orders"])


def plan_of(partition: str | None = None) -> Plan:
    return Plan(
        digest="d", sync="s", destination="hubspot", mapping_version="", ledger_id="l", ledger_version=1,
        partition=partition, made_at=MADE_AT, run_id="r", model_rows=1, consent_rows=0, unchanged=0, operations={},
        skipped={}, verdicts=(),
    )  # fmt: skip


def test_a_live_source_is_as_old_as_the_load_that_lies_longest_back_in_words_of_both_languages() -> None:
    later = LOADED_AT + timedelta(minutes=30)
    found = source_age(plan_of(), [later, LOADED_AT], clock=None, zone=TAIPEI, now=LOADED_AT + timedelta(hours=2))
    assert found is not None
    assert found.minutes == 120.0
    assert found.words("hubspot", "en") == "HubSpot shows what customers did until 14:05 on 21 Nov 2026, Asia/Taipei."
    assert (
        found.words("hubspot", "zh-Hant") == "HubSpot 呈現的是顧客截至 2026年11月21日 14:05（Asia/Taipei）為止的行為。"
    )


def test_a_source_that_was_never_loaded_leaves_the_age_unknown() -> None:
    assert source_age(plan_of(), [LOADED_AT, None], clock=None, zone=TAIPEI, now=MADE_AT) is None
    assert source_age(plan_of(), [], clock=None, zone=TAIPEI, now=MADE_AT) is None


def test_in_a_replay_the_clocks_day_is_the_present() -> None:
    def minutes(clock: date) -> float:
        found = source_age(plan_of("2017-12-25"), [], clock=clock, zone=TAIPEI, now=MADE_AT)
        assert found is not None
        assert found.until.isoformat() == "2017-12-26T00:00:00+08:00"
        return found.minutes

    assert [minutes(date(2017, 12, 25)), minutes(date(2017, 12, 27))] == [0.0, 2880.0]


def test_a_count_is_judged_by_the_median_which_one_odd_day_does_not_move() -> None:
    assert judge(104, [100, 98, 102, 101, 5_000]).deviations < 6
    assert judge(60, [100, 98, 102, 101, 5_000]).deviations > 6
    assert judge(1_000, [1_000] * 9).deviations == 0
    assert judge(1_200, [1_000] * 9).deviations == pytest.approx(20)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def evaluated(
    component: ChecksComponent, asset: dg.AssetsDefinition, instance: dg.DagsterInstance
) -> dg.AssetCheckEvaluation:
    """Make an asset with its check, and return what the check says."""
    declared = component.build_defs(dg.ComponentTree.for_test().load_context)
    definitions = dg.Definitions.merge(dg.Definitions(assets=[asset]), declared)
    ended = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    [found] = ended.get_asset_check_evaluations()
    return found


def counted(rows: int) -> dg.AssetsDefinition:
    @dg.asset(key=ORDERS)
    def orders() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(metadata={"dagster/row_count": rows})

    return orders


def test_a_row_count_is_judged_by_the_assets_own_history_once_there_is_enough(instance: dg.DagsterInstance) -> None:
    rule = ChecksComponent.resolve_from_yaml(
        "row_count: [{asset: raw/shop/orders, deviations: 5, last: 10, least: 3, severity: error}]"
    )
    first = [evaluated(rule, counted(rows), instance) for rows in (100, 103, 99)]
    assert all(one.passed for one in first)
    assert first[-1].description == "Too little history: 2 counts before this one, and 3 are needed."
    assert evaluated(rule, counted(101), instance).passed
    odd = evaluated(rule, counted(10), instance)
    assert (odd.passed, odd.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert odd.metadata["median"].value == 100


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


@pytest.fixture
def contacts(shop: Shop) -> dg.AssetsDefinition:
    """The shop's sync as an asset: two people, sent."""
    shop.people([person_of(1), person_of(2)])
    shop.run()

    @dg.asset(key=["hubspot", shop.spec.name])
    def sent() -> None: ...

    return sent


def age_rule(shop: Shop) -> ChecksComponent:
    return ChecksComponent.resolve_from_yaml(
        f"source_age: [{{asset: hubspot/{shop.spec.name}, sources: [raw/shop/orders], limit_minutes: 60,"
        " time_zone: Asia/Taipei}]"
    )


@pytest.fixture
def live(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose days are not replayed."""
    monkeypatch.setenv("CDP_HOME", str(shop.home.root))
    return shop


def test_the_age_passes_and_fails_as_the_clock_moves_and_is_plotted_on_the_asset(
    live: Shop, contacts: dg.AssetsDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        told = evaluated(age_rule(live), contacts, instance)
        assert told.passed and "Nothing can be said yet" in str(told.description)
        dg.materialize([counted(1)], instance=instance)
        loaded_at = datetime.now(UTC)
        live.people([person_of(1), person_of(3)])
        live.run()
        passed = []
        for minutes in (30, 90):
            moved = loaded_at + timedelta(minutes=minutes)
            monkeypatch.setattr(checks, "now", lambda at=moved: at)
            found = evaluated(age_rule(live), contacts, instance)
            passed.append(found.passed)
            assert found.metadata["source_age_minutes"].value == pytest.approx(minutes, abs=1)
        assert passed == [True, False]
        observations = instance.fetch_observations(dg.AssetKey(["hubspot", live.spec.name]), limit=9).records
        assert len(observations) == 2
        assert "HubSpot shows" in str(found.description) and "Asia/Taipei" in str(found.description)


def test_a_read_back_that_disagrees_fails_by_its_threshold_and_severity(
    live: Shop, contacts: dg.AssetsDefinition
) -> None:
    with live.warehouse.session("test") as session:
        session.execute("create schema raw_hubspot")
        session.execute(
            "create table raw_hubspot.people as select 'p-001' as person, 'lapsed' as segment,"
            " timestamptz '2999-01-01 00:00:00+00' as read_at"
        )

    @dg.asset(key=["feedback", "hubspot", "people"])
    def people() -> None: ...

    common = f"asset: feedback/hubspot/people, sync: {live.spec.name}, key: person, columns: {{segment: segment}}"
    books = ChecksComponent.resolve_from_yaml(f"reconciliation: [{{{common}, most: 0, severity: error}}]")
    drift = ChecksComponent.resolve_from_yaml(f"drift: [{{{common}, share: 0.5}}]")
    with dg.DagsterInstance.ephemeral() as instance:
        told = evaluated(books, people, instance)
        assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert "Of 2 records, 1 are missing there" in str(told.description)
        assert "| segment | 1 |" in told.metadata["different_fields"].value
        assert evaluated(drift, people, instance).passed


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ("row_counts: []", "defs.yaml:3, field `row_counts`: there is no such field. Did you mean `row_count`?"),
        (
            "row_count: [{asset: a, lasts: 3}]",
            "field `row_count.0.lasts`: there is no such field. Did you mean `last`?",
        ),
        ("row_count: [{asset: a, severity: bad}]", "'bad' cannot be taken: Input should be 'warn' or 'error'"),
    ],
)
def test_an_unknown_check_or_threshold_is_an_error_with_file_line_and_the_nearest_name(
    tmp_path: Path, attributes: str, told: str
) -> None:
    file = tmp_path / "defs.yaml"
    file.write_text(f"type: cdp_platform.components.ChecksComponent\nattributes:\n  {attributes}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        DefinitionFile.read(file).validated(ChecksComponent)
    assert told in str(caught.value)


def test_an_unknown_time_zone_names_the_nearest() -> None:
    component = ChecksComponent.resolve_from_yaml(
        "source_age: [{asset: hubspot/x, limit_minutes: 9, time_zone: Asia/Taipeh}]"
    )
    with pytest.raises(ConfigError, match="Did you mean `Asia/Taipei`"):
        component.build_defs(dg.ComponentTree.for_test().load_context)
