"""The emulator of BigQuery as a process of a test run's own; `crucible_server` is what it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import yaml

from cdp_platform.domain.home import Home
from cdp_platform.warehouse.accounts import ApplicationDefault, BigQueryAccount
from cdp_platform_tests.warehouses.emulators import NoSecrets, serving


@dataclass(frozen=True, kw_only=True)
class Crucible:
    """A running emulator. Projects cost nothing: every test takes one of its own."""

    port: int
    numbers: Iterator[int] = field(default_factory=count)

    def new_account(self) -> BigQueryAccount:
        """An account of a project without a dataset; `NoSecrets` opens it."""
        return BigQueryAccount(
            type="bigquery",
            project=f"shop-{next(self.numbers)}",
            location="EU",
            authentication=ApplicationDefault(method="application_default"),
            api_endpoint=f"http://127.0.0.1:{self.port}",
        )

    def new_home(self, folder: Path) -> Home:
        """A home in `folder`, whose file of accounts names a project without a dataset `emulator`."""
        account, file = self.new_account(), folder / "warehouses.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({"emulator": account.model_dump(mode="json")}), encoding="utf-8")
        return Home(root=folder / "cdp", warehouse_kind="emulator", warehouse_accounts=file, secrets=NoSecrets())


@contextmanager
def running_crucible() -> Iterator[Crucible]:
    """Start the emulator and stop it at the end. Raises LookupError where it is not installed."""
    with serving("crucible") as port:
        yield Crucible(port=port)
