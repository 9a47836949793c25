"""The event log keeps its connections, and its files stay Dagster's own."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from cdp_platform.components.event_storage import KeptEngineEventLogStorage
from cdp_platform.components.resources import dagster_home
from cdp_platform.domain.home import Home

KEY = dg.AssetKey("shelf")


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2017-01-01", end_date="2017-02-01"))
def shelf() -> None:
    """An asset of a month."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("DAGSTER_HOME", "CDP_HOME"):
        monkeypatch.setenv(name, "")
    return Home(root=tmp_path)


def test_dagsters_own_storage_reads_what_was_written(home: Home) -> None:
    fill_day(home, "2017-01-05")
    own = SqliteEventLogStorage(str(home.dagster / "history" / "runs"))
    assert own.get_materialized_partitions(KEY) == {"2017-01-05"}


def test_the_instance_is_found_again_after_it_was_closed(home: Home) -> None:
    fill_day(home, "2017-01-05")
    fill_day(home, "2017-01-06")
    with dg.DagsterInstance.from_config(dagster_home(home)) as instance:
        assert isinstance(instance.event_log_storage, KeptEngineEventLogStorage)
        assert instance.get_materialized_partitions(KEY) == {"2017-01-05", "2017-01-06"}
        assert instance.get_runs_count() == 2


def test_telemetry_is_off(home: Home) -> None:
    with dg.DagsterInstance.from_config(dagster_home(home)) as instance:
        assert not instance.telemetry_enabled


def fill_day(home: Home, day: str) -> None:
    with dg.DagsterInstance.from_config(dagster_home(home)) as instance:
        assert dg.materialize([shelf], instance=instance, partition_key=day).success
