"""The access token of one credential, kept in `CDP_HOME/tokens` for every process that shares it.

A vendor may end the old access token with each refresh, and may end the refresh token itself when it is used. So a
token that one process has fetched must be found by the others, and a rotated refresh token must outlive the process
that got it: the file is written whole, synced and renamed before the token is used. Only its owner can read it.
"""

import contextlib
import fcntl
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cdp_platform.connectors.credentials import Secret
from cdp_platform.errors import ConnectionFailed

_TURN_SECONDS: Final = 0.02
_FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True)
class StoredToken:
    """What was learned from the token endpoint. Times are seconds since 1970."""

    origin: str
    """A hash of the secrets that it was fetched with: others in the environment make it worthless."""
    access: Secret | None
    """None where the endpoint has refused these secrets."""
    obtained_at: float
    """When it was fetched, or refused."""
    expires_at: float | None
    """None: the endpoint did not say."""
    refresh: Secret | None
    """The refresh token that the endpoint gave in place of the one in the environment, if any."""

    def is_good(self, now: float) -> bool:
        """Whether it may be used: not refused, not about to expire, and not from a clock that was set back since."""
        if self.access is None:
            return False
        if self.expires_at is None:
            return True
        leeway_seconds = min(LEEWAY_SECONDS, (self.expires_at - self.obtained_at) * LEEWAY_SHARE)
        return self.obtained_at - LEEWAY_SECONDS <= now < self.expires_at - leeway_seconds

    def is_younger_than(self, seconds: float, now: float) -> bool:
        return 0 <= now - self.obtained_at < seconds


LEEWAY_SECONDS: Final = 60.0
"""A token is renewed this long before it expires, so that no request sets out with one that dies on the way."""
LEEWAY_SHARE: Final = 0.1
"""Of short-lived tokens, this share of their life."""


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
            kept = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(kept, dict) or kept.get("format") != _FORMAT or not isinstance(kept.get("origin"), str):
            return None
        obtained_at, expires_at = _number(kept.get("obtained_at")), _number(kept.get("expires_at"))
        if obtained_at is None or (kept.get("expires_at") is not None and expires_at is None):
            return None
        return StoredToken(
            origin=kept["origin"],
            access=_secret(kept.get("access_token")),
            obtained_at=obtained_at,
            expires_at=expires_at,
            refresh=_secret(kept.get("refresh_token")),
        )

    def write(self, token: StoredToken) -> None:
        """Replace what is kept, in one step that survives a crash. Raises ConnectionFailed where that fails."""
        kept = {
            "format": _FORMAT,
            "origin": token.origin,
            "access_token": token.access.reveal() if token.access else None,
            "obtained_at": token.obtained_at,
            "expires_at": token.expires_at,
            "refresh_token": token.refresh.reveal() if token.refresh else None,
        }
        draft = self._path.with_suffix(".draft")
        with self._trouble():
            draft.unlink(missing_ok=True)
            number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "w", encoding="ascii") as file:
                json.dump(kept, file)
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


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _secret(value: Any) -> Secret | None:
    return Secret(value) if isinstance(value, str) and value else None
