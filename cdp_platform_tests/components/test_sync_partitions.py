"""Partitions of a sync in Dagster: what fails is one partition, and is repaired alone."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from cdp_platform.components.days import Days
from cdp_platform.components.sync_partitions import (
    SyncDays,
    SyncSplit,
    check_partitions,
    days_tag,
    partition_of,
    partitioning_of,
    partitions_of,
    split_in_view,
)
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.domain.partitions import Partition, Partitioning
from cdp_platform.domain.permission import ObjectKind
from cdp_platform.domain.syncs import FirstRun, MemberView, Mode, Removal
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.components.test_sync_component import CONTACTS, PLAN, definitions, fill, home, shop
from cdp_platform_tests.unit.syncs.conftest import spec_of

__all__ = ["home", "shop"]
DAYS = {"start": "2017-12-01", "end": "2017-12-03", "column": "last_order_on"}
KEYS = ("2017-12-01", "2017-12-02", "2017-12-03")
EVERYBODY = {"purpose": "none", "consent": None, "key_moves": None, "removal": "keep"}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance


def write(people: dict[str, tuple[str, str]]) -> None:
    """Write the source model: each person with a day and a segment."""
    fill(list(people))
    with DuckDbWarehouse(cdp_home().warehouse).session("test") as session:
        for person, (day, segment) in people.items():
            session.execute(
                "update activation.sync_contacts__crm set last_order_on = ?, rfm_segment = ? where person_id = ?",
                [date.fromisoformat(day), segment, person],
            )


def run(defs: dg.Definitions, instance: dg.DagsterInstance, partition: str, *keys: dg.AssetKey) -> Any:
    job = dg.define_asset_job("these", selection=dg.AssetSelection.assets(*(keys or (PLAN, CONTACTS))))
    resolved = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("these")
    return resolved.execute_in_process(instance=instance, partition_key=partition, raise_on_error=False)


def people_at(address: str) -> list[str]:
    """Every person of every write that the account has seen, in order."""
    writes = requests.get(f"{address}/sandbox/writes", timeout=5).json()["results"]
    return [str(write["cdp_person_id"]) for write in writes]


def metadata_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_of_three_days_whose_second_fails_two_arrive_and_the_second_is_repaired_alone(
    shop: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    write({"p-1": (KEYS[0], "x"), "p-2": (KEYS[1], "x"), "p-3": (KEYS[2], "x")})
    defs = definitions(tmp_path / "defs", days=DAYS, **EVERYBODY)
    assert run(defs, instance, KEYS[0]).success
    fault = {"path": "/crm", "method": "POST", "count": 50, "status": 401, "body": {"category": "INVALID"}}
    requests.post(f"{shop}/sandbox/faults", json={"rules": [fault]}, timeout=5).raise_for_status()
    assert not run(defs, instance, KEYS[1]).success
    [rule] = requests.get(f"{shop}/sandbox/faults", timeout=5).json()["rules"]
    assert rule["used"] > 0, "the second day has tried"
    requests.delete(f"{shop}/sandbox/faults", timeout=5)
    assert run(defs, instance, KEYS[2]).success
    assert statuses(defs, instance) == ["MATERIALIZED", "FAILED", "MATERIALIZED"]
    assert people_at(shop) == ["p-1", "p-3"]
    repaired = run(defs, instance, KEYS[1])
    assert metadata_of(repaired, CONTACTS)["delivered"] == 1
    assert people_at(shop) == ["p-1", "p-3", "p-2"]
    assert statuses(defs, instance) == ["MATERIALIZED"] * 3


def statuses(defs: dg.Definitions, instance: dg.DagsterInstance) -> list[str]:
    partitions = defs.resolve_asset_graph().get(CONTACTS).partitions_def
    assert partitions is not None
    found = instance.get_status_by_partition(CONTACTS, list(KEYS), partitions) or {}
    return [(found.get(key) or AssetPartitionStatus.IN_PROGRESS).value for key in KEYS]


def test_a_plan_says_of_which_partition_it_is_and_is_sent_for_no_other(
    shop: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    write({"p-1": (KEYS[0], "loyal"), "p-2": (KEYS[0], "new"), "p-3": (KEYS[0], "mistyped")})
    split = {"column": "rfm_segment", "values": ["loyal", "new", "none_yet"]}
    defs = definitions(tmp_path / "defs", split=split, **EVERYBODY)
    result = run(defs, instance, "loyal", PLAN)
    plan = metadata_of(result, PLAN)
    assert (plan["partition"], plan["dagster/row_count"], plan["model_rows"]) == ("loyal", 1, 1)
    (outside,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "rows_in_a_partition"]
    assert not outside.passed and "The value in rfm_segment of 1 row has no partition" in str(outside.description)
    alone = run(defs, instance, "new", CONTACTS)
    assert "is of loyal, not of new" in failure_of(alone) and people_at(shop) == []
    nothing = metadata_of(run(defs, instance, "none_yet"), PLAN)
    assert nothing["note"] == "The source model has no rows of none_yet: there is nothing to send."
    with pytest.raises(dg.DagsterUnknownPartitionError, match="loyl"):
        run(defs, instance, "loyl")


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    return str([event.step_failure_data.error for event in result.all_events if event.is_step_failure])


def test_jobs_over_whole_groups_leave_partitions_of_a_sync_alone(home: Path, tmp_path: Path) -> None:
    loop = (Path(__file__).parents[2] / "cdp_platform" / "defs" / "loop" / "defs.yaml").read_text(encoding="utf-8")
    (tmp_path / "defs" / "loop").mkdir(parents=True)
    (tmp_path / "defs" / "loop" / "defs.yaml").write_text(loop, encoding="utf-8")
    split = {"column": "rfm_segment", "values": ["loyal"]}
    defs = definitions(tmp_path / "defs", split=split, **EVERYBODY)
    for name in ("refresh", "plan_again", "loop_day"):
        assert PLAN not in defs.resolve_job_def(name).asset_layer.executable_asset_keys


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"mode": Mode.MIRROR, "removal": Removal.DELETE}, ObjectKind.RECORD, "a mirror has no days.*each day would"),
        ({"mode": Mode.UPSERT}, ObjectKind.RECORD, "records of people have no days: who withdraws"),
        ({"view": MemberView(members="audiences.a", tables=())}, ObjectKind.RECORD, "an audience has no days"),
        ({"consent": None, "first_run": FirstRun.BASELINE}, ObjectKind.RECORD, "takes no baseline"),
    ],
)
def test_partitions_that_would_remove_or_withhold_what_they_must_not_are_refused(
    changes: dict[str, Any], kind: ObjectKind, told: str
) -> None:
    spec = spec_of(partitioning=Partitioning(day_column="happened_on"), **changes)
    with pytest.raises(ConfigError, match=told):
        check_partitions(spec, kind)


def test_events_with_a_consent_may_have_days() -> None:
    check_partitions(spec_of(mode=Mode.APPEND, partitioning=Partitioning(day_column="happened_on")), ObjectKind.MESSAGE)


@pytest.mark.parametrize(("values", "told"), [(["a|b"], "cannot name"), (["a..b"], "cannot name"), (["", "b"], "name")])
def test_a_value_that_cannot_name_a_partition_is_refused(values: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        partitions_of(None, SyncSplit(column="market", values=values))


def test_a_value_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="'tw' stands twice"):
        partitions_of(None, SyncSplit(column="market", values=["tw", "jp", "tw"]))


def test_days_and_values_together_are_two_dimensions() -> None:
    days = SyncDays(start=date(2017, 12, 1), end=date(2017, 12, 2), column="happened_on", time_zone="Asia/Taipei")
    split = SyncSplit(column="market", values=["台北", "jp"])
    partitions = partitions_of(days, split)
    assert partitions is not None
    assert sorted(partitions.get_partition_keys())[0] == "2017-12-01|jp"
    assert partitioning_of(days, split) == Partitioning(
        day_column="happened_on", time_zone="Asia/Taipei", split_column="market", split_values=("台北", "jp")
    )


def test_an_audience_is_split_by_a_column_that_the_sync_reads() -> None:
    split = SyncSplit(column="market", values=["tw"])
    found = split_in_view(split, {"market": "profiles__market"})
    assert found is not None and found.column == "profiles__market"
    with pytest.raises(ConfigError, match="does not read 'market'"):
        split_in_view(split, {})


def test_equal_days_have_one_tag() -> None:
    first, second = (Days(start=date(2017, 1, 1), time_zone="America/New_York") for _ in range(2))
    assert days_tag(first) == days_tag(second) == "2017-01-01_today_America.New_York"


def found_in(partitions: Any, cut: Partitioning, **how: Any) -> list[Partition | None]:
    """The partitions that runs of an asset take themselves to be of."""
    found = []

    @dg.asset(partitions_def=partitions)
    def cut_asset(context: dg.AssetExecutionContext) -> None:
        found.append(partition_of(context, cut))

    dg.materialize([cut_asset], **how)
    return found


BOTH = Partitioning(day_column="x", split_column="market", split_values=("tw",))


def test_a_run_knows_its_partition_also_where_a_backfill_asks_for_it_as_a_range() -> None:
    days = dg.DailyPartitionsDefinition("2017-12-01", end_date="2017-12-04")
    markets = dg.StaticPartitionsDefinition(["tw", "jp"])
    both = dg.MultiPartitionsDefinition({"day": days, "split": markets})
    first = date(2017, 12, 1)
    assert found_in(days, Partitioning(day_column="x"), partition_key=KEYS[0]) == [Partition(day=first)]
    assert found_in(days, Partitioning(day_column="x"), tags=range_of(KEYS[0], KEYS[0])) == [Partition(day=first)]
    assert found_in(markets, Partitioning(split_column="market"), tags=range_of("tw", "tw")) == [Partition(value="tw")]
    key = dg.MultiPartitionKey({"day": KEYS[0], "split": "tw"})
    assert found_in(both, BOTH, partition_key=key) == [Partition(day=first, value="tw")]
    assert found_in(both, BOTH, tags=range_of(key, key)) == [Partition(day=first, value="tw")]


def test_a_range_in_one_run_is_told_to_be_a_backfill() -> None:
    days = dg.DailyPartitionsDefinition("2017-12-01", end_date="2017-12-04")
    with pytest.raises(CdpError, match="Launch the range as a backfill"):
        found_in(days, Partitioning(day_column="x"), tags=range_of(KEYS[0], KEYS[1]))


def range_of(first: str, last: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
