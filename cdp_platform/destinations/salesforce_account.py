"""What both ways into a Salesforce account share: who it is, what its objects hold, its records' ids, its errors.

Vendor pages, read 2026-11-22, under https://developer.salesforce.com/docs: api_rest resources_sobject_describe,
resources_query, headers_api_usage; SOAP guide DescribeSObjectResult. API 67.0 is Summer '26.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from cdp_platform.connectors.protocol import Answer, DestinationField, Json, OutgoingRow, Request, Session
from cdp_platform.destinations.salesforce_errors import is_nearly_used_up, read_request_error
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind
from cdp_platform.errors import CdpError, ConfigError, ContractBroken, Refused

DATA: Final = "/services/data/v67.0"
_OBJECT: Final = re.compile(r"[A-Z][A-Za-z0-9]{1,79}|[A-Za-z][A-Za-z0-9_]{0,76}__c")
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_QUERY_CHARACTERS: Final = 4_000
"""Of match values in one query: the vendor takes 16,384 bytes of address and headers together."""
_KINDS: Final = {
    "int": FieldKind.INTEGER,
    "double": FieldKind.DECIMAL,
    "currency": FieldKind.DECIMAL,
    "percent": FieldKind.DECIMAL,
    "boolean": FieldKind.BOOLEAN,
    "date": FieldKind.DATE,
    "datetime": FieldKind.TIMESTAMP,
}
_TEXTS: Final = frozenset(
    {"string", "textarea", "picklist", "email", "phone", "url", "id", "reference", "multipicklist", "encryptedstring"}
)
_MEASURED: Final = frozenset({"string", "textarea", "email", "phone", "url"})
"""Texts whose `length` is the number of characters that a value may have."""


class SalesforceAccount:
    """One account; stateless."""

    name: ClassVar[str] = "salesforce"
    default_base_url: ClassVar[str] = "https://login.salesforce.com"
    option_separator: ClassVar[str] = ";"

    def account_id(self, session: Session) -> str:
        """Ask for the organization's id; it is the same for every user of the account."""
        answer = session.send(Request(method="GET", path=f"{DATA}/query", query={"q": "SELECT Id FROM Organization"}))
        records = _records(answer)
        if len(records) != 1:
            raise broken(answer, "names no organization")
        return record_id_of(answer, records[0].get("Id"))

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        """List the object's fields, and `Relationship.Field` for the parents' external ids that a lookup can go by."""
        check_object(object_name)
        items = _described(session, object_name)
        fields = {item["name"]: _field(item) for item in items}
        for item in items:
            parents = item.get("referenceTo")
            relationship = item.get("relationshipName")
            if not isinstance(relationship, str) or not (item.get("createable") or item.get("updateable")):
                continue
            for parent in _indexed(session, parents[0]) if isinstance(parents, list) and len(parents) == 1 else ():
                name = f"{relationship}.{parent}"
                fields.setdefault(name, DestinationField(name=name, kind=FieldKind.TEXT))
        return list(fields.values())

    def find(
        self, session: Session, object_name: str, match_field: str, match_values: Sequence[str]
    ) -> Mapping[str, str]:
        check_object(object_name)
        check_match_field(match_field)
        found = dict[str, str]()
        for values in _portions(match_values):
            listed = ",".join(f"'{_escaped(value)}'" for value in values)
            soql = f"SELECT Id, {match_field} FROM {object_name} WHERE {match_field} IN ({listed})"
            answer = session.send(Request(method="GET", path=f"{DATA}/query", query={"q": soql}))
            told = {
                str(record.get(match_field)).casefold(): record_id_of(answer, record.get("Id"))
                for record in _records(answer)
            }
            # Salesforce compares text without regard to case.
            found |= {value: told[value.casefold()] for value in values if value.casefold() in told}
        return found

    def error_of(self, status: int, headers: Mapping[str, str], body: Json) -> CdpError | None:
        return read_request_error(status, body)

    def is_used_up(self, headers: Mapping[str, str]) -> bool:
        return is_nearly_used_up(headers)


def check_object(name: str) -> None:
    """Raise ConfigError for what cannot be the API name of an object."""
    if not _OBJECT.fullmatch(name):
        raise ConfigError(
            f"Destination salesforce has no object {name!r}.",
            remedy="Write its API name, as Account or Subscription__c.",
            field="destination.object",
        )


def check_match_field(name: str) -> None:
    """Raise ConfigError for a match field by which records cannot be upserted."""
    if name == "Id" or not _FIELD.fullmatch(name):
        raise ConfigError(
            f"Salesforce cannot find records by {name!r}.",
            remedy="Match by a custom field with External ID and Unique switched on, as CDP_Id__c.",
            field="mapping",
        )


def lookup_of(relationship: str) -> str:
    """Name the field that holds a parent's record id: Parent__r → Parent__c, Account → AccountId."""
    return f"{relationship[:-1]}c" if relationship.endswith("__r") else f"{relationship}Id"


def values_of(match_value: str, fields: Mapping[str, Json], match_field: str) -> dict[str, Json]:
    """What is written of a row, by field; the match key always, a lookup that is emptied by its own field."""
    values: dict[str, Json] = {match_field: match_value}
    for name, value in fields.items():
        if name == match_field:
            continue
        if "." in name and value in (None, ""):
            name = lookup_of(name.partition(".")[0])
        values[name] = ";".join(map(str, value)) if value.__class__ is list else value
    return values


def accepted(row: OutgoingRow, record_id: str, *, is_new: bool) -> RowOutcome:
    """Say what an acceptance means: where a record was made of changes alone, the next run sends every field."""
    is_partial = is_new and row.operation is not Operation.CREATE and row.names is not None
    outcome = Outcome.UNKNOWN if is_partial else Outcome.DELIVERED
    return RowOutcome(ordinal=row.ordinal, outcome=outcome, record_id=record_id)


def record_id_of(answer: Answer, value: Json) -> str:
    """Believe a record's id; raise ContractBroken for anything else."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise broken(answer, "has a record without its id")
    return value


def broken(answer: Answer, what: str) -> ContractBroken:
    """An answer that cannot be believed."""
    return ContractBroken(f"salesforce answered {answer.status}, but the body {what}.", status=answer.status)


def _records(answer: Answer) -> list[Mapping[str, Json]]:
    told = answer.body if isinstance(answer.body, Mapping) else {}
    records = told.get("records")
    if told.get("done") is not True or not isinstance(records, list):
        raise broken(answer, "is no whole answer to a query")
    if not all(isinstance(record, Mapping) for record in records):
        raise broken(answer, "has something else among its records")
    return records


def _described(session: Session, object_name: str) -> list[Mapping[str, Json]]:
    answer = session.send(Request(method="GET", path=f"{DATA}/sobjects/{object_name}/describe"))
    items = answer.body.get("fields") if isinstance(answer.body, Mapping) else None
    if not isinstance(items, list) or not items:
        raise broken(answer, "lists no fields")
    if not all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items):
        raise broken(answer, "has a field without a name")
    return items


def _indexed(session: Session, object_name: Json) -> Iterator[str]:
    """The fields of a parent by which it can be found; none where the user may not see it."""
    if not isinstance(object_name, str) or not _OBJECT.fullmatch(object_name):
        return
    try:
        items = _described(session, object_name)
    except (ConfigError, Refused):
        return
    yield from (item["name"] for item in items if item.get("externalId") or item.get("idLookup"))


def _field(item: Mapping[str, Json]) -> DestinationField:
    kind, length = str(item.get("type")), item.get("length")
    listed = item.get("picklistValues") if item.get("restrictedPicklist") else []
    options = [option for option in listed or [] if isinstance(option, Mapping) and option.get("active")]
    return DestinationField(
        name=item["name"],
        kind=_KINDS.get(kind, FieldKind.TEXT if kind in _TEXTS else None),
        is_writable=bool(item.get("updateable") or item.get("createable")),
        is_unique=bool(item.get("externalId") and item.get("unique")),
        options=tuple(option["value"] for option in options if isinstance(option.get("value"), str)),
        takes_several=kind == "multipicklist",
        longest_characters=length if kind in _MEASURED and isinstance(length, int) and length > 0 else None,
    )


def _portions(values: Sequence[str]) -> Iterator[list[str]]:
    portion, length = list[str](), 0
    for value in values:
        if portion and length + len(value) > _QUERY_CHARACTERS:
            yield portion
            portion, length = [], 0
        portion.append(value)
        length += len(value) + 3
    if portion:
        yield portion


def _escaped(value: str) -> str:
    escapes = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(escapes.get(character, character) for character in value)
