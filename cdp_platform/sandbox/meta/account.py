"""The ad account's state: audiences with their members, events, and how sizes changed. Only hashes are kept.

A member is a person: entries that share an e-mail, telephone, advertising or external id are one, and keep all of their
identifiers until the person is removed. So an identifier that a client forgot to remove goes on matching, as it would
at the vendor.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from cdp_platform.sandbox.meta.entries import STRONG, Entry
from cdp_platform.sandbox.state_file import StateFile
from cdp_platform.sandbox.vendor import Day

ACCOUNT_ID: Final = "1017201700000001"
DATASET_ID: Final = "1017201700000077"
_FIRST_AUDIENCE: Final = 23_850_000_000_000_001
_SCHEMA: Final = """
create table if not exists audiences (id integer primary key, name text not null, created_at text not null);
create table if not exists member_keys (
    audience_id integer not null, key text not null, value text not null, member_id integer not null,
    primary key (audience_id, key, value, member_id)) without rowid;
create index if not exists keys_of_member on member_keys (audience_id, member_id);
create table if not exists uploads (
    seq integer primary key autoincrement, at text not null, day text, audience_id integer not null,
    operation text not null, received integer not null, invalid integer not null, size integer not null);
create table if not exists events (
    event_name text not null, event_id text not null, event_time integer not null, day text,
    sent_count integer not null, user_data text not null, custom_data text not null,
    primary key (event_name, event_id)) without rowid;
"""


class AdAccount:
    """The state of one ad account and its dataset of events."""

    def __init__(self, path: Path, day: Day) -> None:
        self.file = StateFile(path, _SCHEMA)
        self._day = day

    @property
    def day(self) -> str | None:
        """The business day being replayed; None before the clock was ever set."""
        return self._day()

    def now(self) -> datetime:
        """The vendor's clock: the end of the business day that is replayed, or the present time where there is none."""
        if self.day is None:
            return datetime.now(UTC)
        return datetime.combine(datetime.fromisoformat(self.day), time(), UTC) + timedelta(days=1)

    def audiences(self) -> list[dict[str, Any]]:
        """Return the audiences in the order of their creation: id, name, created_at, size."""
        rows = self.file.execute("select id, name, created_at from audiences order by id")
        return [{"id": row[0], "name": row[1], "created_at": row[2], "size": self.size(row[0])} for row in rows]

    def audience(self, audience_id: int) -> dict[str, Any] | None:
        """Return one audience; None where there is none of this id."""
        return next((found for found in self.audiences() if found["id"] == audience_id), None)

    def add_audience(self, name: str) -> int:
        """Create an empty audience and return its id; names need not differ."""
        with self.file.transaction():
            ((audience_id,),) = self.file.execute("select coalesce(max(id) + 1, ?) from audiences", (_FIRST_AUDIENCE,))
            at = datetime.now(UTC).isoformat(timespec="seconds")
            self.file.execute("insert into audiences values (?, ?, ?)", (audience_id, name, at))
        return int(audience_id)

    def size(self, audience_id: int) -> int:
        """Count the people in an audience."""
        sql = "select count(distinct member_id) from member_keys where audience_id = ?"
        return int(self.file.execute(sql, (audience_id,))[0][0])

    def add(self, audience_id: int, entries: Sequence[Entry]) -> None:
        """Add people; who is there already keeps what is known and gets what is new."""
        with self.file.transaction():
            owners = self._owners(audience_id, entries)
            sql = "select coalesce(max(member_id), 0) from member_keys where audience_id = ?"
            newest = int(self.file.execute(sql, (audience_id,))[0][0])
            rows = []
            for entry in entries:
                strong = _strong(entry)
                member = min((owners[pair] for pair in strong if pair in owners), default=None)
                if member is None:
                    newest += 1
                    member = newest
                owners |= dict.fromkeys(strong, member)
                rows += [(audience_id, key, value, member) for key, value in {*entry.items(), *strong}]
            self.file.write_many("insert or ignore into member_keys values (?, ?, ?, ?)", rows)

    def remove(self, audience_id: int, entries: Sequence[Entry]) -> None:
        """Remove the people whom the entries point at; nobody is harmless."""
        with self.file.transaction():
            members = {(audience_id, member) for member in self._owners(audience_id, entries).values()}
            self.file.write_many("delete from member_keys where audience_id = ? and member_id = ?", members)

    def clear(self, audience_id: int) -> None:
        """Remove everybody."""
        self.file.execute("delete from member_keys where audience_id = ?", (audience_id,))

    def log_upload(self, audience_id: int, operation: str, received: int, invalid_count: int) -> None:
        """Keep what an upload did, for the page and for those who audit the client."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.file.execute(
            "insert into uploads (at, day, audience_id, operation, received, invalid, size)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (at, self.day, audience_id, operation, received, invalid_count, self.size(audience_id)),
        )

    def uploads(self, audience_id: int) -> list[dict[str, Any]]:
        """Return the log of an audience, oldest first."""
        names = ("at", "day", "operation", "received", "invalid", "size")
        sql = f"select {', '.join(names)} from uploads where audience_id = ? order by seq"
        return [dict(zip(names, row, strict=True)) for row in self.file.execute(sql, (audience_id,))]

    def members(self, audience_id: int) -> list[dict[str, list[str]]]:
        """Return every member's identifiers by key, sorted."""
        rows = self.file.execute(
            "select member_id, key, value from member_keys where audience_id = ? and key <> 'ENTRY' order by 1, 2, 3",
            (audience_id,),
        )
        found: dict[int, dict[str, list[str]]] = {}
        for member, key, value in rows:
            found.setdefault(member, {}).setdefault(key, []).append(value)
        return list(found.values())

    def _owners(self, audience_id: int, entries: Sequence[Entry]) -> dict[tuple[str, str], int]:
        """Who holds which of the entries' identifiers."""
        pairs = sorted({pair for entry in entries for pair in _strong(entry)})
        rows = self.file.execute(
            "select held.key, held.value, held.member_id from json_each(?) as asked join member_keys as held"
            " on held.audience_id = ? and held.key = asked.value ->> 0 and held.value = asked.value ->> 1",
            (json.dumps(pairs), audience_id),
        )
        return {(key, value): member for key, value, member in rows}


def _strong(entry: Mapping[str, str]) -> list[tuple[str, str]]:
    """What an entry is recognised by; one without a strong identifier by all of it together."""
    strong = [(key, entry[key]) for key in STRONG if key in entry]
    return strong or [("ENTRY", json.dumps(sorted(entry.items())))]
