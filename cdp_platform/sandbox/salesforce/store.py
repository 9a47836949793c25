"""The organization's state: one SQLite file with records, jobs, issued tokens and the count of requests.

One connection behind one lock. A record that is deleted stays in the file, as in the vendor's recycle bin, and gives
its external ids free.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from cdp_platform.sandbox.salesforce.objects import OBJECTS, SObject, write_moment
from cdp_platform.sandbox.state_file import StateFile
from cdp_platform.sandbox.vendor import Day

_SCHEMA: Final = """
create table if not exists account (key text primary key, value text not null) without rowid;
create table if not exists records (
    id text primary key, object text not null, fields text not null, created_at text not null,
    modified_at text not null, is_deleted integer not null default 0) without rowid;
create index if not exists records_by_time on records (object, modified_at);
create table if not exists keys (
    object text not null, field text not null, value text not null, id text not null,
    primary key (object, field, value, id)) without rowid;
create index if not exists keys_by_record on keys (id);
create table if not exists jobs (
    id text primary key, details text not null, state text not null, created_at text not null,
    modified_at text not null, content blob, done integer not null default 0, error text not null default '');
create table if not exists job_lines (
    job_id text not null, line integer not null, outcome text not null, record_id text not null default '',
    error text not null default '', primary key (job_id, line)) without rowid;
create table if not exists tokens (token text primary key, issued_at real not null) without rowid;
create table if not exists requests (
    day text primary key, accepted integer not null default 0, refused integer not null default 0) without rowid;
create table if not exists locks (id text primary key, times integer not null) without rowid;
"""
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SUFFIXES: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record; `fields` holds only what has a value."""

    id: str
    object: str
    fields: Mapping[str, Any]
    created_at: str
    modified_at: str
    is_deleted: bool = False

    def value(self, name: str) -> Any:
        """Return a field's value, those of the system included."""
        match name:
            case "Id":
                return self.id
            case "CreatedDate":
                return self.created_at
            case "LastModifiedDate" | "SystemModstamp":
                return self.modified_at
            case "IsDeleted":
                return self.is_deleted
        value = self.fields.get(name)
        return False if value is None and OBJECTS[self.object].fields[name].type == "boolean" else value


class OrganizationStore(StateFile):
    """The state of one organization; creates the file when it is new."""

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), day: Day = lambda: None
    ) -> None:
        """`day` is the business day that is replayed: records are made and changed on it, at the time of the wall."""
        super().__init__(path, _SCHEMA)
        self._now = now
        self._day = day

    def timestamp(self) -> str:
        """Return the time now, as the vendor writes it."""
        return write_moment(self._now())

    def record_time(self) -> str:
        """Return the time that a record is made or changed now, as the vendor writes it."""
        now = self._now()
        day = self._day()
        return write_moment(datetime.combine(date.fromisoformat(day), now.timetz()) if day else now)

    def account_value(self, key: str) -> str | None:
        """Return a value of the organization itself."""
        rows = self.execute("select value from account where key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_account_value(self, key: str, value: str) -> None:
        """Keep a value of the organization itself."""
        self.execute("replace into account values (?, ?)", (key, value))

    def new_id(self, prefix: str) -> str:
        """Return the next record id of a kind: 15 characters, and three that tell their upper and lower case."""
        with self.transaction():
            number = int(self.account_value("last_id") or 0) + 1
            self.set_account_value("last_id", str(number))
        text = ""
        for _ in range(9):
            number, digit = divmod(number, len(_ALPHABET))
            text = _ALPHABET[digit] + text
        return with_suffix(f"{prefix}5i0{text}"[:15])

    def record(self, record_id: str) -> Record | None:
        """Return a record by its id, deleted ones included."""
        found = self.records("id = ?", (with_suffix(record_id),), limit=1)
        return found[0] if found else None

    def records(
        self, where: str, values: Sequence[Any] = (), *, order: str = "id", limit: int = -1, offset: int = 0
    ) -> list[Record]:
        """Return records by a condition over the table's columns."""
        rows = self.execute(
            f"select id, object, fields, created_at, modified_at, is_deleted from records where {where}"
            f" order by {order} limit ? offset ?",
            (*values, limit, offset),
        )
        return [
            Record(
                id=row[0],
                object=row[1],
                fields=json.loads(row[2]),
                created_at=row[3],
                modified_at=row[4],
                is_deleted=bool(row[5]),
            )
            for row in rows
        ]

    def owners(self, kind: SObject, name: str, value: Any) -> list[str]:
        """Return the ids of the records that have a value in a key field; case does not count."""
        rows = self.execute(
            "select id from keys where object = ? and field = ? and value = ?",
            (kind.name, name, str(value).casefold()),
        )
        return [row[0] for row in rows]

    def put(self, kind: SObject, record_id: str, fields: Mapping[str, Any], created_at: str, at: str) -> None:
        """Write a record whole, with its keys."""
        kept = {name: value for name, value in fields.items() if value is not None}
        self.execute("delete from keys where object = ? and id = ?", (kind.name, record_id))
        self.execute(
            "replace into records (id, object, fields, created_at, modified_at) values (?, ?, ?, ?, ?)",
            (record_id, kind.name, json.dumps(kept, ensure_ascii=False), created_at, at),
        )
        keyed = [name for name in kept if kind.fields[name].is_external_id or name == kind.duplicates_by]
        self.write_many(
            "insert into keys values (?, ?, ?, ?)",
            [(kind.name, name, str(kept[name]).casefold(), record_id) for name in keyed],
        )

    def bury(self, record: Record) -> None:
        """Put a record into the recycle bin."""
        self.execute("delete from keys where object = ? and id = ?", (record.object, record.id))
        self.execute("update records set is_deleted = 1, modified_at = ? where id = ?", (self.record_time(), record.id))


def with_suffix(record_id: str) -> str:
    """Return an id of 15 characters with its suffix; any other text as it is."""
    if len(record_id) != 15:
        return record_id
    parts = (record_id[start : start + 5] for start in (0, 5, 10))
    codes = (sum(1 << place for place, letter in enumerate(part) if "A" <= letter <= "Z") for part in parts)
    return record_id + "".join(_SUFFIXES[code] for code in codes)
