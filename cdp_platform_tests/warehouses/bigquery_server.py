"""The emulator of BigQuery as a process of a test run's own; `crucible_server` is what it runs."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from cdp_platform.warehouse.accounts import ApplicationDefault, BigQueryAccount
from cdp_platform_tests.warehouses.emulators import python_of

_START_SECONDS = 60.0


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
    python = python_of("crucible")
    if python is None:
        raise LookupError("crucible is not installed")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("crucible_server.py")
    # Without the variables of this environment, which is another Python's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(
        [python, script, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        _wait_for(port, process)
        yield Crucible(port=port)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with closing(socket.socket()) as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the emulator did not start")
