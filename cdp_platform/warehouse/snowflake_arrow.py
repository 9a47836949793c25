"""Snowflake's answers as Arrow: one type for each column, whatever a single chunk of the answer happens to need."""

import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from snowflake.connector.constants import FIELD_TYPES
from snowflake.connector.cursor import ResultMetadata

_UTC = pa.timestamp("us", tz="UTC")
_LISTS = pa.list_(pa.string())
_INT64_DIGITS = 18
_LONGEST = 38
_ARROW = {
    "REAL": pa.float64(),
    "TEXT": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_NTZ": pa.timestamp("us"),
    "TIMESTAMP_LTZ": _UTC,
    "TIMESTAMP_TZ": _UTC,
    "TIME": pa.time64("us"),
    "BOOLEAN": pa.bool_(),
    "BINARY": pa.binary(),
    "ARRAY": _LISTS,
}
_NAMES = {
    "REAL": "DOUBLE",
    "TEXT": "VARCHAR",
    "TIMESTAMP_NTZ": "TIMESTAMP",
    "TIMESTAMP_LTZ": "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE",
    "BINARY": "BLOB",
    "ARRAY": "VARCHAR[]",
    "VARIANT": "JSON",
    "OBJECT": "JSON",
}


def type_name(column: ResultMetadata) -> str:
    """The platform's name of a column's type. Whole numbers are HUGEINT, of however many digits."""
    kind = _kind(column)
    if kind == "FIXED":
        return f"DECIMAL({column.precision},{column.scale})" if column.scale else "HUGEINT"
    return _NAMES.get(kind, kind)


def schema_of(columns: Sequence[ResultMetadata], *, is_short: bool = False) -> pa.Schema:
    """The columns of an answer; documents are texts, lists are lists of texts.

    With `is_short` whole numbers of any number of digits have 64 bits, as they have elsewhere.
    """
    fields = [pa.field(column.name, _arrow_type(column)) for column in columns]
    return pa.schema([_shortened(field) for field in fields] if is_short else fields)


def bounded(tables: Iterable[pa.Table], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """Bring the chunks of an answer to its schema, in batches of at most `rows`."""
    for table in tables:
        for batch in table.to_batches(max_chunksize=rows):
            columns = [_plain(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def plain_rows(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """Rows of a small answer; numbers without digits after the point are integers."""
    for batch in batches:
        columns = [_values(column) for column in batch.columns]
        for values in zip(*columns, strict=True):
            yield dict(zip(schema.names, values, strict=True))


def column_sql(field: pa.Field) -> str:
    """The type of Snowflake's in which a column of Arrow's is loaded, and read from a Parquet file."""
    kind = field.type
    if pa.types.is_decimal(kind):
        return f"number({kind.precision}, {kind.scale})"
    if pa.types.is_integer(kind):
        return "number(38, 0)"
    if pa.types.is_timestamp(kind):
        return "timestamp_tz" if kind.tz else "timestamp_ntz"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "array"
    simple = ((pa.types.is_boolean, "boolean"), (pa.types.is_floating, "double"), (pa.types.is_date, "date"))
    return next((name for is_such, name in simple if is_such(kind)), "varchar")


def _arrow_type(column: ResultMetadata) -> pa.DataType:
    kind = _kind(column)
    if kind != "FIXED":
        return _ARROW.get(kind, pa.string())
    precision, scale = column.precision or _LONGEST, column.scale or 0
    return pa.int64() if not scale and precision <= _INT64_DIGITS else pa.decimal128(precision, scale)


def _shortened(field: pa.Field) -> pa.Field:
    is_whole = pa.types.is_decimal(field.type) and field.type.scale == 0
    return field.with_type(pa.int64()) if is_whole else field


def _kind(column: ResultMetadata) -> str:
    return str(FIELD_TYPES[column.type_code].name)


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind == _LISTS:
        texts = (None if text is None else json.loads(text) for text in column.to_pylist())
        lists = [None if told is None else [_text(one) for one in told] for told in texts]
        return pa.array(lists, _LISTS)
    if pa.types.is_decimal(kind) and pa.types.is_integer(column.type):
        # Of an integer Arrow would first ask for as many digits as its type may have.
        return pa.array(map(_decimal, column.to_pylist()), kind)
    return column.cast(kind, safe=not pa.types.is_timestamp(kind))


def _decimal(value: int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _values(column: pa.Array) -> list[Any]:
    values = list(column.to_pylist())
    if pa.types.is_decimal(column.type) and column.type.scale == 0:
        return [None if value is None else int(value) for value in values]
    return values
