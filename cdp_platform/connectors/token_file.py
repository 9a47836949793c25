"""The access token of one credential, kept in `CDP_HOME/tokens` for every process that shares it.

A vendor may end the old access token with each refresh, and may end the refresh token itself when it is used. So a
token that one process has fetched must be found by the others, and a rotated refresh token must outlive the process
that got it: the file is written whole, synced and renamed before the token is used. Only its owner can read it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cdp_platform.connectors.stored_token import StoredToken, parse_token, written
from cdp_platform.errors import ConnectionFailed

_TURN_SECONDS: Final = 0.02


class TokenFile:
    """One credential's file, and the lock under which it is renewed."""

    def __init__(self, folder: Path, name: str) -> None:
        """`name` is a hash; nothing is made yet."""
        self._folder = folder
        self._path = folder / f"{name}.json"
        self._lock_path = folder / f"{name}.lock"

    @contextlib.contextmanager
    def locked(self, timeout_seconds: float) -> Iterator[None]:
        """Hold the lock of the processes; it ends with the process that holds it, however that ends.

        Raises ConnectionFailed where another process holds it for longer than `timeout_seconds`, or the folder cannot
        be used.
        """
        with self._trouble(), contextlib.ExitStack() as stack:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            number = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, number)
            _take(number, timeout_seconds)
            held = stack.pop_all()
        with held:
            yield

    def read(self) -> StoredToken | None:
        """Read what is kept; None where there is nothing, or nothing that makes sense."""
        try:
            return parse_token(self._path.read_bytes())
        except OSError:
            return None

    def write(self, token: StoredToken) -> None:
        """Replace what is kept, in one step that survives a crash. Raises ConnectionFailed where that fails."""
        draft = self._path.with_suffix(".draft")
        with self._trouble():
            draft.unlink(missing_ok=True)
            number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "w", encoding="ascii") as file:
                file.write(written(token))
                file.flush()
                os.fsync(number)
            draft.replace(self._path)
            _sync_folder(self._folder)

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConnectionFailed(
                f"The folder of the access tokens cannot be used ({type(error).__name__}); nothing was sent.",
                remedy=f"Check the disk and the owner of {self._folder.name}/ under CDP_HOME.",
            ) from None


def _take(number: int, timeout_seconds: float) -> None:
    give_up_at = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise ConnectionFailed(
                    f"Another process renews the access token for more than {timeout_seconds:g} seconds;"
                    " nothing was sent.",
                    remedy="See whether a run stands still.",
                ) from None
            time.sleep(_TURN_SECONDS)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
