import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdp_platform.sandbox import read_or_create_token
from cdp_platform_tests.unit.sandbox.conftest import CONTACTS, Account, person


def command(folder: Path, port: int) -> list[str]:
    options = ["--state", str(folder / "state.db"), "--token-file", str(folder / "token"), "--port", str(port)]
    return [sys.executable, "-m", "cdp_platform.sandbox", *options]


@contextmanager
def started(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", Account]]:
    process = subprocess.Popen(command(folder, 0), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("sandbox CRM on http://127.0.0.1:"), line
        yield process, Account(line.split()[-1])
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_silently(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as (process, account):
        token = (tmp_path / "token").read_text().strip()
        assert account.call("GET", CONTACTS, token=token).status_code == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)

    assert (process.returncode, output, errors) == (0, "", "")


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with started(tmp_path) as (process, account):
        token = (tmp_path / "token").read_text().strip()
        answer = account.call("POST", f"{CONTACTS}/batch/upsert", {"inputs": [person(1)]}, token=token)
        assert answer.status_code == 200
        process.kill()
        process.wait(timeout=10)
    with started(tmp_path) as (_, account):
        assert account.stats()["contacts"] == 1
        assert [item["operation"] for item in account.writes()] == ["create"]


def test_a_port_in_use_ends_with_one_line_that_names_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(command(tmp_path, port), capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 2
    assert done.stderr == f"sandbox CRM: port {port} is in use; choose another one with --port\n"


def test_a_port_that_cannot_be_ends_with_a_line(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path, 99_999), capture_output=True, text=True, timeout=20, check=False)

    assert (done.returncode, done.stderr) == (2, "sandbox CRM: port: 99999 is not between 0 and 65535\n")


def test_the_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    tokens = [read_or_create_token(path) for _ in range(2)]

    assert tokens[0] == tokens[1]
    assert len(tokens[0]) > 30
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_blank_token_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")

    with pytest.raises(ValueError, match="blank"):
        read_or_create_token(tmp_path / "token")
