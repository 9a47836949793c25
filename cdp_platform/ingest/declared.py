"""A table as YAML declares it: where its rows lie, which columns they have, and how a day's rows are found.

What is read by a declaration (`files.py`, `sqlite.py`) becomes Arrow row by row here: a row that cannot be read is
left out, counted and named by its place; too many of them, and nothing is loaded.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from cdp_platform.errors import ConfigError, SourceUnreadable
from cdp_platform.privacy.masking import masked

DAY_PLACE: Final = "{day}"
FILE_DAY: Final = "file_day"
"""The column that a table gets whose files' names hold the day."""
_TOLERATED_LINES: Final = 10
_TOLERATED_SHARE: Final = 0.01
_NAMED_LINES: Final = 20
_ROWS_PER_BATCH: Final = 50_000
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_TYPES: Final[Mapping[str, pa.DataType]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "instant": pa.timestamp("us", "UTC"),
}
TYPE_NAMES: Final = (*_TYPES, "decimal(12,2)")


@dataclass(frozen=True, kw_only=True)
class DeclaredTable:
    """One table of a source that YAML declares."""

    source: str
    name: str
    location: str
    """Files: a path, a glob or a URL, in which {day} stands for the day; SQLite: the file's path."""
    format: str
    """jsonl, csv or sqlite."""
    database_table: str | None = None
    """The table's name in the SQLite file; None for files."""
    columns: Mapping[str, str]
    """Column → text, integer, number, boolean, date, instant or decimal(precision,scale)."""
    required: frozenset[str] = frozenset()
    """Columns without which a row is unreadable."""
    day: str | None = None
    """The date or instant by whose day rows are chosen; None: the files' names hold the day, or there are no days."""
    time_zone: str = "UTC"
    """Where an instant's day is taken."""

    @property
    def day_column(self) -> str | None:
        """The date32 column by which days are replaced; None where the table is always read whole."""
        if DAY_PLACE in self.location:
            return FILE_DAY
        if self.day is None or self.columns[self.day] == "date":
            return self.day
        return f"{self.day}_day"

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are loaded; the day's column comes last where it is added."""
        columns = {name: arrow_type(kind) for name, kind in self.columns.items()}
        if self.day_column is not None:
            columns.setdefault(self.day_column, pa.date32())
        return pa.schema(columns)


@dataclass(frozen=True, kw_only=True)
class RawRow:
    """A row before its values are typed."""

    place: str
    """The file with the line, or the table with the row's number; for people."""
    values: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""
    """Why there are no values, in words without any value; blank where there are."""
    file_day: date | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read."""

    rows: pa.Table
    bad_count: int = 0
    """Rows left out because they could not be read."""
    bad_rows: Sequence[str] = ()
    """The first twenty of them: place, column, masked value."""


def arrow_type(kind: str) -> pa.DataType:
    """Return the type that a word of the YAML means; raise ConfigError for another word."""
    if found := _DECIMAL.fullmatch(kind):
        precision, scale = int(found[1]), int(found[2])
        if 0 < precision <= 38 and scale <= precision:
            return pa.decimal128(precision, scale)
    if kind not in _TYPES:
        raise ConfigError(f"there is no column type {kind!r}.", remedy=f"Choose from {', '.join(TYPE_NAMES)}.")
    return _TYPES[kind]


def read_rows(table: DeclaredTable, rows: Iterable[RawRow], days: tuple[date, date] | None) -> Reading:
    """Type rows into `table.schema`; keep those of `days`, both inclusive, where the table has a day.

    A row without a required value, without its day, or with a value of another type is left out.
    Raises SourceUnreadable where more than ten rows and more than 1 % of all are left out.
    """
    typed = _Typed(table)
    count, bad_count, bad_rows, batches = 0, 0, list[str](), list[pa.RecordBatch]()
    kept: list[list[Any]] = []
    for row in rows:
        count += 1
        try:
            values = typed.values(row)
        except _Unreadable as error:
            bad_count += 1
            if len(bad_rows) < _NAMED_LINES:
                bad_rows.append(f"{row.place}: {error}")
            continue
        if typed.is_wanted(values, days):
            kept.append(values)
        if len(kept) == _ROWS_PER_BATCH:
            batches.append(_batch(kept, table.schema))
            kept = []
    batches.append(_batch(kept, table.schema))
    if bad_count > max(_TOLERATED_LINES, count * _TOLERATED_SHARE):
        raise SourceUnreadable(
            f"{table.source}/{table.name}: {bad_count} of {count} rows cannot be read, more than 1 %. "
            f"The first: {bad_rows[0]}.",
            remedy="Have the delivery repaired, or correct the columns in the YAML; nothing of it was loaded.",
        )
    return Reading(rows=pa.Table.from_batches(batches), bad_count=bad_count, bad_rows=bad_rows)


def _batch(rows: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    arrays = [pa.array(list(values), kind.type) for values, kind in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Unreadable(Exception):
    """A row that cannot be read; the text has no value in clear."""


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    kind: str
    convert: Callable[[Any], Any]
    is_required: bool


class _Typed:
    """One table's columns with their converters, found once."""

    def __init__(self, table: DeclaredTable) -> None:
        self._columns = [
            _Column(
                name=name, kind=kind, convert=_converter(kind), is_required=name in table.required or name == table.day
            )
            for name, kind in table.columns.items()
        ]
        self._zone = ZoneInfo(table.time_zone)
        self._day_position = list(table.columns).index(table.day) if table.day else None
        self._adds_day = table.day_column is not None and table.day_column not in table.columns
        self._has_day = table.day_column is not None

    def values(self, row: RawRow) -> list[Any]:
        """Type one row, in the order of the schema."""
        if row.trouble:
            raise _Unreadable(row.trouble)
        found = [_typed_value(row.values.get(column.name), column) for column in self._columns]
        if self._adds_day:
            position = self._day_position
            found.append(row.file_day if position is None else found[position].astimezone(self._zone).date())
        return found

    def is_wanted(self, values: list[Any], days: tuple[date, date] | None) -> bool:
        """Whether the row's day is one of those asked for."""
        if days is None or not self._has_day:
            return True
        day = values[-1] if self._adds_day else values[self._day_position or 0]
        return bool(days[0] <= day <= days[1])


def _typed_value(value: Any, column: _Column) -> Any:
    if value is None or value == "":
        if column.is_required:
            raise _Unreadable(f"`{column.name}` is empty")
        return None
    try:
        return column.convert(value)
    except (ValueError, TypeError, LookupError, OverflowError, InvalidOperation):
        raise _Unreadable(f"`{column.name}` holds {masked(str(value))!r}, which is no {column.kind}") from None


def _converter(kind: str) -> Callable[[Any], Any]:
    if found := _DECIMAL.fullmatch(kind):
        return lambda value: _decimal(value, int(found[1]), int(found[2]))
    return {
        "text": _text,
        "integer": _integer,
        "number": _number,
        "boolean": _boolean,
        "date": _date,
        "instant": _instant,
    }[kind]


def _text(value: Any) -> str:
    if isinstance(value, str):
        # Half of a surrogate pair has no form in UTF-8: the file held bytes of another encoding.
        value.encode()
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(type(value).__name__)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError(type(value).__name__)
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise OverflowError
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(type(value).__name__)
    number = float(value)
    if not isfinite(number):
        raise ValueError("not finite")
    return number


def _decimal(value: Any, precision: int, scale: int) -> Decimal:
    if isinstance(value, bool):
        raise TypeError(type(value).__name__)
    number = Decimal(str(value))
    rounded = number.quantize(Decimal(1).scaleb(-scale))
    if rounded != number or len(rounded.as_tuple().digits) > precision:
        raise ValueError("more digits than declared")
    return rounded


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        raise TypeError("an instant")
    return value if isinstance(value, date) else date.fromisoformat(value)


def _instant(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without its offset")
    return moment.astimezone(UTC)
