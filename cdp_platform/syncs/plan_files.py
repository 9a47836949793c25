"""Where plans lie: one immutable Parquet file per digest, 0600, a folder per sync.

With `plans_url` the files are shared there (object storage, a network folder), and `CDP_HOME` holds copies.

Columns, a row per operation in the order of sending: key (the model's type), operation, match_value, record_id
(nullable), payload (JSON text), previous (JSON text, null where unknown), changed (list of field names, null for all),
fingerprint (ubigint, null for removals), consent_identifier (nullable). A row's ordinal is its place in the file.
"""

import os
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    """Find the file of a plan, fetched from where plans are shared if it is not here yet.

    Raises CdpError where it is in neither place, or cannot be fetched.
    """
    path = home.plans / sync / f"{digest}.parquet"
    if home.plans_url and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"draft-{os.getpid()}")
        with _shared(home) as (files, folder):
            files.get_file(f"{folder}/{sync}/{path.name}", str(draft))
        _put_in_place(draft, path)
    if not path.exists():
        raise CdpError(f"the plan file {path.name} is gone.", remedy="Plan again: materialize the plan's asset.")
    return path


def draft_path(home: Home, sync: str) -> Path:
    """Name the file into which this process writes a plan whose digest is not known yet."""
    folder = home.plans / sync
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"draft-{os.getpid()}"


def keep(draft: Path, home: Home, sync: str, digest: str) -> None:
    """Put a finished draft in its place; a plan that lies there already is equal by its digest and stays."""
    path = draft.with_name(f"{digest}.parquet")
    if path.exists():
        draft.unlink()
        path.touch()
    else:
        _put_in_place(draft, path)
    if home.plans_url:
        with _shared(home) as (files, folder):
            files.makedirs(f"{folder}/{sync}", exist_ok=True)
            files.put_file(str(path), f"{folder}/{sync}/{path.name}.part")
            files.mv(f"{folder}/{sync}/{path.name}.part", f"{folder}/{sync}/{path.name}")


def _put_in_place(draft: Path, path: Path) -> None:
    draft.chmod(0o600)
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
    draft.rename(path)


@contextmanager
def _shared(home: Home) -> Iterator[tuple[Any, str]]:
    """The file system and the folder where plans are shared. What fails there is a CdpError."""
    import fsspec

    try:
        files, folder = fsspec.core.url_to_fs(home.plans_url)
        yield files, folder.rstrip("/")
    except (OSError, ValueError, ImportError) as error:
        raise CdpError(
            f"plan files cannot be shared at CDP_PLANS_URL ({type(error).__name__}).",
            remedy="Check the address, its credentials and the package that speaks to it; nothing was sent.",
        ) from error


def expire(home: Home, sync: str, needed: Container[str], *, now: float | None = None) -> None:
    """Delete what broken plans left behind, and plans older than the retention whose digest is not `needed`."""
    oldest = (time.time() if now is None else now) - RETENTION_SECONDS
    for path in draft_path(home, sync).parent.iterdir():
        is_old = path.stem not in needed and path.stat().st_mtime < oldest
        if path.name.startswith("draft-") or is_old:
            path.unlink()
    if home.plans_url:
        with _shared(home) as (files, folder):
            for name in files.glob(f"{folder}/{sync}/*.parquet*"):
                digest = name.rsplit("/", 1)[-1].split(".")[0]
                if digest not in needed and files.modified(name).timestamp() < oldest:
                    files.rm_file(name)


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
