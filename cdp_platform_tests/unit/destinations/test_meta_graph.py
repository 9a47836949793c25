"""How Meta says no, and how much of its limit is used up."""

import json
from typing import Any

import pytest

from cdp_platform.destinations.meta_graph import error_of, rest_seconds
from cdp_platform.errors import AuthenticationFailed, CdpError, ConfigError, RateLimited, TemporarilyDown


def body(code: Any, subcode: int = 0) -> dict[str, Any]:
    error = {"message": "canary@example.com is not right", "type": "OAuthException", "code": code}
    return {"error": error | ({"error_subcode": subcode} if subcode else {})}


def usage(**numbers: float) -> dict[str, str]:
    return {"x-business-use-case-usage": json.dumps({"17": [{"type": "custom_audience", **numbers}]})}


@pytest.mark.parametrize("code", [4, 17, 32, 341, 613, 80003, 80004])
def test_a_limit_in_a_400_is_waited_for(code: int) -> None:
    error = error_of(400, {}, body(code))
    assert isinstance(error, RateLimited) and error.retry_after_seconds == 60


def test_the_wait_is_as_long_as_the_header_says() -> None:
    headers = {"X-Business-Use-Case-Usage": usage(estimated_time_to_regain_access=7)["x-business-use-case-usage"]}
    error = error_of(400, headers, body(80003))
    assert isinstance(error, RateLimited) and error.retry_after_seconds == 420


@pytest.mark.parametrize(("code", "status"), [(190, 401), (102, 401), (10, 403), (200, 403), (294, 403), (368, 403)])
def test_a_token_and_a_permission_are_no_fault_of_a_row(code: int, status: int) -> None:
    error = error_of(400, {}, body(code))
    assert isinstance(error, AuthenticationFailed) and error.status == status


@pytest.mark.parametrize("code", [2655, 2663])
def test_terms_that_nobody_accepted_are_told_with_what_to_do(code: int) -> None:
    error = error_of(400, {}, body(code))
    assert isinstance(error, AuthenticationFailed) and "Ads Manager" in error.remedy


@pytest.mark.parametrize(("status", "code"), [(500, 1), (400, 2), (503, 100)])
def test_trouble_of_metas_own_is_temporary(status: int, code: int) -> None:
    assert isinstance(error_of(status, {}, body(code)), TemporarilyDown)


@pytest.mark.parametrize("subcode", [33, 1713230])
def test_an_audience_that_is_gone_or_flagged_stops_the_run(subcode: int) -> None:
    assert isinstance(error_of(400, {}, body(100, subcode)), ConfigError)


@pytest.mark.parametrize("told", [None, {}, [], {"error": None}, {"error": {"code": "4"}}, body(100), body(True)])
def test_what_is_not_known_is_left_to_the_default_reading(told: Any) -> None:
    assert error_of(400, {}, told) is None


@pytest.mark.parametrize("code", [4, 190, 2, 200, 2655])
def test_no_value_of_the_body_stands_in_an_error(code: int) -> None:
    error = error_of(400, {}, body(code))
    assert isinstance(error, CdpError) and "canary" not in f"{error} {error.args}"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        (usage(call_count=74, total_time=10), 0),
        (usage(call_count=10, total_cputime=85), 5),
        (usage(total_time=96), 60),
        (usage(call_count=100), 60),
        (usage(call_count=100, estimated_time_to_regain_access=12), 720),
        ({"x-app-usage": '{"call_count": 80}'}, 2.5),
        ({"x-ad-account-usage": '{"acc_id_util_pct": 100, "reset_time_duration": 300}'}, 300),
        ({"x-app-usage": "nonsense", "x-business-use-case-usage": "[1]"}, 0),
        ({"x-business-use-case-usage": '{"17": [{"call_count": "many"}, 5], "18": null}'}, 0),
    ],
)
def test_nearer_to_the_limit_everybody_rests_longer(headers: dict[str, str], seconds: float) -> None:
    assert rest_seconds(headers) == seconds
