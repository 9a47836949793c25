"""SIGKILL at every named place while events are appended: none is processed twice, none missing that is not unknown."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from cdp_platform_tests.faults.checker import rows_in_flight
from cdp_platform_tests.faults.event_scenario import OBJECTS, POISONED, REFUSED, write_events
from cdp_platform_tests.faults.event_stage import event_stage
from cdp_platform_tests.faults.runner import MOST_RUNS
from cdp_platform_tests.faults.stage import Ended
from cdp_platform_tests.faults.test_kills import CASES, JOB_CASES, Case, in_turn

BAD_EVENTS = {"events": {REFUSED}, "keyed_events": set(), "event_jobs": {REFUSED}}
"""What an undisturbed sync leaves as unknown: an event refused beside others, where there is no key."""


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """How a sync ends when nothing goes wrong."""

    ended: Ended
    processed: int
    jobs: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Undisturbed]:
    @cache
    def run(object_name: str) -> Undisturbed:
        with event_stage(tmp_path_factory.mktemp(object_name), object_name) as stage:
            ended = stage.run()
            assert ended.code == 0, ended.error
            assert stage.faults() == []
            assert stage.unknown() == BAD_EVENTS[object_name]
            return Undisturbed(ended=ended, processed=len(stage.log.processed), jobs=len(stage.log.jobs))

    return run


def places() -> list[str]:
    """Every place for events without a key; for the others those that stand between a request and its last word."""
    late = [name for name in CASES if name.startswith(("intent", "answer", "outcome", "settle", "recover"))]
    names = [f"events {name}" for name, case in CASES.items() if not case.is_by_oauth]
    names += [f"keyed_events {name}" for name in late]
    return names + [f"event_jobs {name}" for name in [*late, *JOB_CASES]]


@pytest.mark.parametrize("name", in_turn(places()))
def test_an_event_is_processed_once_wherever_a_process_is_killed(
    name: str, undisturbed: Callable[[str], Undisturbed], tmp_path: Path
) -> None:
    object_name, place = name.split()
    case: Case = (CASES | JOB_CASES)[place]
    calm = undisturbed(object_name)
    count = calm.ended.hits.get(place, 1)
    for hit in sorted({1, (count + 1) // 2, count}):
        with event_stage(tmp_path / str(hit), object_name) as stage:
            if case.after_kill_at:
                assert stage.run(kill_at=case.after_kill_at).code == -signal.SIGKILL
            killed = stage.run(kill_at=f"{place}:{hit}")
            assert killed.code == -signal.SIGKILL, f"pass {hit} of {count} was not reached: {killed.error}"
            if hit == count > 1 or place.startswith(("settle", "job")):
                assert stage.log.processed, "no work had happened"
            in_flight = rows_in_flight(stage.root)
            resumed = stage.run()
            assert resumed.code == 0, resumed.error
            assert stage.faults() == [], f"after pass {hit} of {count}"
            lost = stage.unknown() - BAD_EVENTS[object_name]
            assert len(lost) <= in_flight, f"after pass {hit} of {count}"
            if object_name == "keyed_events":
                assert lost <= {POISONED, REFUSED}, "only what was refused after a death may still be in doubt"
            assert len(stage.log.processed) + len(lost) >= calm.processed
            assert resumed.runs < MOST_RUNS, "the sync does not come to rest"


def test_a_job_whose_process_is_killed_before_it_asked_is_run_once(tmp_path: Path) -> None:
    with event_stage(tmp_path, "event_jobs") as stage:
        write_events(stage.root, 20, is_clean=True)
        assert stage.run(kill_at="job.submitted:1").code == -signal.SIGKILL
        assert len(stage.log.jobs) == 1
        resumed = stage.run()
        assert (resumed.code, resumed.hits["jobs.found"]) == (0, 1)
        assert (len(stage.log.jobs), len(stage.log.processed)) == (1, 20)
        assert stage.faults() == []
        assert stage.unknown() == set()


def test_a_run_asked_to_end_leaves_its_jobs_to_the_next(tmp_path: Path) -> None:
    with event_stage(tmp_path, "event_jobs") as stage:
        stage.log.polls_while_running = 10_000
        process = stage.start()
        stage.log.wait_for_writes(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
        process.communicate()
        made = len(stage.log.jobs)
        stage.log.polls_while_running = 0
        resumed = stage.run()
        assert (resumed.code, resumed.hits["jobs.found"]) == (0, 1)
        assert made == 2
        assert stage.faults() == []
        assert POISONED not in stage.log.processed


def test_every_object_of_the_scenario_is_killed() -> None:
    assert {name.split()[0] for name in places()} == set(OBJECTS)
