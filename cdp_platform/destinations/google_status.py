"""What Google's Data Manager says of a request that it has taken, and of one that it has not.

Vendor pages, read 2026-11-22 under developers.google.com/data-manager/api: reference/rest/v1/requestStatus/retrieve,
devguides/concepts/understand-errors. `recordIndices` are the places of records within the request, from 0.
"""

import re
from collections.abc import Mapping
from typing import Final

from cdp_platform.connectors.answers import DAY_SECONDS
from cdp_platform.connectors.protocol import Answer, Json
from cdp_platform.errors import CdpError, ConfigError, ContractBroken, JobFailed, RateLimited, Refused

_LONGEST_SECONDS: Final = 900.0
_MINUTE_SECONDS: Final = 60.0
_DELAY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)s")
_PREFIX: Final = "PROCESSING_ERROR_REASON_"
_NOT_OF_A_ROW: Final = re.compile(".*(INTERNAL_ERROR|CONSENT|NOT_SIGNED|DECRYPTION|KEK|WIP|PERMISSION).*")
"""Reasons that no row is at fault for: looking for the bad one would ask Google in vain."""


def read_status(answer: Answer, rows: int) -> dict[int, str] | None:
    """Read a request's status: the reasons of rejected rows by their place, none where all went well; None: goes on.

    Raises Refused where some or all failed and it is not told which, JobFailed where Google failed, ContractBroken for
    a status that cannot be believed.
    """
    told = answer.body.get("requestStatusPerDestination") if isinstance(answer.body, Mapping) else None
    if not isinstance(told, list) or len(told) != 1 or not isinstance(told[0], Mapping):
        raise _broken(answer, "tells no status of one destination")
    state = told[0].get("requestStatus")
    if state == "PROCESSING":
        return None
    if state == "SUCCESS":
        if _records(told[0]) not in (None, rows):
            raise _broken(answer, "counts other records than were sent")
        return {}
    if state not in ("PARTIAL_SUCCESS", "FAILED"):
        raise _broken(answer, "tells a status that is not known")
    counts = _error_counts(told[0])
    places = _places(counts, rows)
    if places and (state == "PARTIAL_SUCCESS" or len(places) == rows):
        return places
    reason = _safe(str(counts[0].get("reason", "")).removeprefix(_PREFIX)) if counts else "no reason"
    if state == "FAILED" and _NOT_OF_A_ROW.fullmatch(reason):
        raise JobFailed(
            f"google took a request and processed none of it ({reason}).",
            remedy="Look at the account's terms and at the options ad_user_data and ad_personalization.",
        )
    raise Refused(
        f"google processed a request with errors and does not say of which rows ({reason}).",
        status=answer.status,
        code="invalid_identifier",
        is_partial=True,
    )


def error_of(status: int, body: Json) -> CdpError | None:
    """Read Google's error object; None where the default reading is right."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return None
    details = [one for one in error.get("details") or [] if isinstance(one, Mapping)]
    if status == 429 or error.get("status") == "RESOURCE_EXHAUSTED":
        return RateLimited(f"google answered {status} RESOURCE_EXHAUSTED.", retry_after_seconds=_delay(details))
    if status == 404:
        return ConfigError(
            "google answered 404: the account or the user list is not there, or the credential may not see it.",
            remedy="Correct account_id, user_list_id or login_account_id.",
            field="destination.options",
        )
    return None


def _records(told: Mapping[str, Json]) -> int | None:
    """How many records were processed, where it is told."""
    for part, inner in (
        ("audienceMembersIngestionStatus", "userDataIngestionStatus"),
        ("audienceMembersRemovalStatus", "userDataRemovalStatus"),
    ):
        outer = told.get(part)
        status = outer.get(inner) if isinstance(outer, Mapping) else None
        count = status.get("recordCount") if isinstance(status, Mapping) else None
        if isinstance(count, str | int) and str(count).isdigit():
            return int(count)
    return None


def _error_counts(told: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    info = told.get("errorInfo")
    counts = info.get("errorCounts") if isinstance(info, Mapping) else None
    return [one for one in (counts if isinstance(counts, list) else []) if isinstance(one, Mapping)]


def _places(counts: list[Mapping[str, Json]], rows: int) -> dict[int, str]:
    """The rows that failed, by place; empty unless every failed record is named."""
    found = dict[int, str]()
    for one in counts:
        named, count = one.get("recordIndices"), str(one.get("recordCount", ""))
        places = [int(place) for place in named or [] if str(place).isdigit()] if isinstance(named, list) else []
        if not count.isdigit() or len(set(places)) != int(count) or not all(place < rows for place in places):
            return {}
        found |= dict.fromkeys(places, "invalid_identifier")
    return found


def _delay(details: list[Mapping[str, Json]]) -> float:
    for one in details:
        if told := _DELAY.fullmatch(str(one.get("retryDelay", ""))):
            return min(float(told[1]), _LONGEST_SECONDS)
        metadata = one.get("metadata")
        if isinstance(metadata, Mapping) and "PerDay" in str(metadata.get("quota_limit", "")):
            return DAY_SECONDS
    return _MINUTE_SECONDS


def _safe(reason: str) -> str:
    return reason if re.fullmatch("[A-Z_]{1,80}", reason) else "no reason"


def _broken(answer: Answer, what: str) -> ContractBroken:
    return ContractBroken(f"google answered {answer.status}, but the body {what}.", status=answer.status)
