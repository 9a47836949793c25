"""The emulator of BigQuery as a process of a test run's own, in an environment of its own: `make emulators`."""

import os
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cdp_platform.warehouse.bigquery import BigQueryProject

_START_SECONDS = 60.0


def interpreter() -> Path | None:
    """The interpreter with the emulator; None where it was not installed."""
    root = os.environ.get("CDP_EMULATORS") or Path(__file__).parents[2] / ".emulators"
    found = Path(root) / "crucible" / "bin" / "python"
    return found if found.exists() else None


@dataclass(frozen=True, kw_only=True)
class BigQueryServer:
    """A running emulator. Projects cost nothing: every test takes one of its own."""

    address: str

    def new_project(self) -> BigQueryProject:
        return BigQueryProject(project=f"shop-{uuid.uuid4().hex[:8]}", location="EU", api_endpoint=self.address)


@contextmanager
def running_server() -> Iterator[BigQueryServer]:
    """Start the emulator and stop it at the end. Raises LookupError where it is not installed."""
    python = interpreter()
    if python is None:
        raise LookupError("the emulator of BigQuery is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("crucible_server.py")
    process = subprocess.Popen([python, script, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(process, port)
        yield BigQueryServer(address=f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_crucible/health", timeout=1):
            return
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("the emulator of BigQuery did not start")
