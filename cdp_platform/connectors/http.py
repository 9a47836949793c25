"""The session that destinations and vendor sources share: authenticated, paced, bounded in time and size.

It is the only place of the platform that speaks HTTP to a vendor's API. Every trouble leaves it as one of the errors
that `protocol.Session` names; a 2xx leaves it only when its whole body was read and parsed.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final, NoReturn
from urllib.parse import urlencode, urlsplit

from cdp_platform.connectors.abilities import NamesItsScheme, TellsItsUsage
from cdp_platform.connectors.answers import error_of, remaining_requests, request_id_of, retry_after_seconds
from cdp_platform.connectors.credentials import Secret, credential_of, read_secret, resolve_base_url
from cdp_platform.connectors.oauth import AccessTokens
from cdp_platform.connectors.protocol import (
    Answer,
    Destination,
    Json,
    Reads,
    ReadsErrors,
    Request,
)
from cdp_platform.connectors.rate_limit import Bucket, Slot, name_bucket
from cdp_platform.connectors.tally import Tallies
from cdp_platform.connectors.token_endpoint import TokenEndpoint
from cdp_platform.connectors.transport import CONNECT_SECONDS, RawAnswer, Transport, check_base_url
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ConfigError,
    ConnectionFailed,
    RateLimited,
    Refused,
    TemporarilyDown,
)

_SHORTEST_PENALTY_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 1.0
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+/?")
_FORM: Final = "application/x-www-form-urlencoded"
_NO_BODY: Final = frozenset({202, 204, 205})
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "cdp-platform"}

ReadError = Callable[[int, Mapping[str, str], Json], CdpError | None]
"""Reads an answer that is no 2xx: status, headers, parsed body; None where it has nothing to say."""


RestSeconds = Callable[[Mapping[str, str]], float]
"""Reads from headers, by name in lower case, for how long nobody should ask on."""


def _nothing_to_say(status: int, headers: Mapping[str, str], body: Json) -> None:
    return None


def _no_rest(headers: Mapping[str, str]) -> float:
    return 0.0


class HttpSession:
    """A Session over one pool of connections to one base URL. Safe across threads."""

    def __init__(
        self,
        base_url: str,
        *,
        vendor: str,
        bucket: Bucket,
        read_token: Callable[[], Secret] | None = None,
        renew_token: Callable[[Secret], Secret] | None = None,
        deadline_seconds: float = 30.0,
        pace_seconds: float = 15.0,
        at_once: int = 32,
        body_limit_bytes: int = 32 * 1024 * 1024,
        auth_scheme: str = "Bearer",
        read_error: ReadError = _nothing_to_say,
        rest_seconds: RestSeconds = _no_rest,
        ca_file: Path | None = None,
    ) -> None:
        """Check `base_url` and prepare; nothing is sent yet.

        `read_token` is called for every request, so that a renewed secret is used. After a 401 `renew_token` is given
        the token that was refused; where there is none, `read_token` is asked again. A request waits `pace_seconds` at
        most until fewer than `at_once` others are under way and its slot has come, then has `deadline_seconds` from the
        first byte sent to the last byte read. `auth_scheme` is the word before the token; `read_error` is asked before
        the default reading of answers.py.
        """
        self._base_path = urlsplit(check_base_url(base_url)).path
        self._vendor = vendor
        self._auth_scheme = auth_scheme
        self._read_error = read_error
        self._rest_seconds = rest_seconds
        self._bucket = bucket
        self._read_token = read_token
        self._renew_token = renew_token
        self._pace_seconds = pace_seconds
        self._under_way = BoundedSemaphore(at_once)
        self._attempt_seconds = pace_seconds + CONNECT_SECONDS + deadline_seconds
        self._tallies = Tallies()
        self._transport = Transport(
            base_url,
            vendor=vendor,
            deadline_seconds=deadline_seconds,
            body_limit_bytes=body_limit_bytes,
            ca_file=ca_file,
        )

    @property
    def longest_send_seconds(self) -> float:
        """The longest time that one `send` can take, its wait for a slot and a token included."""
        return (2 if self._read_token else 1) * self._attempt_seconds

    @property
    def traffic(self) -> Traffic:
        """What this session has done so far."""
        return self._tallies.traffic

    def send(self, request: Request) -> Answer:
        """Send `request` and read its answer; see `protocol.Session.send` for the errors.

        Raises ConfigError for a redirect. After a 401 it is tried once more, where there is another token by then.
        """
        latest_at = time.monotonic() + self.longest_send_seconds - self._attempt_seconds
        target, body = self._target(request), _encode_body(request, self._vendor)
        token = self._read_token() if self._read_token else None
        try:
            return self._attempt(request, target, body, token, latest_at)
        except AuthenticationFailed as refusal:
            renewed = self._renewed(token) if refusal.status == 401 else None
            if renewed is None or renewed == token:
                raise
        return self._attempt(request, target, body, renewed, latest_at)

    def close(self) -> None:
        self._transport.close()
        self._bucket.close()

    def _renewed(self, refused: Secret | None) -> Secret | None:
        if self._renew_token and refused:
            return self._renew_token(refused)
        return self._read_token() if self._read_token else None

    def _attempt(
        self, request: Request, target: str, body: bytes | None, token: Secret | None, latest_at: float
    ) -> Answer:
        if time.monotonic() > latest_at + _GRACE_SECONDS:
            # A lease is renewed for the time of one send; a new token that took longer must not outlast it.
            raise ConnectionFailed(
                f"Renewing the access token for {self._vendor} took too long; nothing was sent.", remedy="Run again."
            )
        with ExitStack() as under_way:
            slot = self._slot(under_way)
            try:
                headers = self._headers(request, token, has_body=body is not None)
                raw = self._counted(request.method, target, body, headers)
                # Another request may go while this one's answer is read.
                under_way.close()
                answer = self._understood(raw, request.reads)
            except CdpError as error:
                self._bucket.report(slot.admission, error)
                raise
        self._bucket.report(slot.admission, None)
        return answer

    def _slot(self, under_way: ExitStack) -> Slot:
        """Wait until fewer than `at_once` requests are under way, and for the bucket's slot; count the waiting."""
        began_at = time.monotonic()
        if not self._under_way.acquire(timeout=self._pace_seconds):
            raise RateLimited(
                f"No request to {self._vendor} has ended in {self._pace_seconds:g} seconds; no more are sent at once.",
                status=None,
                retry_after_seconds=_SHORTEST_PENALTY_SECONDS,
            )
        under_way.callback(self._under_way.release)
        slot = self._bucket.acquire(max(0.0, self._pace_seconds - (time.monotonic() - began_at)))
        self._tallies.of_this_thread().paced_seconds += slot.waited_seconds
        return slot

    def _understood(self, raw: RawAnswer, reads: Reads) -> Answer:
        # They are gone through several times, and a plain dict is quicker at that.
        told = dict(raw.headers.items())
        error = None
        if not 200 <= raw.status < 300:
            said = _parse_leniently(raw.content)
            error = self._read_error(raw.status, told, said) or error_of(raw.status, told, said, vendor=self._vendor)
        self._heed(error, told)
        if error:
            raise error
        parsed = None if raw.status in _NO_BODY and not raw.content else self._parse(raw, reads)
        return Answer(status=raw.status, headers=raw.headers, body=parsed, request_id=request_id_of(told))

    def _headers(self, request: Request, token: Secret | None, *, has_body: bool) -> dict[str, str]:
        headers = {**_HEADERS, **request.headers}
        if request.reads == "text":
            headers["Accept"] = "text/csv, */*"
        if has_body:
            headers["Content-Type"] = request.media_type
        if token:
            headers["Authorization"] = f"{self._auth_scheme} {token.reveal()}"
        return headers

    def _counted(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> RawAnswer:
        tally, began_at = self._tallies.of_this_thread(), time.perf_counter()
        tally.sent_bytes += len(body or b"")
        status = None
        try:
            raw = self._transport.exchange(method, target, body, headers)
            status = raw.status
            tally.received_bytes += raw.received_bytes
            return raw
        finally:
            tally.note(status, time.perf_counter() - began_at)

    def _heed(self, error: CdpError | None, headers: Mapping[str, str]) -> None:
        """Let the bucket know what the destination says of its limit."""
        if isinstance(error, RateLimited):
            told = error.retry_after_seconds or 0.0
            self._bucket.penalise(max(told, _SHORTEST_PENALTY_SECONDS))
        elif isinstance(error, TemporarilyDown):
            self._bucket.penalise(retry_after_seconds(headers, datetime.now(UTC)) or 0.0)
        elif limits := remaining_requests(headers):
            self._bucket.observe(*limits)
        elif rest := self._rest_seconds({name.lower(): text for name, text in headers.items()}):
            self._bucket.penalise(rest)

    def _parse(self, raw: RawAnswer, reads: Reads) -> Json:
        try:
            text = raw.content.decode("utf-8-sig")
            return text if reads == "text" else _STRICT.decode(text)
        except (ValueError, RecursionError):
            what = "text" if reads == "text" else "JSON"
            raise self._transport.broken(raw.status, f"is not {what}" if raw.content else "is empty") from None

    def _target(self, request: Request) -> str:
        """Join the base URL's path, the request's, and its query; raise ConfigError for what could lead elsewhere."""
        segments = request.path.split("/")
        if not _PATH.fullmatch(request.path) or ".." in segments or "." in segments:
            raise ConfigError(f"{self._vendor}: a request's path is not a plain path under the base URL.")
        query = f"?{urlencode(request.query)}" if request.query else ""
        return self._base_path + request.path + query


def open_session(
    connection: Connection,
    destination: Destination,
    home: Home,
    object_name: str,
    *,
    deadline_seconds: float = 30.0,
    pace_seconds: float = 15.0,
) -> HttpSession:
    """Open a session on the connection's account, paced by the bucket that its credential shares; see HttpSession.

    Raises AuthenticationFailed where a variable of the credential is not set, ConfigError for a URL that is not
    allowed.
    """
    base_url = check_base_url(resolve_base_url(connection, destination.default_base_url))
    limits = destination.capabilities(object_name)
    bucket = Bucket(
        home.journal_address or home.rate_limits,
        name_bucket(urlsplit(base_url).netloc, credential_of(connection)),
        requests_per_second=limits.requests_per_second,
        burst_requests=limits.burst_requests,
        requests_per_day=limits.requests_per_day,
        destination=connection.vendor,
    )
    read_token, renew_token = _token_ways(connection, home, bucket)
    return HttpSession(
        base_url,
        vendor=connection.vendor,
        bucket=bucket,
        read_token=read_token,
        renew_token=renew_token,
        deadline_seconds=deadline_seconds,
        pace_seconds=pace_seconds,
        at_once=limits.requests_at_once,
        read_error=destination.error_of if isinstance(destination, ReadsErrors) else _nothing_to_say,
        rest_seconds=destination.rest_seconds if isinstance(destination, TellsItsUsage) else _no_rest,
        auth_scheme=destination.auth_scheme if isinstance(destination, NamesItsScheme) else "Bearer",
    )


def _token_ways(
    connection: Connection, home: Home, bucket: Bucket
) -> tuple[Callable[[], Secret] | None, Callable[[Secret], Secret] | None]:
    """How a token is read, and how it is renewed after a 401."""
    if connection.oauth:
        endpoint = TokenEndpoint(connection.oauth.token_url, vendor=connection.vendor)
        tokens = AccessTokens(connection, connection.oauth, home, bucket=bucket, endpoint=endpoint)
        return tokens.read, tokens.renew
    token_env = connection.token_env
    return (lambda: read_secret(token_env)) if token_env else None, None


def _encode_body(request: Request, vendor: str) -> bytes | None:
    if request.body is None or isinstance(request.body, bytes):
        return request.body
    if request.media_type == _FORM:
        return urlencode(request.body).encode()
    try:
        return json.dumps(request.body, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError):
        raise Refused(f"A value for {vendor} cannot be said in JSON; nothing was sent.", code="invalid_value") from None


def _parse_leniently(raw: bytes) -> Json:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_STRICT: Final = json.JSONDecoder(parse_constant=_refuse_constant)
