"""The stage of a fault test: a copied home and sandbox account, a gateway between them, and processes to be killed."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform_tests.faults.checker import check
from cdp_platform_tests.faults.gateway import Gateway
from cdp_platform_tests.faults.scenario import TOKEN, TOKEN_ENV, first_day, second_day, write_people

_LIMIT_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process of the platform ended."""

    code: int
    """Negative: the signal that killed it."""
    hits: dict[str, int]
    """Passes of each faultpoint; empty unless it ended in peace."""
    runs: int
    """Runs that it took until there was nothing left to send."""
    error: str


class Stage:
    """One account with its way to it, and one home."""

    def __init__(self, root: Path, sandbox_url: str, gateway: Gateway) -> None:
        self.root = root
        self.sandbox_url = sandbox_url
        self.gateway = gateway

    def start(self, *options: str, kill_at: str = "") -> subprocess.Popen[str]:
        """Start a process that runs the sync until it is quiet."""
        command = [sys.executable, "-m", "cdp_platform_tests.faults.runner", str(self.root), self.gateway.url, *options]
        environment = os.environ | {TOKEN_ENV: TOKEN, "CDP_KILL_AT": kill_at}
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=_repository()
        )

    def run(self, *options: str, kill_at: str = "") -> Ended:
        """Run one process to its end."""
        return end_of(self.start(*options, kill_at=kill_at))

    def pass_the_time(self) -> None:
        """Let every penalty be over, and every open circuit be tried again."""
        with closing(sqlite3.connect(self.root / "rate_limits.sqlite")) as paces, paces:
            paces.execute("delete from buckets")
            paces.execute("update circuits set open_until = min(open_until, 0), probe_until = null")

    def faults(self) -> list[str]:
        """What the independent checker finds wrong."""
        return check(self.root, self.sandbox_url)


def end_of(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process and say how it ended."""
    out, error = process.communicate(timeout=_LIMIT_SECONDS)
    told = json.loads(out) if out else {"hits": {}, "runs": 0}
    return Ended(code=process.returncode, hits=told["hits"], runs=told["runs"], error=error)


@contextmanager
def staged(folder: Path, template: Path | None = None) -> Iterator[Stage]:
    """Set the stage in `folder`, from a copy of an earlier one where `template` names its folder."""
    if template:
        shutil.copytree(template, folder, dirs_exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    settings = SandboxSettings(
        state_path=folder / "crm.sqlite", token=TOKEN, port=0, requests_per_window=10_000, searches_per_second=1_000
    )
    with serve_sandbox(settings) as url, Gateway(url) as gateway:
        yield Stage(folder / "home", url, gateway)


def prepare(folder: Path) -> None:
    """Bring the first day to the account without a disturbance, and put the second day's models into the warehouse."""
    with staged(folder) as stage:
        write_people(stage.root, first_day())
        ended = stage.run()
        assert ended.code == 0, ended.error
        assert stage.faults() == []
    write_people(folder / "home", second_day())


def _repository() -> Path:
    return Path(__file__).absolute().parents[2]
