"""Access tokens by OAuth 2 (RFC 6749): fetched, shared, renewed before they expire, and once after a 401 (G12).

One worker refreshes, whatever the number of threads and processes: it holds the credential's lock, and who comes after
finds the new token in the file. A token that is refused although it is fresh is not renewed again, and secrets that the
endpoint has refused are not tried again by everybody who waits.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Final

from cdp_platform.connectors.credentials import Secret, credential_of, read_private_key, read_secret
from cdp_platform.connectors.rate_limit import Bucket
from cdp_platform.connectors.stored_token import StoredToken
from cdp_platform.connectors.token_endpoint import Secrets, TokenEndpoint
from cdp_platform.connectors.token_file import TokenFile
from cdp_platform.connectors.token_row import TokenRow
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection, Grant, OAuth
from cdp_platform.errors import AuthenticationFailed, CdpError, CircuitOpen, ConnectionFailed, RateLimited
from cdp_platform.faultpoints import faultpoint

FRESH_SECONDS: Final = 60.0
"""A younger token that is refused is not renewed, and younger word of the endpoint's refusal is believed."""
_LONGEST_TURN_SECONDS: Final = 40.0
"""Longer than the endpoint's tries take altogether (32 s), and short enough for a lease."""


class AccessTokens:
    """The access tokens of one credential. Safe across threads, processes, and hosts that share a database."""

    def __init__(
        self,
        connection: Connection,
        oauth: OAuth,
        home: Home,
        *,
        bucket: Bucket,
        endpoint: TokenEndpoint,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises AuthenticationFailed where a variable is not set. `clock` gives seconds since 1970."""
        name = _name_of(connection)
        self._oauth = oauth
        self._bucket = bucket
        self._endpoint = endpoint
        self._clock = clock
        self._kept: TokenFile | TokenRow = TokenFile(home.tokens, name)
        if home.journal_address:
            self._kept = TokenRow(home.journal_address, name, lambda: _joined(self._read_secrets()))
        self._lock = threading.Lock()
        self._token: StoredToken | None = None
        self._failed: tuple[float, CdpError] | None = None
        """When a refresh last failed for want of an answer, by the monotonic clock, and how."""
        self._read_secrets()

    def read(self) -> Secret:
        """Return a token that should be accepted now; fetch one where there is none. Raises as `renew` does."""
        token = self._token
        if token is not None and token.access is not None and token.is_good(self._clock()):
            return token.access
        return self._find_or_fetch(None)

    def renew(self, refused: Secret) -> Secret:
        """Return another token than `refused`, which was answered with 401.

        Raises AuthenticationFailed where the secrets are refused or `refused` was fresh, ConnectionFailed where the
        endpoint gives no usable answer or the circuit is open, RateLimited where it asks to wait.
        """
        return self._find_or_fetch(refused)

    def _find_or_fetch(self, refused: Secret | None) -> Secret:
        came_at = time.monotonic()
        if not self._lock.acquire(timeout=_LONGEST_TURN_SECONDS):
            raise ConnectionFailed("The access token is still being renewed; nothing was sent.", remedy="Run again.")
        try:
            if self._failed is not None and self._failed[0] >= came_at:
                raise _again(self._failed[1])
            with self._kept.locked(_LONGEST_TURN_SECONDS):
                return self._find(refused) or self._fetch()
        except (ConnectionFailed, RateLimited) as error:
            self._failed = (time.monotonic(), error)
            raise
        finally:
            self._lock.release()

    def _find(self, refused: Secret | None) -> Secret | None:
        """Take the token that another worker has fetched; None where one is to be fetched."""
        stored, now = self._kept.read(), self._clock()
        if stored is None or stored.origin != _origin(self._read_secrets()):
            return None
        if stored.access is None and stored.is_younger_than(FRESH_SECONDS, now):
            raise self._endpoint.refusal(self._oauth, "a moment ago")
        if stored.access is not None and stored.access == refused and stored.is_younger_than(FRESH_SECONDS, now):
            raise AuthenticationFailed(
                "A fresh access token was not accepted either.",
                remedy="Grant the client its permissions at the vendor, and check that the token URL belongs to it.",
                status=401,
            )
        if stored.access == refused or not stored.is_good(now):
            return None
        self._token = stored
        return stored.access

    def _fetch(self) -> Secret:
        """Ask the endpoint and keep its answer before anybody uses it."""
        admission = self._bucket.require_closed()
        secrets = self._read_secrets()
        origin = _origin(secrets)
        rotated = self._rotated(origin)
        faultpoint("token.asking")
        try:
            grant = self._endpoint.ask(self._oauth, secrets, refresh=rotated or secrets.refresh)
        except AuthenticationFailed:
            self._kept.write(
                StoredToken(origin=origin, access=None, obtained_at=self._clock(), expires_at=None, refresh=rotated)
            )
            raise
        except CdpError as error:
            self._bucket.report(admission, error)
            raise
        now = self._clock()
        self._token = StoredToken(
            origin=origin,
            access=grant.access,
            obtained_at=now,
            expires_at=None if grant.lifetime_seconds is None else now + grant.lifetime_seconds,
            refresh=rotated if grant.refresh in (None, secrets.refresh) else grant.refresh,
        )
        faultpoint("token.answered")
        self._kept.write(self._token)
        faultpoint("token.kept")
        return grant.access

    def _rotated(self, origin: str) -> Secret | None:
        """The newest refresh token that the endpoint has given; the file lacks it where it could not be written."""
        known = [one for one in (self._kept.read(), self._token) if one is not None and one.origin == origin]
        return max(known, key=lambda one: one.obtained_at).refresh if known else None

    def _read_secrets(self) -> Secrets:
        """Read the environment anew, since a secret may be rotated while a run is under way."""
        return _secrets_of(self._oauth)


def carry_token(connection: Connection, oauth: OAuth, home: Home, address: str) -> bool:
    """Take a credential's token from its file in `home` to the database at `address`; False where there is none.

    A younger one that is there already stays. Raises AuthenticationFailed where a variable is not set,
    ConnectionFailed where the database cannot be used.
    """
    row = TokenRow(address, _name_of(connection), lambda: _joined(_secrets_of(oauth)))
    token, known = TokenFile(home.tokens, _name_of(connection)).read(), row.read()
    if token is None or (known is not None and known.obtained_at >= token.obtained_at):
        return False
    row.write(token)
    return True


def _name_of(connection: Connection) -> str:
    credential = credential_of(connection) or Secret("")
    return hashlib.sha256(f"cdp_platform token\0{credential.reveal()}".encode()).hexdigest()[:32]


def _secrets_of(oauth: OAuth) -> Secrets:
    read_client = read_private_key if oauth.grant is Grant.JWT_BEARER else read_secret
    return Secrets(
        client_id=read_secret(oauth.client_id_env),
        client=read_client(oauth.client_secret_env),
        refresh=read_secret(oauth.refresh_token_env) if oauth.refresh_token_env else None,
    )


def _origin(secrets: Secrets) -> str:
    return hashlib.sha256(f"cdp_platform origin\0{_joined(secrets)}".encode()).hexdigest()


def _joined(secrets: Secrets) -> str:
    refresh = secrets.refresh.reveal() if secrets.refresh else ""
    return "\0".join([secrets.client_id.reveal(), secrets.client.reveal(), refresh])


def _again(error: CdpError) -> CdpError:
    """The same trouble for another thread: one exception raised by two threads would mix their tracebacks."""
    if isinstance(error, RateLimited):
        return RateLimited(error.what, remedy=error.remedy, retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, AuthenticationFailed):
        return AuthenticationFailed(error.what, remedy=error.remedy, status=error.status)
    if isinstance(error, CircuitOpen):
        return CircuitOpen(error.what, until=error.until, remedy=error.remedy)
    return ConnectionFailed(error.what, remedy=error.remedy)
