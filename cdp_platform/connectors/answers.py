"""What an HTTP answer means before any destination has a say: the default reading, as pure functions.

A destination may narrow this reading, never widen it. No text made here holds a value of the answer's body: only the
status, a short word of the vendor's for the reason, and the request's id.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from cdp_platform.connectors.protocol import Json
from cdp_platform.errors import AuthenticationFailed, CdpError, ConfigError, RateLimited, Refused, TemporarilyDown

LONGEST_WAIT_SECONDS: Final = 900.0
DAY_SECONDS: Final = 86_400.0
"""Told of an allowance of a day: longer than a run can wait, so that it ends and a later one goes on."""
_REQUEST_ID_HEADERS: Final = ("x-hubspot-correlation-id", "x-request-id", "request-id", "x-correlation-id")
_REASON_KEYS: Final = ("policyName", "errorType", "subCategory", "category", "code", "error")
_WORD: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
# Locked, too early, and HubSpot's "account is being moved": all three mean "the same request, later".
_LATER: Final = frozenset({408, 423, 425, 477})


def error_of(
    status: int, headers: Mapping[str, str], body: Json, *, vendor: str, now: datetime | None = None
) -> CdpError | None:
    """Read an answer by its status; None for 2xx. `body` is parsed JSON, or None where it was none.

    `headers` need not be case-insensitive. `now` is aware and serves Retry-After given as a date.
    """
    if 200 <= status < 300:
        return None
    reason = reason_of(body)
    what = f"{vendor} answered {status}{f' {reason}' if reason else ''}{_request_note(headers)}."
    if status == 429:
        wait_seconds = _wait_after_429(headers, reason, now or datetime.now(UTC))
        return RateLimited(what, retry_after_seconds=wait_seconds)
    if status >= 500 or status in _LATER:
        return TemporarilyDown(what, status=status)
    if status == 401:
        remedy = "The credential was not accepted: renew it and run again."
        return AuthenticationFailed(what, remedy=remedy, status=status)
    if status == 403:
        remedy = "The credential lacks a permission: grant it at the vendor."
        return AuthenticationFailed(what, remedy=remedy, status=status)
    if status < 400:
        return ConfigError(what, remedy="Redirects are not followed: correct the base URL.", field="base_url")
    return Refused(what, status=status, code="row_too_large" if status == 413 else reason or "refused")


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read Retry-After (seconds or an HTTP date): 0 to 900; 0 where it has passed, None where there is none to read."""
    text = _header(headers, "retry-after").strip()
    if _NUMBER.fullmatch(text):
        seconds = float(text)
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def remaining_requests(headers: Mapping[str, str]) -> tuple[int, float] | None:
    """Read (requests that remain, seconds of the window) from rate-limit headers that tell both; None otherwise."""
    remaining = _number_ending(headers, "ratelimit-remaining")
    milliseconds = _number_ending(headers, "ratelimit-interval-milliseconds")
    if remaining is None or not milliseconds:
        return None
    return int(remaining), min(milliseconds / 1000, LONGEST_WAIT_SECONDS)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Read the vendor's id of the request, from the headers that are usual for it."""
    texts = (_header(headers, name) for name in _REQUEST_ID_HEADERS)
    return next((text for text in texts if _TOKEN.fullmatch(text)), None)


def reason_of(body: Json) -> str:
    """Read the vendor's word for the reason; empty where there is none that is surely no value of a person."""
    if not isinstance(body, Mapping):
        return ""
    nested = body.get("error")
    words = (source.get(key) for source in (body, nested) if isinstance(source, Mapping) for key in _REASON_KEYS)
    return next((str(word) for word in words if isinstance(word, str | int) and _WORD.fullmatch(str(word))), "")


def _wait_after_429(headers: Mapping[str, str], reason: str, now: datetime) -> float | None:
    if "DAILY" in reason.upper():
        return DAY_SECONDS
    told = retry_after_seconds(headers, now)
    if told is not None:
        return told
    milliseconds = _number_ending(headers, "ratelimit-interval-milliseconds")
    return min(milliseconds / 1000, LONGEST_WAIT_SECONDS) if milliseconds else None


def _request_note(headers: Mapping[str, str]) -> str:
    request_id = request_id_of(headers)
    return f" (request {request_id})" if request_id else ""


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((text for key, text in headers.items() if key.lower() == name), "")


def _number_ending(headers: Mapping[str, str], ending: str) -> float | None:
    text = next((text.strip() for key, text in headers.items() if key.lower().endswith(ending)), "")
    return float(text) if _NUMBER.fullmatch(text) and not text.startswith("-") else None
