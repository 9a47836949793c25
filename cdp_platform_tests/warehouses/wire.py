"""A wire between the platform and a warehouse: it passes everything on, counts what comes out, and can be cut."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

Address = tuple[str, int] | str
"""A host and a port, or the path of a unix socket."""
_BUFFER_BYTES = 65_536


class Wire:
    """Leads from `address`, a port of its own or a socket in `folder`, to `upstream` while used as a context."""

    def __init__(self, upstream: Address, folder: Path | None = None) -> None:
        self.upstream = upstream
        self.received_bytes = 0
        """What has come out of the warehouse."""
        self.is_cut = False
        self._listener = socket.socket(socket.AF_UNIX if folder else socket.AF_INET)
        self._listener.bind(str(folder / ".s.PGSQL.5432") if folder else ("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """End every connection, and let nobody through from now on."""
        self.is_cut = True
        with self._lock:
            for one in (end for pair in self._pairs for end in pair):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing alone would not wake the thread that waits for a connection.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.socket(socket.AF_UNIX if isinstance(self.upstream, str) else socket.AF_INET)
                far.connect(self.upstream)
                with self._lock:
                    self._pairs.append((near, far))
                threading.Thread(target=self._pass_on, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, True), daemon=True).start()

    def _pass_on(self, here: socket.socket, there: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while piece := here.recv(_BUFFER_BYTES):
                if is_answer:
                    with self._lock:
                        self.received_bytes += len(piece)
                there.sendall(piece)
        for one in (here, there):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
