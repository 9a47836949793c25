"""The session that destinations and vendor sources share: authenticated, paced, bounded in time and size.

It is the only place of the platform that speaks HTTP to a vendor. Every trouble leaves it as one of the errors that
`protocol.Session` names; a 2xx leaves it only when its whole body was read and parsed.
"""

import http.client
import ipaddress
import json
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict

from cdp_platform.connectors.answers import error_of, remaining_requests, request_id_of, retry_after_seconds
from cdp_platform.connectors.credentials import Secret, read_secret, resolve_base_url
from cdp_platform.connectors.deadline import Deadline, WatchedAdapter
from cdp_platform.connectors.protocol import Answer, Destination, Json, Request
from cdp_platform.connectors.rate_limit import Bucket, name_bucket
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    RateLimited,
    Refused,
    TemporarilyDown,
)

_CONNECT_SECONDS: Final = 10.0
_CHUNK_BYTES: Final = 65_536
_SHORTEST_PENALTY_SECONDS: Final = 1.0
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+/?")
_GZIP: Final = 31
_READ_TIMEOUTS: Final = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)
_NO_BODY: Final = frozenset({202, 204, 205})


class HttpSession:
    """A Session over one pool of connections to one base URL. Safe across threads."""

    def __init__(
        self,
        base_url: str,
        *,
        vendor: str,
        bucket: Bucket,
        read_token: Callable[[], Secret] | None = None,
        deadline_seconds: float = 30.0,
        pace_seconds: float = 15.0,
        body_limit_bytes: int = 32 * 1024 * 1024,
        ca_file: Path | None = None,
    ) -> None:
        """Check `base_url` and prepare; nothing is sent yet.

        `read_token` is called for every request, so that a renewed secret is used. A request waits `pace_seconds` at
        most for its slot, then has `deadline_seconds` from the first byte sent to the last byte read.
        """
        self._base_url = check_base_url(base_url)
        self._vendor = vendor
        self._bucket = bucket
        self._read_token = read_token
        self._deadline_seconds = deadline_seconds
        self._pace_seconds = pace_seconds
        self._body_limit_bytes = body_limit_bytes
        self._http = requests.Session()
        # No proxy, netrc or certificate file from the environment.
        self._http.trust_env = False
        self._http.verify = str(ca_file) if ca_file else True
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, WatchedAdapter())

    @property
    def longest_send_seconds(self) -> float:
        """The longest time that one `send` can take, its wait for a slot included."""
        attempts = 2 if self._read_token else 1
        return attempts * (self._pace_seconds + _CONNECT_SECONDS + self._deadline_seconds)

    def send(self, request: Request) -> Answer:
        """Send `request` and read its answer; see `protocol.Session.send` for the errors.

        Raises ConfigError for a redirect. A token that was renewed since it was read is tried once after a 401.
        """
        token = self._read_token() if self._read_token else None
        try:
            return self._attempt(request, token)
        except AuthenticationFailed:
            renewed = self._read_token() if self._read_token else None
            if renewed == token:
                raise
            return self._attempt(request, renewed)

    def close(self) -> None:
        self._http.close()
        self._bucket.close()

    def _attempt(self, request: Request, token: Secret | None) -> Answer:
        url, body = self._url(request), _encode_body(request, self._vendor)
        self._bucket.acquire(self._pace_seconds)
        status, headers, raw = self._exchange(request, url, body, _headers(token, has_body=body is not None))
        is_accepted = 200 <= status < 300
        error = None if is_accepted else error_of(status, headers, _parse_leniently(raw), vendor=self._vendor)
        self._heed(error, headers)
        if error:
            raise error
        parsed = None if status in _NO_BODY and not raw else self._parse(status, raw)
        return Answer(status=status, headers=headers, body=parsed, request_id=request_id_of(headers))

    def _exchange(
        self, request: Request, url: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, CaseInsensitiveDict[str], bytes]:
        """Return status, headers and the decoded body, whole."""
        response: requests.Response | None = None
        with Deadline(self._deadline_seconds) as deadline:
            try:
                response = self._http.request(
                    request.method,
                    url,
                    params=dict(request.query),
                    data=body,
                    headers=headers,
                    cookies=RequestsCookieJar(),
                    timeout=(min(_CONNECT_SECONDS, self._deadline_seconds), self._deadline_seconds),
                    allow_redirects=False,
                    stream=True,
                )
                raw = self._read(response)
                if deadline.has_expired:
                    raise self._late()
                return response.status_code, response.headers, raw
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                self._explain(error, deadline, response)
            finally:
                # Cookies would make one request depend on another.
                self._http.cookies.clear()
                if response is not None:
                    response.close()

    def _read(self, response: requests.Response) -> bytes:
        """Read the body, decompressed; the limit holds for what came and for what it unfolds to."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise self._broken(response.status_code, "came in an encoding that was not asked for")
        chunks, size = [], 0
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._body_limit_bytes:
                raise self._broken(response.status_code, f"is larger than {self._body_limit_bytes} bytes")
        raw = b"".join(chunks)
        return raw if encoding == "identity" or not raw else self._unfold(raw, response.status_code)

    def _unfold(self, raw: bytes, status: int) -> bytes:
        unfolding = zlib.decompressobj(_GZIP)
        try:
            text = unfolding.decompress(raw, self._body_limit_bytes + 1)
        except zlib.error:
            raise self._broken(status, "is not the gzip that it claims to be") from None
        if len(text) > self._body_limit_bytes:
            raise self._broken(status, f"unfolds to more than {self._body_limit_bytes} bytes")
        if not unfolding.eof:
            raise self._broken(status, "was cut")
        return text

    def _explain(self, error: Exception, deadline: Deadline, response: requests.Response | None) -> NoReturn:
        """Raise what `error` means. Its own text stays out: it can quote the URL or the headers."""
        kind = type(error).__name__
        is_late = deadline.has_expired or isinstance(error, _READ_TIMEOUTS)
        if is_late and deadline.has_begun:
            raise self._late() from None
        if response is None and (not deadline.has_begun or _is_before_sending(error)):
            raise ConnectionFailed(
                f"{self._vendor} could not be reached ({kind}); nothing was sent.",
                remedy="Check the base URL, the network and the certificate.",
            ) from None
        if response is not None and response.ok and _is_cut(error):
            raise self._broken(response.status_code, "was cut") from None
        raise TemporarilyDown(f"The connection to {self._vendor} ended before its answer did ({kind}).") from None

    def _heed(self, error: CdpError | None, headers: CaseInsensitiveDict[str]) -> None:
        """Let the bucket know what the destination says of its limit."""
        if isinstance(error, RateLimited):
            told = error.retry_after_seconds or 0.0
            self._bucket.penalise(max(told, _SHORTEST_PENALTY_SECONDS))
        elif isinstance(error, TemporarilyDown):
            self._bucket.penalise(retry_after_seconds(headers, datetime.now(UTC)) or 0.0)
        elif limits := remaining_requests(headers):
            self._bucket.observe(*limits)

    def _parse(self, status: int, raw: bytes) -> Json:
        try:
            return json.loads(raw, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise self._broken(status, "is not JSON" if raw else "is empty") from None

    def _late(self) -> TemporarilyDown:
        return TemporarilyDown(f"{self._vendor} gave no whole answer in {self._deadline_seconds:g} seconds.")

    def _broken(self, status: int, what: str) -> ContractBroken:
        return ContractBroken(f"{self._vendor} answered {status}, but the body {what}.", status=status)

    def _url(self, request: Request) -> str:
        """Join base URL and path; raise ConfigError for a path that could lead elsewhere."""
        segments = request.path.split("/")
        if not _PATH.fullmatch(request.path) or ".." in segments or "." in segments:
            raise ConfigError(f"{self._vendor}: a request's path is not a plain path under the base URL.")
        return self._base_url + request.path


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

    Raises AuthenticationFailed where the token's variable is not set, ConfigError for a base URL that is not allowed.
    """
    base_url = check_base_url(resolve_base_url(connection, destination.default_base_url))
    limits = destination.capabilities(object_name)
    token_env = connection.token_env
    token = read_secret(token_env) if token_env else None
    bucket = Bucket(
        home.rate_limits,
        name_bucket(urlsplit(base_url).netloc, token),
        requests_per_second=limits.requests_per_second,
        burst_requests=limits.burst_requests,
    )
    read_token = (lambda: read_secret(token_env)) if token_env else None
    return HttpSession(
        base_url,
        vendor=connection.vendor,
        bucket=bucket,
        read_token=read_token,
        deadline_seconds=deadline_seconds,
        pace_seconds=pace_seconds,
    )


def check_base_url(base_url: str) -> str:
    """Return `base_url` without a slash at its end.

    Raises ConfigError unless it is https, or http to this machine, without user, query and fragment.
    """
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_base_url("is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise _bad_base_url("holds a user or password, which belongs into the token's variable")
    if not host or parts.query or parts.fragment or port == 0 or not (base_url.isascii() and base_url.isprintable()):
        raise _bad_base_url("must be scheme, host and path alone")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise _bad_base_url("must begin with https:// (http:// is for 127.0.0.1 only)")
    return base_url.rstrip("/")


def _bad_base_url(why: str) -> ConfigError:
    return ConfigError(f"The base URL {why}.", field="base_url")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _headers(token: Secret | None, *, has_body: bool) -> dict[str, str]:
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "cdp-platform"}
    if has_body:
        headers["Content-Type"] = "application/json"
    if token:
        headers["Authorization"] = f"Bearer {token.reveal()}"
    return headers


def _encode_body(request: Request, vendor: str) -> bytes | None:
    if request.body is None or isinstance(request.body, bytes):
        return request.body
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


def _is_before_sending(error: Exception) -> bool:
    return isinstance(error, requests.ConnectTimeout) or _cause(error, urllib3.exceptions.NewConnectionError)


def _is_cut(error: Exception) -> bool:
    return _cause(error, urllib3.exceptions.IncompleteRead) or _cause(error, http.client.IncompleteRead)


def _cause(error: Exception, kind: type[Exception]) -> bool:
    """Whether `error`, or what it was made from, is a `kind`."""
    reasons = [error, *error.args, *(getattr(argument, "reason", None) for argument in error.args)]
    reasons += [inner for reason in error.args if isinstance(reason, Exception) for inner in reason.args]
    return any(isinstance(reason, kind) for reason in reasons)
