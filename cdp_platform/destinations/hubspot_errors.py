"""How HubSpot says what became of the rows of a batch: its errors, read into reasons that people can act on.

Vendor page: https://developers.hubspot.com/docs/api-reference/error-handling, read 2026-11-22. All fields of an error
are optional, so a reason may stay `refused`; no value of a person is repeated.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cdp_platform.connectors.protocol import Answer, Json, OutgoingRow
from cdp_platform.domain.outcomes import Outcome, RowOutcome
from cdp_platform.errors import ContractBroken

# HubSpot's words for a reason, found in `category`, `code`, `subCategory` or inside the message; the first that fits.
_REASONS: Final = (
    ("invalid_email", re.compile(r"INVALID_EMAIL")),
    ("unknown_field", re.compile(r"PROPERTY_DOESNT_EXIST|PROPERTY_NOT_FOUND")),
    ("read_only_field", re.compile(r"READ_ONLY|CALCULATED_PROPERTY")),
    ("duplicate_value", re.compile(r"CONFLICT|DUPLICATE|UNIQUE|ALREADY_EXISTS|(?i:already (exists|has that value))")),
    ("not_found", re.compile(r"OBJECT_NOT_FOUND|NOT_FOUND")),
    ("invalid_value", re.compile(r"INVALID_[A-Z]+|VALIDATION_ERROR|NOT_IN_OPTIONS|(?i:was not one of)")),
)
_EMBEDDED_NAME: Final = re.compile(r'\\?"(?:name|propertyName)\\?"\s*:\s*\\?"([a-z0-9_]{1,100})\\?"')


def read_errors(
    rows: Sequence[OutgoingRow],
    errors: Sequence[Mapping[str, Json]],
    delivered: Mapping[int, RowOutcome],
    answer: Answer,
) -> list[RowOutcome]:
    """Give every row that was not delivered its error; raise ContractBroken where that leaves one without."""
    rejected = dict[int, RowOutcome]()
    astray = []
    for error in errors:
        found = _rows_of_error(rows, error)
        if any(row.ordinal in delivered for row in found):
            raise broken(answer, "both accepts and refuses a row")
        for row in found:
            rejected.setdefault(row.ordinal, _rejected(row, error))
        if not found:
            astray.append(error)
    left = [row for row in rows if row.ordinal not in delivered and row.ordinal not in rejected]
    if len(left) > len(astray) or (astray and not left):
        raise broken(answer, "has results and errors that do not match the rows")
    # Errors that name no row belong to the rows that nothing else speaks of; which to which is known for one row only.
    codes = {_code(error) for error in astray}
    for row in left:
        error = astray[0] if len(codes) == 1 or len(left) == 1 else {}
        rejected[row.ordinal] = _rejected(row, error)
    return list(rejected.values())


def _rows_of_error(rows: Sequence[OutgoingRow], error: Mapping[str, Json]) -> list[OutgoingRow]:
    trace_ids = set(context_of(error, "objectWriteTraceId"))
    if isinstance(error.get("objectWriteTraceId"), str):
        trace_ids.add(error["objectWriteTraceId"])
    if trace_ids:
        return [row for row in rows if str(row.ordinal) in trace_ids]
    ids = {*context_of(error, "id"), *context_of(error, "ids")}
    return [row for row in rows if row.match_value in ids or (row.record_id is not None and row.record_id in ids)]


def _rejected(row: OutgoingRow, error: Mapping[str, Json]) -> RowOutcome:
    # Only a name that we sent is repeated: anything else in an error could be a person's value.
    field = next((name for name in _field_names(error) if name in row.fields), None)
    return RowOutcome(
        ordinal=row.ordinal,
        outcome=Outcome.REJECTED,
        code=_code(error),
        parameters={"field": field} if field else {},
    )


def _code(error: Mapping[str, Json]) -> str:
    """Read the reason, from the most special word to the least: details first, then the error's own category."""
    details = [item for item in _details(error) if item is not error]
    texts = [item.get(key) for item in [*details, error] for key in ("code", "subCategory", "message", "category")]
    words = " ".join(text if isinstance(text, str) else json.dumps(text) for text in texts if text)
    return next((code for code, pattern in _REASONS if pattern.search(words)), "refused")


def _field_names(error: Mapping[str, Json]) -> Iterator[str]:
    for item in _details(error):
        yield from context_of(item, "propertyName")
        yield from context_of(item, "properties")
        if isinstance(item.get("in"), str):
            yield item["in"]
        if isinstance(item.get("message"), str):
            yield from _EMBEDDED_NAME.findall(item["message"])


def _details(error: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    inner = error.get("errors")
    return [*(item for item in (inner if isinstance(inner, list) else []) if isinstance(item, Mapping)), error]


def context_of(error: Mapping[str, Json], key: str) -> list[str]:
    """Read one entry of an error's context, which is a list of texts, one text, or missing."""
    context = error.get("context")
    value = context.get(key) if isinstance(context, Mapping) else None
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def objects_of(answer: Answer, value: Json) -> list[Mapping[str, Json]]:
    """Read a list of objects; raises ContractBroken for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise broken(answer, "has no readable list of results")
    return value


def broken(answer: Answer, what: str) -> ContractBroken:
    """An answer that is none."""
    return ContractBroken(f"hubspot answered {answer.status}, but the body {what}.", status=answer.status)
