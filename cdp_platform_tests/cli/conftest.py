"""A shop behind the command line: the commands find its engine instead of the project's own definitions."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cdp_platform.cli import app, declared_syncs
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.syncs.account import Engine
from cdp_platform_tests.unit.syncs.conftest import Shop

Cdp = Callable[..., "Told"]


class Told:
    """What a command printed, its exit code, and the error it ended with (None where there was none)."""

    def __init__(self, *arguments: str, typed: str = "") -> None:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        self.text, self.code = result.stdout, result.exit_code
        self.error = None if isinstance(result.exception, SystemExit) else result.exception


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path / "home")
    monkeypatch.setenv("CDP_HOME", str(shop.home.root))
    monkeypatch.setenv("COLUMNS", "300")

    def open_sync(name: str) -> tuple[Engine, SyncSpec]:
        if name != shop.spec.name:
            raise declared_syncs.unknown("sync", name, {shop.spec.name: shop.spec})
        return shop.engine, shop.spec

    monkeypatch.setattr(declared_syncs, "open_sync", open_sync)
    monkeypatch.setattr(declared_syncs, "open_all", lambda: [(shop.engine, shop.spec)])
    monkeypatch.setattr(declared_syncs, "declared_syncs", lambda: {shop.spec.name: shop.spec})
    return shop


@pytest.fixture
def cdp(shop: Shop) -> Cdp:
    """Run a command: `cdp("plan", "crm_contacts")`."""
    return Told
