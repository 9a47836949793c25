"""Troubles of Snowflake's and BigQuery's that strike a statement of one's choice, and what each is to tell."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

CANARY: Final = "canary@example.com"
"""What no error may repeat, though each of the vendors' does."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that goes wrong; `make` makes the driver's error of it, `told` is a part of the way out."""

    name: str
    make: Callable[[], Exception]
    told: str


@dataclass(kw_only=True)
class Strikes:
    """What a driver is told, and what happens instead of, or before, the statement that is waited for."""

    said: list[str] = field(default_factory=list)
    pattern: str | None = None
    place: int = 0
    act: Callable[[Any], None] = lambda driver: None

    @contextmanager
    def at(self, pattern: str, act: Callable[[Any], None], place: int = 0) -> Iterator[None]:
        """Let `act` happen before the statement with this pattern, or before that many more of them."""
        self.pattern, self.act, self.place = pattern, act, place
        try:
            yield
        finally:
            self.pattern = None

    def hear(self, driver: Any, sql: str) -> None:
        self.said.append(sql)
        if self.pattern is None or not re.search(self.pattern, sql, re.IGNORECASE | re.DOTALL):
            return
        if self.place == 0:
            self.pattern = None
            self.act(driver)
        self.place -= 1


def listening(monkeypatch: pytest.MonkeyPatch, engine: str) -> Strikes:
    """Hear every statement that the engine's driver is told from now on."""
    strikes = Strikes()
    owner, name = _method_of(engine)
    method = getattr(owner, name)

    def heard(self: Any, sql: str, *given: Any, **named: Any) -> Any:
        strikes.hear(self, sql)
        return method(self, sql, *given, **named)

    monkeypatch.setattr(owner, name, heard)
    return strikes


def _method_of(engine: str) -> tuple[type, str]:
    if engine == "snowflake":
        from snowflake.connector.cursor import SnowflakeCursor

        return SnowflakeCursor, "execute"
    from google.cloud.bigquery import Client

    return Client, "query"


def troubles_of(engine: str) -> list[Trouble]:
    """What may happen to any statement."""
    return _of_snowflake() if engine == "snowflake" else _of_bigquery()


def _of_snowflake() -> list[Trouble]:
    from snowflake.connector.errors import DatabaseError, ProgrammingError

    def refused(name: str, number: int, told: str) -> Trouble:
        message = f"Trouble with '{CANARY}'"
        kind = DatabaseError if number > 200_000 else ProgrammingError
        return Trouble(name=name, make=lambda: kind(msg=message, errno=number, sfqid="01ab-query"), told=told)

    return [
        refused("missing grant", 3001, "cdp doctor"),
        refused("suspended warehouse", 606, "resume it"),
        refused("quota reached", 90073, "raise the quota"),
        refused("session at its end", 390114, "run this again"),
        refused("statement cancelled", 604, "nothing of it was kept"),
    ]


def _of_bigquery() -> list[Trouble]:
    from google.api_core.exceptions import BadRequest, Forbidden, NotFound
    from google.auth.exceptions import RefreshError

    return [
        Trouble(
            name="wrong project",
            make=lambda: NotFound(f"Not found: Project acme, asked by '{CANARY}'"),
            told="`project` in warehouses.yaml",
        ),
        Trouble(name="expired key", make=lambda: RefreshError(f"invalid_grant: {CANARY}"), told="key file"),
        Trouble(
            name="missing grant",
            make=lambda: Forbidden(f"Access Denied: Table acme:marts.consents: '{CANARY}' does not have"),
            told="cdp doctor",
        ),
        Trouble(
            name="billing switched off",
            make=lambda: Forbidden(
                f"Billing has not been enabled: '{CANARY}'", errors=[{"reason": "billingNotEnabled"}]
            ),
            told="billing",
        ),
        Trouble(
            name="quota reached",
            make=lambda: Forbidden(f"Quota exceeded: '{CANARY}'", errors=[{"reason": "quotaExceeded"}]),
            told="quota",
        ),
        Trouble(
            name="limit of bytes",
            make=lambda: BadRequest(f"Query exceeded limit for bytes billed: 1000. '{CANARY}'"),
            told="maximum_bytes_billed",
        ),
        Trouble(name="connection lost", make=lambda: ConnectionResetError(CANARY), told="nothing is half done"),
    ]
