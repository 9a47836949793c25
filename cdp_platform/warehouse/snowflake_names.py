"""How names are found: the platform writes them in lower case and quoted, others mostly in upper case.

A relation is looked for as it is written, then in upper case, as Snowflake stores what was not quoted. Where its
columns, too, are in upper case they are read under their names in lower case.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlglot import exp

from cdp_platform.warehouse.literals import quoted
from cdp_platform.warehouse.snowflake_sql import Stored, subquery

_OURS: Final = ("", "temp", "main", "cdp", "cdp_functions", "information_schema")
"""Schemas whose relations the platform makes itself, and names as it reads them."""

Describe = Callable[[str], dict[str, str] | None]
Copy = Callable[[str], str]


class Names:
    """What a session has learnt about relations; forgotten when one is made or changed."""

    def __init__(self, describe: Describe) -> None:
        """`describe` answers columns and types of a relation, given as SQL; None where there is no such relation."""
        self._describe = describe
        self._copy: Copy | None = None
        self._copies: dict[str, str] = {}
        self._written: set[str] = set()
        self._own: set[str] = set()
        self._known: dict[str, tuple[str, dict[str, str]] | None] = {}

    def forget(self) -> None:
        """Look anew from here on."""
        self._known.clear()

    def made(self, table: exp.Table | None) -> None:
        """Look anew from here on, since this relation was made, changed or dropped by the session."""
        self.forget()
        if table is not None:
            self._own.add(_sql([part.name for part in table.parts]))

    def is_own(self, relation: str) -> bool:
        """Whether the session itself has made a relation, named as Snowflake has it, or changed its rows."""
        return relation in self._own

    @contextmanager
    def read_once(self, copy: Copy) -> Iterator[None]:
        """Let `copy` make a copy of each relation that is read, which is read from then on in the block."""
        self._copy = copy
        # What was written before the block is read in it as anything else is.
        self._written.clear()
        try:
            yield
        finally:
            self._copy = None
            self._copies.clear()

    def columns(self, relation: str) -> dict[str, str]:
        """Names and types of a relation's columns, as the platform reads them; empty where there is none."""
        parts = relation.split(".", 1)
        found = self._found(parts[1:] if parts[0] in ("temp", "main") and len(parts) > 1 else parts)
        return {} if found is None else _read_names(found[1])

    def resolved(self, table: exp.Table) -> exp.Expr | None:
        """What a relation that is read has to be replaced by; None where its names are as they are written."""
        if table.db.lower() in _OURS or not isinstance(table.this, exp.Identifier):
            return None
        found = self._found([part.name for part in table.parts])
        if found is None:
            return None
        name, columns = found
        names = _read_names(columns)
        if self._copy is not None and name not in self._copies and name not in self._written:
            self._copies[name] = self._copy(name)
        stored, name = name, self._copies.get(name, name)
        if list(names) == list(columns) and stored == name == _sql([part.name for part in table.parts]):
            return None
        said = ", ".join(
            f"{quoted(written)} as {quoted(read)}" for written, read in zip(_stored(columns), names, strict=True)
        )
        alias = table.alias or table.name
        return subquery(f"select {said} from {name}", alias)

    def written(self, table: exp.Table) -> Stored | None:
        """How a relation is stored that is changed now, where that is otherwise than it is written.

        From here on what is read of it is what is there, and no copy.
        """
        if table.db.lower() in _OURS:
            return None
        asked = [part.name for part in table.parts]
        found = self._found(asked)
        if found is None:
            return None
        name, columns = found
        self._copies.pop(name, None)
        self._written.add(name)
        self._own.add(name)
        stored = dict(zip(_read_names(columns), _stored(columns), strict=True))
        parts = asked if name == _sql(asked) else [part.upper() for part in asked]
        return None if parts == asked and all(read == name for read, name in stored.items()) else (parts, stored)

    def _found(self, parts: list[str]) -> tuple[str, dict[str, str]] | None:
        asked = _sql(parts)
        if asked not in self._known:
            upper = _sql([part.upper() for part in parts])
            candidates = [asked] if upper == asked else [asked, upper]
            looked = ((name, self._describe(name)) for name in candidates)
            self._known[asked] = next(((name, columns) for name, columns in looked if columns is not None), None)
        return self._known[asked]


def _sql(parts: list[str]) -> str:
    return ".".join(map(quoted, parts))


def _stored(columns: dict[str, str]) -> list[str]:
    """The columns that are read, as they are stored: of two that differ by case alone, the one in lower case."""
    return [name for name in columns if name != name.upper() or name.lower() == name or name.lower() not in columns]


def _read_names(columns: dict[str, str]) -> dict[str, str]:
    return {name.lower() if name == name.upper() else name: columns[name] for name in _stored(columns)}
