"""HubSpot CRM: contacts, upserted in batches of 100 by a unique custom property.

Vendor pages, read 2026-11-22, under https://developers.hubspot.com/docs/api-reference:
crm-contacts-v3/batch/post-crm-v3-objects-contacts-batch-upsert and -update, error-handling, and the usage guidelines.

- Limits: 190 requests per 10 seconds and app (100 with Free and Starter), by window; 625,000 a day and account
  (Professional). A day's limit shows as 429 with policyName DAILY. Starter accounts: the session learns their smaller
  window from the X-HubSpot-RateLimit headers.
- Authentication: a private app's token as bearer; scopes crm.objects.contacts.read and .write,
  crm.schemas.contacts.read.
- Values travel as text; an empty text clears a property; properties left out keep their value.
- Each input carries an objectWriteTraceId, which HubSpot repeats in results and errors: a 207 is read row by row.
- Removing means archiving (restorable for 90 days) or clearing the mapped properties. Only an erasure deletes contacts
  (gdpr-delete, by id: for good, with what hangs on them; scope crm.objects.contacts.write).
- Cannot: match by `email` (no partial upsert there), say whether an e-mail can be delivered to. All fields of an error
  are optional, so a reason may stay `refused`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from cdp_platform.connectors.protocol import (
    ALL_DELIVERED,
    AllDelivered,
    Answer,
    Capabilities,
    DestinationField,
    Json,
    OutgoingRow,
    Request,
    Session,
)
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind, Mode, Removal
from cdp_platform.errors import ConfigError, ContractBroken

_CONTACTS: Final = Capabilities(
    modes=frozenset({Mode.UPSERT, Mode.MIRROR}),
    removals=frozenset({Removal.KEEP, Removal.ARCHIVE, Removal.CLEAR}),
    batch_rows=100,
    writes_changed_fields_only=True,
    changes_match_value=True,
    # Usage guidelines: 190 requests per 10 seconds, which is this pace with this burst.
    requests_per_second=19.0,
    burst_requests=190,
    requests_at_once=8,
)
_KINDS: Final = {
    "string": FieldKind.TEXT,
    "number": FieldKind.DECIMAL,
    "bool": FieldKind.BOOLEAN,
    "date": FieldKind.DATE,
    "datetime": FieldKind.TIMESTAMP,
    "enumeration": FieldKind.TEXT,
}
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


class HubSpot:
    """The contacts of one HubSpot account."""

    name: ClassVar[str] = "hubspot"
    default_base_url: ClassVar[str] = "https://api.hubapi.com"

    def capabilities(self, object_name: str) -> Capabilities:
        if object_name != "contacts":
            raise ConfigError(
                f"Destination hubspot has no object {object_name!r}.",
                remedy="It has: contacts.",
                field="destination.object",
            )
        return _CONTACTS

    def account_id(self, session: Session) -> str:
        answer = session.send(Request(method="GET", path="/account-info/v3/details"))
        portal_id = answer.body.get("portalId") if isinstance(answer.body, Mapping) else None
        if not isinstance(portal_id, int | str) or isinstance(portal_id, bool) or not str(portal_id).isdigit():
            raise _broken(answer, "names no account")
        return str(portal_id)

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        self.capabilities(object_name)
        answer = session.send(Request(method="GET", path=f"/crm/v3/properties/{object_name}"))
        if not isinstance(answer.body, Mapping):
            raise _broken(answer, "is no list of properties")
        properties = _objects(answer, answer.body.get("results"))
        if not properties or not all(isinstance(item.get("name"), str) for item in properties):
            raise _broken(answer, "lists no properties, or one without a name")
        return [_field(item) for item in properties if not item.get("archived")]

    def encode(self, object_name: str, match_field: str, rows: Sequence[OutgoingRow]) -> Request:
        """Turn rows into one batch upsert, removals into one batch archive, changed match values into one batch update.

        Raises ConfigError for the match field `email`.
        """
        self.capabilities(object_name)
        if match_field == "email":
            raise ConfigError(
                "HubSpot cannot upsert single fields of contacts that it finds by email.",
                remedy="Match by a custom property with unique values.",
                field="mapping",
            )
        if rows[0].operation is Operation.REMOVE:
            ids = [{"id": row.record_id} for row in rows]
            return Request(method="POST", path=f"/crm/v3/objects/{object_name}/batch/archive", body={"inputs": ids})
        # An upsert by a new match value would make a second contact; an update addresses the record by its id.
        verb = "upsert" if rows[0].former_match_value is None else "update"
        inputs = [_input(match_field, row) for row in rows]
        return Request(method="POST", path=f"/crm/v3/objects/{object_name}/batch/{verb}", body={"inputs": inputs})

    def find(
        self, session: Session, object_name: str, match_field: str, match_values: Sequence[str]
    ) -> Mapping[str, str]:
        body = {
            "idProperty": match_field,
            "properties": [match_field],
            "inputs": [{"id": value} for value in match_values],
        }
        answer = session.send(Request(method="POST", path=f"/crm/v3/objects/{object_name}/batch/read", body=body))
        told = answer.body if isinstance(answer.body, Mapping) else {}
        results = _objects(answer, told.get("results"))
        ids = {str((result.get("properties") or {}).get(match_field)): str(result.get("id")) for result in results}
        missing = {value for error in _objects(answer, told.get("errors", [])) for value in _context(error, "ids")}
        # A record that is merely left out is no record that does not exist.
        if set(match_values) - ids.keys() - missing:
            raise _broken(answer, "neither finds every record nor says that it is missing")
        return ids

    def erase(self, object_name: str, record_id: str) -> Request:
        return Request(method="POST", path=f"/crm/v3/objects/{object_name}/gdpr-delete", body={"objectId": record_id})

    def read(self, rows: Sequence[OutgoingRow], answer: Answer) -> Sequence[RowOutcome] | AllDelivered:
        if answer.status == 204 and rows[0].operation is Operation.REMOVE:
            return ALL_DELIVERED
        if answer.status not in (200, 201, 207) or not isinstance(answer.body, Mapping):
            raise _broken(answer, "is no batch answer")
        if answer.body.get("status", "COMPLETE") != "COMPLETE":
            raise _broken(answer, "says that the batch is not complete")
        outcomes = dict[int, RowOutcome]()
        for result in _objects(answer, answer.body.get("results")):
            row = _find_row(rows, result)
            record_id = result.get("id")
            if row is None or row.ordinal in outcomes or not isinstance(record_id, str) or not record_id:
                raise _broken(answer, "has a result without an id, for no row, or for a row twice")
            outcomes[row.ordinal] = RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED, record_id=record_id)
        errors = _objects(answer, answer.body.get("errors", []))
        return [*outcomes.values(), *_read_errors(rows, errors, outcomes, answer)]


def _read_errors(
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
            raise _broken(answer, "both accepts and refuses a row")
        for row in found:
            rejected.setdefault(row.ordinal, _rejected(row, error))
        if not found:
            astray.append(error)
    left = [row for row in rows if row.ordinal not in delivered and row.ordinal not in rejected]
    if len(left) > len(astray) or (astray and not left):
        raise _broken(answer, "has results and errors that do not match the rows")
    # Errors that name no row belong to the rows that nothing else speaks of; which to which is known for one row only.
    codes = {_code(error) for error in astray}
    for row in left:
        error = astray[0] if len(codes) == 1 or len(left) == 1 else {}
        rejected[row.ordinal] = _rejected(row, error)
    return list(rejected.values())


def _input(match_field: str, row: OutgoingRow) -> dict[str, Json]:
    properties = {name: _text(value) for name, value in row.fields.items()}
    is_moved = row.former_match_value is not None
    if is_moved or row.operation is Operation.CREATE or row.record_id is None:
        properties[match_field] = row.match_value
    found_by = {"id": row.record_id} if is_moved else {"id": row.match_value, "idProperty": match_field}
    return {**found_by, "objectWriteTraceId": str(row.ordinal), "properties": properties}


def _text(value: Json) -> str:
    """Say a value as HubSpot takes it: everything is text, and empty text clears."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ";".join(_text(item) for item in value)
    return str(value)


def _find_row(rows: Sequence[OutgoingRow], result: Mapping[str, Json]) -> OutgoingRow | None:
    """Find a result's row: by trace id, else by the record's id, else by the match value among its properties."""
    if result.get("objectWriteTraceId") is not None:
        trace_id = result["objectWriteTraceId"]
        return next((row for row in rows if str(row.ordinal) == trace_id), None)
    if known := [row for row in rows if row.record_id is not None and row.record_id == result.get("id")]:
        return known[0] if len(known) == 1 else None
    properties = result.get("properties")
    values = list(properties.values()) if isinstance(properties, Mapping) else []
    matching = [row for row in rows if row.match_value in values]
    return matching[0] if len(matching) == 1 else None


def _rows_of_error(rows: Sequence[OutgoingRow], error: Mapping[str, Json]) -> list[OutgoingRow]:
    trace_ids = set(_context(error, "objectWriteTraceId"))
    if isinstance(error.get("objectWriteTraceId"), str):
        trace_ids.add(error["objectWriteTraceId"])
    if trace_ids:
        return [row for row in rows if str(row.ordinal) in trace_ids]
    ids = {*_context(error, "id"), *_context(error, "ids")}
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
        yield from _context(item, "propertyName")
        yield from _context(item, "properties")
        if isinstance(item.get("in"), str):
            yield item["in"]
        if isinstance(item.get("message"), str):
            yield from _EMBEDDED_NAME.findall(item["message"])


def _details(error: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    inner = error.get("errors")
    return [*(item for item in (inner if isinstance(inner, list) else []) if isinstance(item, Mapping)), error]


def _context(error: Mapping[str, Json], key: str) -> list[str]:
    """Read one entry of an error's context, which is a list of texts, one text, or missing."""
    context = error.get("context")
    value = context.get(key) if isinstance(context, Mapping) else None
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def _field(item: Mapping[str, Json]) -> DestinationField:
    metadata = item.get("modificationMetadata")
    is_read_only = isinstance(metadata, Mapping) and metadata.get("readOnlyValue") is True
    options = item.get("options") if item.get("type") == "enumeration" else []
    values = [option.get("value") for option in options or [] if isinstance(option, Mapping)]
    return DestinationField(
        name=item["name"],
        kind=_KINDS.get(str(item.get("type"))),
        is_writable=not (is_read_only or item.get("calculated") is True),
        is_unique=item.get("hasUniqueValue") is True,
        options=tuple(value for value in values if isinstance(value, str)),
    )


def _objects(answer: Answer, value: Json) -> list[Mapping[str, Json]]:
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise _broken(answer, "has no readable list of results")
    return value


def _broken(answer: Answer, what: str) -> ContractBroken:
    return ContractBroken(f"hubspot answered {answer.status}, but the body {what}.", status=answer.status)
