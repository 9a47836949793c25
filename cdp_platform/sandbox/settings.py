"""What a sandbox account is started with, and the file its access token lives in."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """One sandbox account. Limits default to those of the vendor's Professional tier.

    Raises ValueError for a port, limit, time or share that cannot be.
    """

    state_path: Path
    """The SQLite file that holds the account; created with its folder when absent."""
    token: str = field(repr=False)
    """The bearer token that the API asks for."""
    port: int = 8790
    """TCP port on 127.0.0.1; 0 lets the system choose one."""
    requests_per_window: int = 190
    window_seconds: float = 10.0
    daily_limit: int = 625_000
    """Requests per UTC day."""
    searches_per_second: int = 5
    latency_seconds: float = 0.0
    """Added before each answer of the API."""
    search_lag_seconds: float = 0.0
    """How long a changed record stays out of searches: the vendor's index comes after its records."""
    token_seconds: float = 1800.0
    """How long an access token lives that the OAuth endpoint gave."""
    zoho_requests_per_minute: int = 100
    zoho_daily_limit: int = 10_000
    """Requests per UTC day, of the larger plans of Zoho Inventory."""
    seed: int = 2017
    """Decides, with person and day, who acts."""
    unsubscribe_share: float = 0.006
    """Share of the contacts that unsubscribe on one day (0 to 1)."""
    email_change_share: float = 0.004
    """Share of the contacts that change their e-mail in the preference centre on one day (0 to 1)."""

    def __post_init__(self) -> None:
        if not self.token.strip() or not self.token.isascii():
            raise ValueError("token: must be plain text that is not blank")
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: {self.port} is not between 0 and 65535")
        limits = ("requests_per_window", "daily_limit", "searches_per_second")
        for name in (*limits, "zoho_requests_per_minute", "zoho_daily_limit"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")
        if self.window_seconds <= 0 or self.token_seconds <= 0:
            raise ValueError("window_seconds and token_seconds must be above 0")
        if min(self.latency_seconds, self.search_lag_seconds) < 0:
            raise ValueError("latency_seconds and search_lag_seconds must not be below 0")
        shares = (self.unsubscribe_share, self.email_change_share)
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError("unsubscribe_share and email_change_share: each from 0, together at most 1")


def read_or_create_token(path: Path) -> str:
    """Return the token in the file; write a random one, readable by the owner only, when there is no file.

    Raises ValueError when the file is there and blank.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        token = path.read_text(encoding="utf-8").strip()
        if not token:
            raise ValueError(f"token file {path} is blank: delete it, or write a token into it") from None
        return token
    token = f"sandbox-{secrets.token_urlsafe(24)}"
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    return token
