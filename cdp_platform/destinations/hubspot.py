"""HubSpot CRM: records, upserted in batches of 100 by a unique custom property, and the links between them.

Vendor pages, read 2026-11-22, under https://developers.hubspot.com/docs/api-reference:
crm-contacts-v3/batch/post-crm-v3-objects-contacts-batch-upsert and -update, error-handling, and the usage guidelines.

- Limits: 190 requests per 10 seconds and app (100 with Free and Starter), by window; 625,000 a day and account
  (Professional). A day's limit shows as 429 with policyName DAILY. Starter accounts: the session learns their smaller
  window from the X-HubSpot-RateLimit headers.
- Authentication: a private app's token as bearer; scopes crm.objects.contacts.read and .write,
  crm.schemas.contacts.read.
- Values travel as text; an empty text clears a property; properties left out keep their value.
- Each input carries an objectWriteTraceId, which HubSpot repeats in results and errors: a 207 is read row by row.
- Objects: hubspot_objects.py; what links records: hubspot_links.py.
- Removing means archiving (restorable for 90 days) or clearing the mapped properties. Only an erasure deletes contacts
  (gdpr-delete, by id: for good, with what hangs on them; scope crm.objects.contacts.write).
- Cannot: match by `email` (no partial upsert there), say whether an e-mail can be delivered to. All fields of an error
  are optional, so a reason may stay `refused`.
"""

from collections.abc import Mapping, Sequence
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
from cdp_platform.destinations import hubspot_links as links
from cdp_platform.destinations.hubspot_errors import broken, context_of, objects_of, read_errors
from cdp_platform.destinations.hubspot_objects import WINDOW_SECONDS, AccountOptions, capabilities_of, list_of, pair_of
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind, Mode, Removal
from cdp_platform.errors import ConfigError

_RECORDS: Final = Capabilities(
    modes=frozenset({Mode.UPSERT, Mode.MIRROR}),
    removals=frozenset({Removal.KEEP, Removal.ARCHIVE, Removal.CLEAR}),
    batch_rows=100,
    writes_changed_fields_only=True,
    changes_match_value=True,
    # Usage guidelines: 190 requests per 10 seconds, which is this pace with this burst.
    requests_per_second=190 / WINDOW_SECONDS,
    burst_requests=190,
    requests_at_once=8,
)
_LONGEST_TEXT: Final = 65_536
"""Characters of a text property: knowledge.hubspot.com/contacts/property-field-types-in-hubspot, read 2026-11-22."""
_KINDS: Final = {
    "string": FieldKind.TEXT,
    "number": FieldKind.DECIMAL,
    "bool": FieldKind.BOOLEAN,
    "date": FieldKind.DATE,
    "datetime": FieldKind.TIMESTAMP,
    "enumeration": FieldKind.TEXT,
}


class HubSpot:
    """One HubSpot account."""

    name: ClassVar[str] = "hubspot"
    default_base_url: ClassVar[str] = "https://api.hubapi.com"
    option_separator: ClassVar[str] = ";"

    def __init__(self, options: AccountOptions | None = None) -> None:
        self._options = options or AccountOptions()

    def with_options(self, options: Mapping[str, str]) -> "HubSpot":
        return HubSpot(AccountOptions.read(options))

    def capabilities(self, object_name: str) -> Capabilities:
        return capabilities_of(object_name, _RECORDS, self._options)

    def account_id(self, session: Session) -> str:
        answer = session.send(Request(method="GET", path="/account-info/v3/details"))
        portal_id = answer.body.get("portalId") if isinstance(answer.body, Mapping) else None
        if not isinstance(portal_id, int | str) or isinstance(portal_id, bool) or not str(portal_id).isdigit():
            raise broken(answer, "names no account")
        return str(portal_id)

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        self.capabilities(object_name)
        if pair := pair_of(object_name):
            return links.describe_pair(session, pair)
        if list_id := list_of(object_name):
            return links.describe_list(session, list_id)
        answer = session.send(Request(method="GET", path=f"/crm/v3/properties/{object_name}"))
        if not isinstance(answer.body, Mapping):
            raise broken(answer, "is no list of properties")
        properties = objects_of(answer, answer.body.get("results"))
        if not properties or not all(isinstance(item.get("name"), str) for item in properties):
            raise broken(answer, "lists no properties, or one without a name")
        return [_field(item) for item in properties if not item.get("archived")]

    def encode(self, object_name: str, match_field: str, rows: Sequence[OutgoingRow]) -> Request:
        """Turn rows into one batch upsert, removals into one batch archive, changed match values into one batch update.

        Pairs and members have requests of their own.

        Raises ConfigError for the match field `email`.
        """
        self.capabilities(object_name)
        if pair := pair_of(object_name):
            return links.encode_pairs(pair, rows)
        if list_id := list_of(object_name):
            return links.encode_members(list_id, rows)
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
        if pair := pair_of(object_name):
            return links.find_pairs(session, pair, self._options, match_values)
        if list_id := list_of(object_name):
            return links.find_members(session, list_id, match_field, match_values)
        body = {
            "idProperty": match_field,
            "properties": [match_field],
            "inputs": [{"id": value} for value in match_values],
        }
        answer = session.send(Request(method="POST", path=f"/crm/v3/objects/{object_name}/batch/read", body=body))
        told = answer.body if isinstance(answer.body, Mapping) else {}
        results = objects_of(answer, told.get("results"))
        ids = {str((result.get("properties") or {}).get(match_field)): str(result.get("id")) for result in results}
        missing = {value for error in objects_of(answer, told.get("errors", [])) for value in context_of(error, "ids")}
        # A record that is merely left out is no record that does not exist.
        if set(match_values) - ids.keys() - missing:
            raise broken(answer, "neither finds every record nor says that it is missing")
        return ids

    def erase(self, object_name: str, record_id: str) -> Request:
        if pair := pair_of(object_name):
            return links.separate(pair, record_id)
        if list_id := list_of(object_name):
            return Request(method="PUT", path=f"/crm/v3/lists/{list_id}/memberships/remove", body=[record_id])
        return Request(method="POST", path=f"/crm/v3/objects/{object_name}/gdpr-delete", body={"objectId": record_id})

    def read(self, rows: Sequence[OutgoingRow], answer: Answer) -> Sequence[RowOutcome] | AllDelivered:
        if answer.status == 204 and rows[0].operation is Operation.REMOVE:
            return ALL_DELIVERED
        if links.is_of_list(answer):
            return links.read_members(rows, answer)
        if answer.status not in (200, 201, 207) or not isinstance(answer.body, Mapping):
            raise broken(answer, "is no batch answer")
        if answer.body.get("status", "COMPLETE") != "COMPLETE":
            raise broken(answer, "says that the batch is not complete")
        if links.are_pairs(rows):
            return links.read_pairs(rows, answer)
        outcomes = dict[int, RowOutcome]()
        for result in objects_of(answer, answer.body.get("results")):
            row = _find_row(rows, result)
            record_id = result.get("id")
            if row is None or row.ordinal in outcomes or not isinstance(record_id, str) or not record_id:
                raise broken(answer, "has a result without an id, for no row, or for a row twice")
            outcomes[row.ordinal] = RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED, record_id=record_id)
        errors = objects_of(answer, answer.body.get("errors", []))
        return [*outcomes.values(), *read_errors(rows, errors, outcomes, answer)]


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


def _field(item: Mapping[str, Json]) -> DestinationField:
    metadata = item.get("modificationMetadata")
    is_read_only = isinstance(metadata, Mapping) and metadata.get("readOnlyValue") is True
    # Options that lie outside, as the owners of records do, are not all listed.
    is_listed = item.get("type") == "enumeration" and item.get("externalOptions") is not True
    options = item.get("options") if is_listed else []
    values = [option.get("value") for option in options or [] if isinstance(option, Mapping)]
    return DestinationField(
        name=item["name"],
        kind=_KINDS.get(str(item.get("type"))),
        is_writable=not (is_read_only or item.get("calculated") is True),
        is_unique=item.get("hasUniqueValue") is True,
        options=tuple(value for value in values if isinstance(value, str)),
        takes_several=item.get("fieldType") == "checkbox",
        longest_characters=_LONGEST_TEXT if item.get("type") == "string" else None,
    )
