"""Where plans lie: one immutable Parquet file per digest, 0600, a folder per sync.

Columns, a row per operation in the order of sending: key (the model's type), operation, match_value, record_id
(nullable), payload (JSON text), previous (JSON text, null where unknown), changed (list of field names, null for all),
fingerprint (ubigint, null for removals), consent_identifier (nullable). A row's ordinal is its place in the file.
"""

import os
import time
from collections.abc import Container, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from cdp_platform.connectors.protocol import Batch
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation
from cdp_platform.errors import CdpError

RETENTION_SECONDS = 7 * 86_400
"""Plan files hold personal values; older ones are deleted unless the journal still needs them."""
_COLUMNS = ["operation", "match_value", "record_id", "payload", "changed"]
_OPERATIONS = {str(operation): operation for operation in Operation}


def plan_path(home: Home, sync: str, digest: str) -> Path:
    """Name the file of a plan."""
    return home.plans / sync / f"{digest}.parquet"


def keep(draft: Path, path: Path) -> None:
    """Put a finished draft in its place; a plan that lies there already is equal by its digest and stays."""
    if path.exists():
        draft.unlink()
        path.touch()
        return
    draft.chmod(0o600)
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
    draft.rename(path)


def expire(folder: Path, needed: Container[str], *, now: float | None = None) -> None:
    """Delete what broken plans left behind, and plans older than the retention whose digest is not `needed`."""
    oldest = (time.time() if now is None else now) - RETENTION_SECONDS
    for path in folder.iterdir():
        is_old = path.stem not in needed and path.stat().st_mtime < oldest
        if path.name.startswith("draft-") or is_old:
            path.unlink()


def read_batches(path: Path, rows: int) -> Iterator[Batch]:
    """Read a plan's operations in order, at most `rows` at a time; removals stand in batches of their own."""
    if not path.exists():
        raise CdpError(f"the plan file {path.name} is gone.", remedy="Plan again: materialize the plan's asset.")
    first = 0
    with pq.ParquetFile(path) as file:
        for record_batch in file.iter_batches(batch_size=rows, columns=_COLUMNS):
            operations, *others = (column.to_pylist() for column in record_batch.columns)
            ordinals = range(first, first + len(operations))
            read = Batch(ordinals, list(map(_OPERATIONS.__getitem__, operations)), *others)
            first = ordinals.stop
            # Removals stand first in the file.
            removals = operations.count(Operation.REMOVE)
            yield from (part for part in (read[:removals], read[removals:]) if part)
