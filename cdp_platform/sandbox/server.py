"""Serve a sandbox account on 127.0.0.1 until a signal ends it."""

import errno
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from cdp_platform.sandbox.app import create_app
from cdp_platform.sandbox.settings import SandboxSettings

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """Says when it is ready, and ends with exit code 0 on SIGINT and SIGTERM instead of raising them again."""

    def __init__(self, settings: SandboxSettings) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(settings),
                host=HOST,
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=3,
                # Each answer has its own: a vendor's clock may be that of the replay.
                date_header=False,
            )
        )
        self.is_ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _TalkingServer(_Server):
    """Prints the address when it is ready."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            sys.stdout.write(f"sandbox CRM on {_url(sockets[0])}\n")
            sys.stdout.flush()


def run_sandbox(settings: SandboxSettings) -> None:
    """Serve until SIGINT or SIGTERM. Raises SystemExit(2), after a line on stderr, when the port is taken."""
    with _listen(settings.port) as listener:
        _TalkingServer(settings).run(sockets=[listener])


@contextmanager
def serve_sandbox(settings: SandboxSettings) -> Iterator[str]:
    """Serve in a thread while the block runs and give its base URL; with port 0 the system chooses one."""
    with _listen(settings.port) as listener:
        server = _Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
        thread.start()
        server.is_ready.wait(timeout=10)
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Without it a restart would have to wait until the connections of the last run have timed out.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
        sys.stderr.write(f"sandbox CRM: port {port} {reason}; choose another one with --port\n")
        raise SystemExit(2) from None
    return listener
