"""Where plans lie: one immutable Parquet file per digest, 0600, a folder per sync.

With `plans_url` the files are shared there (object storage, a network folder), and `CDP_HOME` holds copies.

Columns, a row per operation in the order of sending: key (the model's type), operation, match_value, record_id
(nullable), payload (JSON text), previous (JSON text, null where unknown), changed (list of field names, null for all),
fingerprint (ubigint, null for removals), consent_identifier (nullable). A row's ordinal is its place in the file.
"""

import hashlib
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


def plan_path(home: Home, sync: str, digest: str, file_hash: str | None = None) -> Path:
    """Find the file of a plan, fetched from where plans are shared if it is not here yet.

    Raises CdpError where it is in neither place, cannot be fetched, or, with `file_hash`, is not as it was kept.
    """
    path = _found(home, sync, digest)
    if path is None or (file_hash is not None and _file_hash(path) != file_hash):
        what = "is not as it was written" if path else "is gone"
        raise CdpError(f"the plan file {digest}.parquet {what}.", remedy="Plan again: materialize the plan's asset.")
    return path


def is_intact(home: Home, sync: str, digest: str, file_hash: str) -> bool:
    """Whether a plan's file is there, byte by byte as it was kept. Raises CdpError where that cannot be found out."""
    path = _found(home, sync, digest)
    return path is not None and _file_hash(path) == file_hash


@contextmanager
def drafted(home: Home, sync: str) -> Iterator[Path]:
    """Give a name for a plan whose digest is not known yet; what is left of it at the end is deleted.

    Raises CdpError where the sync's folder cannot be written to.
    """
    folder = home.plans / sync
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / f"draft-{os.getpid()}"
        draft.touch(mode=0o600)
    try:
        yield draft
    finally:
        with _explained(folder):
            draft.unlink(missing_ok=True)


def keep(draft: Path, home: Home, sync: str, digest: str) -> str:
    """Put a finished draft in its place and return its SHA-256.

    An equal file that lies there already stays; one of other bytes is the same plan written differently, or damaged.
    """
    path = draft.with_name(f"{digest}.parquet")
    file_hash = _file_hash(draft)
    with _explained(path):
        if path.exists() and _file_hash(path) == file_hash:
            path.touch()
        else:
            _put_in_place(draft, path)
    if home.plans_url:
        with _shared(home) as (files, folder):
            files.makedirs(f"{folder}/{sync}", exist_ok=True)
            files.put_file(str(path), f"{folder}/{sync}/{path.name}.part")
            files.mv(f"{folder}/{sync}/{path.name}.part", f"{folder}/{sync}/{path.name}")
    return file_hash


def _found(home: Home, sync: str, digest: str) -> Path | None:
    """The file of a plan, here or fetched; None where it is in neither place."""
    path = home.plans / sync / f"{digest}.parquet"
    if home.plans_url and not path.exists():
        with drafted(home, sync) as draft:
            with _shared(home) as (files, folder):
                shared = f"{folder}/{sync}/{path.name}"
                if not files.exists(shared):
                    return None
                files.get_file(shared, str(draft))
            with _explained(path):
                _put_in_place(draft, path)
    return path if path.exists() else None


def _put_in_place(draft: Path, path: Path) -> None:
    draft.chmod(0o600)
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
    draft.rename(path)


def _file_hash(path: Path) -> str:
    with _explained(path), open(path, "rb") as file:
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
    folder = home.plans / sync
    with _explained(folder):
        for path in folder.iterdir() if folder.exists() else ():
            is_old = path.stem not in needed and path.stat().st_mtime < oldest
            if path.name.startswith("draft-") or is_old:
                path.unlink()
    if home.plans_url:
        with _shared(home) as (files, shared):
            for name in files.glob(f"{shared}/{sync}/*.parquet*"):
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
