"""SIGKILL while bulk jobs are made, filled, asked for and read, and while former identifiers are cleared.

The next process completes the work; a checker of its own asks the vendor's stand-in what it holds.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform_tests.faults.runner import MOST_RUNS
from cdp_platform_tests.faults.scenario import TOKEN, TOKEN_ENV
from cdp_platform_tests.faults.stage import Ended, end_of
from cdp_platform_tests.faults.test_kills import CASES, JOB_CASES, VENDOR_CASES, Case
from cdp_platform_tests.faults.vendor_checker import check_mirror, jobs_done
from cdp_platform_tests.faults.vendor_scenario import VENDORS, first_day, second_day, write_people

PLACES = {
    "salesforce": ("answer.unrecorded", "job.submitted", "job.filled", "job.asked", "job.answered", "jobs.found"),
    "meta_audiences": ("identifiers.cleared", "intent.committed", "answer.unrecorded", "outcome.committed"),
    "google_audiences": ("identifiers.cleared", "job.submitted", "job.asked", "job.answered", "jobs.found"),
}
_AT_ONCE = 2
"""Bulk jobs under way together."""


@dataclass(frozen=True, kw_only=True)
class VendorStage:
    """One home and one vendor."""

    root: Path
    vendor: str
    url: str

    def run(self, *, kill_at: str = "") -> Ended:
        """Run one process to its end."""
        runner = [sys.executable, "-m", "cdp_platform_tests.faults.runner", str(self.root), self.url]
        process = subprocess.Popen(
            [*runner, "--vendor", self.vendor],
            env=os.environ | {TOKEN_ENV: TOKEN, "CDP_KILL_AT": kill_at},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).absolute().parents[2],
        )
        return end_of(process)

    def faults(self) -> list[str]:
        """What the independent checker finds wrong."""
        return check_mirror(self.root, self.vendor, self.url)


@contextmanager
def staged(folder: Path, vendor: str, template: Path | None = None) -> Iterator[VendorStage]:
    """Set the stage in `folder`, from a copy of an earlier one where `template` names its folder."""
    if template:
        shutil.copytree(template, folder, dirs_exist_ok=True)
    settings = SandboxSettings(state_path=folder / "crm.sqlite", token=TOKEN, port=0)
    with serve_sandbox(settings) as url:
        yield VendorStage(root=folder / "home", vendor=vendor, url=url)


@dataclass(frozen=True, kw_only=True)
class Calm:
    """A vendor that knows the first day, with the second one waiting; and how the second one ends in peace."""

    template: Path
    hits: dict[str, int]
    jobs: int


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Calm]:
    @cache
    def prepare(vendor: str) -> Calm:
        template = tmp_path_factory.mktemp(vendor)
        write_people(template / "home", first_day())
        with staged(template, vendor) as stage:
            ended = stage.run()
            assert ended.code == 0, ended.error
            assert stage.faults() == []
        write_people(template / "home", second_day())
        with staged(tmp_path_factory.mktemp(f"{vendor}-calm"), vendor, template) as stage:
            ended = stage.run()
            assert ended.code == 0, ended.error
            assert stage.faults() == []
            return Calm(template=template, hits=ended.hits, jobs=jobs_done(stage.url))

    return prepare


def cases() -> list[str]:
    return [f"{vendor} {place}" for vendor, places in PLACES.items() for place in places]


@pytest.mark.slow
@pytest.mark.parametrize("name", cases())
def test_a_process_killed_on_the_way_to_a_vendor_leaves_the_model_there_and_nothing_else(
    name: str, calm: Callable[[str], Calm], tmp_path: Path
) -> None:
    vendor, place = name.split()
    case: Case = (CASES | JOB_CASES | VENDOR_CASES)[place]
    ready = calm(vendor)
    count = ready.hits.get(place, 1)
    for hit in sorted({1, (count + 1) // 2, count}):
        with staged(tmp_path / str(hit), vendor, ready.template) as stage:
            assert stage.faults() != [], "there is nothing to do"
            if case.after_kill_at:
                assert stage.run(kill_at=case.after_kill_at).code == -signal.SIGKILL
            killed = stage.run(kill_at=f"{place}:{hit}")
            assert killed.code == -signal.SIGKILL, f"pass {hit} of {count} was not reached: {killed.error}"
            resumed = stage.run()
            assert resumed.code == 0, resumed.error
            assert stage.faults() == [], f"after pass {hit} of {count}"
            assert resumed.runs < MOST_RUNS, "the account does not come to rest"
            if vendor == "salesforce":
                assert jobs_done(stage.url) <= ready.jobs + _AT_ONCE, "more was sent again than had been under way"


@pytest.mark.slow
def test_each_way_has_several_passes_and_every_vendor_of_the_scenario_is_killed(
    calm: Callable[[str], Calm],
) -> None:
    assert set(PLACES) == set(VENDORS)
    assert calm("salesforce").hits["job.filled"] >= 2 * 4, "each job is uploaded and closed"
    assert calm("meta_audiences").hits["identifiers.cleared"] >= 2
