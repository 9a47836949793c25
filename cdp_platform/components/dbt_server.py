"""dbt with its import paid once: a process that has imported it, and forks for each command.

Importing dbt takes three seconds, and a day of the loop would pay them three times. Each command runs in a fork of its
own, so that it meets dbt as new, and leaves no connection to the warehouse behind when it ends.
"""

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from cdp_platform.components.processes import end_with_parent

_MODULE: Final = "cdp_platform.components.dbt_server"
_END_SECONDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: its exit code, and what it printed, errors too."""

    returncode: int
    output: str


class DbtServer:
    """The process, started by the first command and again whenever it is gone. One command at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], *, timeout_seconds: float) -> Ended:
        """Run `dbt` with these arguments and this environment alone.

        Raises TimeoutError, having stopped it, where it does not end in time.
        """
        with self._lock, tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as output:
            request = {"arguments": list(arguments), "environment": dict(environment), "output": output.name}
            process = self._handed_over(json.dumps(request))
            try:
                code = _answer(process, timeout_seconds)
            except BaseException:
                self.end()
                raise
            return Ended(returncode=code, output=output.read())

    def end(self) -> None:
        """End the process, and the command that it is at."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _handed_over(self, request: str) -> "subprocess.Popen[str]":
        """Give a command to the process, a new one where the last has gone with the thread that had started it."""
        process = self._started()
        try:
            _write(process, request)
        except OSError:
            self.end()
            process = self._started()
            _write(process, request)
        return process

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        return self._process


def _write(process: "subprocess.Popen[str]", line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def _answer(process: "subprocess.Popen[str]", timeout_seconds: float) -> int:
    """Wait for the exit code of the command; one that was killed has failed. Raises TimeoutError."""
    if process.stdout is None or not select.select([process.stdout], [], [], timeout_seconds)[0]:
        raise TimeoutError
    return int(process.stdout.readline().strip() or 1)


DBT: Final = DbtServer()
"""The one of this process."""
atexit.register(DBT.end)


def serve() -> None:
    """Import dbt, then fork for each command that a line of the standard input tells, and answer its exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    import dbt.cli.main  # noqa: F401

    for line in sys.stdin:
        _import_adapter(json.loads(line)["environment"].get("CDP_DBT_TARGET", ""))
        # What was imported is no garbage: the forks need not look through it again and again.
        gc.freeze()
        child = os.fork()
        if child == 0:
            _command(json.loads(line))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _import_adapter(name: str) -> None:
    """Import the adapter that the commands are likely to need; of another one, dbt speaks itself."""
    with suppress(ImportError):
        import_module(f"dbt.adapters.{name or 'duckdb'}")


def _command(request: Mapping[str, Any]) -> None:
    """Be `dbt`; never returns."""
    end_with_parent()
    os.environ.clear()
    os.environ.update(request["environment"])
    file = os.open(request["output"], os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["dbt", *request["arguments"]]
    code = 1
    try:
        from dbt.cli.main import cli

        cli()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:  # noqa: BLE001 - what ends a fork is to be read by whoever asked for the command
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
