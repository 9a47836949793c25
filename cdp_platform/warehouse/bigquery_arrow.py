"""Arrow on its way into BigQuery: the types of a load job, and files of bounded size."""

from collections.abc import Iterable, Iterator
from itertools import chain
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.cloud.bigquery import SchemaField

from cdp_platform.errors import WarehouseError

_FILE_BYTES = 67_108_864
_MOMENT, _LOCAL = pa.timestamp("us", tz="UTC"), pa.timestamp("us")


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The columns as BigQuery has types for them. Raises WarehouseError for one that it has none for."""
    return pa.schema([pa.field(field.name, _plain_type(field)) for field in schema])


def table_schema(schema: pa.Schema) -> list[SchemaField]:
    """The columns of a `plain_schema` in BigQuery's words."""
    return [_field(field) for field in schema]


def without_empty_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Say null for an empty list: BigQuery hands out one for the other, and to the platform null means all of them."""
    columns = [
        pc.if_else(pc.greater(pc.list_value_length(column), 0), column, pa.scalar(None, column.type))
        if pa.types.is_list(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([field.with_nullable(True) for field in batch.schema]))


def parquet_files(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[IO[bytes]]:
    """Write batches into Parquet files of bounded size, on disk, each gone when the next is asked for.

    There is no file where there is no row.
    """
    filled = (batch for batch in batches if batch.num_rows)
    for first in filled:
        with TemporaryFile(prefix="cdp-") as file:
            with pq.ParquetWriter(file, schema) as writer:
                for batch in chain([first], filled):
                    writer.write_batch(_plain_batch(batch, schema))
                    if file.tell() >= _FILE_BYTES:
                        break
            yield file


def _plain_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain_type(field: pa.Field) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return _MOMENT if kind.tz else _LOCAL
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return kind
    if pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind) or pa.types.is_decimal(kind):
        return kind
    raise WarehouseError(
        f"the column {field.name} has a type that BigQuery has no other for ({kind}).",
        remedy="Cast the column to a text.",
    )


def _field(field: pa.Field) -> SchemaField:
    kind = field.type
    if pa.types.is_list(kind):
        return SchemaField(field.name, "STRING", mode="REPEATED")
    if pa.types.is_decimal(kind):
        is_narrow = kind.scale <= 9 and kind.precision - kind.scale <= 29
        return SchemaField(field.name, "NUMERIC" if is_narrow else "BIGNUMERIC")
    names = {
        pa.int64(): "INT64",
        pa.string(): "STRING",
        pa.bool_(): "BOOL",
        pa.date32(): "DATE",
        pa.float64(): "FLOAT64",
        _MOMENT: "TIMESTAMP",
        _LOCAL: "DATETIME",
    }
    return SchemaField(field.name, names[kind])
