"""One record is written or deleted, or refused with the vendor's status codes; the rows of a request are independent.

Read from developer.salesforce.com api_rest: sObject collections, upsert by an external id (2026-11-22).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdp_platform.sandbox.salesforce.objects import OBJECTS, BadValue, Field, SObject, take
from cdp_platform.sandbox.salesforce.store import OrganizationStore, Record


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a record was not written."""

    code: str
    message: str
    fields: Sequence[str] = ()

    def body(self) -> dict[str, Any]:
        """Return the error of an item of a collection."""
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}

    def line(self) -> str:
        """Return the error of a line of a bulk job."""
        return f"{self.code}:{self.message}:{','.join(self.fields)} --"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of one record."""

    id: str = ""
    is_new: bool = False
    trouble: Trouble | None = None
    several: Sequence[str] = ()
    """The records that share the external id, where nothing was written for that."""

    def body(self) -> dict[str, Any]:
        """Return the item of a collection's answer."""
        if self.trouble:
            return {"success": False, "errors": [self.trouble.body()]}
        return {"id": self.id, "success": True, "errors": [], "created": self.is_new}


def upsert(
    store: OrganizationStore, kind: SObject, key_field: str, values: Mapping[str, Any], *, may_create: bool = True
) -> Written:
    """Write the record that has the key, or make it; more than one of them is trouble and nothing is written."""
    key = values.get(key_field)
    if key in (None, ""):
        return _refused("MISSING_ARGUMENT", f"{key_field} not specified", [key_field])
    owners = store.owners(kind, key_field, key)
    if len(owners) > 1:
        message = f"{key_field}: more than one record found for external id field: {owners}"
        return Written(trouble=Trouble(code="DUPLICATE_EXTERNAL_ID", message=message), several=owners)
    if not owners and not may_create:
        return _refused("NOT_FOUND", "Provided external ID field does not exist or is not accessible")
    return write(store, kind, values, owners[0] if owners else None)


def write(store: OrganizationStore, kind: SObject, values: Mapping[str, Any], record_id: str | None) -> Written:
    """Create a record, or change the one with this id."""
    known = store.record(record_id) if record_id else None
    if record_id and (known is None or known.object != kind.name):
        return _refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    if known is not None and known.is_deleted:
        return _refused("ENTITY_IS_DELETED", "entity is deleted")
    try:
        taken = _taken(store, kind, values)
    except BadValue as bad:
        fields = [bad.message.partition(":")[0]] if bad.message.partition(":")[0] in kind.fields else []
        return _refused(bad.code, bad.message, fields)
    merged = {**(known.fields if known else {}), **taken}
    trouble = _locked(store, known, taken) or _missing(kind, merged) or _against_rules(store, kind, merged, known)
    if trouble:
        return Written(trouble=trouble)
    at = store.record_time()
    new_id = known.id if known else store.new_id(kind.prefix)
    store.put(kind, new_id, merged, known.created_at if known else at, at)
    return Written(id=new_id, is_new=known is None)


def delete(store: OrganizationStore, record_id: str, *, kind: SObject | None = None) -> Written:
    """Put one record into the recycle bin; an account with opportunities that depend on it stays."""
    record = store.record(record_id)
    if record is None or (kind is not None and record.object != kind.name):
        return _refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    if record.is_deleted:
        return _refused("ENTITY_IS_DELETED", "entity is deleted")
    if trouble := _locked(store, record, {}):
        return Written(trouble=trouble)
    won = "object = 'Opportunity' and is_deleted = 0 and json_extract(fields, '$.AccountId') = ?"
    if record.object == "Account" and store.records(f"{won} and fields like '%Closed Won%'", (record.id,), limit=1):
        return _refused("DELETE_FAILED", "Your attempt to delete it could not be completed: opportunities depend on it")
    store.bury(record)
    return Written(id=record.id)


def _taken(store: OrganizationStore, kind: SObject, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as they are kept; raise BadValue. `Parent.Key__c` has been told as {Parent: {Key__c: …}}."""
    taken = dict[str, Any]()
    for name, value in values.items():
        lookup = kind.relationship(name)
        if lookup is not None:
            taken[lookup.name] = _parent(store, lookup, value)
            continue
        item = kind.fields[name]
        if item.is_read_only:
            message = f"Unable to create/update fields: {name}. Please check the security settings of this field"
            raise BadValue("INVALID_FIELD_FOR_INSERT_UPDATE", message)
        taken[name] = take(item, value)
        if item.parent and taken[name] and not _is_there(store, item.parent, taken[name]):
            raise BadValue("INVALID_CROSS_REFERENCE_KEY", f"{name}: id value of incorrect type or gone")
    return taken


def _parent(store: OrganizationStore, lookup: Field, value: Any) -> str | None:
    """Find the parent of `{Key__c: value}`."""
    if value is None:
        return None
    ((name, key),) = [(name, key) for name, key in value.items() if name != "attributes"]
    owners = store.owners(OBJECTS[lookup.parent], name, key)
    if len(owners) != 1:
        found = "not found" if not owners else "matches more than one record"
        message = f"Foreign key external ID: {key} {found} for field {name} in entity {lookup.parent}"
        raise BadValue("INVALID_FIELD", message)
    return owners[0]


def _is_there(store: OrganizationStore, kind: str, record_id: str) -> bool:
    record = store.record(record_id)
    return record is not None and record.object == kind and not record.is_deleted


def _locked(store: OrganizationStore, known: Record | None, taken: Mapping[str, Any]) -> Trouble | None:
    """Whether somebody else holds the record, or the parent it is linked to; each meeting uses one up."""
    ids = [value for value in (known.id if known else None, taken.get("AccountId")) if value]
    for record_id in ids:
        rows = store.execute("select times from locks where id = ?", (record_id,))
        if rows and rows[0][0] > 0:
            store.execute("update locks set times = times - 1 where id = ?", (record_id,))
            message = f"unable to obtain exclusive access to this record or 1 records: {record_id}"
            return Trouble(code="UNABLE_TO_LOCK_ROW", message=message)
    return None


def _missing(kind: SObject, merged: Mapping[str, Any]) -> Trouble | None:
    missing = [item.name for item in kind.fields.values() if item.is_required and merged.get(item.name) is None]
    if not missing:
        return None
    message = f"Required fields are missing: [{', '.join(missing)}]"
    return Trouble(code="REQUIRED_FIELD_MISSING", message=message, fields=missing)


def _against_rules(
    store: OrganizationStore, kind: SObject, merged: Mapping[str, Any], known: Record | None
) -> Trouble | None:
    """Hold a record against uniqueness, the organization's validation rule, and its duplicate rule."""
    own = {known.id} if known else set()
    for item in kind.fields.values():
        value = merged.get(item.name)
        if item.is_unique and value is not None and (others := set(store.owners(kind, item.name, value)) - own):
            message = f"duplicate value found: {item.name} duplicates value on record with id: {min(others)}"
            return Trouble(code="DUPLICATE_VALUE", message=message, fields=[item.name])
    if kind.rule and (merged.get(kind.rule) or 0) < 0:
        message = f"{kind.rule} must not be negative."
        return Trouble(code="FIELD_CUSTOM_VALIDATION_EXCEPTION", message=message, fields=[kind.rule])
    looks_like = merged.get(kind.duplicates_by) if kind.duplicates_by else None
    if looks_like and set(store.owners(kind, kind.duplicates_by, looks_like)) - own:
        return Trouble(code="DUPLICATES_DETECTED", message="Use one of these records?")
    return None


def _refused(code: str, message: str, fields: Sequence[str] = ()) -> Written:
    return Written(trouble=Trouble(code=code, message=message, fields=fields))
