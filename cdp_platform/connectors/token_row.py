"""The access token of one credential in the database that hosts share, sealed so that only they can read it.

The key is made of the credential's own secrets, which every host has in its environment: who reads the database
without them learns no token. Other secrets are another key; a token that was kept under the old one is worth nothing.
"""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from cdp_platform.connectors.state_server import StateServer
from cdp_platform.connectors.stored_token import StoredToken, parse_token, written
from cdp_platform.errors import ConnectionFailed

_SCHEMA: Final = "create table if not exists tokens (name text primary key, sealed text not null)"
_TURN_SECONDS: Final = 60.0
"""Longer than a renewal takes altogether: who holds the lock says nothing meanwhile."""


class TokenRow:
    """One credential's row, and the lock under which it is renewed. Stands in for a `TokenFile`."""

    def __init__(self, address: str, name: str, secrets: Callable[[], str]) -> None:
        """`name` is a hash; `secrets` tells what the key is made of. Nothing is opened yet."""
        self._name = name
        self._secrets = secrets
        self._rows = StateServer(address, scope="token", schema=_SCHEMA, failure=ConnectionFailed)
        self._lock = StateServer(address, scope="token", schema=_SCHEMA, failure=ConnectionFailed)

    @contextlib.contextmanager
    def locked(self, timeout_seconds: float) -> Iterator[None]:
        """Hold the lock of the hosts; it ends with the process that holds it.

        Raises ConnectionFailed where another holds it for longer than that, or the database cannot be used.
        """
        try:
            with self._lock.transaction(self._name, wait_seconds=timeout_seconds, idle_seconds=_TURN_SECONDS):
                yield
        finally:
            self._lock.close()

    def read(self) -> StoredToken | None:
        """Read what is kept; None where there is nothing, or nothing that makes sense with these secrets."""
        with self._rows.reading() as statements:
            row = statements.execute("select sealed from tokens where name = ?", [self._name]).fetchone()
        try:
            return parse_token(self._seal().decrypt(row[0])) if row else None
        except InvalidToken:
            return None

    def write(self, token: StoredToken) -> None:
        """Replace what is kept, durably. Raises ConnectionFailed where that fails."""
        sealed = self._seal().encrypt(written(token).encode()).decode()
        with self._rows.reading() as statements:
            statements.execute(
                "insert into tokens values (?, ?) on conflict (name) do update set sealed = excluded.sealed",
                [self._name, sealed],
            )

    def _seal(self) -> Fernet:
        key = hashlib.sha256(f"cdp_platform token seal\0{self._secrets()}".encode()).digest()
        return Fernet(base64.urlsafe_b64encode(key))
