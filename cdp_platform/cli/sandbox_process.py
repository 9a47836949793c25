"""The sandbox of all vendors as a process beside a command: started, or taken as it is where ours already runs."""

import json
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cdp_platform.components.processes import end_with_parent
from cdp_platform.components.resources import export
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError
from cdp_platform.sandbox.environment import environment_of
from cdp_platform.sandbox.settings import read_or_create_token

DEFAULT_PORT: Final = 8790
_START_SECONDS: Final = 20.0
_STEP_SECONDS: Final = 0.1
_END_SECONDS: Final = 10


def token_file(home: Home) -> Path:
    """Where the sandbox's access token lies, 0600."""
    return home.sandbox / "token"


def state_file(home: Home) -> Path:
    """The sandbox account's database."""
    return home.sandbox / "crm.sqlite"


@contextmanager
def running_sandbox(home: Home, port: int) -> Iterator[str]:
    """Have the sandbox run at `port` with the state under `home`, and point this process's syncs at it.

    Yields its address. One that already runs there with our token is used, and left running afterwards.
    Raises CdpError where something else holds the port.
    """
    address = f"http://127.0.0.1:{port}"
    token = _token(home)
    process = None if _is_ours(address, token) else _start(home, port)
    try:
        if process is not None:
            _wait(process, address, token, port)
        export(**environment_of(address, token))
        yield address
    finally:
        if process is not None:
            end(process)


def exports(port: int, token: str) -> str:
    """What a shell has to run so that its syncs find the sandbox at `port`."""
    variables = environment_of(f"http://127.0.0.1:{port}", token)
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def command(home: Home, port: int) -> list[str]:
    """The command line that serves the sandbox of this home."""
    options = ["--state", str(state_file(home)), "--token-file", str(token_file(home)), "--port", str(port)]
    return [sys.executable, "-m", "cdp_platform.sandbox", *options]


def end(process: "subprocess.Popen[str]") -> None:
    """End a process politely, then for certain."""
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _token(home: Home) -> str:
    try:
        return read_or_create_token(token_file(home))
    except ValueError as error:
        raise CdpError(f"the sandbox's token cannot be used: {error}.") from error


def _start(home: Home, port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(home, port),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,
    )


def _wait(process: "subprocess.Popen[str]", address: str, token: str, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            told = process.stderr.read().strip().splitlines() if process.stderr else []
            raise CdpError(
                told[-1] if told else f"the sandbox CRM ended with exit code {process.returncode}.",
                remedy="Choose another port with --sandbox-port, or end the program that holds this one.",
            )
        if _is_ours(address, token):
            return
        time.sleep(_STEP_SECONDS)
    raise CdpError(
        f"the sandbox CRM did not answer on port {port} within {_START_SECONDS:g} s.",
        remedy="Look whether another program holds the port, or choose another one with --sandbox-port.",
    )


def _is_ours(address: str, token: str) -> bool:
    """Whether an account answers there that takes our token."""
    request = urllib.request.Request(  # noqa: S310
        f"{address}/account-info/v3/details", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=2) as answer:
            return "portalId" in json.loads(answer.read())
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError):
        return False
