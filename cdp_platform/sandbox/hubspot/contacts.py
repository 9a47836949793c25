"""The account's state: one SQLite file with contacts, property definitions, the log of writes and request counts.

A contact that is archived stays in the file and gives its unique values free, as at the vendor.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdp_platform.sandbox.hubspot.matching import contains_token
from cdp_platform.sandbox.hubspot.properties import (
    PropertyDefinition,
    parse_definition,
    read_account_setup,
    write_datetime,
)
from cdp_platform.sandbox.state_file import StateFile

_SCHEMA = """
create table if not exists account (key text primary key, value text not null) without rowid;
create table if not exists properties (
    name text primary key, definition text not null, created_at text not null);
create table if not exists contacts (
    id integer primary key, properties text not null, created_at text not null, updated_at text not null,
    archived_at text, acted_on text not null default '', opted_out_on text not null default '');
create index if not exists contacts_by_acted_on on contacts (acted_on) where archived_at is null;
create table if not exists unique_values (
    property text not null, value text not null, contact_id integer not null,
    primary key (property, value)) without rowid;
create table if not exists writes (
    seq integer primary key autoincrement, at text not null, day text, actor text not null,
    contact_id integer not null, cdp_person_id text, operation text not null, properties text not null);
create index if not exists writes_by_contact on writes (contact_id);
create table if not exists requests (
    day text primary key, accepted integer not null default 0, refused integer not null default 0);
"""
_COLUMNS = "id, properties, created_at, updated_at, archived_at, acted_on, opted_out_on"


@dataclass(frozen=True, kw_only=True)
class Contact:
    """One contact; `properties` holds only what has a value."""

    id: int
    properties: Mapping[str, str]
    created_at: str
    updated_at: str
    archived_at: str | None = None
    acted_on: str = ""
    """The last business day whose acts are done; empty for none."""
    opted_out_on: str = ""
    """The last business day on which it was opted out; empty for none."""

    def value(self, name: str) -> str | None:
        """Return a property's value, the read-only ones that the system keeps included."""
        if name == "hs_object_id":
            return str(self.id)
        if name in ("createdate", "hs_createdate"):
            return self.created_at
        if name in ("lastmodifieddate", "hs_lastmodifieddate"):
            return self.updated_at
        return self.properties.get(name)


@dataclass(frozen=True, kw_only=True)
class Write:
    """One change to a contact, as the log keeps it."""

    actor: str
    """`api` or `person`."""
    contact_id: int
    person_id: str | None
    operation: str
    """`create`, `update` or `archive`."""
    properties: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    """Old and new value of each property that changed; None for no value."""


class ContactStore(StateFile):
    """The state of one account; creates and sets up the file when it is new."""

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(path, _SCHEMA)
        self._now = now
        self._connection.create_function("contains_token", 2, contains_token, deterministic=True)
        with self.transaction():
            if self.account_value("portal_id") is None:
                self._set_up()

    def _set_up(self) -> None:
        self.set_account_value("portal_id", str(random.SystemRandom().randint(40_000_000, 49_999_999)))
        self.set_account_value("unchanged_rows", "0")
        for definition in self.initial_properties():
            self.add_property(definition)

    def initial_properties(self) -> list[PropertyDefinition]:
        """Return the properties that a new account has."""
        return read_account_setup()

    def timestamp(self) -> str:
        """Return the present time as the vendor writes it."""
        return write_datetime(self._now())

    def account_value(self, key: str) -> str | None:
        """Return one value of the account; None when it was never set."""
        found = self.execute("select value from account where key = ?", (key,))
        return found[0][0] if found else None

    def set_account_value(self, key: str, value: str) -> None:
        """Keep one value of the account."""
        self.execute("insert or replace into account values (?, ?)", (key, value))

    @property
    def day(self) -> str | None:
        """The business day being replayed, yyyy-mm-dd; None before the clock was ever set."""
        return self.account_value("day")

    def definitions(self) -> dict[str, PropertyDefinition]:
        """Return the property definitions by name, in the order of their creation."""
        rows = self.execute("select definition from properties order by rowid")
        return {item.name: item for item in (parse_definition(text) for (text,) in rows)}

    def property_bodies(self) -> dict[str, dict[str, Any]]:
        """Return the property definitions by name in the vendor's shape."""
        rows = self.execute("select definition, created_at from properties order by rowid")
        return {item.name: item.body(at) for item, at in ((parse_definition(text), at) for text, at in rows)}

    def add_property(self, definition: PropertyDefinition) -> None:
        """Add a property. Raises sqlite3.IntegrityError when there is one of that name."""
        values = (definition.name, definition.to_text(), self.timestamp())
        self.execute("insert into properties values (?, ?, ?)", values)

    def next_contact_id(self) -> int:
        """Return the id of the next contact: above all others, archived ones included."""
        first = 101_000_000_000 + int(self.account_value("portal_id") or 0)
        return int(self.execute("select coalesce(max(id) + 1, ?) from contacts", (first,))[0][0])

    def contacts(self, ids: Iterable[int]) -> dict[int, Contact]:
        """Return the contacts with these ids, archived ones included."""
        text = json.dumps(sorted(set(ids)))
        rows = self.execute(f"select {_COLUMNS} from contacts where id in (select value from json_each(?))", (text,))
        return {row[0]: _to_contact(row) for row in rows}

    def owners(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Return who holds each unique value, by (property, value); free values are left out."""
        rows = self.execute(
            "select u.property, u.value, u.contact_id from json_each(?) as asked"
            " join unique_values as u on u.property = asked.value ->> 0 and u.value = asked.value ->> 1",
            (json.dumps(sorted(set(keys))),),
        )
        return {(name, value): contact_id for name, value, contact_id in rows}

    def find(
        self, where: str, parameters: Sequence[Any] = (), *, order: str = "id", limit: int = -1, offset: int = 0
    ) -> list[Contact]:
        """Return the contacts under a condition over the columns of the table `contacts`."""
        sql = f"select {_COLUMNS} from contacts where {where} order by {order} limit ? offset ?"
        return [_to_contact(row) for row in self.execute(sql, (*parameters, limit, offset))]

    def count(self, where: str, parameters: Sequence[Any] = ()) -> int:
        """Return the number of contacts under a condition."""
        return int(self.execute(f"select count(*) from contacts where {where}", parameters)[0][0])

    def save(
        self,
        contacts: Iterable[Contact],
        freed: Iterable[tuple[str, str]],
        taken: Mapping[tuple[str, str], int],
        writes: Iterable[Write],
    ) -> None:
        """Store contacts, the unique values they gave free and took, and the log of what changed."""
        at, day = self.timestamp(), self.day
        with self.transaction():
            self.write_many("delete from unique_values where property = ? and value = ?", freed)
            self.write_many(
                f"insert or replace into contacts ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)",
                [_to_row(contact) for contact in contacts],
            )
            self.write_many(
                "insert into unique_values values (?, ?, ?)", [(*key, owner) for key, owner in taken.items()]
            )
            self.write_many(
                "insert into writes (at, day, actor, contact_id, cdp_person_id, operation, properties)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (at, day, item.actor, item.contact_id, item.person_id, item.operation, json.dumps(item.properties))
                    for item in writes
                ],
            )

    def erase(self, contact_id: int) -> None:
        """Delete a contact, its unique values and all that the log says of it."""
        with self.transaction():
            for table, column in (("contacts", "id"), ("unique_values", "contact_id"), ("writes", "contact_id")):
                self.execute(f"delete from {table} where {column} = ?", (contact_id,))

    def shred(self) -> None:
        """Write the file anew, so that nothing that was deleted is left in it."""
        with self._lock:
            self.execute("vacuum")
            self.execute("pragma wal_checkpoint(truncate)")

    def count_request(self, *, day: str, is_accepted: bool) -> None:
        """Count one request of the API on a day of the real calendar."""
        column = "accepted" if is_accepted else "refused"
        self.execute(
            f"insert into requests (day, {column}) values (?, 1)"
            f" on conflict (day) do update set {column} = {column} + 1",
            (day,),
        )

    def accepted_requests(self, day: str) -> int:
        """Return how many requests were let in on a day of the real calendar."""
        return int(self.execute("select coalesce(sum(accepted), 0) from requests where day = ?", (day,))[0][0])


def _to_contact(row: tuple[Any, ...]) -> Contact:
    return Contact(
        id=row[0],
        properties=json.loads(row[1]),
        created_at=row[2],
        updated_at=row[3],
        archived_at=row[4],
        acted_on=row[5],
        opted_out_on=row[6],
    )


def _to_row(contact: Contact) -> tuple[Any, ...]:
    return (
        contact.id,
        json.dumps(contact.properties),
        contact.created_at,
        contact.updated_at,
        contact.archived_at,
        contact.acted_on,
        contact.opted_out_on,
    )
