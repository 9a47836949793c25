"""Where plans lie: one immutable Parquet file per digest, 0600, a folder per sync.

Columns, a row per operation in the order of sending: ordinal (bigint), key (the model's type), operation, match_value,
record_id (nullable), payload (JSON text), previous (JSON text, null where unknown), changed (list of field names, null
for all), fingerprint (ubigint, null for removals), consent_identifier (nullable).
"""

import hashlib
import os
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
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


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """Give a name for a draft in a sync's folder; what is left of it at the end is deleted.

    Raises CdpError where the folder cannot be written to.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / f"draft-{os.getpid()}"
        draft.touch(mode=0o600)
    try:
        yield draft
    finally:
        with _explained(folder):
            draft.unlink(missing_ok=True)


def keep(draft: Path, path: Path) -> str:
    """Put a finished draft in its place and return its SHA-256.

    An equal file that lies there already stays; one of other bytes is the same plan written differently, or damaged.
    """
    with _explained(path):
        file_hash = _file_hash(draft)
        if path.exists() and _file_hash(path) == file_hash:
            path.touch()
            return file_hash
        draft.chmod(0o600)
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        draft.rename(path)
    return file_hash


def is_intact(path: Path, file_hash: str) -> bool:
    """Whether a plan's file is there, byte by byte as it was kept."""
    with _explained(path):
        return path.exists() and _file_hash(path) == file_hash


def require_intact(path: Path, file_hash: str) -> None:
    """Raise CdpError for a plan's file that is gone or not as it was kept."""
    if not is_intact(path, file_hash):
        what = "is not as it was written" if path.exists() else "is gone"
        raise CdpError(f"the plan file {path} {what}.", remedy="Plan again: materialize the plan's asset.")


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CdpError(
            f"{path} cannot be read or written ({error.strerror or error}).",
            remedy="Check the disk's space and the permissions; nothing was sent from this plan.",
        ) from error


def expire(folder: Path, needed: Container[str], *, now: float | None = None) -> None:
    """Delete what broken plans left behind, and plans older than the retention whose digest is not `needed`."""
    oldest = (time.time() if now is None else now) - RETENTION_SECONDS
    with _explained(folder):
        for path in folder.iterdir() if folder.exists() else ():
            is_old = path.stem not in needed and path.stat().st_mtime < oldest
            if path.name.startswith("draft-") or is_old:
                path.unlink()


def read_batches(path: Path, rows: int) -> Iterator[Batch]:
    """Read a plan's operations in order, at most `rows` at a time; removals stand in batches of their own."""
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
