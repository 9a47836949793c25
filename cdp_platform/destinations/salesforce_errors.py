"""Salesforce's words for trouble: of a whole request, of one record of a collection, of one line of a bulk job.

Vendor pages, read 2026-11-22: developer.salesforce.com api_rest errorcodes and headers_api_usage, api_asynch
get_job_failed_results; the names of the codes are those of the status codes in the SOAP guide.

A message may repeat a person's value; what leaves this module is a code of ours and the API name of a field we sent.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cdp_platform.connectors.protocol import Json, OutgoingRow
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.errors import AuthenticationFailed, CdpError, ConfigError, RateLimited, Refused

DAY_SECONDS: Final = 86_400.0
_CONCURRENCY_SECONDS: Final = 20.0
"""A request counts as long-running from this time on; so many at once are refused until one of them ends."""
_CODES: Final = {
    "REQUIRED_FIELD_MISSING": "required_field_missing",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "validation_rule",
    "FIELD_FILTER_VALIDATION_EXCEPTION": "validation_rule",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "not_in_picklist",
    "STRING_TOO_LONG": "text_too_long",
    "DUPLICATES_DETECTED": "duplicates_detected",
    "DUPLICATE_VALUE": "duplicate_value",
    "DUPLICATE_EXTERNAL_ID": "several_records",
    "INVALID_EMAIL_ADDRESS": "invalid_email",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "read_only_field",
    "INVALID_FIELD": "unknown_field",
    "INVALID_CROSS_REFERENCE_KEY": "parent_not_found",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "no_permission",
    "INSUFFICIENT_ACCESS_OR_READONLY": "no_permission",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "automation_failed",
    "CANNOT_EXECUTE_FLOW_TRIGGER": "automation_failed",
    "DELETE_FAILED": "still_in_use",
    "ENTITY_IS_DELETED": "not_found",
    "STORAGE_LIMIT_EXCEEDED": "storage_full",
    "INVALID_TYPE_ON_FIELD_IN_RECORD": "invalid_value",
    "NUMBER_OUTSIDE_VALID_RANGE": "invalid_value",
    "JSON_PARSER_ERROR": "invalid_value",
    "INVALID_ID_FIELD": "invalid_value",
    "MALFORMED_ID": "invalid_value",
}
_LATER: Final = frozenset({"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT"})
"""The record was not written because others were at work on it, or on its parent."""
_GONE: Final = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"})
_PARENT: Final = re.compile(r"(?i)foreign key external id")
_TAKEN: Final = re.compile(r"duplicate value found: (\w{1,80}) duplicates")
_WORD: Final = re.compile(r"[A-Z][A-Z0-9_]{2,80}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,120}")
_USAGE: Final = re.compile(r"(?<![\w-])api-usage=(\d{1,12})/(\d{1,12})")
_RESERVED_SHARE: Final = 0.05
"""Of the account's daily requests; left to people and to the account's other programs."""


def read_request_error(status: int, body: Json) -> CdpError | None:
    """Read an answer that is no 2xx; None leaves it to the default reading."""
    error = body[0] if isinstance(body, list) and body and isinstance(body[0], Mapping) else {}
    word = _word(error.get("errorCode"))
    what = f"salesforce answered {status}{f' {word}' if word else ''}."
    if word == "REQUEST_LIMIT_EXCEEDED":
        is_momentary = "concurrent" in str(error.get("message")).lower()
        return RateLimited(
            what, status=status, retry_after_seconds=_CONCURRENCY_SECONDS if is_momentary else DAY_SECONDS
        )
    if status == 300:
        return Refused(what, status=status, code="several_records")
    if status == 403:
        remedy = "Let the integration's user have the API and the object's permissions in Salesforce."
        return AuthenticationFailed(what, remedy=remedy, status=status)
    if status in (400, 404) and word in ("INVALID_FIELD", "INVALID_TYPE", "NOT_FOUND"):
        names = ", ".join(_names(error.get("fields"))) or "an object or field"
        remedy = f"Compare the mapping with the object in Salesforce ({names}), and the user's field permissions."
        return ConfigError(what, remedy=remedy, field="mapping")
    return Refused(what, status=status, code=_CODES.get(word, "refused")) if status == 400 else None


def read_row_error(row: OutgoingRow, code: Json, message: Json, fields: Json) -> RowOutcome:
    """Say what an error of one record means for its row."""
    word = _word(code)
    if word in _LATER:
        return RowOutcome(ordinal=row.ordinal, outcome=Outcome.PENDING)
    if row.operation is Operation.REMOVE and word in _GONE:
        return RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED, record_id=row.record_id)
    if row.former_match_value is not None and word in _GONE:
        return RowOutcome(ordinal=row.ordinal, outcome=Outcome.REJECTED, code="not_found")
    is_parent = isinstance(message, str) and _PARENT.search(message)
    taken = _TAKEN.search(message) if isinstance(message, str) and word == "DUPLICATE_VALUE" else None
    told = [taken[1]] if taken else fields
    name = next((name for name in _names(told) if name in row.fields), None)
    return RowOutcome(
        ordinal=row.ordinal,
        outcome=Outcome.REJECTED,
        code="parent_not_found" if is_parent else _CODES.get(word, "refused"),
        parameters={"field": name} if name else {},
    )


def read_line_error(row: OutgoingRow, text: str) -> RowOutcome:
    """The same of a line of `failedResults`: `CODE:message:field,field --`."""
    code, _, rest = text.partition(":")
    message, _, fields = rest.rpartition(":")
    return read_row_error(row, code.strip(), message, fields.removesuffix("--").replace(",", " ").split())


def is_nearly_used_up(headers: Mapping[str, str]) -> bool:
    """Whether `Sforce-Limit-Info` tells that the account's requests of 24 hours are used but for a reserve."""
    told = next((value for name, value in headers.items() if name.lower() == "sforce-limit-info"), "")
    found = _USAGE.search(told)
    return found is not None and int(found[1]) >= int(found[2]) * (1 - _RESERVED_SHARE)


def _word(code: Json) -> str:
    return code if isinstance(code, str) and _WORD.fullmatch(code) else ""


def _names(fields: Json) -> Iterator[str]:
    for name in fields if isinstance(fields, list) else []:
        if isinstance(name, str) and _NAME.fullmatch(name):
            yield name
