"""A small part of SOQL: fields of one object, with simple relationships, conditions joined by AND, order and limit.

Read from developer.salesforce.com, SOQL and SOSL reference (2026-11-22). Values are bound; names come from the objects.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cdp_platform.sandbox.salesforce.answers import RequestError, no_field
from cdp_platform.sandbox.salesforce.objects import OBJECTS, Field, SObject, write_moment
from cdp_platform.sandbox.salesforce.store import OrganizationStore, Record

MOST_CHARACTERS: Final = 100_000
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<moment>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d))?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|<>|=|<|>|\(|\)|,))"
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}
_SIGNS: Final = {"=": "is", "!=": "is not", "<>": "is not", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_SYSTEM: Final = {
    "Id": "id",
    "CreatedDate": "created_at",
    "LastModifiedDate": "modified_at",
    "SystemModstamp": "modified_at",
    "IsDeleted": "is_deleted",
}


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query that was understood."""

    kind: SObject
    fields: Sequence[str]
    where: str
    values: Sequence[Any]
    order: str
    limit: int
    """-1 where there is none."""

    def select(self, store: OrganizationStore, *, offset: int, most: int, with_deleted: bool) -> list[Record]:
        """Return one page of records, with one more where another page follows."""
        left = most + 1 if self.limit < 0 else min(most + 1, self.limit - offset)
        deleted = "" if with_deleted else " and is_deleted = 0"
        where = f"object = ?{deleted} and {self.where}"
        return store.records(where, (self.kind.name, *self.values), order=self.order, limit=max(left, 0), offset=offset)

    def count(self, store: OrganizationStore, *, with_deleted: bool) -> int:
        """Return the number of all records that it finds."""
        deleted = "" if with_deleted else " and is_deleted = 0"
        sql = f"select count(*) from records where object = ?{deleted} and {self.where}"
        total = int(store.execute(sql, (self.kind.name, *self.values))[0][0])
        return total if self.limit < 0 else min(total, self.limit)


def parse(text: str) -> Query:
    """Read SOQL; raise RequestError 400 for what is not understood, an unknown object or field."""
    if len(text) > MOST_CHARACTERS:
        raise RequestError(400, "QUERY_TOO_COMPLICATED", "The query is too long")
    return _Parser(_tokens(text)).query()


def read_record(store: OrganizationStore, record: Record, fields: Sequence[str], version: str) -> dict[str, Any]:
    """Return the fields of a record that a query asks for, a relationship as an object."""
    kind = OBJECTS[record.object]
    told: dict[str, Any] = {"attributes": attributes(record, version)}
    for name in fields:
        relationship, dot, inner = name.partition(".")
        if not dot:
            told[name] = record.value(name)
            continue
        lookup = kind.relationship(relationship)
        parent_id = record.value(lookup.name) if lookup else None
        parent = store.record(parent_id) if parent_id else None
        if parent is None:
            told[relationship] = None
        else:
            inside = told.setdefault(relationship, {"attributes": attributes(parent, version)})
            inside[inner] = parent.value(inner)
    return told


def attributes(record: Record, version: str) -> dict[str, str]:
    """Return what every record in an answer says of itself."""
    url = f"/services/data/{version}/sobjects/{record.object}/{record.id}"
    return {"type": record.object, "url": url}


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise _malformed(f"unexpected token at {place}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0

    def query(self) -> Query:
        self._expect("select")
        fields = self._names()
        self._expect("from")
        kind = OBJECTS.get(self._take("name"))
        if kind is None:
            raise RequestError(400, "INVALID_TYPE", "sObject type of the query is not supported")
        names = [_checked(kind, name) for name in fields]
        where, values = self._conditions(kind) if self._has("where") else ("1", [])
        order = self._order(kind) if self._has("order") else "id"
        limit = int(self._take("number")) if self._has("limit") else -1
        if self._place < len(self._tokens):
            raise _malformed(f"unexpected token: {self._tokens[self._place][1][:40]}")
        return Query(kind=kind, fields=names, where=where, values=values, order=order, limit=limit)

    def _names(self) -> list[str]:
        names = [self._take("name")]
        while self._has(","):
            names.append(self._take("name"))
        return names

    def _conditions(self, kind: SObject) -> tuple[str, list[Any]]:
        parts, values = [], list[Any]()
        while True:
            column, item = _column(kind, self._take("name"))
            if self._has("in"):
                self._expect("(")
                told = [self._literal(item)]
                while self._has(","):
                    told.append(self._literal(item))
                self._expect(")")
                parts.append(f"{column} in ({', '.join('?' * len(told))})")
                values += told
            else:
                sign = _SIGNS.get(self._take("sign"))
                if sign is None:
                    raise _malformed("a comparison is expected")
                parts.append(f"{column} {sign} ?")
                values.append(self._literal(item))
            if not self._has("and"):
                return " and ".join(parts), values

    def _literal(self, item: Field) -> Any:
        kind, text = self._next()
        match kind:
            case "text":
                plain = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])
                return plain.casefold() if item.type not in ("id", "reference") else plain
            case "number":
                return float(text)
            case "moment":
                return _moment(text) if item.type == "datetime" else text
        if text.lower() in ("true", "false"):
            return int(text.lower() == "true")
        if text.lower() == "null":
            return None
        raise _malformed(f"unexpected token: {text[:40]}")

    def _order(self, kind: SObject) -> str:
        self._expect("by")
        parts = []
        while True:
            column, _ = _column(kind, self._take("name"))
            parts.append(f"{column} desc" if self._has("desc") else column)
            self._has("asc")
            if not self._has(","):
                return ", ".join([*parts, "id"])

    def _next(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise _malformed("unexpected end of the query")
        self._place += 1
        return self._tokens[self._place - 1]

    def _take(self, wanted: str) -> str:
        kind, text = self._next()
        if kind != wanted:
            raise _malformed(f"unexpected token: {text[:40]}")
        return text

    def _has(self, word: str) -> bool:
        is_here = self._place < len(self._tokens) and self._tokens[self._place][1].lower() == word
        self._place += is_here
        return is_here

    def _expect(self, word: str) -> None:
        if not self._has(word):
            raise _malformed(f"{word.upper()} is expected")


def _checked(kind: SObject, name: str) -> str:
    relationship, dot, inner = name.partition(".")
    lookup = kind.relationship(relationship) if dot else None
    if (dot and (lookup is None or inner not in OBJECTS[lookup.parent].fields)) or (
        not dot and name not in kind.fields
    ):
        raise no_field(name, kind.name)
    return name


def _column(kind: SObject, name: str) -> tuple[str, Field]:
    item = kind.fields.get(name)
    if item is None:
        raise no_field(name, kind.name)
    if name in _SYSTEM:
        return _SYSTEM[name], item
    column = f"json_extract(fields, '$.{name}')"
    is_text = item.type not in ("int", "double", "currency", "percent", "boolean", "id", "reference")
    return (f"lower({column})" if is_text and item.type not in ("date", "datetime") else column), item


def _moment(text: str) -> str:
    return write_moment(datetime.fromisoformat(text))


def _malformed(message: str) -> RequestError:
    return RequestError(400, "MALFORMED_QUERY", message)
