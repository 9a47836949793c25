"""One HTTP exchange with one host: bounded in time and size, and with each trouble as one of our errors.

It sends by the adapter of requests and not by its Session: nothing here follows a redirect, repeats a request, keeps a
cookie, or reads a proxy, netrc or certificate file from the environment.
"""

import http.client
import ipaddress
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, NoReturn
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.structures import CaseInsensitiveDict

from cdp_platform.connectors.deadline import Deadline, WatchedAdapter
from cdp_platform.errors import ConfigError, ConnectionFailed, ContractBroken, TemporarilyDown

CONNECT_SECONDS: Final = 10.0
_CHUNK_BYTES: Final = 65_536
_GZIP: Final = 31
_READ_TIMEOUTS: Final = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)
_CONNECTIONS: Final = 32
"""Connections kept open for reuse; more are opened where more are needed, and closed afterwards."""


class RawAnswer(NamedTuple):
    """An answer as it came, whole. A tuple, because one is made for every request."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive."""
    content: bytes
    """The body, decompressed."""
    received_bytes: int
    """The body's size on the wire."""


class Transport:
    """A pool of connections to the host of one base URL. Safe across threads."""

    def __init__(
        self,
        base_url: str,
        *,
        vendor: str,
        deadline_seconds: float,
        body_limit_bytes: int = 32 * 1024 * 1024,
        ca_file: Path | None = None,
    ) -> None:
        """Prepare for a URL that `check_base_url` has allowed; nothing is sent yet. `vendor` names it in errors."""
        self._vendor = vendor
        self._deadline_seconds = deadline_seconds
        self._body_limit_bytes = body_limit_bytes
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._timeout = (min(CONNECT_SECONDS, deadline_seconds), deadline_seconds)
        self._verify: bool | str = str(ca_file) if ca_file else True
        self._adapter = WatchedAdapter(_CONNECTIONS)

    def exchange(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> RawAnswer:
        """Send one request and read its answer, whatever its status; `target` is path and query.

        Raises ConnectionFailed where nothing was sent, TemporarilyDown where the answer did not come whole in time, and
        ContractBroken for a body that is too large, cut, or no gzip although it claims to be.
        """
        response: requests.Response | None = None
        is_whole = False
        with Deadline(self._deadline_seconds) as deadline:
            try:
                response = self._adapter.send(
                    _prepared(method, self._origin + target, body, headers),
                    stream=True,
                    timeout=self._timeout,
                    verify=self._verify,
                )
                content, size = self._read(response)
                is_whole = not deadline.has_expired
                if not is_whole:
                    raise self._late()
                return RawAnswer(response.status_code, response.headers, content, size)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                self._explain(error, deadline, response)
            finally:
                if response is not None and not is_whole:
                    response.close()

    def close(self) -> None:
        self._adapter.close()

    def _read(self, response: requests.Response) -> tuple[bytes, int]:
        """Read the body, decompressed; the limit holds for what came and for what it unfolds to."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise self.broken(response.status_code, "came in an encoding that was not asked for")
        chunks, size = [], 0
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._body_limit_bytes:
                raise self.broken(response.status_code, f"is larger than {self._body_limit_bytes} bytes")
        raw = b"".join(chunks)
        return raw if encoding == "identity" or not raw else self._unfold(raw, response.status_code), size

    def _unfold(self, raw: bytes, status: int) -> bytes:
        unfolding = zlib.decompressobj(_GZIP)
        try:
            text = unfolding.decompress(raw, self._body_limit_bytes + 1)
        except zlib.error:
            raise self.broken(status, "is not the gzip that it claims to be") from None
        if len(text) > self._body_limit_bytes:
            raise self.broken(status, f"unfolds to more than {self._body_limit_bytes} bytes")
        if not unfolding.eof:
            raise self.broken(status, "was cut")
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
        if response is not None and 200 <= response.status_code < 300 and _is_cut(error):
            raise self.broken(response.status_code, "was cut") from None
        raise TemporarilyDown(f"The connection to {self._vendor} ended before its answer did ({kind}).") from None

    def _late(self) -> TemporarilyDown:
        return TemporarilyDown(f"{self._vendor} gave no whole answer in {self._deadline_seconds:g} seconds.")

    def broken(self, status: int, what: str) -> ContractBroken:
        """Say of a 2xx, or an answer that claims something, that its body is not to be believed."""
        return ContractBroken(f"{self._vendor} answered {status}, but the body {what}.", status=status)


def check_base_url(base_url: str, field: str = "base_url") -> str:
    """Return `base_url` without a slash at its end.

    Raises ConfigError, naming `field`, unless it is https, or http to this machine, without user, query and fragment.
    """
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_url("is not a URL", field) from None
    if parts.username is not None or parts.password is not None:
        raise _bad_url("holds a user or password, which belongs into a variable", field)
    if not host or parts.query or parts.fragment or port == 0 or not (base_url.isascii() and base_url.isprintable()):
        raise _bad_url("must be scheme, host and path alone", field)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise _bad_url("must begin with https:// (http:// is for 127.0.0.1 only)", field)
    return base_url.rstrip("/")


def _bad_url(why: str, field: str) -> ConfigError:
    return ConfigError(f"The {field.replace('_', ' ').replace('url', 'URL')} {why}.", field=field)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _prepared(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """Make a request of parts that are checked and encoded already."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = method, url, body
    prepared.headers = CaseInsensitiveDict(headers)
    if body is not None:
        prepared.headers["Content-Length"] = str(len(body))
    return prepared


def _is_before_sending(error: Exception) -> bool:
    return isinstance(error, requests.ConnectTimeout) or _cause(error, urllib3.exceptions.NewConnectionError)


def _is_cut(error: Exception) -> bool:
    return _cause(error, urllib3.exceptions.IncompleteRead) or _cause(error, http.client.IncompleteRead)


def _cause(error: Exception, kind: type[Exception]) -> bool:
    """Whether `error`, or what it was made from, is a `kind`."""
    reasons = [error, *error.args, *(getattr(argument, "reason", None) for argument in error.args)]
    reasons += [inner for reason in error.args if isinstance(reason, Exception) for inner in reason.args]
    return any(isinstance(reason, kind) for reason in reasons)
