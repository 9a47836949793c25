"""Lists of records, filled by hand: made, looked at, and changed by record ids.

Vendor's pages: developers.hubspot.com/docs/api-reference/crm-lists-v3 (read 2026-11-22). Only MANUAL and SNAPSHOT lists
take members; who is a member already, and who is none, is passed over; ids without a record are told as missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cdp_platform.sandbox.hubspot.answers import RequestError, invalid, not_found
from cdp_platform.sandbox.hubspot.changes import read_record_id
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.hubspot.objects import Objects
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_IDS: Final = 100_000
MOST_LISTED: Final = 250
_WAYS: Final = ("MANUAL", "SNAPSHOT", "DYNAMIC")
_SCHEMA: Final = (
    """create table if not exists lists (
        id integer primary key, name text not null unique, object_type text not null, processing_type text not null,
        created_at text not null)""",
    """create table if not exists list_members (
        list_id integer not null, record_id integer not null, added_at text not null,
        primary key (list_id, record_id)) without rowid""",
)


class Lists:
    """The endpoints of lists; their state lies in the account's main file."""

    def __init__(self, main: ContactStore, objects: Objects) -> None:
        self._main = main
        self._objects = objects
        for statement in _SCHEMA:
            main.execute(statement)

    def create(self, request: ApiRequest) -> Answer:
        """POST lists."""
        body = request.body if isinstance(request.body, Mapping) else {}
        name, way = body.get("name"), body.get("processingType")
        if not isinstance(name, str) or not name.strip() or way not in _WAYS:
            raise invalid(f"name and processingType ({', '.join(_WAYS)}) are needed")
        kind, _ = self._objects.find(str(body.get("objectTypeId")))
        with self._main.transaction():
            if self._main.execute("select 1 from lists where name = ?", (name,)):
                raise RequestError(400, "VALIDATION_ERROR", "List name already exists in portal")
            self._main.execute(
                "insert into lists (name, object_type, processing_type, created_at) values (?, ?, ?, ?)",
                (name, kind.name, way, self._main.timestamp()),
            )
            list_id = self._main.execute("select max(id) from lists")[0][0]
        return Answer(body={"list": self._body(list_id)})

    def get(self, request: ApiRequest) -> Answer:
        """GET lists/{id}."""
        return Answer(body={"list": self._body(self._list_id(request))})

    def members(self, request: ApiRequest) -> Answer:
        """GET lists/{id}/memberships, in the order of record ids."""
        list_id, after = self._list_id(request), next(iter(read_record_id(request.query.get("after", "0"))), 0)
        rows = self._main.execute(
            "select record_id, added_at from list_members where list_id = ? and record_id > ? order by 1 limit ?",
            (list_id, after, MOST_LISTED + 1),
        )
        results = [{"recordId": str(record_id), "membershipTimestamp": at} for record_id, at in rows[:MOST_LISTED]]
        body: dict[str, Any] = {"results": results, "total": self._size(list_id)}
        if len(rows) > MOST_LISTED:
            body["paging"] = {"next": {"after": results[-1]["recordId"]}}
        return Answer(body=body)

    def add(self, request: ApiRequest) -> Answer:
        """PUT lists/{id}/memberships/add: the body is the list of ids."""
        return self._change(request, add=_ids(request.body), remove=[])

    def remove(self, request: ApiRequest) -> Answer:
        """PUT lists/{id}/memberships/remove: the body is the list of ids."""
        return self._change(request, add=[], remove=_ids(request.body))

    def add_and_remove(self, request: ApiRequest) -> Answer:
        """PUT lists/{id}/memberships/add-and-remove."""
        body = request.body if isinstance(request.body, Mapping) else {}
        return self._change(request, add=_ids(body.get("recordIdsToAdd")), remove=_ids(body.get("recordIdsToRemove")))

    def _change(self, request: ApiRequest, *, add: Sequence[str], remove: Sequence[str]) -> Answer:
        if len(add) + len(remove) > MOST_IDS:
            raise invalid(f"At most {MOST_IDS} records in one request")
        with self._main.transaction():
            list_id = self._list_id(request)
            told = self._body(list_id)
            if told["processingType"] == "DYNAMIC":
                raise RequestError(400, "INVALID_LIST", "A DYNAMIC list takes no members")
            there = self._present(told["objectTypeId"], [*add, *remove])
            added = [text for text in add if text in there and self._put(list_id, text)]
            removed = [text for text in remove if self._take(list_id, text)]
        missing = [text for text in dict.fromkeys([*add, *remove]) if text not in there and text not in removed]
        # The vendor's own spelling of the first.
        return Answer(body={"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": missing})

    def _present(self, object_type: str, texts: Sequence[str]) -> set[str]:
        ids = {record_id for text in texts for record_id in read_record_id(text)}
        found = self._objects.find(object_type)[1].contacts(ids)
        return {str(record.id) for record in found.values() if record.archived_at is None}

    def _put(self, list_id: int, text: str) -> bool:
        values = (list_id, int(text), self._main.timestamp())
        sql = "insert or ignore into list_members values (?, ?, ?) returning record_id"
        return bool(self._main.execute(sql, values))

    def _take(self, list_id: int, text: str) -> bool:
        record_id = next(iter(read_record_id(text)), 0)
        sql = "delete from list_members where list_id = ? and record_id = ? returning record_id"
        return bool(self._main.execute(sql, (list_id, record_id)))

    def _list_id(self, request: ApiRequest) -> int:
        list_id = next(iter(read_record_id(request.path["id"])), 0)
        if not self._main.execute("select 1 from lists where id = ?", (list_id,)):
            raise not_found("List does not exist with ID")
        return list_id

    def _size(self, list_id: int) -> int:
        return int(self._main.execute("select count(*) from list_members where list_id = ?", (list_id,))[0][0])

    def _body(self, list_id: int) -> dict[str, Any]:
        sql = "select name, object_type, processing_type, created_at from lists where id = ?"
        [(name, object_type, way, created_at)] = self._main.execute(sql, (list_id,))
        return {
            "listId": str(list_id),
            "name": name,
            "objectTypeId": self._objects.find(object_type)[0].id,
            "processingType": way,
            "processingStatus": "COMPLETE",
            "createdAt": created_at,
            "additionalProperties": {"hs_list_size": str(self._size(list_id))},
        }


def _ids(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
        raise invalid("A list of record ids is needed")
    return [str(item) for item in value]
