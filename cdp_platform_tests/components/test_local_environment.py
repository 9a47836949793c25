"""Under `local` each step has a process of its own; the file of DuckDB lets in one at a time, and the others wait."""

import os
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.components.environment import current_environment, executor_of
from cdp_platform.components.resources import PLATFORM, Platform

TABLES = ("first", "second", "third")


def writes(name: str) -> dg.AssetsDefinition:
    """An asset that writes a table, and takes its time about it."""

    @dg.asset(name=name)
    def write(platform: Platform) -> None:
        with platform.warehouse.session(f"writing {name}") as session:
            session.execute(
                f"create table {name} as select sum(i * i) as total, {os.getpid()} as process"
                " from range(3000000) as t(i)"
            )

    return write


def definitions() -> dg.Definitions:
    """Three assets that know nothing of each other, so that their steps start at once."""
    return dg.Definitions(
        assets=[writes(name) for name in TABLES],
        jobs=[dg.define_asset_job("all_at_once")],
        resources={"platform": PLATFORM},
        executor=executor_of(current_environment()),
    )


def all_at_once() -> dg.JobDefinition:
    return definitions().resolve_job_def("all_at_once")


@pytest.mark.slow
def test_steps_of_one_process_each_write_the_warehouse_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDP_ENVIRONMENT", "local")
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        ended = dg.execute_job(dg.reconstructable(all_at_once), instance=instance)
        assert ended.success
    with Platform().warehouse.session("test") as session:
        written = [session.rows(f"select total, process from {name}")[0] for name in TABLES]
    assert len({row["process"] for row in written} | {os.getpid()}) == 4, "each step had a process of its own"
    assert len({row["total"] for row in written}) == 1
