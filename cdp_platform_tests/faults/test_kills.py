"""SIGKILL at every named place: the next process completes the work, and an independent checker finds nothing wrong."""

import ast
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cdp_platform
from cdp_platform.testing.fault_server import FaultServer, Reply
from cdp_platform_tests.faults.checker import rows_in_flight
from cdp_platform_tests.faults.runner import MOST_RUNS
from cdp_platform_tests.faults.scenario import TOKEN
from cdp_platform_tests.faults.stage import staged


@dataclass(frozen=True, kw_only=True)
class Case:
    """How a place is reached."""

    after_kill_at: str = ""
    """A process is killed here first, so that the next one has something to recover."""
    is_by_oauth: bool = False
    """Whether the account's token comes from a token endpoint, and expires before the next request."""


CASES = {
    "plan.begun": Case(),
    "plan.reading": Case(),
    "plan.kept": Case(),
    "plan.recorded": Case(),
    "intent.uncommitted": Case(),
    "intent.committed": Case(),
    "answer.unrecorded": Case(),
    "outcome.uncommitted": Case(),
    "outcome.committed": Case(),
    "batch.halved": Case(),
    "settle.uncommitted": Case(),
    "settle.committed": Case(),
    "settle.remembered": Case(),
    "settle.emptied": Case(),
    "recover.begun": Case(after_kill_at="answer.unrecorded:2"),
    "token.asking": Case(is_by_oauth=True),
    "token.answered": Case(is_by_oauth=True),
    "token.kept": Case(is_by_oauth=True),
}
JOB_CASES = {
    "job.submitted": Case(),
    "job.answered": Case(),
    "jobs.found": Case(after_kill_at="job.submitted:2"),
}
"""Reached where a destination takes requests as jobs: see test_event_kills."""
VENDOR_CASES = {
    "job.filled": Case(),
    "job.asked": Case(),
    "identifiers.cleared": Case(),
}
"""Reached where jobs begin empty, and where memberships keep what a row no longer has: see test_vendor_kills."""
MOVE_CASES = {
    "moves.found": Case(),
    "moves.uncommitted": Case(),
    "moves.committed": Case(),
}
"""Reached where persons in the ledger were merged: see test_move_kills."""
ERASURE_PLACES = {
    "forget.kept",
    "forget.remembered",
    "forget.deleted",
    "forget.noted",
    "forget.unledgered",
    "forget.acknowledged",
    "forget.shredded",
}
"""Reached where a person is erased: see test_forget_kills."""
TURNS = 3
TURN = int(os.environ.get("CDP_FAULTS_TURN", datetime.now(UTC).timetuple().tm_yday)) % TURNS


def places_in_the_code() -> list[str]:
    """Every literal name that is given to `faultpoint()` in the package."""
    found = []
    for path in Path(cdp_platform.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "faultpoint":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"a faultpoint of {path.name} has no literal name"
                found.append(str(name.value))
    return found


def in_turn(names: list[str]) -> list[object]:
    """A third of the places is killed in every fast suite, another one each day; all of them in the slow one."""
    return [
        pytest.param(name, id=name, marks=[] if number % TURNS == TURN else pytest.mark.slow)
        for number, name in enumerate(names)
    ]


@pytest.fixture(scope="module")
def token_url() -> Iterator[str]:
    """A token endpoint that gives the sandbox's token, for a moment."""
    with FaultServer([Reply(body={"access_token": TOKEN, "token_type": "bearer", "expires_in": 1e-6})]) as server:
        yield f"{server.url}/oauth/token"


@pytest.fixture(scope="module")
def undisturbed(template: Path, token_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, int], int]:
    """How often each place is passed, and how many rows are accepted, when nothing goes wrong."""
    print(f"faults: turn {TURN} of {TURNS}; another one with CDP_FAULTS_TURN")
    with staged(tmp_path_factory.mktemp("undisturbed"), template) as stage:
        ended = stage.run("--token-url", token_url)
        assert ended.code == 0, ended.error
        assert stage.faults() == []
        return ended.hits, stage.gateway.accepted_count


def test_every_place_in_the_code_has_a_case_and_stands_there_once() -> None:
    assert sorted(places_in_the_code()) == sorted([*CASES, *JOB_CASES, *VENDOR_CASES, *MOVE_CASES, *ERASURE_PLACES])


@pytest.mark.parametrize("place", in_turn(list(CASES)))
def test_a_process_killed_at_any_pass_of_a_place_loses_nothing(
    place: str, undisturbed: tuple[dict[str, int], int], template: Path, token_url: str, tmp_path: Path
) -> None:
    case, (hits, accepted) = CASES[place], undisturbed
    options = ("--token-url", token_url) if case.is_by_oauth else ()
    count = hits.get(place, 1)
    for hit in sorted({1, (count + 1) // 2, count}):
        with staged(tmp_path / str(hit), template) as stage:
            if case.after_kill_at:
                assert stage.run(*options, kill_at=case.after_kill_at).code == -signal.SIGKILL
            killed = stage.run(*options, kill_at=f"{place}:{hit}")
            assert killed.code == -signal.SIGKILL, f"pass {hit} of {count} was not reached: {killed.error}"
            if hit == count > 1 or place.startswith("settle"):
                assert stage.gateway.accepted_count > 0, "no work had happened"
            in_flight = rows_in_flight(stage.root)
            resumed = stage.run(*options)
            assert resumed.code == 0, resumed.error
            assert stage.faults() == [], f"after pass {hit} of {count}"
            sent_again = stage.gateway.accepted_count - accepted
            assert 0 <= sent_again <= in_flight, f"after pass {hit} of {count}"
            assert resumed.runs < MOST_RUNS, "the account does not come to rest"
