"""Access tokens that expire, for every vendor whose door is OAuth 2: what the token file holds is client secret and
refresh token; the access tokens made from it live as long as the vendor says.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping

from cdp_platform.sandbox.wire import Answer, ApiRequest


class Tokens:
    """The tokens of one vendor's door. The file's own token is taken, too: as a static one, where a vendor has such."""

    def __init__(self, secret: str, *, lifetime_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret = secret
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}

    def is_good(self, token: str) -> bool:
        """Say whether a token opens the door now."""
        if _same(token, self._secret):
            return True
        with self._lock:
            return self._ends.get(token, 0.0) > self._clock()

    def is_expired(self, token: str) -> bool:
        """Say whether a token was good once."""
        with self._lock:
            return token in self._ends and self._ends[token] <= self._clock()

    def grant(self, request: ApiRequest) -> tuple[str, float] | None:
        """Read a token request (RFC 6749) and make an access token; None where client or grant is refused."""
        form: Mapping[str, str] = request.body if isinstance(request.body, Mapping) else {}
        proof = form.get("refresh_token" if form.get("grant_type") == "refresh_token" else "client_secret", "")
        is_known = form.get("grant_type") in ("refresh_token", "client_credentials") and form.get("client_id")
        if (
            not is_known
            or not _same(str(form.get("client_secret", "")), self._secret)
            or not _same(proof, self._secret)
        ):
            return None
        token = f"at-{secrets.token_urlsafe(24)}"
        with self._lock:
            self._ends[token] = self._clock() + self._lifetime_seconds
        return token, self._lifetime_seconds

    def answer(self, request: ApiRequest, *, refused_status: int) -> Answer:
        """Answer a token request as the RFC says; some vendors refuse with 200, so the status is theirs to name."""
        granted = self.grant(request)
        if granted is None:
            return Answer(status=refused_status, body={"error": "invalid_client"})
        token, seconds = granted
        return Answer(body={"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)})


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8"))
