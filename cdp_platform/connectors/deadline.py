"""A total deadline for one HTTP request, also against a server that sends a byte now and then.

A socket's timeout starts anew with every byte. So a timer shuts the socket of the request that overruns; the thread
that waits for it then sees the connection end, and asks `has_expired` why.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import urllib3.connection
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

_current = threading.local()


class Deadline:
    """Used as a context around one request of this thread."""

    def __init__(self, seconds: float) -> None:
        self.has_begun = False
        """Whether a connection has started to send this request."""
        self.has_expired = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        _current.deadline = None

    def begin(self) -> None:
        """Note that a connection has started to send."""
        self.has_begun = True

    def watch(self, sock: object) -> None:
        """Take `sock` as the one that the answer comes over."""
        # Kept here, since a connection that the server will close forgets its socket before the body is read.
        self._socket = sock if isinstance(sock, socket.socket) else None

    def _expire(self) -> None:
        self.has_expired = True
        if self._socket:
            # Not SSLSocket's own shutdown, which would take the TLS state away under the reading thread.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Watched(urllib3.connection.HTTPConnection):
    """A connection that tells the deadline of its thread what it is doing."""

    def request(self, *arguments: Any, **options: Any) -> None:
        if deadline := _deadline_of_this_thread():
            deadline.begin()
        super().request(*arguments, **options)

    def getresponse(self) -> Any:
        if deadline := _deadline_of_this_thread():
            deadline.watch(self.sock)
        return super().getresponse()


class _WatchedHTTPSConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


def _deadline_of_this_thread() -> Deadline | None:
    deadline: Deadline | None = getattr(_current, "deadline", None)
    return deadline


class _WatchedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _WatchedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPSConnection


class WatchedAdapter(HTTPAdapter):
    """A pooled adapter whose connections can be reached by a Deadline. It never retries by itself."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=4, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _WatchedHTTPPool, "https": _WatchedHTTPSPool}
