"""HubSpot's associations and list memberships: rows that link records which are already there.

Vendor pages, read 2026-11-22, under https://developers.hubspot.com/docs/api-reference:
legacy/crm/associations/associate-records/batch (create, associate/default, archive, labels/archive), and
crm-lists-v3/memberships/put-crm-v3-lists-listId-memberships-add-and-remove.

- A pair's match value is `<first>|<second>`, each a record id, or a value of the properties that the options name; its
  record id is `<id>:<id>`. Creating a pair again, and removing one that is gone, does no harm.
- A list's members are told by record ids. Who is a member already is not told of in the answer: a request that was
  taken, and does not call the record missing, is the acceptance. Only lists filled by hand take members.
- Records have to exist: a row whose record is not found is rejected and nothing is created for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cdp_platform.connectors.protocol import Answer, DestinationField, Json, OutgoingRow, Request, Session
from cdp_platform.destinations.hubspot_errors import broken, objects_of, read_errors
from cdp_platform.destinations.hubspot_objects import AccountOptions, Pair
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind
from cdp_platform.errors import ConfigError

MISSING: Final = "record_missing"
RECORD_ID: Final = "hs_object_id"
_READ_AT_ONCE: Final = 100
_LEFT: Final = (Operation.REMOVE, Operation.WITHDRAW)


def describe_pair(session: Session, pair: Pair) -> Sequence[DestinationField]:
    """Ask whether the two objects can be linked so; raises ConfigError where the label is not there."""
    answer = session.send(Request(method="GET", path=f"{_pair_path(pair)}/labels"))
    types = {(item.get("category"), item.get("typeId")) for item in _items(answer, "results")}
    if pair.type_id is not None and (pair.category, pair.type_id) not in types:
        raise ConfigError(
            f"HubSpot has no association type {pair.type_id} ({pair.category}) from {pair.from_object} to"
            f" {pair.to_object}.",
            remedy="Look the type ids up under associations in the account's settings.",
            field="destination.object",
        )
    return [DestinationField(name="pair", kind=FieldKind.TEXT, is_unique=True)]


def describe_list(session: Session, list_id: str) -> Sequence[DestinationField]:
    """Ask by which properties a list's members can be told; raises ConfigError for a list that fills itself."""
    told = _list(session, list_id)
    if told.get("processingType") == "DYNAMIC":
        raise ConfigError(
            f"HubSpot's list {list_id} fills itself by filters: nobody can be added.",
            remedy="Make a static list and write its id.",
            field="destination.object",
        )
    answer = session.send(Request(method="GET", path=f"/crm/v3/properties/{told['objectTypeId']}"))
    unique = [item["name"] for item in _items(answer, "results") if item.get("hasUniqueValue") is True]
    return [DestinationField(name=str(name), kind=None, is_unique=True) for name in (*unique, RECORD_ID)]


def find_pairs(session: Session, pair: Pair, options: AccountOptions, match_values: Sequence[str]) -> Mapping[str, str]:
    """Look up the record ids of pairs; a pair of which one record is missing is left out."""
    sides = {value: value.split("|") for value in match_values if value.count("|") == 1}
    first = _ids_by(session, pair.from_object, options.from_property, [side[0] for side in sides.values()])
    second = _ids_by(session, pair.to_object, options.to_property, [side[1] for side in sides.values()])
    return {
        value: f"{first[one]}:{second[other]}"
        for value, (one, other) in sides.items()
        if one in first and other in second
    }


def find_members(session: Session, list_id: str, match_field: str, match_values: Sequence[str]) -> Mapping[str, str]:
    """Look up the record ids of a list's members."""
    by = None if match_field == RECORD_ID else match_field
    return _ids_by(session, str(_list(session, list_id)["objectTypeId"]) if by else "", by, match_values)


def encode_pairs(pair: Pair, rows: Sequence[OutgoingRow]) -> Request:
    """Turn rows into one request that links or separates records."""
    ids = [(row.record_id or ":").split(":") for row in rows]
    types = [{"associationCategory": pair.category, "associationTypeId": pair.type_id}] if pair.type_id else []
    labelled: dict[str, Json] = {"types": types} if types else {}
    inputs: list[dict[str, Json]] = [{"from": {"id": one}, "to": {"id": other}, **labelled} for one, other in ids]
    if rows[0].operation is not Operation.REMOVE:
        verb = "create" if types else "associate/default"
    elif types:
        verb = "labels/archive"
    else:
        verb, inputs = "archive", [{"from": {"id": one}, "to": [{"id": other}]} for one, other in ids]
    return Request(method="POST", path=f"{_pair_path(pair)}/batch/{verb}", body={"inputs": inputs})


def separate(pair: Pair, record_id: str) -> Request:
    """Turn the record id of a pair into the request that takes away every association of it."""
    one, _, other = record_id.partition(":")
    inputs = [{"from": {"id": one}, "to": [{"id": other}]}]
    return Request(method="POST", path=f"{_pair_path(pair)}/batch/archive", body={"inputs": inputs})


def encode_members(list_id: str, rows: Sequence[OutgoingRow]) -> Request:
    """Turn rows into one request that adds and removes members; who withdrew is removed."""
    body = {
        "recordIdsToAdd": [row.record_id for row in rows if row.operation not in _LEFT],
        "recordIdsToRemove": [row.record_id for row in rows if row.operation in _LEFT],
    }
    return Request(method="PUT", path=f"/crm/v3/lists/{list_id}/memberships/add-and-remove", body=body)


def are_pairs(rows: Sequence[OutgoingRow]) -> bool:
    """Whether rows that were sent are pairs: no record of another object has such an id."""
    return ":" in (rows[0].record_id or "")


def read_pairs(rows: Sequence[OutgoingRow], answer: Answer) -> Sequence[RowOutcome]:
    """Read which pairs an answer accepts; raises ContractBroken for a stranger, or for a pair twice.

    The vendor tells of an association without a label in both directions: the way back is passed over.
    """
    waiting = {row.record_id: row for row in rows}
    there, accepted = set(waiting), dict[int, RowOutcome]()
    for one, other in _linked(answer):
        row = waiting.pop(f"{one}:{other}", None)
        if row is not None:
            accepted[row.ordinal] = _outcome(row, is_missing=False)
        elif f"{other}:{one}" not in there:
            raise broken(answer, "links records that were not sent, or a pair twice")
    errors = [_with_pair_id(error) for error in objects_of(answer, answer.body.get("errors", []))]
    return [*accepted.values(), *read_errors(rows, errors, accepted, answer)]


def _with_pair_id(error: Mapping[str, Json]) -> Mapping[str, Json]:
    """Name the pair that an error is about as the rows name it."""
    told = error.get("context")
    context = told if isinstance(told, Mapping) else {}
    one, other = (_first(context, name) for name in ("fromObjectId", "toObjectId"))
    return {**error, "context": {**context, "id": [f"{one}:{other}"]}} if one and other else error


def read_members(rows: Sequence[OutgoingRow], answer: Answer) -> Sequence[RowOutcome]:
    """Read the answer of a list: every record that it does not call missing is accepted."""
    added = answer.body.get("recordsIdsAdded", answer.body.get("recordIdsAdded"))
    told = [_texts(answer, ids) for ids in (added, answer.body.get("recordIdsRemoved"))]
    missing = set(_texts(answer, answer.body.get("recordIdsMissing")))
    if not ({*told[0], *told[1], *missing} <= {row.record_id for row in rows}):
        raise broken(answer, "speaks of records that were not sent")
    return [_outcome(row, is_missing=row.record_id in missing and row.operation not in _LEFT) for row in rows]


def is_of_list(answer: Answer) -> bool:
    """Whether an answer is that of a list."""
    return isinstance(answer.body, Mapping) and "recordIdsMissing" in answer.body


def _outcome(row: OutgoingRow, *, is_missing: bool) -> RowOutcome:
    if is_missing:
        return RowOutcome(ordinal=row.ordinal, outcome=Outcome.REJECTED, code=MISSING)
    return RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED, record_id=row.record_id)


def _pair_path(pair: Pair) -> str:
    return f"/crm/v4/associations/{pair.from_object}/{pair.to_object}"


def _list(session: Session, list_id: str) -> Mapping[str, Json]:
    answer = session.send(Request(method="GET", path=f"/crm/v3/lists/{list_id}"))
    told = answer.body.get("list") if isinstance(answer.body, Mapping) else None
    if not isinstance(told, Mapping) or not isinstance(told.get("objectTypeId"), str):
        raise broken(answer, "describes no list")
    return told


def _ids_by(session: Session, object_name: str, name: str | None, values: Sequence[str]) -> dict[str, str]:
    """Record ids by the value of a unique property; by themselves where the values are record ids."""
    wanted = list(dict.fromkeys(values))
    if name is None:
        return {value: value for value in wanted if value.isascii() and value.isdigit()}
    found = dict[str, str]()
    for start in range(0, len(wanted), _READ_AT_ONCE):
        body = {
            "idProperty": name,
            "properties": [name],
            "inputs": [{"id": value} for value in wanted[start : start + _READ_AT_ONCE]],
        }
        answer = session.send(Request(method="POST", path=f"/crm/v3/objects/{object_name}/batch/read", body=body))
        for item in _items(answer, "results"):
            properties = item.get("properties")
            if isinstance(properties, Mapping) and isinstance(item.get("id"), str):
                found[str(properties.get(name))] = item["id"]
    return found


def _linked(answer: Answer) -> Iterator[tuple[str, str]]:
    for item in _items(answer, "results"):
        if "fromObjectId" in item:
            yield str(item["fromObjectId"]), str(item.get("toObjectId"))
        else:
            yield _first(item, "from"), _first(item, "to")


def _first(value: Json, name: str) -> str:
    """Read `name` of an object: a text, the first of a list, or the `id` of an object; empty where it is neither."""
    found = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(found, list):
        found = found[0] if found else None
    if isinstance(found, Mapping):
        found = found.get("id")
    return str(found) if isinstance(found, str | int) else ""


def _items(answer: Answer, name: str) -> list[Mapping[str, Json]]:
    return objects_of(answer, answer.body.get(name) if isinstance(answer.body, Mapping) else None)


def _texts(answer: Answer, value: Json) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
        raise broken(answer, "has no readable list of record ids")
    return [str(item) for item in value]
