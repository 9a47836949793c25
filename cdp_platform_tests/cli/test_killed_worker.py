"""Workers for real, with a Redis: one is killed with a step, and who waits for the step is told so."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dagster_celery", reason="the extra `cluster` is not installed: killed workers were NOT tested")

from celery.exceptions import WorkerLostError

from cdp_platform_tests.cli.sleeping_worker import sleeping_app
from cdp_platform_tests.end_to_end.conftest import ROOT
from cdp_platform_tests.end_to_end.test_cluster import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as found:
        yield found


@pytest.fixture
def start(address: str, tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def one(name: str) -> "subprocess.Popen[bytes]":
        line = [sys.executable, "-W", "ignore", "-m", "cdp_platform_tests.cli.sleeping_worker", address, name]
        # In a group of its own, so that a host that is gone can be played: worker and step at once.
        started.append(
            subprocess.Popen(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True)
        )
        return started[-1]

    yield one
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came of it in time")


def test_a_step_of_a_killed_worker_fails_and_the_next_ones_are_done(address: str, start: Start, tmp_path: Path) -> None:
    app, begun = sleeping_app(address), tmp_path / "begun.txt"
    first = start("first")
    endless = app.send_task("sleep", [3600])
    until(begun.exists)
    os.killpg(first.pid, signal.SIGKILL)
    assert not endless.ready(), "it was under way"
    start("second")
    until(endless.ready)
    with pytest.raises(WorkerLostError, match="the worker that did this step is gone"):
        endless.get()
    assert app.send_task("sleep", [0.1]).get(timeout=240) == "slept"
    assert begun.read_text(encoding="ascii").split() == ["3600", "0.1"], "what was given up is not done again"


def test_a_step_that_takes_longer_than_a_signature_holds_is_left_alone(address: str, start: Start) -> None:
    app = sleeping_app(address)
    start("first"), start("second")
    assert app.send_task("sleep", [25]).get(timeout=240) == "slept"


def test_a_step_that_was_given_up_is_not_begun_when_it_is_handed_out_late(
    address: str, start: Start, tmp_path: Path
) -> None:
    app = sleeping_app(address)
    late = app.send_task("sleep", [1])
    app.backend.mark_as_failure(late.id, WorkerLostError("given up"))
    start("first")
    assert app.send_task("sleep", [0.5]).get(timeout=240) == "slept"
    assert (tmp_path / "begun.txt").read_text(encoding="ascii").split() == ["0.5"]
