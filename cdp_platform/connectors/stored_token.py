"""An access token as it is kept for every process that shares a credential, and how it is written down."""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from cdp_platform.connectors.credentials import Secret

_FORMAT: Final = 1
LEEWAY_SECONDS: Final = 60.0
"""A token is renewed this long before it expires, so that no request sets out with one that dies on the way."""
LEEWAY_SHARE: Final = 0.1
"""Of short-lived tokens, this share of their life."""


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


def written(token: StoredToken) -> str:
    """Write a token down, its secrets in clear."""
    kept = {
        "format": _FORMAT,
        "origin": token.origin,
        "access_token": token.access.reveal() if token.access else None,
        "obtained_at": token.obtained_at,
        "expires_at": token.expires_at,
        "refresh_token": token.refresh.reveal() if token.refresh else None,
    }
    return json.dumps(kept)


def parse_token(text: bytes) -> StoredToken | None:
    """Read what was written down; None for what makes no sense."""
    try:
        kept = json.loads(text)
    except (ValueError, RecursionError):
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


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _secret(value: Any) -> Secret | None:
    return Secret(value) if isinstance(value, str) and value else None
