"""Run the platform's jobs in this process, on the instance that the UI reads.

Each run carries the origin of its job, so that the UI shows the job, its graph and a way to run it again.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from cdp_platform.components.resources import dagster_home
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError

LOCATION: Final = "cdp_platform"
MODULE: Final = "cdp_platform.definitions"
PROCESS_TAG: Final = "cdp/process"
_REPOSITORY: Final = "__repository__"
_ALIVE: Final = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED)

OnStep = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs jobs of the definitions on one instance."""

    instance: dg.DagsterInstance
    definitions: dg.Definitions
    is_verbose: bool = False

    def run(
        self, job_name: str, *, days: tuple[date, date] | None = None, on_step: OnStep = lambda name: None
    ) -> dg.DagsterRun:
        """Run a job over a day, a range of days, or without days, and tell `on_step` each step that starts.

        Raises CdpError with the first failure's text where the run fails; its details stay in the instance.
        """
        job = self.definitions.resolve_job_def(job_name)
        level = "INFO" if self.is_verbose else "CRITICAL"
        run = self.instance.create_run_for_job(
            job_def=job,
            run_config={"loggers": {"console": {"config": {"log_level": level}}}},
            tags={**job.run_tags, PROCESS_TAG: _process()},
            remote_job_origin=_origin(job_name),
        )
        # Added only now: a range known at creation writes a planned event per asset and day, 13,000 for the year.
        self.instance.add_run_tags(run.run_id, _day_tags(job_name, days))
        run = self.instance.get_run_by_id(run.run_id) or run
        failures: list[str] = []
        for event in execute_run_iterator(InMemoryJob(job), run, self.instance):
            if event.is_step_start and event.step_key:
                on_step(event.step_key)
            if event.is_step_failure:
                failures.append(_failure_text(event))
        finished = self.instance.get_run_by_id(run.run_id)
        if finished is None or not finished.is_success:
            text = failures[0] if failures else "the run ended early"
            raise CdpError(f"{job_name}{_words(days)}: {text}", remedy="Run the same command again to go on from here.")
        return finished

    def bury_dead_runs(self) -> int:
        """Mark runs as failed whose process is gone without having said so. Returns how many they were."""
        dead = [
            run
            for run in self.instance.get_runs(dg.RunsFilter(statuses=list(_ALIVE)))
            if PROCESS_TAG in run.tags and not _is_alive(run.tags[PROCESS_TAG])
        ]
        for run in dead:
            self.instance.report_run_failed(run, "The process that ran it is gone.")
        return len(dead)

    def days_done(self, key: dg.AssetKey) -> set[date]:
        """Return the days for which an asset stands in the instance as materialized."""
        return {date.fromisoformat(day) for day in self.instance.get_materialized_partitions(key)}


@contextmanager
def open_runner(home: Home, *, is_verbose: bool = False) -> Iterator[Runner]:
    """Open the instance under the home folder and load the definitions; raises ConfigError for a wrong `defs.yaml`."""
    folder = dagster_home(home)
    from cdp_platform.definitions import defs

    with dg.DagsterInstance.from_config(folder) as instance:
        yield Runner(instance=instance, definitions=defs, is_verbose=is_verbose)


def _origin(job_name: str) -> RemoteJobOrigin:
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE, working_directory=str(Path.cwd()))
    location = ManagedGrpcPythonEnvCodeLocationOrigin(loadable_target_origin=target, location_name=LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, _REPOSITORY), job_name)


def _day_tags(job_name: str, days: tuple[date, date] | None) -> Mapping[str, str]:
    if days is None:
        return {}
    first, last = days
    if first == last:
        return {"dagster/partition": first.isoformat(), "dagster/partition_set": f"{job_name}_partition_set"}
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }


def _failure_text(event: dg.DagsterEvent) -> str:
    data: Any = event.step_failure_data
    error = data.error
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    while error and error.cause:
        error = error.cause
    text = error.message.strip() if error else "it failed"
    # The class's dotted name stands before the message; a reader does not need it.
    return text.partition(": ")[2] or text


def _words(days: tuple[date, date] | None) -> str:
    if days is None:
        return ""
    return f" of {days[0]}" if days[0] == days[1] else f" of {days[0]} to {days[1]}"


def _process() -> str:
    return f"{os.getpid()}:{_started_at(os.getpid())}"


def _is_alive(process: str) -> bool:
    pid, _, started_at = process.partition(":")
    return pid.isdigit() and _started_at(int(pid)) == started_at and started_at != ""


def _started_at(pid: int) -> str:
    """When a process started, so that another one with its number is not taken for it; empty where there is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "another"
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return "unknown"
