"""A way to the sandbox that can be troubled: it passes requests on, counts what was accepted, and misbehaves on order.

with Gateway(sandbox_url) as gateway:
    gateway.trouble = lambda write, rows: Trouble(reply=Reply(status=503)) if write == 2 else None
"""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from cdp_platform.testing.fault_server import Fault, Reply
from cdp_platform_tests.faults.scenario import POISON

_WRITE = "/crm/v3/objects/contacts/batch/upsert"
_SILENT_SECONDS = 2.0
"""Longer than the deadline of the tests that ask for silence."""
_POISONED = Reply(status=400, body={"status": "error", "category": "VALIDATION_ERROR", "message": "Invalid input JSON"})


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What happens to one write. With neither `reply` nor `change` it is answered honestly."""

    reply: Reply | None = None
    """The answer in place of the sandbox's; its faults are carried out."""
    is_processed: bool = False
    """Whether the sandbox gets the write before `reply` goes out."""
    change: Callable[[dict[str, Any]], Any] | None = None
    """Turns the sandbox's honest answer into another one."""


@dataclass(frozen=True, kw_only=True)
class Write:
    """One write as it arrived; `accepted` are the person ids that the sandbox said yes to."""

    rows: int
    accepted: tuple[str, ...]


class Gateway:
    """Listens on a free port of 127.0.0.1 while used as a context."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.trouble: Callable[[int, int], Trouble | None] = lambda write, rows: None
        """What is to happen to a write, by its number from 1 among those without poison, and its rows."""
        self.hold: threading.Event | None = None
        """Answers to writes that arrive now wait for this; the account has processed them."""
        self.trouble_with_reads: Callable[[int], Trouble | None] = lambda read: None
        self.writes: list[Write] = []
        self.arrived = threading.Condition()
        self.write_count = 0
        self.honest_count = 0
        self.read_count = 0
        gateway = self

        class Handler(_Handler):
            way = gateway

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def accepted_count(self) -> int:
        """Rows that the sandbox accepted, each time it did."""
        return sum(len(write.accepted) for write in self.writes)

    def wait_for_writes(self, number: int) -> None:
        """Wait until this many writes have arrived and, where they are to be, been processed."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.write_count >= number, timeout=60), "the writes never came"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class Misbehaving(BaseHTTPRequestHandler):
    """Answers as a Reply says, with its faults."""

    def reply(self, reply: Reply) -> None:
        """Write the answer, or break off where it says so."""
        self.close_connection = True
        if reply.fault in (Fault.RESET_BEFORE_READING, Fault.RESET_AFTER_READING):
            # Lingering for zero seconds turns the close into a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if reply.fault is Fault.CLOSE_AFTER_READING:
            return
        if reply.fault is Fault.SILENCE:
            threading.Event().wait(_SILENT_SECONDS)
            return
        content = reply.content
        sent = content[: len(content) // 2] if reply.fault is Fault.CUT else content
        try:
            for part in _parts(reply, reply.head(content) + sent):
                self.wfile.write(part)
                self.wfile.flush()
        except OSError:
            # Who asked may be dead by now: that is what is tested.
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


class _Handler(Misbehaving):
    way: Gateway

    def do_GET(self) -> None:
        self.way.read_count += 1
        trouble = self.way.trouble_with_reads(self.way.read_count)
        if trouble and trouble.reply:
            return self.reply(trouble.reply)
        status, body = self._pass_on(b"")
        return self.reply(Reply(status=status, body=body))

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.endswith("/batch/read"):
            status, body = self._pass_on(content)
            return self.reply(Reply(status=status, body=body))
        hold = self.way.hold
        answer = self._write(content)
        with self.way.arrived:
            self.way.write_count += 1
            self.way.arrived.notify_all()
        if hold:
            hold.wait(timeout=60)
        self.reply(answer)

    def _write(self, content: bytes) -> Reply:
        inputs = json.loads(content)["inputs"]
        if any(item["properties"].get("rfm_segment") == POISON for item in inputs):
            self.way.writes.append(Write(rows=len(inputs), accepted=()))
            return _POISONED
        with self.way.arrived:
            self.way.honest_count += 1
            trouble = self.way.trouble(self.way.honest_count, len(inputs)) or Trouble()
        status, body = 0, b""
        if trouble.reply is None or trouble.is_processed:
            status, body = self._pass_on(content)
        self.way.writes.append(Write(rows=len(inputs), accepted=_accepted(inputs, body)))
        if trouble.change:
            body = json.dumps(trouble.change(json.loads(body))).encode()
        return trouble.reply or Reply(status=status, body=body)

    def _pass_on(self, content: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.way.upstream, timeout=30)
        try:
            kept = {name: value for name, value in self.headers.items() if name.lower() in _KEPT}
            connection.request(self.command, self.path, content or None, kept)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


_DRIP_SECONDS = 0.05
_KEPT = {"authorization", "content-type", "accept"}


def _parts(reply: Reply, message: bytes) -> Iterator[bytes]:
    if reply.fault is not Fault.DRIP:
        yield message
        return
    for byte in message:
        threading.Event().wait(_DRIP_SECONDS)
        yield bytes([byte])


def _accepted(inputs: list[dict[str, Any]], body: bytes) -> tuple[str, ...]:
    results = json.loads(body).get("results", []) if body else []
    traces = {result.get("objectWriteTraceId") for result in results}
    return tuple(item["id"] for item in inputs if item["objectWriteTraceId"] in traces)
