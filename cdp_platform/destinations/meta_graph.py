"""What all objects of Meta's Graph API have in common: how it says no, and how much of its limit is used up.

Vendor pages, read 2026-11-22: developers.facebook.com/docs/graph-api/overview/rate-limiting and
.../graph-api/guides/error-handling; the codes of terms that were not accepted (2655, 2663) from threads of the vendor's
own SDKs. The API's version is part of the base URL.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from cdp_platform.connectors.protocol import Answer, Json
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ConfigError,
    ContractBroken,
    RateLimited,
    TemporarilyDown,
)

BASE_URL: Final = "https://graph.facebook.com/v26.0"
FORM: Final = "application/x-www-form-urlencoded"
SLOW_PERCENT: Final = 75.0
"""Above this share of a limit requests are spread out, up to ten seconds apart."""
STOP_PERCENT: Final = 95.0
"""Above this one nobody asks for a minute; at the limit, for as long as Meta says."""
_STOP_SECONDS: Final = 60.0
_LIMITED: Final = frozenset({4, 17, 32, 341, 613, *range(80000, 80015)})
_TEMPORARY: Final = frozenset({1, 2})
_TOKEN: Final = frozenset({102, 190, 463, 467})
_TERMS: Final = frozenset({2655, 2663})
_FLAGGED: Final = (100, 1713230)
_MISSING: Final = (100, 33)


def error_of(status: int, headers: Mapping[str, str], body: Json) -> CdpError | None:
    """Read Meta's error object; None where there is none, or where the default reading is right."""
    error = body.get("error") if isinstance(body, Mapping) else None
    code, subcode = _codes(error)
    if code is None:
        return None
    what = f"meta answered {status} (code {code}{f', subcode {subcode}' if subcode else ''})."
    if code in _LIMITED:
        told = _waits({name.lower(): text for name, text in headers.items()})
        return RateLimited(what, status=status, retry_after_seconds=max(told, _STOP_SECONDS))
    if code in _TEMPORARY or status >= 500:
        return TemporarilyDown(what, status=status)
    if code in _TOKEN:
        return AuthenticationFailed(what, remedy="The access token is not valid any more: make a new one.", status=401)
    if code in _TERMS:
        remedy = "Somebody who runs the ad account accepts the terms of Custom Audiences in Meta's Ads Manager."
        return AuthenticationFailed(what, remedy=remedy, status=403)
    if code in (3, 10, 368) or 200 <= code < 300:
        remedy = (
            "The token lacks the permission ads_management for this ad account, or its terms are not accepted: see to"
            " both in Meta's Business settings."
        )
        return AuthenticationFailed(what, remedy=remedy, status=403)
    return _of_object(what, code, subcode)


def rest_seconds(headers: Mapping[str, str]) -> float:
    """Say from the usage headers for how long nobody should ask on; 0 below three quarters of every limit."""
    percent = max([0.0, *_percents(headers)])
    if percent >= 100:
        return max(_waits(headers), _STOP_SECONDS)
    if percent >= STOP_PERCENT:
        return _STOP_SECONDS
    return max(0.0, percent - SLOW_PERCENT) / 2


def broken(answer: Answer, what: str) -> ContractBroken:
    """Say of a 2xx that its body is not to be believed."""
    return ContractBroken(f"meta answered {answer.status}, but the body {what}.", status=answer.status)


def id_of(answer: Answer, value: Json) -> str:
    """Read an id: digits, as text or as a number; raise ContractBroken for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdigit():
        raise broken(answer, "names no id")
    return str(value)


def count_of(value: Json) -> int | None:
    """Read a number of things; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _codes(error: Json) -> tuple[int | None, int]:
    told = error if isinstance(error, Mapping) else {}
    return count_of(told.get("code")), count_of(told.get("error_subcode")) or 0


def _of_object(what: str, code: int, subcode: int) -> CdpError | None:
    if (code, subcode) == _FLAGGED:
        remedy = "Meta has flagged the audience: appeal in its Audience Manager, or name another audience."
        return ConfigError(what, remedy=remedy, field="destination.options")
    if (code, subcode) == _MISSING:
        remedy = "The ad account, audience or dataset is gone, or the token may not see it: correct the options."
        return ConfigError(what, remedy=remedy, field="destination.options")
    return None


def _usages(headers: Mapping[str, str]) -> Iterator[Mapping[str, Json]]:
    """The usage objects of the three headers; `headers` by name in lower case."""
    for name in ("x-app-usage", "x-ad-account-usage"):
        yield from _objects(headers.get(name, ""))
    for account in _objects(headers.get("x-business-use-case-usage", "")):
        for usages in account.values():
            yield from (usage for usage in (usages if isinstance(usages, list) else []) if isinstance(usage, Mapping))


def _objects(text: str) -> Iterator[Mapping[str, Json]]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(told, Mapping):
        yield told


def _percents(headers: Mapping[str, str]) -> Iterator[float]:
    names = ("call_count", "total_cputime", "total_time", "acc_id_util_pct")
    for usage in _usages(headers):
        yield from (_number(usage.get(name)) for name in names)


def _waits(headers: Mapping[str, str]) -> float:
    """The longest wait that a header asks for, in seconds."""
    told = [0.0]
    for usage in _usages(headers):
        told += [60 * _number(usage.get("estimated_time_to_regain_access")), _number(usage.get("reset_time_duration"))]
    return max(told)


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else 0.0
