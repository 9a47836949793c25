"""Rows of a Parquet file on their way into a warehouse that does not read such files from here by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_BATCH_ROWS = 20_480


@contextmanager
def numbered(path: Path) -> Iterator[pa.RecordBatchReader]:
    """Read a file in batches of bounded size, with a first column `ordinal`, which counts the rows from 0.

    Raises what pyarrow raises for a file that is none.
    """
    # What is read ahead would be kept until the file's last row.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        schema = pa.schema([pa.field("ordinal", pa.int64()), *file.schema_arrow])
        yield pa.RecordBatchReader.from_batches(schema, _counted(file, schema))


def _counted(file: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    first = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        ordinals = pa.array(range(first, first + batch.num_rows), pa.int64())
        first += batch.num_rows
        yield pa.RecordBatch.from_arrays([ordinals, *batch.columns], schema=schema)
