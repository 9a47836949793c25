"""Names and values written into SQL as DuckDB and the standard read them: quotes are doubled, nothing is escaped."""

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cdp_platform.warehouse.base import Parameters

# What is no place for a value: quoted text, quoted names, comments. Then `?` and `$name`.
_PLACES = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|(?P<place>\?)|\$(?P<name>[a-z_]+)")


def quoted(identifier: str) -> str:
    """Quote one identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote one text."""
    return "'" + text.replace("'", "''") + "'"


def with_literals(sql: str, parameters: Parameters) -> str | None:
    """Write the values of `?` or `$name` into a statement; None where one of them cannot be written."""
    named = dict(parameters) if isinstance(parameters, Mapping) else {}
    placed = iter(()) if named else iter(parameters)
    try:
        written = _PLACES.sub(lambda found: _filled(found, named, placed), sql)
    except (TypeError, StopIteration, KeyError):
        return None
    return written if next(placed, None) is None else None


def with_names(sql: str) -> str:
    """Give every `?` of a statement a name by its place: `$0`, `$1`."""
    numbers = itertools.count()
    return _PLACES.sub(lambda found: f"${next(numbers)}" if found["place"] else found[0], sql)


def _filled(found: re.Match[str], named: Mapping[str, Any], placed: Iterator[Any]) -> str:
    if found["name"]:
        return _written(named[found["name"]])
    return _written(next(placed)) if found["place"] else found[0]


def _written(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool() | int():
            return str(value).lower()
        case Decimal() if value.is_finite():
            return f"{value:f}"
        case str() if "\0" not in value:
            return literal(value)
        case datetime() if value.tzinfo:
            return f"cast({literal(value.isoformat())} as timestamptz)"
        case date() if not isinstance(value, datetime):
            return f"cast({literal(value.isoformat())} as date)"
    raise TypeError
