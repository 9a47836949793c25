"""Where plans lie: one immutable Parquet file per digest, 0600, a folder per sync.

Columns, a row per operation in key order: ordinal (bigint), key (the model's type), operation, match_value, record_id
(nullable), payload (JSON text), previous (JSON text, null where unknown), changed (list of field names),
fingerprint (ubigint), consent_identifier (nullable).
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation
from cdp_platform.errors import CdpError


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """One operation of a plan. `previous` is None where the destination's present values are not known."""

    ordinal: int
    key: str
    operation: Operation
    match_value: str
    record_id: str | None
    payload: Mapping[str, Any]
    previous: Mapping[str, Any] | None
    changed: tuple[str, ...]


def plan_path(home: Home, sync: str, digest: str) -> Path:
    """Name the file of a plan."""
    return home.plans / sync / f"{digest}.parquet"


def keep(draft: Path, path: Path) -> None:
    """Put a finished draft in its place; a plan that lies there already is equal by its digest and stays."""
    if path.exists():
        draft.unlink()
        return
    draft.chmod(0o600)
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
    draft.rename(path)


def read_batches(path: Path, rows: int) -> Iterator[list[PlannedRow]]:
    """Read a plan's operations in order, at most `rows` at a time, each batch of one operation only."""
    if not path.exists():
        raise CdpError(f"the plan file {path.name} is gone.", remedy="Plan again: materialize the plan's asset.")
    batch: list[PlannedRow] = []
    with pq.ParquetFile(path) as file:
        for record_batch in file.iter_batches(batch_size=1_000):
            for record in record_batch.to_pylist():
                row = _row(record)
                if batch and (len(batch) == rows or batch[0].operation is not row.operation):
                    yield batch
                    batch = []
                batch.append(row)
    if batch:
        yield batch


def _row(record: dict[str, Any]) -> PlannedRow:
    return PlannedRow(
        ordinal=record["ordinal"],
        key=str(record["key"]),
        operation=Operation(record["operation"]),
        match_value=record["match_value"],
        record_id=record["record_id"],
        payload=json.loads(record["payload"]),
        previous=json.loads(record["previous"]) if record["previous"] else None,
        changed=tuple(record["changed"]),
    )
