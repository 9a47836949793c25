"""dbt in forks of one process: each command meets dbt as new, and none outlives whoever asked for it."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cdp_platform.components.dbt_server import DbtServer

VERSION = ["--version"]


@pytest.fixture(scope="module")
def server() -> Iterator[DbtServer]:
    server = DbtServer()
    yield server
    server.end()


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def process_of(server: DbtServer) -> int:
    assert server._process is not None
    return server._process.pid


def test_a_command_tells_its_exit_code_and_what_it_printed(server: DbtServer, environment: Mapping[str, str]) -> None:
    ended = server.run(VERSION, environment, timeout_seconds=60)
    assert ended.returncode == 0
    assert "installed:" in ended.output
    failed = server.run(["no-such-command"], environment, timeout_seconds=60)
    assert failed.returncode != 0
    assert "no-such-command" in failed.output


def test_commands_share_a_process_and_leave_nothing_running(server: DbtServer, environment: Mapping[str, str]) -> None:
    server.run(VERSION, environment, timeout_seconds=60)
    first = process_of(server)
    server.run(VERSION, environment, timeout_seconds=60)
    assert process_of(server) == first
    assert children_of(first) == []


def test_a_command_has_the_environment_that_it_was_given(
    server: DbtServer, environment: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: none\nprofile: none\n", encoding="utf-8")
    folder = {"DBT_PROJECT_DIR": str(tmp_path), "DBT_PROFILES_DIR": str(tmp_path)}
    told = server.run(["debug"], {**environment, **folder}, timeout_seconds=60)
    assert str(tmp_path / "dbt_project.yml") in told.output
    assert str(tmp_path) not in server.run(VERSION, environment, timeout_seconds=60).output


def test_a_process_that_is_gone_is_started_again(server: DbtServer, environment: Mapping[str, str]) -> None:
    server.run(VERSION, environment, timeout_seconds=60)
    first = process_of(server)
    os.kill(first, signal.SIGKILL)
    assert server._process is not None
    server._process.wait(10)
    assert server.run(VERSION, environment, timeout_seconds=60).returncode == 0
    assert process_of(server) != first


def test_a_command_that_takes_too_long_is_stopped(environment: Mapping[str, str]) -> None:
    server = DbtServer()
    with pytest.raises(TimeoutError):
        server.run(VERSION, environment, timeout_seconds=0.0)
    assert server._process is None
    assert server.run(VERSION, environment, timeout_seconds=60).returncode == 0
    server.end()


def test_the_process_ends_with_its_user(environment: Mapping[str, str]) -> None:
    server = DbtServer()
    server.run(VERSION, environment, timeout_seconds=60)
    process = process_of(server)
    server.end()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{process}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{process}").exists()
