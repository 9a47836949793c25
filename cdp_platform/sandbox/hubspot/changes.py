"""Apply the rows of a batch to contacts: find, check, change, account for each row. Grain: one outcome per row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cdp_platform.sandbox.hubspot.answers import CONFLICT, OBJECT_NOT_FOUND, VALIDATION_ERROR, PropertyError, RowError
from cdp_platform.sandbox.hubspot.contacts import Contact, ContactStore, Write
from cdp_platform.sandbox.hubspot.properties import PropertyDefinition, check_values, normalise


@dataclass(frozen=True, kw_only=True)
class Row:
    """One input of a batch write."""

    values: Mapping[str, str | None]
    """Property values as sent; empty clears."""
    key: str | None = None
    """Record id, or the value of `key_property`; None for a new contact."""
    key_property: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """A row that was taken."""

    contact: Contact
    is_new: bool
    row: Row


@dataclass(kw_only=True)
class Draft:
    """The contacts and unique values that a transaction touches, changed in memory and saved once."""

    at: str
    day: str | None
    definitions: Mapping[str, PropertyDefinition]
    contacts: dict[int, Contact]
    owners: dict[tuple[str, str], int]
    touched: set[int] = field(default_factory=set)
    writes: list[Write] = field(default_factory=list)
    before: dict[tuple[str, str], int] = field(init=False)

    def __post_init__(self) -> None:
        self.before = dict(self.owners)

    def change(self, contact: Contact, values: Mapping[str, str], *, actor: str, operation: str) -> Contact:
        """Set and clear properties of one contact, keep the change for the log, and return the contact as it is now."""
        changed = {
            name: (contact.properties.get(name), value or None)
            for name, value in values.items()
            if contact.properties.get(name) != (value or None)
        }
        if not changed and operation == "update":
            return contact
        self._move_unique_values(contact.id, changed)
        merged = {**contact.properties, **{name: new for name, (_, new) in changed.items() if new is not None}}
        cleared = {name for name, (_, new) in changed.items() if new is None}
        is_opting_out = changed.get("hs_email_optout", (None, None))[1] == "true"
        after = replace(
            contact,
            properties={name: value for name, value in merged.items() if name not in cleared},
            updated_at=self.at,
            opted_out_on=(self.day or "") if is_opting_out else contact.opted_out_on,
        )
        self._keep(after, changed, actor=actor, operation=operation)
        return after

    def archive(self, contact: Contact) -> None:
        """Archive one contact and give its unique values free."""
        self.owners = {key: owner for key, owner in self.owners.items() if owner != contact.id}
        after = replace(contact, archived_at=self.at, updated_at=self.at)
        self._keep(after, {}, actor="api", operation="archive")

    def _move_unique_values(self, contact_id: int, changed: Mapping[str, tuple[str | None, str | None]]) -> None:
        for name, (old, new) in changed.items():
            if not self.definitions[name].is_unique:
                continue
            if old is not None:
                self.owners.pop((name, old), None)
            if new is not None:
                self.owners[(name, new)] = contact_id

    def _keep(
        self, contact: Contact, changed: Mapping[str, tuple[str | None, str | None]], *, actor: str, operation: str
    ) -> None:
        self.contacts[contact.id] = contact
        self.touched.add(contact.id)
        person_id = contact.properties.get("cdp_person_id")
        self.writes.append(
            Write(actor=actor, contact_id=contact.id, person_id=person_id, operation=operation, properties=changed)
        )

    def save(self, store: ContactStore) -> None:
        """Write everything that changed."""
        freed = [key for key, owner in self.before.items() if self.owners.get(key) != owner]
        taken = {key: owner for key, owner in self.owners.items() if self.before.get(key) != owner}
        store.save([self.contacts[contact_id] for contact_id in sorted(self.touched)], freed, taken, self.writes)


def open_draft(store: ContactStore, contact_ids: set[int], keys: set[tuple[str, str]]) -> Draft:
    """Return a draft that knows these contacts, who holds these unique values, and those holders."""
    definitions = store.definitions()
    owners = store.owners(keys)
    contacts = store.contacts(contact_ids | set(owners.values()))
    unique = [name for name, definition in definitions.items() if definition.is_unique]
    for contact in contacts.values():
        if contact.archived_at is None:
            owners |= {(name, contact.properties[name]): contact.id for name in unique if name in contact.properties}
    return Draft(at=store.timestamp(), day=store.day, definitions=definitions, contacts=contacts, owners=owners)


def write_rows(
    store: ContactStore, rows: Sequence[Row], *, mode: str, must_be_whole: bool = False
) -> tuple[list[Written], list[RowError]]:
    """Write a batch in one transaction and return what was taken and what was not, each in the order of the rows.

    `mode` is create, update or upsert. With `must_be_whole` nothing is written when any row is in error.
    """
    with store.transaction():
        draft = _draft_for(store, rows)
        writer = _Writer(draft=draft, mode=mode, next_id=store.next_contact_id())
        outcomes = [writer.write(row) for row in rows]
        written = [outcome for outcome in outcomes if isinstance(outcome, Written)]
        errors = [outcome for outcome in outcomes if isinstance(outcome, RowError)]
        if errors and must_be_whole:
            return [], errors
        draft.save(store)
        if writer.unchanged_count:
            count = int(store.account_value("unchanged_rows") or 0) + writer.unchanged_count
            store.set_account_value("unchanged_rows", str(count))
    return written, errors


def archive_contacts(store: ContactStore, contact_ids: set[int]) -> None:
    """Archive the contacts among these ids; the others, and those archived before, are passed over."""
    with store.transaction():
        draft = open_draft(store, contact_ids, set())
        for contact_id in sorted(contact_ids & draft.contacts.keys()):
            if draft.contacts[contact_id].archived_at is None:
                draft.archive(draft.contacts[contact_id])
        draft.save(store)


def _draft_for(store: ContactStore, rows: Sequence[Row]) -> Draft:
    definitions = store.definitions()
    ids: set[int] = set()
    keys: set[tuple[str, str]] = set()
    for row in rows:
        # A row may be found by one value of a property and give it another.
        named = [*row.values.items(), *([(row.key_property, row.key)] if row.key_property else [])]
        keys |= {
            (name, normalise(definitions[name], value))
            for name, value in named
            if value and name in definitions and definitions[name].is_unique
        }
        if row.key is not None and row.key_property is None:
            ids |= read_record_id(row.key)
    return open_draft(store, ids, keys)


def read_record_id(text: str) -> set[int]:
    """Return the record id in a set of one; an empty set when the text is none."""
    return {int(text)} if text.isascii() and text.isdigit() and len(text) <= 18 else set()


@dataclass(kw_only=True)
class _Writer:
    draft: Draft
    mode: str
    next_id: int
    unchanged_count: int = 0

    def write(self, row: Row) -> Written | RowError:
        contact = self._find(row)
        if contact is None and self.mode == "update":
            context = {"ids": [row.key or ""]}
            return RowError(
                category=OBJECT_NOT_FOUND, message="resource not found", context=context, trace_id=row.trace_id
            )
        named: dict[str, str | None] = dict(row.values)
        if contact is None and row.key_property is not None:
            named = {row.key_property: row.key, **named}
        values, faults = check_values(self.draft.definitions, named)
        if faults:
            return _refuse_values(faults, row)
        conflict = self._find_conflict(contact, values, row)
        return conflict or self._apply(contact, values, row)

    def _find(self, row: Row) -> Contact | None:
        if row.key is None:
            return None
        if row.key_property is None:
            found = [self.draft.contacts.get(contact_id) for contact_id in read_record_id(row.key)]
        else:
            value = normalise(self.draft.definitions[row.key_property], row.key)
            found = [self.draft.contacts.get(self.draft.owners.get((row.key_property, value), 0))]
        return next((contact for contact in found if contact and contact.archived_at is None), None)

    def _find_conflict(self, contact: Contact | None, values: Mapping[str, str], row: Row) -> RowError | None:
        for name, value in values.items():
            owner = self.draft.owners.get((name, value))
            if owner is None or (contact is not None and owner == contact.id):
                continue
            fault = PropertyError(name=name, code="CONFLICTING_UNIQUE_VALUE", message=f"{owner} has that value")
            return RowError(
                category=CONFLICT,
                message=f"Contact already exists. Existing ID: {owner}",
                trace_id=row.trace_id,
                context={"existingId": [str(owner)]},
                details=(fault,),
            )
        return None

    def _apply(self, contact: Contact | None, values: Mapping[str, str], row: Row) -> Written:
        is_new = contact is None
        if contact is None:
            contact = Contact(id=self.next_id, properties={}, created_at=self.draft.at, updated_at=self.draft.at)
            self.next_id += 1
        operation = "create" if is_new else "update"
        after = self.draft.change(contact, values, actor="api", operation=operation)
        self.unchanged_count += after is contact
        return Written(contact=after, is_new=is_new, row=row)


def _refuse_values(faults: Sequence[PropertyError], row: Row) -> RowError:
    listed = "; ".join(fault.message for fault in faults)
    return RowError(
        category=VALIDATION_ERROR,
        message=f"Property values were not valid: {listed}",
        trace_id=row.trace_id,
        details=tuple(faults),
    )
