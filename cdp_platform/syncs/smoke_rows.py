"""Marked rows for a trial of a real account: whoever meets one there sees what it is, and it can be found again.

Everything of a row follows from its stamp and its number, so that rows of a trial that was broken off can be removed by
the stamp alone.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cdp_platform.connectors.protocol import DestinationField, Json, OutgoingRow
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.syncs import FieldKind, SyncSpec

ROWS: Final = 10
STAMP: Final = re.compile(r"\d{12}", re.ASCII)
"""The second, in UTC, at which a trial began: two digits each of year, month, day, hour, minute, second."""
_EVENT_AGE: Final = timedelta(minutes=2)
# 555-0100 to 555-0199 are numbers for fiction; example.com belongs to nobody.
_BY_NAME: Final = (
    (re.compile(r"phone|mobile", re.IGNORECASE), "+1202555010{number}"),
    (re.compile(r"url|website", re.IGNORECASE), "https://example.com/cdp-smoke"),
    (re.compile(r"currency", re.IGNORECASE), "USD"),
    (re.compile(r"country|region", re.IGNORECASE), "US"),
    (re.compile(r"zip|postal", re.IGNORECASE), "10001"),
)
_KINDS: Final[Mapping[FieldKind, Json]] = {
    FieldKind.INTEGER: 1,
    FieldKind.DECIMAL: "1.50",
    FieldKind.BOOLEAN: False,
}


def new_stamp(now: datetime) -> str:
    """Name a trial that begins `now` (aware)."""
    return now.astimezone(UTC).strftime("%y%m%d%H%M%S")


def began_at(stamp: str) -> datetime:
    """When the trial of a stamp began; raises ValueError for what is no stamp."""
    return datetime.strptime(stamp, "%y%m%d%H%M%S").replace(tzinfo=UTC)


def marked_rows(spec: SyncSpec, fields: Sequence[DestinationField], stamp: str) -> list[OutgoingRow]:
    """The rows of a trial, as new ones. A lookup of another record (`Account.CDP_Id__c`) is left out."""
    told = {field.name: field for field in fields}
    match = spec.match_key.field
    rows = []
    for number in range(ROWS):
        values = {
            entry.field: _value(told[entry.field], stamp, number)
            for entry in spec.mapping
            if entry.field in told and "." not in entry.field
        }
        rows.append(
            OutgoingRow(
                ordinal=number,
                operation=Operation.CREATE,
                match_value=str(values.get(match, marker(stamp, number))),
                record_id=None,
                document=json.dumps(values),
            )
        )
    return rows


def changed_rows(
    spec: SyncSpec,
    fields: Sequence[DestinationField],
    rows: Sequence[OutgoingRow],
    record_ids: Mapping[int, str | None],
) -> list[OutgoingRow]:
    """The same rows with one free text of each changed; none where the mapping has no field to change."""
    name = _changeable(spec, fields)
    if name is None:
        return []
    changed = []
    for row in rows:
        values = {**json.loads(row.document), name: f"{json.loads(row.document)[name]} changed"}
        changed.append(
            row._replace(
                operation=Operation.UPDATE,
                record_id=record_ids.get(row.ordinal),
                document=json.dumps(values),
                names=[name],
                previous=row.document,
            )
        )
    return changed


def marker(stamp: str, number: int) -> str:
    """The name of one marked record."""
    return f"cdp-smoke-{stamp}-{number}"


def _value(field: DestinationField, stamp: str, number: int) -> Json:
    name = marker(stamp, number)
    if field.options:
        return field.options[0]
    if field.kind is not None and field.kind in _KINDS:
        return stamp + str(number) if field.is_unique else _KINDS[field.kind]
    at = began_at(stamp) - _EVENT_AGE
    if field.kind is FieldKind.DATE:
        return at.date().isoformat()
    if field.kind is FieldKind.TIMESTAMP:
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if re.search("e_?mail", field.name, re.IGNORECASE):
        return f"{name}@example.com"
    known = next((text for pattern, text in _BY_NAME if pattern.search(field.name)), None)
    return known.format(number=number) if known else name


def _changeable(spec: SyncSpec, fields: Sequence[DestinationField]) -> str | None:
    """A mapped text that is no key, no choice and nothing by which a record is found."""
    told = {field.name: field for field in fields}
    for entry in spec.mapping:
        field = told.get(entry.field)
        if field is None or entry.match_key or "." in entry.field or field.is_unique or field.options:
            continue
        if field.kind in (None, FieldKind.TEXT) and _value(field, "700101000000", 0) == marker("700101000000", 0):
            return entry.field
    return None
