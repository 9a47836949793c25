"""A total deadline for one HTTP request, also against a server that sends a byte now and then.

A socket's timeout starts anew with every byte. So one thread of the process shuts the socket of each request that
overruns; the thread that waits for it then sees the connection end, and asks `has_expired` why.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_current = threading.local()


class Deadline:
    """Used as a context around one request of this thread."""

    __slots__ = ("_socket", "ends_at", "has_begun", "has_expired")

    def __init__(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds
        self.has_begun = False
        """Whether a connection has started to send this request."""
        self.has_expired = False
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        _current.deadline = self
        _watchman.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _watchman.remove(self)
        _current.deadline = None

    def begin(self) -> None:
        """Note that a connection has started to send."""
        self.has_begun = True

    def watch(self, sock: object) -> None:
        """Take `sock` as the one that the answer comes over."""
        # Kept here, since a connection that the server will close forgets its socket before the body is read.
        self._socket = sock if isinstance(sock, socket.socket) else None
        if self.has_expired:
            self.expire()

    def expire(self) -> None:
        """Shut the connection that the answer comes over."""
        self.has_expired = True
        if self._socket:
            # Not SSLSocket's own shutdown, which would take the TLS state away under the reading thread.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Watchman:
    """The thread that expires deadlines. A thread for each request would cost more than the rest of its bookkeeping."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._deadlines: set[Deadline] = set()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()
            # Requests that have ended are not told to the thread: it wakes up, finds nothing, and sleeps on.
            elif deadline.ends_at < self._wakes_at:
                self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.discard(deadline)

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for deadline in [one for one in self._deadlines if one.ends_at <= now]:
                    self._deadlines.discard(deadline)
                    deadline.expire()
                self._wakes_at = min((one.ends_at for one in self._deadlines), default=float("inf"))
                self._changed.wait(None if self._wakes_at == float("inf") else self._wakes_at - now)


_watchman = _Watchman()


def _begin_anew() -> None:
    global _watchman
    _watchman = _Watchman()


# Threads do not survive a fork, and its lock may be held by one of them.
os.register_at_fork(after_in_child=_begin_anew)


class _Watched(HTTPConnection):
    """A connection that tells the deadline of its thread what it is doing."""

    def request(self, *arguments: Any, **options: Any) -> None:
        if deadline := _deadline_of_this_thread():
            deadline.begin()
        super().request(*arguments, **options)

    def getresponse(self) -> Any:
        if deadline := _deadline_of_this_thread():
            deadline.watch(self.sock)
        return super().getresponse()


class _WatchedHTTPSConnection(_Watched, HTTPSConnection):
    pass


def _deadline_of_this_thread() -> Deadline | None:
    deadline: Deadline | None = getattr(_current, "deadline", None)
    return deadline


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _WatchedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPSConnection


class WatchedAdapter(HTTPAdapter):
    """Pooled connections to one host that can be reached by a Deadline. It never retries by itself."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedHTTPSPool}
