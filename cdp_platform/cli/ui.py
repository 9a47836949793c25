"""`cdp ui`: Dagster's web pages, its daemon and the sandbox CRM over one instance; they end together."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from cdp_platform.cli.sandbox_process import end, running_sandbox
from cdp_platform.components.processes import end_with_parent
from cdp_platform.components.resources import dagster_home
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError

DEFAULT_PORT: Final = 3000
HOST: Final = "127.0.0.1"
_LOOK_SECONDS: Final = 0.5
_START_SECONDS: Final = 90
_WORKSPACE: Final = """\
load_from:
  - python_module:
      module_name: cdp_platform.definitions
      location_name: cdp_platform
      working_directory: {folder}
"""


def run_ui(home: Home, *, port: int, sandbox_port: int, console: Console) -> None:
    """Serve until Ctrl-C or SIGTERM; raises CdpError where a port is taken or one of the processes ends by itself."""
    check_free(port)
    with ended_by_signal(), ExitStack() as stack:
        address = stack.enter_context(running_sandbox(home, sandbox_port))
        workspace = _workspace(home)
        processes = {
            name: _start(stack, module, [*options, "-w", str(workspace)])
            for name, (module, options) in {
                "the web server": ("dagster_webserver", ["-h", HOST, "-p", str(port)]),
                "the daemon": ("dagster._daemon", ["run"]),
            }.items()
        }
        _wait_for(port, processes)
        console.print(f"Dagster      http://{HOST}:{port}\nSandbox      {address}\nCtrl-C ends both.")
        _watch(processes)


def check_free(port: int) -> None:
    """Raise CdpError where something listens on the port already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CdpError(f"port {port} is in use.", remedy="Choose another one with --port.") from error


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the block quietly."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _workspace(home: Home) -> Path:
    dagster_home(home)
    file = home.dagster / "workspace.yaml"
    file.write_text(_WORKSPACE.format(folder=Path.cwd()), encoding="utf-8")
    return file


def _start(stack: ExitStack, module: str, options: list[str]) -> "subprocess.Popen[str]":
    # A session of its own: Ctrl-C reaches this process alone, which ends the others in order.
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", module, *options],
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    stack.callback(end, process)
    return process


def _wait_for(port: int, processes: dict[str, "subprocess.Popen[str]"]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        _look_at(processes)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(_LOOK_SECONDS)
    raise CdpError(f"Dagster's web server did not answer on port {port} within {_START_SECONDS} s.")


def _watch(processes: dict[str, "subprocess.Popen[str]"]) -> None:
    while True:
        _look_at(processes)
        time.sleep(_LOOK_SECONDS)


def _look_at(processes: dict[str, "subprocess.Popen[str]"]) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            raise CdpError(
                f"{name} ended by itself with exit code {process.returncode}.", remedy="Its last lines say why."
            )
