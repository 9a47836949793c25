"""A local HTTP server that misbehaves on order: one scripted reply per request, in order.

with FaultServer([Reply(status=429, headers={"Retry-After": "2"}), Reply(body={"results": []})]) as server:
    session = HttpSession(server.url, ...)
    ...
assert server.requests[0].path == "/crm/v3/objects/contacts/batch/upsert"
"""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
_DRIP_SECONDS: Final = 0.05
_HEAD_LIMIT_BYTES: Final = 65_536


class Fault(StrEnum):
    """What goes wrong on the way, besides what the reply says."""

    RESET_BEFORE_READING = "reset_before_reading"
    """At the request's first byte: earlier, and the client could not tell it from a refused connection."""
    RESET_AFTER_READING = "reset_after_reading"
    CLOSE_AFTER_READING = "close_after_reading"
    SILENCE = "silence"
    """The request is read and never answered, until the server stops."""
    DRIP = "drip"
    """One byte of the answer every 50 ms, from the first byte of its head on."""
    DRIP_BODY = "drip_body"
    CUT = "cut"
    """Half of the body that Content-Length promises."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One scripted answer. A body that is neither bytes nor text is sent as JSON."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = b""
    delay_seconds: float = 0.0
    fault: Fault | None = None

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    def head(self, content: bytes) -> bytes:
        """The status line and headers; Content-Length is true unless the headers say otherwise."""
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
        headers |= dict(self.headers)
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """A request as it arrived, whole."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class FaultServer:
    """Listens on a free port of 127.0.0.1 while used as a context. After its script, it repeats the last reply."""

    def __init__(self, replies: Sequence[Reply], *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[ReceivedRequest] = []
        self._replies = list(replies)
        self._tls = tls
        self._lock = threading.Lock()
        self._has_stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._has_stopped.set()
        # Closing alone would leave the thread waiting in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._has_stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        # Resets, broken pipes and refused handshakes are what the other side is tested with.
        with suppress(OSError), connection:
            self._answer(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)

    def _answer(self, connection: socket.socket) -> None:
        with self._lock:
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if reply.fault is Fault.RESET_BEFORE_READING:
            connection.recv(1)
            return _reset(connection)
        request = _receive(connection)
        if request is None:
            return None
        self.requests.append(request)
        self._has_stopped.wait(reply.delay_seconds)
        if reply.fault is Fault.RESET_AFTER_READING:
            return _reset(connection)
        if reply.fault is Fault.SILENCE:
            self._has_stopped.wait()
        if reply.fault not in (Fault.SILENCE, Fault.CLOSE_AFTER_READING):
            self._send(connection, reply)
        return connection.close()

    def _send(self, connection: socket.socket, reply: Reply) -> None:
        content = reply.content
        head = reply.head(content)
        if reply.fault is Fault.DRIP:
            self._drip(connection, head + content)
        elif reply.fault is Fault.DRIP_BODY:
            connection.sendall(head)
            self._drip(connection, content)
        else:
            sent = content[: len(content) // 2] if reply.fault is Fault.CUT else content
            connection.sendall(head + sent)

    def _drip(self, connection: socket.socket, content: bytes) -> None:
        for byte in content:
            if self._has_stopped.wait(_DRIP_SECONDS):
                return
            connection.sendall(bytes([byte]))


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    connection.close()


def _receive(connection: socket.socket) -> ReceivedRequest | None:
    """Read one request; None where the connection ended before it was whole."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(_HEAD_LIMIT_BYTES)
        if not chunk:
            return None
        received += chunk
    head, _, content = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(content) < length:
        chunk = connection.recv(_HEAD_LIMIT_BYTES)
        if not chunk:
            return None
        content += chunk
    return ReceivedRequest(method=method, path=path, headers=headers, content=content)
