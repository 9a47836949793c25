"""PostgreSQL's answers as Arrow: what the driver cannot say in a type of Arrow's gets the platform's."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from cdp_platform.errors import WarehouseError

_TYPMOD = b"POSTGRESQL:typmod"
_LONGEST_NUMBER = pa.decimal128(38, 0)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The columns as the platform reads them: numbers are decimals, documents and the like are texts."""
    return pa.schema([pa.field(field.name, _plain_type(field)) for field in schema])


def plain_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Bring a batch of the driver's to `plain_schema`. Raises WarehouseError for a number that no decimal holds."""
    columns = [_plain(column, field) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def plain_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows of a small answer; a number without declared digits is an integer where it is whole."""
    columns = [_values(column, field) for column, field in zip(table.columns, table.schema, strict=True)]
    for values in zip(*columns, strict=True):
        yield dict(zip(table.column_names, values, strict=True))


def _plain_type(field: pa.Field) -> pa.DataType:
    if not isinstance(field.type, pa.BaseExtensionType):
        return field.type
    return _decimal(field) if _is_number(field) else pa.string()


def _plain(column: pa.Array, field: pa.Field) -> pa.Array:
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    try:
        return column.storage.cast(field.type)
    except pa.ArrowInvalid as error:
        raise WarehouseError(
            f"the column {field.name} holds a number that no decimal of its digits says, or none at all (NaN).",
            remedy="Cast the column in the model, as to numeric(18,4).",
        ) from error


def _values(column: pa.ChunkedArray, field: pa.Field) -> list[Any]:
    if not isinstance(field.type, pa.BaseExtensionType):
        return list(column.to_pylist())
    texts = [value for chunk in column.chunks for value in chunk.storage.to_pylist()]
    if not _is_number(field):
        return texts
    is_whole = field.metadata.get(_TYPMOD) is None or _decimal(field) == _LONGEST_NUMBER
    return [None if text is None else _number(Decimal(text), is_whole=is_whole) for text in texts]


def _number(value: Decimal, *, is_whole: bool) -> int | Decimal:
    return int(value) if is_whole and value.is_finite() and value == value.to_integral_value() else value


def _is_number(field: pa.Field) -> bool:
    return getattr(field.type, "type_name", "") == "numeric"


def _decimal(field: pa.Field) -> pa.Decimal128Type:
    """The digits that PostgreSQL's type modifier names; 38 before the point where it names none."""
    modifier = int((field.metadata or {}).get(_TYPMOD, -1)) - 4
    return pa.decimal128(modifier >> 16 & 0xFFFF, modifier & 0x7FF) if modifier > 0 else _LONGEST_NUMBER
