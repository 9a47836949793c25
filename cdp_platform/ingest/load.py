"""Load Arrow into the warehouse's raw schemas with dlt, so that the same call twice leaves the same table.

Stands between a source's reader (`retail.py`, a vendor's contacts) and dbt's staging models. It names no engine: the
caller passes a dlt destination. Every load starts from an empty working folder and restores the table's schema from the
warehouse: what a killed run left behind (packages that dlt would load again) can neither double nor stop the next one.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import dlt
import pyarrow as pa
from dlt.common.destination import Destination
from dlt.common.exceptions import DltException
from dlt.common.runtime.telemetry import stop_telemetry

from cdp_platform.errors import ConfigError, WarehouseError

_ROWS_PER_BATCH: Final = 100_000

DltDestination = Destination[Any, Any]


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """What the warehouse holds after a load, counted there and not assumed."""

    table: str
    """`dataset.name`."""
    row_count: int
    """Rows in the replaced days; in the whole table where it was replaced whole."""
    deleted_row_count: int
    """Rows that stood in the replaced days before; 0 where the table was replaced whole."""


def load_table(
    table: pa.Table,
    *,
    name: str,
    dataset: str,
    destination: DltDestination,
    pipelines_dir: Path,
    replaced_days: tuple[str, date, date] | None = None,
) -> LoadResult:
    """Replace a table, or exactly the days of `replaced_days`, by the rows of `table`.

    `replaced_days` is (date32 column, first day, last day), inclusive; all other days stay as they are, and no rows
    for a day make it an empty day. The table and its columns are created where they are missing, also by zero rows;
    a new column is added, a changed type is refused before anything is deleted. When the call returns, no connection
    of the destination is open any more.

    The days are deleted only when the new rows are ready to be loaded; a process killed between leaves them empty
    or half filled, and the next load of the same days repairs that.

    Raises ConfigError when the day column is missing, null, or holds a day outside the range; WarehouseError when
    dlt or the warehouse refuses, or when the count afterwards is not the count of `table`.
    """
    if replaced_days is not None:
        _check_days(table, name, *replaced_days)
    pipeline = _fresh_pipeline(f"{dataset}_{name}", dataset, destination, pipelines_dir)
    try:
        deleted_row_count = _load(pipeline, table, name, replaced_days)
        row_count = _count(pipeline, name, replaced_days)
    except DltException as error:
        # The texts of dlt quote values of rows, so only the kinds of failure are told.
        raise WarehouseError(
            f"{dataset}.{name} was not loaded: {_kind(error)}.",
            remedy="See that no other process holds the warehouse and that no column changed its type; load it again.",
        ) from None
    finally:
        pipeline.deactivate()
        shutil.rmtree(pipeline.working_dir, ignore_errors=True)
    if row_count != table.num_rows:
        raise WarehouseError(
            f"{dataset}.{name}: {table.num_rows} rows were loaded and {row_count} are there.",
            remedy="Another process writes this table at the same time; load it again.",
        )
    return LoadResult(table=f"{dataset}.{name}", row_count=row_count, deleted_row_count=deleted_row_count)


def _kind(error: BaseException) -> str:
    """The types down the chain of causes, in dlt's own words: `PipelineStepFailed in step load, …`."""
    step = getattr(error, "step", "")
    cause = error.__cause__ or getattr(error, "exception", None)
    named = f"{type(error).__name__} in step {step}" if step else type(error).__name__
    return named + (f", {_kind(cause)}" if cause is not None else "")


def _check_days(table: pa.Table, name: str, column: str, first: date, last: date) -> None:
    if column not in table.column_names or table.schema.field(column).type != pa.date32():
        raise ConfigError(f"table {name!r}: the day column {column!r} must exist and be date32")
    days = set(table[column].unique().to_pylist())
    strangers = sorted(str(day) for day in days if day is None or not first <= day <= last)
    if strangers:
        raise ConfigError(f"table {name!r}: {column} holds {strangers[0]}, which is outside {first} to {last}")


def _fresh_pipeline(name: str, dataset: str, destination: DltDestination, pipelines_dir: Path) -> dlt.Pipeline:
    # dlt reports every run to its makers, and has begun to by the time its configuration can be set.
    dlt.config["runtime.dlthub_telemetry"] = False
    stop_telemetry()
    dlt.config["load.raise_on_max_retries"] = 2
    shutil.rmtree(pipelines_dir / name, ignore_errors=True)
    return dlt.pipeline(
        pipeline_name=name, destination=destination, dataset_name=dataset, pipelines_dir=str(pipelines_dir)
    )


def _load(pipeline: dlt.Pipeline, table: pa.Table, name: str, replaced_days: tuple[str, date, date] | None) -> int:
    """Load, and return how many rows of the replaced days stood there before."""
    pipeline.sync_destination()
    resource = dlt.resource(
        table.to_batches(max_chunksize=_ROWS_PER_BATCH) or [_no_rows(table)],
        name=name,
        write_disposition="replace" if replaced_days is None else "append",
        schema_contract={"tables": "evolve", "columns": "evolve", "data_type": "freeze"},
    )
    pipeline.extract(resource, loader_file_format="parquet")
    pipeline.normalize()
    pipeline.sync_schema()
    deleted_row_count = 0
    if replaced_days is not None:
        deleted_row_count = _count(pipeline, name, replaced_days)
    if deleted_row_count or not table.num_rows:
        _execute(pipeline, "DELETE FROM", name, replaced_days)
    if table.num_rows:
        # Of no rows dlt makes a file that its loader for PostgreSQL cannot read; the table is there already.
        pipeline.load(raise_on_failed_jobs=True)
    else:
        # That nothing was there is an answer, too: dlt's book tells when a table was read last.
        with pipeline.destination_client() as client:
            client.complete_load(str(time.time()))
    return deleted_row_count


def _no_rows(table: pa.Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=table.schema)


def _count(pipeline: dlt.Pipeline, name: str, replaced_days: tuple[str, date, date] | None) -> int:
    rows = _execute(pipeline, "SELECT count(*) FROM", name, replaced_days)
    return int(rows[0][0]) if rows else 0


def _execute(
    pipeline: dlt.Pipeline, verb: str, name: str, replaced_days: tuple[str, date, date] | None
) -> Sequence[Sequence[Any]]:
    with pipeline.sql_client() as client:
        statement = f"{verb} {client.make_qualified_table_name(name)}"
        if replaced_days is None:
            # BigQuery deletes nothing without a condition.
            return client.execute_sql(f"{statement} WHERE true") or []
        column, first, last = replaced_days
        quoted = client.escape_column_name(column)
        bounds = (first, last + timedelta(days=1))
        return client.execute_sql(f"{statement} WHERE {quoted} >= %s AND {quoted} < %s", *bounds) or []
