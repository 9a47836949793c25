"""The vendor's token endpoint: one form in, one access token out, and nothing that is believed without reason.

The client is named in the form (RFC 6749, 2.3.1), which HubSpot, Salesforce, Zoho and Google take.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from cdp_platform.connectors.answers import error_of, reason_of
from cdp_platform.connectors.assertion import asserted
from cdp_platform.connectors.credentials import Secret
from cdp_platform.connectors.protocol import Json
from cdp_platform.connectors.transport import RawAnswer, Transport, check_base_url
from cdp_platform.domain.syncs import Grant, OAuth
from cdp_platform.errors import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    Refused,
    TemporarilyDown,
)

TRIES: Final = 3
_DEADLINE_SECONDS: Final = 10.0
_BACKOFF_SECONDS: Final = 0.5
_BODY_LIMIT_BYTES: Final = 262_144
_LONGEST_TOKEN: Final = 16_384
_LONGEST_LIFE_SECONDS: Final = 1e9
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "cdp-platform",
}


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """The values behind the references of an OAuth credential. `refresh` is for the grant of that name only."""

    client_id: Secret
    client: Secret
    refresh: Secret | None


@dataclass(frozen=True, kw_only=True)
class GrantedToken:
    """What the endpoint gave. `lifetime_seconds` is None where it did not say; `refresh` where it gave none."""

    access: Secret
    lifetime_seconds: float | None
    refresh: Secret | None


class TokenEndpoint:
    """One token URL. Safe across threads."""

    def __init__(
        self,
        token_url: str,
        *,
        vendor: str,
        deadline_seconds: float = _DEADLINE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        ca_file: Path | None = None,
    ) -> None:
        """Raises ConfigError for a URL that is not allowed. `jitter` is 0 to 1."""
        check_base_url(token_url, "token_url")
        self._who = f"{vendor}'s token endpoint"
        self._path = urlsplit(token_url).path or "/"
        self._sleep = sleep
        self._jitter = jitter
        self._open = partial(
            Transport,
            token_url,
            vendor=self._who,
            deadline_seconds=deadline_seconds,
            body_limit_bytes=_BODY_LIMIT_BYTES,
            ca_file=ca_file,
        )

    def ask(self, oauth: OAuth, secrets: Secrets, *, refresh: Secret | None) -> GrantedToken:
        """Ask for an access token; where there is no usable answer, a few times.

        Raises AuthenticationFailed where the endpoint refuses, RateLimited where it asks to wait, ConfigError for a
        redirect, ConnectionFailed otherwise.
        """
        form = asserted(oauth, secrets) if oauth.grant is Grant.JWT_BEARER else _form(oauth, secrets, refresh)
        body = urlencode(form).encode()
        for tried in range(1, TRIES + 1):
            try:
                # Asked once an hour or so: a connection that is kept meanwhile would be of no use.
                with closing(self._open()) as transport:
                    answer = transport.exchange("POST", self._path, body, _HEADERS)
                return self._read(oauth, answer, [secrets.client_id, secrets.client, refresh])
            except (TemporarilyDown, ContractBroken, ConnectionFailed) as error:
                if isinstance(error, AuthenticationFailed):
                    raise
                if tried == TRIES:
                    raise ConnectionFailed(
                        f"{error.what} Asked {TRIES} times for an access token; no row was sent.",
                        remedy="Check the token URL and the vendor's state, and run again.",
                    ) from None
            self._sleep(_BACKOFF_SECONDS * 2.0**tried * self._jitter())
        raise AssertionError("the last try returns or raises")

    def refusal(self, oauth: OAuth, reason: str) -> AuthenticationFailed:
        """Say that the secrets were refused, and which variables hold them."""
        if reason == "invalid_grant" and oauth.refresh_token_env:
            remedy = f"Authorise the client at the vendor again, set {oauth.refresh_token_env} to the new refresh token"
        else:
            names = [oauth.client_id_env, oauth.client_secret_env, oauth.refresh_token_env]
            remedy = f"Check the token URL, {', '.join(name for name in names if name)}, and the client's grants"
        return AuthenticationFailed(
            f"{self._who} gave no access token ({reason or 'refused'}).", remedy=f"{remedy}, and run again.", status=401
        )

    def _read(self, oauth: OAuth, answer: RawAnswer, sent: Sequence[Secret | None]) -> GrantedToken:
        document = _parsed(answer.content)
        reason = _reason(document, sent)
        error = error_of(answer.status, answer.headers, {"error": reason}, vendor=self._who)
        # Some endpoints refuse with a 200.
        is_refusal = error is None and isinstance(document, dict) and "error" in document
        if isinstance(error, AuthenticationFailed | Refused) or is_refusal:
            raise self.refusal(oauth, reason)
        if isinstance(error, ConfigError):
            raise ConfigError(error.what, remedy="Correct the token URL.", field="destination.oauth.token_url")
        if error:
            raise error
        return self._believed(answer, document)

    def _believed(self, answer: RawAnswer, document: Json) -> GrantedToken:
        """Read the token; raise ContractBroken unless every word of the answer makes sense."""
        told = document if isinstance(document, dict) else {}
        access = _token(told.get("access_token"))
        refresh = _token(told.get("refresh_token"))
        kind, life = told.get("token_type", "bearer"), _lifetime(told.get("expires_in"))
        is_sound = isinstance(kind, str) and kind.lower() == "bearer" and life != 0
        if access is None or not is_sound or (told.get("refresh_token") and refresh is None):
            raise ContractBroken(
                f"{self._who} answered {answer.status} without a usable bearer token.", status=answer.status
            )
        return GrantedToken(access=access, lifetime_seconds=life, refresh=refresh)


def _form(oauth: OAuth, secrets: Secrets, refresh: Secret | None) -> dict[str, str]:
    form = {
        "grant_type": oauth.grant.value,
        "client_id": secrets.client_id.reveal(),
        "client_secret": secrets.client.reveal(),
    }
    if oauth.grant is Grant.REFRESH_TOKEN and refresh:
        form["refresh_token"] = refresh.reveal()
    if oauth.scope:
        form["scope"] = oauth.scope
    return form


def _parsed(content: bytes) -> Json:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _reason(document: Json, sent: Sequence[Secret | None]) -> str:
    """The word for a refusal that RFC 6749 defines, or the vendor's own; empty where it says a secret of ours back."""
    told = document.get("error") if isinstance(document, dict) else None
    word = reason_of({"error": told}) if isinstance(told, str) else reason_of(document)
    is_echo = any(secret and (word in secret.reveal() or secret.reveal() in word) for secret in sent)
    return "" if is_echo else word


def _token(value: Json) -> Secret | None:
    is_token = isinstance(value, str) and 0 < len(value) <= _LONGEST_TOKEN
    return Secret(value) if is_token and value.isascii() and value.isprintable() and " " not in value else None


def _lifetime(value: Json) -> float | None:
    """Seconds; None where it is not told, 0 where it is nonsense."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        value = int(value)
    is_sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LONGEST_LIFE_SECONDS
    return float(value) if is_sound else 0.0
