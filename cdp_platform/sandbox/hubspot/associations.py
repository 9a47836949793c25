"""Associations between records: which record is linked with which, under which types.

Vendor's page: developers.hubspot.com/docs/api-reference/crm-associations-v4/guide (read 2026-11-22): an association
without a label stands for every pair; labels come on top of it. An association holds in both directions, each with a
type id of its own. Creating one twice changes nothing; removing one that is not there is no error.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cdp_platform.sandbox.hubspot.answers import OBJECT_NOT_FOUND, RowError, invalid
from cdp_platform.sandbox.hubspot.changes import read_record_id
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.hubspot.objects import Objects, ObjectType
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_WRITTEN: Final = 2_000
MOST_READ: Final = 100
_FIRST_TYPE_ID: Final = 279
_SCHEMA: Final = (
    """create table if not exists associations (
        from_type text not null, from_id integer not null, to_type text not null, to_id integer not null,
        category text not null, type_id integer not null,
        primary key (from_type, from_id, to_type, to_id, category, type_id)) without rowid""",
    """create table if not exists association_types (
        type_id integer primary key, from_type text not null, to_type text not null, category text not null,
        label text, inverse_id integer not null)""",
)
_PAIR: Final = "from_type = ? and from_id = ? and to_type = ? and to_id = ?"


class Associations:
    """The endpoints of associations; their state lies in the account's main file."""

    def __init__(self, main: ContactStore, objects: Objects) -> None:
        self._main = main
        self._objects = objects
        for statement in _SCHEMA:
            main.execute(statement)

    def labels(self, request: ApiRequest) -> Answer:
        """GET associations/{from}/{to}/labels: the types of this direction, the one without a label first."""
        from_kind, to_kind, _ = self._sides(request)
        self._unlabelled(from_kind, to_kind)
        rows = self._main.execute(
            "select category, type_id, label from association_types where from_type = ? and to_type = ?"
            " order by label is not null, type_id",
            (from_kind.name, to_kind.name),
        )
        names = ("category", "typeId", "label")
        return Answer(body={"results": [dict(zip(names, row, strict=True)) for row in rows]})

    def define(self, request: ApiRequest) -> Answer:
        """POST associations/{from}/{to}/labels: a label of the account's own, and its inverse."""
        from_kind, to_kind, _ = self._sides(request)
        label = request.body.get("label") if isinstance(request.body, Mapping) else None
        if not isinstance(label, str) or not label.strip():
            raise invalid("label: some text is needed")
        inverse = str(request.body.get("inverseLabel") or label)
        with self._main.transaction():
            type_id = self._define(from_kind, to_kind, "USER_DEFINED", label, inverse)
        return Answer(body={"results": [{"category": "USER_DEFINED", "typeId": type_id, "label": label}]})

    def create_default(self, request: ApiRequest) -> Answer:
        """POST associations/{from}/{to}/batch/associate/default; tells both directions of each pair."""
        from_kind, to_kind, inputs = self._sides(request)
        type_id = self._unlabelled(from_kind, to_kind)
        inverse_id = self._inverse(type_id)
        good, errors = self._split(from_kind, to_kind, inputs)
        results = []
        with self._main.transaction():
            for from_id, to_id, _ in good:
                self._link(from_kind, from_id, to_kind, to_id, [("HUBSPOT_DEFINED", type_id)])
                results.append(_linked(from_id, to_id, type_id))
                results.append(_linked(to_id, from_id, inverse_id))
        return self._answer(results, errors, status=200)

    def create(self, request: ApiRequest) -> Answer:
        """POST associations/{from}/{to}/batch/create."""
        from_kind, to_kind, inputs = self._sides(request)
        unlabelled = ("HUBSPOT_DEFINED", self._unlabelled(from_kind, to_kind))
        known = self._types(from_kind, to_kind)
        if any(not _types_of(item) or set(_types_of(item)) - known for item in inputs):
            raise invalid("types: one or more association types are not valid for these objects")
        good, errors = self._split(from_kind, to_kind, inputs)
        results = []
        with self._main.transaction():
            for from_id, to_id, item in good:
                self._link(from_kind, from_id, to_kind, to_id, [unlabelled, *_types_of(item)])
                labels = [self._label(type_id) for _, type_id in _types_of(item)]
                results.append(
                    {
                        "fromObjectTypeId": from_kind.id,
                        "fromObjectId": str(from_id),
                        "toObjectTypeId": to_kind.id,
                        "toObjectId": str(to_id),
                        "labels": [label for label in labels if label],
                    }
                )
        return self._answer(results, errors)

    def archive(self, request: ApiRequest) -> Answer:
        """POST associations/{from}/{to}/batch/archive: every association of the pairs; `to` is a list here."""
        from_kind, to_kind, inputs = self._sides(request)
        with self._main.transaction():
            for item in inputs:
                for to in item.get("to") or []:
                    for pair in self._both_ways(from_kind, _id(item.get("from")), to_kind, _id(to)):
                        self._main.execute(f"delete from associations where {_PAIR}", pair)
        return Answer(status=204)

    def archive_labels(self, request: ApiRequest) -> Answer:
        """POST associations/{from}/{to}/batch/labels/archive: the named types of the pairs; the others stay."""
        from_kind, to_kind, inputs = self._sides(request)
        with self._main.transaction():
            for item in inputs:
                there, back = self._both_ways(from_kind, _id(item.get("from")), to_kind, _id(item.get("to")))
                for _, type_id in _types_of(item):
                    self._main.execute(f"delete from associations where {_PAIR} and type_id = ?", (*there, type_id))
                    inverse_id = self._inverse(type_id)
                    self._main.execute(f"delete from associations where {_PAIR} and type_id = ?", (*back, inverse_id))
        return Answer(status=204)

    def read(self, request: ApiRequest) -> Answer:
        """POST associations/{from}/{to}/batch/read; records without an association are left out."""
        from_kind, to_kind, inputs = self._sides(request, most=MOST_READ)
        results = []
        for item in inputs:
            links = self.of_record(from_kind, _id(item), to_kind)
            if links:
                results.append({"from": {"id": str(_id(item))}, "to": links})
        return self._answer(results, [], status=200)

    def of_record(self, from_kind: ObjectType, from_id: int, to_kind: ObjectType) -> list[dict[str, Any]]:
        """Return what a record is associated with, in the vendor's shape."""
        rows = self._main.execute(
            "select to_id, a.category, a.type_id, t.label from associations as a"
            " left join association_types as t on t.type_id = a.type_id"
            " where a.from_type = ? and from_id = ? and a.to_type = ? order by to_id, t.label is not null, a.type_id",
            (from_kind.name, from_id, to_kind.name),
        )
        linked: dict[int, list[dict[str, Any]]] = {}
        for to_id, category, type_id, label in rows:
            linked.setdefault(to_id, []).append({"category": category, "typeId": type_id, "label": label})
        return [{"toObjectId": to_id, "associationTypes": types} for to_id, types in linked.items()]

    def associate(self, from_name: str, from_id: int, to_name: str, to_id: int) -> None:
        """Associate two records of these kinds without a label."""
        from_kind, to_kind = self._objects.find(from_name)[0], self._objects.find(to_name)[0]
        with self._main.transaction():
            self._link(from_kind, from_id, to_kind, to_id, [("HUBSPOT_DEFINED", self._unlabelled(from_kind, to_kind))])

    def _sides(
        self, request: ApiRequest, most: int = MOST_WRITTEN
    ) -> tuple[ObjectType, ObjectType, Sequence[Mapping[str, Any]]]:
        from_kind, to_kind = (self._objects.find(request.path[side])[0] for side in ("from", "to"))
        inputs = request.body.get("inputs", []) if isinstance(request.body, Mapping) else []
        if not isinstance(inputs, list) or not all(isinstance(item, Mapping) for item in inputs):
            raise invalid("inputs: a list of objects is needed")
        if "inputs" in (request.body or {}) and not 1 <= len(inputs) <= most:
            raise invalid(f"A batch takes 1 to {most} inputs; this one has {len(inputs)}")
        return from_kind, to_kind, inputs

    def _split(
        self, from_kind: ObjectType, to_kind: ObjectType, inputs: Sequence[Mapping[str, Any]]
    ) -> tuple[list[tuple[int, int, Mapping[str, Any]]], list[RowError]]:
        """Tell the inputs whose records are both there from the others."""
        pairs = [(_id(item.get("from")), _id(item.get("to")), item) for item in inputs]
        there = {
            kind.name: self._present(kind, ids)
            for kind, ids in (
                (from_kind, {pair[0] for pair in pairs} | ({p[1] for p in pairs} if to_kind == from_kind else set())),
                (to_kind, {pair[1] for pair in pairs} | ({p[0] for p in pairs} if to_kind == from_kind else set())),
            )
        }
        good, errors = [], []
        for from_id, to_id, item in pairs:
            if from_id in there[from_kind.name] and to_id in there[to_kind.name]:
                good.append((from_id, to_id, item))
                continue
            context = {"fromObjectId": [str(from_id)], "toObjectId": [str(to_id)]}
            message = "One or more of the objects to be associated does not exist"
            errors.append(RowError(category=OBJECT_NOT_FOUND, message=message, context=context))
        return good, errors

    def _present(self, kind: ObjectType, ids: Iterable[int]) -> set[int]:
        found = self._objects.find(kind.name)[1].contacts(ids)
        return {record.id for record in found.values() if record.archived_at is None}

    def _link(
        self, from_kind: ObjectType, from_id: int, to_kind: ObjectType, to_id: int, types: Iterable[tuple[str, int]]
    ) -> None:
        for category, type_id in types:
            there, back = self._both_ways(from_kind, from_id, to_kind, to_id)
            sql = "insert or ignore into associations values (?, ?, ?, ?, ?, ?)"
            self._main.execute(sql, (*there, category, type_id))
            self._main.execute(sql, (*back, category, self._inverse(type_id)))

    def _both_ways(
        self, from_kind: ObjectType, from_id: int, to_kind: ObjectType, to_id: int
    ) -> tuple[tuple[str, int, str, int], tuple[str, int, str, int]]:
        return (from_kind.name, from_id, to_kind.name, to_id), (to_kind.name, to_id, from_kind.name, from_id)

    def _types(self, from_kind: ObjectType, to_kind: ObjectType) -> set[tuple[str, int]]:
        rows = self._main.execute(
            "select category, type_id from association_types where from_type = ? and to_type = ?",
            (from_kind.name, to_kind.name),
        )
        return {(str(category), int(type_id)) for category, type_id in rows}

    def _unlabelled(self, from_kind: ObjectType, to_kind: ObjectType) -> int:
        """The type id of this direction without a label; it is made when it is first asked for."""
        with self._main.transaction():
            found = self._main.execute(
                "select type_id from association_types where from_type = ? and to_type = ? and label is null",
                (from_kind.name, to_kind.name),
            )
            return int(found[0][0]) if found else self._define(from_kind, to_kind, "HUBSPOT_DEFINED", None, None)

    def _define(
        self, from_kind: ObjectType, to_kind: ObjectType, category: str, label: str | None, inverse: str | None
    ) -> int:
        sql = "select coalesce(max(type_id) + 1, ?) from association_types"
        type_id = int(self._main.execute(sql, (_FIRST_TYPE_ID,))[0][0])
        inverse_id = type_id if from_kind == to_kind else type_id + 1
        insert = "insert or ignore into association_types values (?, ?, ?, ?, ?, ?)"
        self._main.execute(insert, (type_id, from_kind.name, to_kind.name, category, label, inverse_id))
        self._main.execute(insert, (inverse_id, to_kind.name, from_kind.name, category, inverse, type_id))
        return type_id

    def _inverse(self, type_id: int) -> int:
        found = self._main.execute("select inverse_id from association_types where type_id = ?", (type_id,))
        return int(found[0][0]) if found else type_id

    def _label(self, type_id: int) -> str | None:
        found = self._main.execute("select label from association_types where type_id = ?", (type_id,))
        return found[0][0] if found else None

    def _answer(self, results: Sequence[Mapping[str, Any]], errors: Sequence[RowError], status: int = 201) -> Answer:
        at = self._main.timestamp()
        body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
        if errors:
            body |= {"numErrors": len(errors), "errors": [error.body() for error in errors]}
        return Answer(status=207 if errors else status, body=body)


def _linked(from_id: int, to_id: int, type_id: int) -> dict[str, Any]:
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    return {"from": {"id": str(from_id)}, "to": {"id": str(to_id)}, "associationSpec": spec}


def _id(side: Any) -> int:
    text = str(side.get("id", "")) if isinstance(side, Mapping) else ""
    return next(iter(read_record_id(text)), 0)


def _types_of(item: Mapping[str, Any]) -> list[tuple[str, int]]:
    found = item.get("types")
    return [
        (str(each.get("associationCategory")), int(each.get("associationTypeId", 0)))
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, Mapping)
    ]
