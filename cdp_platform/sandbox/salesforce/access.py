"""Who may come in, and how often: access tokens by two OAuth flows, the day's requests, and requests at once.

Read from help.salesforce.com remoteaccess_oauth_jwt_flow and _client_credentials_flow, article 000389067, and
developer.salesforce.com api_rest headers_api_usage (2026-11-22). An assertion is verified with the certificate, or the
public key, that lies as `salesforce.pem` beside the state file. Stricter than the vendor, who counts only requests of
20 seconds or more: 25 requests at once, of any length.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import jwt

from cdp_platform.sandbox.salesforce.answers import RequestError
from cdp_platform.sandbox.salesforce.store import OrganizationStore
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.wire import Answer, ApiRequest

TOKEN_SECONDS: Final = 7_200.0
"""How long a session lasts: the vendor's default."""
MOST_AT_ONCE: Final = 25
_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST_ASSERTION_SECONDS: Final = 180.0
_AUDIENCES: Final = ("https://login.salesforce.com", "https://test.salesforce.com")


class Access:
    """The sessions of one organization."""

    def __init__(
        self, settings: SandboxSettings, store: OrganizationStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._certificate = settings.state_path.with_name("salesforce.pem")
        self._lock = threading.Lock()
        self._at_once = 0

    def token(self, request: ApiRequest) -> Answer:
        """POST /services/oauth2/token."""
        form = request.body if isinstance(request.body, dict) else {}
        match form.get("grant_type"):
            case "client_credentials":
                is_right = bool(form.get("client_id")) and self._is_secret(str(form.get("client_secret", "")))
                refusal = None if is_right else ("invalid_client", "invalid client credentials")
            case grant if grant == _JWT_BEARER:
                refusal = self._refuse_assertion(str(form.get("assertion", "")))
            case _:
                refusal = ("unsupported_grant_type", "grant type not supported")
        if refusal:
            return Answer(status=400, body={"error": refusal[0], "error_description": refusal[1]})
        token = f"00D!{secrets.token_urlsafe(32)}"
        self._store.execute("insert into tokens values (?, ?)", (token, self._clock()))
        base = f"http://{request.headers.get('host', '127.0.0.1')}"
        organization = self._store.account_value("organization_id")
        told = {"access_token": token, "instance_url": base, "token_type": "Bearer", "scope": "api"}
        issued = {"id": f"{base}/id/{organization}", "issued_at": str(round(self._clock() * 1000)), "signature": ""}
        return Answer(body={**told, **issued})

    def require_token(self, authorization: str) -> None:
        """Raise RequestError 401 unless the session is one that was issued and has not expired."""
        scheme, _, given = authorization.partition(" ")
        given = given.strip()
        if scheme.lower() in ("bearer", "oauth") and (self._is_secret(given) or self._is_issued(given)):
            return
        raise RequestError(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def end_sessions(self) -> None:
        """Let every session that was issued expire."""
        self._store.execute("delete from tokens")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count one request; raise RequestError 403 beyond the day's number, or beyond those at once."""
        with self._lock:
            day = self._store.timestamp()[:10]
            kind = None
            if self.used() >= self._settings.daily_limit:
                kind = "TotalRequests"
            elif self._at_once >= MOST_AT_ONCE:
                kind = "ConcurrentRequests (Concurrent API Requests)"
            column = "refused" if kind else "accepted"
            self._store.execute(
                f"insert into requests (day, {column}) values (?, 1)"
                f" on conflict (day) do update set {column} = {column} + 1",
                (day,),
            )
            if kind:
                raise RequestError(403, "REQUEST_LIMIT_EXCEEDED", f"{kind} Limit exceeded.")
            self._at_once += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def used(self) -> int:
        """Return how many requests of this day were accepted."""
        rows = self._store.execute("select accepted from requests where day = ?", (self._store.timestamp()[:10],))
        return int(rows[0][0]) if rows else 0

    def headers(self) -> dict[str, str]:
        """Return the header that tells what is used up."""
        return {"Sforce-Limit-Info": f"api-usage={self.used()}/{self._settings.daily_limit}"}

    def limits(self, request: ApiRequest) -> Answer:
        """GET limits."""
        most = self._settings.daily_limit
        daily = {"Max": most, "Remaining": max(0, most - self.used())}
        batches = {"Max": 15_000, "Remaining": 15_000}
        return Answer(body={"DailyApiRequests": daily, "DailyBulkV2QueryJobs": batches, "DailyBulkApiBatches": batches})

    def _is_secret(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._settings.token.encode())

    def _is_issued(self, given: str) -> bool:
        rows = self._store.execute("select issued_at from tokens where token = ?", (given,))
        return bool(rows) and self._clock() < rows[0][0] + TOKEN_SECONDS

    def _refuse_assertion(self, assertion: str) -> tuple[str, str] | None:
        """Say why an assertion is not taken; None where it is."""
        try:
            claims = self._claims(assertion)
        except (jwt.InvalidTokenError, OSError, ValueError):
            return "invalid_grant", "invalid assertion"
        if claims["exp"] > self._clock() + _LONGEST_ASSERTION_SECONDS + 5:
            return "invalid_grant", "expires too far in the future"
        return None

    def _claims(self, assertion: str) -> dict[str, Any]:
        key = _public_key(self._certificate)
        claims: dict[str, Any] = jwt.decode(
            assertion,
            key,
            algorithms=["RS256"],
            audience=list(_AUDIENCES),
            options={"require": ["iss", "sub", "aud", "exp"]},
        )
        return claims


def _public_key(path: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    content = path.read_bytes()
    if b"BEGIN CERTIFICATE" in content:
        return load_pem_x509_certificate(content).public_key()
    return load_pem_public_key(content)
