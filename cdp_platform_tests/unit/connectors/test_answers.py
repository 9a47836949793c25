"""The default reading of an answer, status by status."""

from datetime import UTC, datetime

import pytest

from cdp_platform.connectors.answers import error_of, reason_of, remaining_requests, request_id_of, retry_after_seconds
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ConfigError,
    DestinationError,
    RateLimited,
    Refused,
    TemporarilyDown,
)

NOW = datetime(2026, 11, 22, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207])
def test_a_2xx_is_no_error(status: int) -> None:
    assert error_of(status, {}, None, vendor="hubspot") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, ConfigError) for status in (301, 302, 307, 308)],
        *[(status, Refused) for status in (400, 404, 405, 409, 410, 413, 415, 422)],
        *[(status, AuthenticationFailed) for status in (401, 403)],
        *[(status, TemporarilyDown) for status in (408, 423, 425, 477, 500, 501, 502, 503, 504, 599)],
        (429, RateLimited),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[CdpError]) -> None:
    error = error_of(status, {}, {"category": "SOME_REASON"}, vendor="hubspot", now=NOW)
    assert type(error) is kind
    assert f"hubspot answered {status} SOME_REASON" in str(error)
    if isinstance(error, DestinationError):
        assert error.status == status


def test_a_refusal_carries_the_vendors_word_and_a_large_request_its_own() -> None:
    refusals = [error_of(status, {}, {"category": "VALIDATION_ERROR"}, vendor="hubspot") for status in (400, 413)]
    assert [error.code for error in refusals if isinstance(error, Refused)] == ["VALIDATION_ERROR", "row_too_large"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("864000", 900.0),
        ("9" * 400, 900.0),
        ("Sun, 22 Nov 2026 09:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 08:00:00 GMT", 0.0),
        ("Wed, 02 Dec 2026 09:00:00 GMT", 900.0),
        ("Sun, 22 Nov 2026 10:00:30 +0100", 30.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("1e3", None),
        ("Sun, 99 Nov 99999 09:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-AFTER": text}, NOW) == seconds


def test_no_retry_after_is_none() -> None:
    assert retry_after_seconds({}, NOW) is None


def test_a_429_waits_as_told_else_one_window_else_unknown() -> None:
    window = {"X-HubSpot-RateLimit-Interval-Milliseconds": "10000"}
    waits = [
        error_of(429, window | {"Retry-After": "2"}, None, vendor="hubspot", now=NOW),
        error_of(429, window, {"policyName": "TEN_SECONDLY_ROLLING"}, vendor="hubspot", now=NOW),
        error_of(429, window, {"policyName": "DAILY"}, vendor="hubspot", now=NOW),
        error_of(429, window | {"Retry-After": "2"}, {"policyName": "DAILY"}, vendor="hubspot", now=NOW),
        error_of(429, {}, None, vendor="hubspot", now=NOW),
    ]
    told = [error.retry_after_seconds for error in waits if isinstance(error, RateLimited)]
    assert told == [2.0, 10.0, 86_400.0, 86_400.0, None]


@pytest.mark.parametrize(
    "body",
    [
        {"category": "ada@example.com", "message": "ada@example.com is taken"},
        {"category": ["ada@example.com"], "code": {"ada@example.com": 1}},
        {"error": {"code": "ada@example.com"}},
        "ada@example.com",
        ["ada@example.com"],
    ],
)
def test_no_error_text_repeats_a_value_of_the_body(body: object) -> None:
    error = error_of(400, {"X-Request-Id": "ada@example.com"}, body, vendor="hubspot")
    assert "ada" not in f"{error!r} {error}"


def test_the_reason_is_found_where_vendors_put_it() -> None:
    assert reason_of({"error": {"code": 190, "message": "x"}}) == "190"
    assert reason_of({"errorType": "RATE_LIMIT", "policyName": "DAILY"}) == "DAILY"
    assert reason_of(None) == ""


def test_the_request_id_is_found_in_the_usual_headers() -> None:
    assert request_id_of({"X-HubSpot-Correlation-Id": "5c2f-11"}) == "5c2f-11"
    assert request_id_of({"x-request-id": "evil\r\nvalue"}) is None


def test_the_remaining_requests_need_a_count_and_a_window() -> None:
    told = {"X-HubSpot-RateLimit-Remaining": "12", "X-HubSpot-RateLimit-Interval-Milliseconds": "10000"}
    assert remaining_requests(told) == (12, 10.0)
    assert remaining_requests({"X-HubSpot-RateLimit-Daily-Remaining": "12"} | dict(list(told.items())[1:])) is None
    assert remaining_requests(told | {"X-HubSpot-RateLimit-Remaining": "many"}) is None
