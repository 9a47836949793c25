"""The account's state: user lists with their members by hashes, and the requests that change them.

A request is kept as it was taken, and processed when its status is asked for the second time: every client has to ask
again, and requests are processed in no promised order. Members that share an identifier are one person, who keeps all
of them until removed.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from cdp_platform.sandbox.google.members import Identifier
from cdp_platform.sandbox.state_file import StateFile
from cdp_platform.sandbox.vendor import Day

ACCOUNT_ID: Final = "1017201701"
USER_LISTS: Final = {"9017201701": "Loyal people", "9017201702": "Lapsed people"}
"""Id and name of the lists that the account has; it makes no others."""
_SCHEMA: Final = """
create table if not exists member_keys (
    list_id text not null, kind text not null, value text not null, member_id integer not null,
    primary key (list_id, kind, value)) without rowid;
create index if not exists keys_of_member on member_keys (list_id, member_id);
create table if not exists requests (
    seq integer primary key autoincrement, id text not null unique, at text not null, day text, list_id text not null,
    operation text not null, members text not null, consent text not null, asked integer not null default 0,
    records integer, size integer);
"""


class DataManagerAccount:
    """The state of one Google Ads account."""

    def __init__(self, path: Path, day: Day) -> None:
        self.file = StateFile(path, _SCHEMA)
        self._day = day

    @property
    def day(self) -> str | None:
        """The business day being replayed; None before the clock was ever set."""
        return self._day()

    def take(self, operation: str, list_id: str, members: Sequence[Sequence[Identifier]], consent: Any) -> str:
        """Keep a request to `ingest` or `remove` members, and return its id."""
        request_id = str(uuid4())
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.file.execute(
            "insert into requests (id, at, day, list_id, operation, members, consent) values (?, ?, ?, ?, ?, ?, ?)",
            (request_id, at, self.day, list_id, operation, json.dumps(members), json.dumps(consent)),
        )
        return request_id

    def ask(self, request_id: str) -> dict[str, Any] | None:
        """Return a request, processed from the second time on; None where there is none of this id."""
        names = ("id", "day", "list_id", "operation", "members", "consent", "asked", "records")
        sql = f"select {', '.join(names)} from requests where id = ?"
        with self.file.transaction():
            self.file.execute("update requests set asked = asked + 1 where id = ?", (request_id,))
            rows = self.file.execute(sql, (request_id,))
            if not rows:
                return None
            found = dict(zip(names, rows[0], strict=True))
            if found["asked"] > 1 and found["records"] is None:
                self._process(found)
            return {**found, "members": json.loads(found["members"]), "consent": json.loads(found["consent"])}

    def size(self, list_id: str) -> int:
        """Count the people in a list."""
        sql = "select count(distinct member_id) from member_keys where list_id = ?"
        return int(self.file.execute(sql, (list_id,))[0][0])

    def members(self, list_id: str) -> list[dict[str, list[str]]]:
        """Return every member's identifiers by kind, sorted."""
        sql = "select member_id, kind, value from member_keys where list_id = ? order by 1, 2, 3"
        found: dict[int, dict[str, list[str]]] = {}
        for member, kind, value in self.file.execute(sql, (list_id,)):
            found.setdefault(member, {}).setdefault(kind, []).append(value)
        return list(found.values())

    def requests(self, list_id: str) -> list[dict[str, Any]]:
        """Return the requests of a list, oldest first; `size` is null while one is not processed."""
        names = ("id", "at", "day", "operation", "records", "size", "consent")
        sql = f"select {', '.join(names)} from requests where list_id = ? order by seq"
        return [dict(zip(names, row, strict=True)) for row in self.file.execute(sql, (list_id,))]

    def _process(self, request: dict[str, Any]) -> None:
        members, list_id = json.loads(request["members"]), request["list_id"]
        owners = self._owners(list_id, members)
        if request["operation"] == "remove":
            gone = [(list_id, member) for member in set(owners.values())]
            self.file.write_many("delete from member_keys where list_id = ? and member_id = ?", gone)
        else:
            self._add(list_id, members, owners)
        request["records"] = len(members)
        self.file.execute(
            "update requests set records = ?, size = ?, members = '[]' where id = ?",
            (len(members), self.size(list_id), request["id"]),
        )

    def _add(self, list_id: str, members: list[list[list[str]]], owners: dict[Identifier, int]) -> None:
        sql = "select coalesce(max(member_id), 0) from member_keys where list_id = ?"
        newest, rows = int(self.file.execute(sql, (list_id,))[0][0]), []
        for told in members:
            keys = [(kind, value) for kind, value in told]
            member = min((owners[key] for key in keys if key in owners), default=newest + 1)
            newest = max(newest, member)
            owners |= dict.fromkeys(keys, member)
            rows += [(list_id, kind, value, member) for kind, value in keys]
        self.file.write_many("insert or replace into member_keys values (?, ?, ?, ?)", rows)

    def _owners(self, list_id: str, members: list[list[list[str]]]) -> dict[Identifier, int]:
        rows = self.file.execute(
            "select held.kind, held.value, held.member_id from json_each(?) as asked join member_keys as held"
            " on held.list_id = ? and held.kind = asked.value ->> 0 and held.value = asked.value ->> 1",
            (json.dumps([key for told in members for key in told]), list_id),
        )
        return {(kind, value): member for kind, value, member in rows}
