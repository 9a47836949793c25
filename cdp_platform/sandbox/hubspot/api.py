"""The records API as the vendor's documents describe it: one method per endpoint, from a request to an answer.

Vendor's pages: developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide, .../crm-properties-v3/guide and
.../error-handling (read 2026-11-22); companies, deals and custom objects answer alike. Not built: property history.

A batch whose inputs all carry an objectWriteTraceId is answered row by row (207); without them one bad row
refuses the whole batch and nothing is written.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cdp_platform.sandbox.hubspot.answers import CONFLICT, OBJECT_NOT_FOUND, RequestError, RowError, invalid, not_found
from cdp_platform.sandbox.hubspot.changes import Row, Written, archive_contacts, read_record_id, write_rows
from cdp_platform.sandbox.hubspot.contacts import Contact, ContactStore
from cdp_platform.sandbox.hubspot.objects import CONTACTS, ObjectType
from cdp_platform.sandbox.hubspot.people import PeopleRule, let_people_act
from cdp_platform.sandbox.hubspot.properties import (
    MOST_UNIQUE_PROPERTIES,
    PROPERTY_TYPES,
    PropertyDefinition,
    normalise,
    write_datetime,
)
from cdp_platform.sandbox.hubspot.search import MOST_PER_PAGE, MOST_RESULTS, Condition, search_condition, sort_order
from cdp_platform.sandbox.hubspot.shapes import (
    ErasureBody,
    NewProperty,
    ReadBatch,
    SearchBody,
    WriteBatch,
    WriteInput,
    parse,
)
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_INPUTS = 100
MOST_LISTED = 100


class ContactsApi:
    """The endpoints of one kind of record. Each raises RequestError for a request that it does not take."""

    def __init__(
        self,
        store: ContactStore,
        rule: PeopleRule,
        *,
        kind: ObjectType = CONTACTS,
        search_lag_seconds: float = 0.0,
    ) -> None:
        self._store = store
        self._rule = rule
        self._kind = kind
        self._search_lag_seconds = search_lag_seconds

    def account_details(self, request: ApiRequest) -> Answer:
        """GET account-info/v3/details."""
        details = {
            "portalId": int(self._store.account_value("portal_id") or 0),
            "accountType": "SANDBOX",
            "timeZone": "UTC",
            "utcOffset": "+00:00",
            "utcOffsetMilliseconds": 0,
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "uiDomain": "127.0.0.1",
            "dataHostingLocation": "na1",
        }
        return Answer(body=details)

    def list_properties(self, request: ApiRequest) -> Answer:
        """GET properties/{object}."""
        return Answer(body={"results": list(self._store.property_bodies().values())})

    def get_property(self, request: ApiRequest) -> Answer:
        """GET properties/{object}/{name}."""
        found = self._store.property_bodies().get(request.path["name"])
        if found is None:
            raise not_found("Property does not exist")
        return Answer(body=found)

    def create_property(self, request: ApiRequest) -> Answer:
        """POST properties/{object}."""
        definition = _read_definition(parse(NewProperty, request.body))
        with self._store.transaction():
            unique_count = sum(item.is_unique for item in self._store.definitions().values())
            if definition.is_unique and unique_count >= MOST_UNIQUE_PROPERTIES:
                raise invalid(f"At most {MOST_UNIQUE_PROPERTIES} properties can have unique values")
            try:
                self._store.add_property(definition)
            except sqlite3.IntegrityError:
                message = f"A property named '{definition.name}' already exists."
                raise RequestError(409, "OBJECT_ALREADY_EXISTS", message) from None
            return Answer(status=201, body=self._store.property_bodies()[definition.name])

    def list_contacts(self, request: ApiRequest) -> Answer:
        """GET objects/{object}."""
        limit = _whole_number(request.query, "limit", default=10, least=1, most=MOST_LISTED)
        after = _whole_number(request.query, "after", default=0, least=0, most=10**18)
        state = "is not null" if _is_archived(request) else "is null"
        with self._store.transaction():
            let_people_act(self._store, self._rule)
            found = self._store.find(f"archived_at {state} and id >= ?", (after,), limit=limit + 1)
        names = self._known(self._asked(request))
        body: dict[str, Any] = {"results": [record_body(contact, names, self._kind) for contact in found[:limit]]}
        if len(found) > limit:
            body["paging"] = {"next": {"after": str(found[limit].id)}}
        return Answer(body=body)

    def get_contact(self, request: ApiRequest) -> Answer:
        """GET objects/{object}/{id}."""
        with self._store.transaction():
            let_people_act(self._store, self._rule)
            found = self._find([request.path["id"]], request.query.get("idProperty"), is_archived=_is_archived(request))
        if not found:
            raise not_found()
        (contact,) = found.values()
        return Answer(body=record_body(contact, self._known(self._asked(request)), self._kind))

    def batch_read(self, request: ApiRequest) -> Answer:
        """POST objects/{object}/batch/read."""
        batch = parse(ReadBatch, request.body)
        ids = [item.id for item in batch.inputs]
        _check_size(ids)
        with self._store.transaction():
            let_people_act(self._store, self._rule)
            found = self._find(ids, batch.id_property, is_archived=_is_archived(request))
        names = self._known(batch.properties or self._kind.defaults)
        results = [
            record_body(contact, names, self._kind) for contact in {item.id: item for item in found.values()}.values()
        ]
        missing = [key for key in ids if key not in found]
        if not missing:
            return Answer(body=self._batch_body(results))
        message = f"Could not get some {self._kind.singular.upper()} objects, they may be deleted or not exist."
        error = RowError(category=OBJECT_NOT_FOUND, message=message, context={"ids": missing})
        return Answer(status=207, body=self._batch_body(results, [error]))

    def batch_create(self, request: ApiRequest) -> Answer:
        """POST objects/{object}/batch/create."""
        batch = _read_batch(request.body)
        return self._write(batch, [_row(item) for item in batch], mode="create", status=201)

    def batch_update(self, request: ApiRequest) -> Answer:
        """POST objects/{object}/batch/update."""
        batch = _read_batch(request.body)
        self._check_keys(batch, needs_property=False)
        return self._write(batch, [_row(item, has_key=True) for item in batch], mode="update")

    def batch_upsert(self, request: ApiRequest) -> Answer:
        """POST objects/{object}/batch/upsert."""
        batch = _read_batch(request.body)
        self._check_keys(batch, needs_property=True)
        return self._write(batch, [_row(item, has_key=True) for item in batch], mode="upsert")

    def batch_archive(self, request: ApiRequest) -> Answer:
        """POST objects/{object}/batch/archive."""
        ids = [item.id for item in parse(ReadBatch, request.body).inputs]
        _check_size(ids)
        archive_contacts(self._store, {record_id for text in ids for record_id in read_record_id(text)})
        return Answer(status=204)

    def gdpr_delete(self, request: ApiRequest) -> Answer:
        """POST objects/contacts/gdpr-delete: for good, with the log of what was written, archived or not."""
        asked = parse(ErasureBody, request.body)
        with self._store.transaction():
            found = self._find([asked.object_id], asked.id_property, is_archived=False)
            found = found or self._find([asked.object_id], asked.id_property, is_archived=True)
            if not found:
                raise not_found("No contact with this id")
            for contact in found.values():
                self._store.erase(contact.id)
        self._store.shred()
        return Answer(status=204)

    def search(self, request: ApiRequest) -> Answer:
        """POST objects/{object}/search."""
        body = parse(SearchBody, request.body)
        if not 1 <= body.limit <= MOST_PER_PAGE:
            raise invalid(f"limit: from 1 to {MOST_PER_PAGE}")
        if not 0 <= body.after <= MOST_RESULTS - body.limit:
            raise invalid(f"A search reaches {MOST_RESULTS} results at most")
        definitions = self._store.definitions()
        condition = self._indexed(search_condition(definitions, body, self._kind.queried))
        order = sort_order(definitions, body.sorts)
        with self._store.transaction():
            let_people_act(self._store, self._rule)
            total = self._store.count(condition.sql, condition.values)
            found = self._store.find(condition.sql, condition.values, order=order, limit=body.limit, offset=body.after)
        names = self._known(body.properties or self._kind.defaults)
        answer: dict[str, Any] = {
            "total": total,
            "results": [record_body(contact, names, self._kind) for contact in found],
        }
        reached = body.after + len(found)
        if reached < min(total, MOST_RESULTS):
            answer["paging"] = {"next": {"after": str(reached)}}
        return Answer(body=answer)

    def _find(self, keys: Sequence[str], key_property: str | None, *, is_archived: bool) -> dict[str, Contact]:
        """Return the contacts by the key they were asked for with; what is not there is left out."""
        if key_property is None or key_property == "hs_object_id":
            id_by_key = {key: next(iter(read_record_id(key)), 0) for key in keys}
        else:
            definition = self._unique_definition(key_property)
            named = {key: (key_property, normalise(definition, key)) for key in keys}
            owners = self._store.owners(named.values())
            id_by_key = {key: owners.get(name, 0) for key, name in named.items()}
        contacts = self._store.contacts(id_by_key.values())
        return {
            key: contacts[contact_id]
            for key, contact_id in id_by_key.items()
            if contact_id in contacts and (contacts[contact_id].archived_at is not None) == is_archived
        }

    def _indexed(self, condition: Condition) -> Condition:
        """Leave out of a search what has changed too lately to be in the index."""
        if not self._search_lag_seconds:
            return condition
        now = datetime.fromisoformat(self._store.timestamp())
        latest = write_datetime(now - timedelta(seconds=self._search_lag_seconds))
        return Condition(sql=f"updated_at <= ? and {condition.sql}", values=(latest, *condition.values))

    def _asked(self, request: ApiRequest) -> Sequence[str]:
        names = [name.strip() for name in request.query.get("properties", "").split(",") if name.strip()]
        return names or self._kind.defaults

    def _known(self, names: Sequence[str]) -> list[str]:
        """Return the names that the account has; the vendor passes over the others when it reads."""
        definitions = self._store.definitions()
        return [name for name in names if name in definitions]

    def _unique_definition(self, name: str) -> PropertyDefinition:
        definition = self._store.definitions().get(name)
        if definition is None or not definition.is_unique:
            raise invalid(f"Unable to perform update/upsert by non-unique 0-1 property {name[:100]}")
        return definition

    def _check_keys(self, batch: Sequence[WriteInput], *, needs_property: bool) -> None:
        definitions = {name: self._unique_definition(name) for name in {item.id_property for item in batch} if name}
        keys = []
        for position, item in enumerate(batch):
            if not (item.id or "").strip():
                raise invalid(f"inputs.{position}.id: some value is needed")
            if needs_property and not item.id_property:
                raise invalid(f"inputs.{position}.idProperty: the name of a unique property is needed")
            definition = definitions.get(item.id_property or "")
            keys.append((item.id_property, normalise(definition, item.id or "") if definition else item.id))
        if len(set(keys)) < len(keys):
            raise invalid("Duplicate IDs found in batch input: each record may stand in a batch once")

    def _write(self, batch: Sequence[WriteInput], rows: Sequence[Row], *, mode: str, status: int = 200) -> Answer:
        has_traces = all(item.trace_id is not None for item in batch)
        written, errors = write_rows(self._store, rows, mode=mode, must_be_whole=not has_traces)
        if errors and not has_traces:
            raise _refuse_batch(errors[0])
        results = [_written_body(item, self._kind) for item in written]
        return Answer(status=207 if errors else status, body=self._batch_body(results, errors))

    def _batch_body(self, results: Sequence[Mapping[str, Any]], errors: Sequence[RowError] = ()) -> dict[str, Any]:
        at = self._store.timestamp()
        body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
        if errors:
            body |= {"numErrors": len(errors), "errors": [error.body() for error in errors]}
        return body


def record_body(contact: Contact, names: Sequence[str], kind: ObjectType) -> dict[str, Any]:
    """Return a record in the vendor's shape: the named properties, null where empty, and those always given."""
    shown = dict.fromkeys([*kind.system, *names])
    body: dict[str, Any] = {
        "id": str(contact.id),
        "properties": {name: contact.value(name) for name in shown},
        "createdAt": contact.created_at,
        "updatedAt": contact.updated_at,
        "archived": contact.archived_at is not None,
    }
    return body if contact.archived_at is None else {**body, "archivedAt": contact.archived_at}


def _written_body(written: Written, kind: ObjectType) -> dict[str, Any]:
    row = written.row
    names = [*row.values, *([row.key_property] if row.key_property else [])]
    body = {**record_body(written.contact, names, kind), "new": written.is_new}
    return body if row.trace_id is None else {**body, "objectWriteTraceId": row.trace_id}


def _refuse_batch(error: RowError) -> RequestError:
    status = {CONFLICT: 409, OBJECT_NOT_FOUND: 404}.get(error.category, 400)
    return RequestError(status, error.category, error.message, errors=[detail.body() for detail in error.details])


def _read_batch(body: Any) -> list[WriteInput]:
    inputs = parse(WriteBatch, body).inputs
    _check_size(inputs)
    traces = [item.trace_id for item in inputs if item.trace_id is not None]
    if len(set(traces)) < len(traces):
        raise invalid("objectWriteTraceId: has to be unique within a batch")
    return inputs


def _check_size(inputs: Sequence[Any]) -> None:
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise invalid(f"A batch takes 1 to {MOST_INPUTS} inputs; this one has {len(inputs)}")


def _row(item: WriteInput, *, has_key: bool = False) -> Row:
    return Row(
        values=item.properties,
        key=item.id if has_key else None,
        key_property=item.id_property if has_key else None,
        trace_id=item.trace_id,
    )


def _read_definition(new: NewProperty) -> PropertyDefinition:
    if new.type not in PROPERTY_TYPES:
        raise invalid(f"type: one of {', '.join(PROPERTY_TYPES)}")
    if (new.type == "enumeration") != bool(new.options) and new.type != "bool":
        raise invalid("options: needed for an enumeration, and for nothing else")
    if new.has_unique_value and new.type not in ("string", "number"):
        raise invalid("hasUniqueValue: for strings and numbers only")
    options = tuple(option.value for option in new.options) if new.type == "enumeration" else ()
    return PropertyDefinition(
        name=new.name,
        label=new.label,
        type=new.type,
        field_type=new.field_type,
        group=new.group_name,
        description=new.description,
        options=options,
        is_unique=new.has_unique_value,
    )


def _is_archived(request: ApiRequest) -> bool:
    return request.query.get("archived", "false").lower() == "true"


def _whole_number(query: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        raise invalid(f"{name}: a whole number from {least} to {most}")
    return int(text)
