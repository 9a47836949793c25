"""Rows into Snowflake: Parquet files of bounded size, put into a stage of the session's own, copied into a table."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_platform.warehouse.literals import quoted
from cdp_platform.warehouse.snowflake_arrow import column_sql

_FILE_BYTES = 64_000_000
"""Of Arrow's memory: a file of a few dozen megabytes, as Snowflake likes them, and all that is held at once."""
_FORMAT = "type = parquet use_logical_type = true null_if = ()"

Run = Callable[[str], object]


def load(run: Run, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch], *, stage: str) -> None:
    """Make the temporary table `name` of these rows, by way of a stage that is made where it is missing."""
    columns = ", ".join(f"{quoted(field.name)} {column_sql(field)}" for field in schema)
    run(f"create or replace temporary table {quoted(name)} ({columns})")
    with TemporaryDirectory(prefix="cdp-") as place:
        files = _files(Path(place), schema, batches)
        if (first := next(files, None)) is None:
            return
        run(f"create temporary stage if not exists {stage}")
        folder = f"@{stage}/{uuid4().hex}/"
        _put(run, first, folder)
        for file in files:
            _put(run, file, folder)
        read = ", ".join(f"$1:{quoted(field.name)}::{column_sql(field)}" for field in schema)
        run(f"copy into {quoted(name)} from (select {read} from {folder}) file_format = ({_FORMAT})")


def _files(place: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[Path]:
    """Write the rows to files, each handed out when it is whole; it may be deleted before the next is asked for."""
    number, held, size = 0, [], 0
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
            size += batch.nbytes
        if size >= _FILE_BYTES:
            yield _written(place / f"{number}.parquet", schema, held)
            number, held, size = number + 1, [], 0
    if held:
        yield _written(place / f"{number}.parquet", schema, held)


def _written(path: Path, schema: pa.Schema, batches: list[pa.RecordBatch]) -> Path:
    with pq.ParquetWriter(path, schema, use_dictionary=False) as file:
        for batch in batches:
            file.write_batch(batch)
    return path


def _put(run: Run, file: Path, folder: str) -> None:
    run(f"put 'file://{file}' {folder} auto_compress = false source_compression = none")
    file.unlink()
