"""The emulator of BigQuery as a process of a test run's own; `crucible_server` is what it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from cdp_platform.warehouse.accounts import ApplicationDefault, BigQueryAccount
from cdp_platform_tests.warehouses.emulators import serving


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


@contextmanager
def running_crucible() -> Iterator[Crucible]:
    """Start the emulator and stop it at the end. Raises LookupError where it is not installed."""
    with serving("crucible") as port:
        yield Crucible(port=port)
