"""Where plans lie: one immutable Parquet file per digest, 0600, a folder per sync.

With `plans_url` the files are shared there (object storage, a network folder), and `CDP_HOME` holds copies.

Columns, a row per operation in the order of sending: key (the model's type), operation, match_value, record_id
(nullable), payload (JSON text), previous (JSON text, null where unknown), changed (list of field names, null for all),
fingerprint (ubigint, null for removals), consent_identifier (nullable), former_match_value (what the destination has in
place of match_value; null where that is the same or there is no record). A row's ordinal is its place in the file.
"""

import hashlib
import os
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cdp_platform.connectors.protocol import Batch
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.plans import Plan
from cdp_platform.errors import CdpError

RETENTION_SECONDS = 7 * 86_400
"""Plan files hold personal values; older ones are deleted unless the journal still needs them."""
_COLUMNS = ["operation", "match_value", "record_id", "payload", "changed", "former_match_value"]
_OPERATIONS = {str(operation): operation for operation in Operation}


def plan_path(home: Home, sync: str, digest: str) -> Path:
    """Name the file of a plan."""
    return home.plans / sync / f"{digest}.parquet"


@contextmanager
def drafted(home: Home, sync: str) -> Iterator[Path]:
    """Give a name for a draft in a sync's folder; what is left of it at the end is deleted.

    Raises CdpError where the folder cannot be written to.
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
    """Put a finished draft in its place, share it where plans are shared, and return its SHA-256.

    An equal file that lies there already stays; one of other bytes is the same plan written differently, or damaged.
    """
    path = plan_path(home, sync, digest)
    with _explained(path):
        file_hash = _file_hash(draft)
        if _has_hash(path, file_hash):
            path.touch()
        else:
            _put_in_place(draft, path)
    if home.plans_url:
        share(home, sync, digest)
    return file_hash


def share(home: Home, sync: str, digest: str) -> None:
    """Put the file of a plan that lies here where plans are shared. Raises CdpError where it cannot be."""
    path = plan_path(home, sync, digest)
    with _shared(home, sync) as (files, folder):
        files.makedirs(folder, exist_ok=True)
        files.put_file(str(path), f"{folder}/{path.name}.part")
        files.mv(f"{folder}/{path.name}.part", f"{folder}/{path.name}")


def intact_plan(home: Home, plan: Plan) -> Path:
    """Find a plan's file, fetched from where plans are shared if it is not here.

    Raises CdpError for one that is gone, cannot be fetched, or is not byte by byte as it was kept.
    """
    path = plan_path(home, plan.sync, plan.digest)
    if not is_intact(home, plan):
        what = "is not as it was written" if path.exists() else "is gone"
        raise CdpError(f"the plan file {path} {what}.", remedy="Plan again: materialize the plan's asset.")
    return path


def is_intact(home: Home, plan: Plan) -> bool:
    """Whether a plan's file is there, or can be fetched, byte by byte as it was kept."""
    path = plan_path(home, plan.sync, plan.digest)
    with _explained(path):
        is_here = _has_hash(path, plan.file_hash)
        if home.plans_url and not is_here:
            _fetch(home, plan.sync, path)
            is_here = _has_hash(path, plan.file_hash)
        return is_here


def _fetch(home: Home, sync: str, path: Path) -> None:
    with drafted(home, sync) as draft, _shared(home, sync) as (files, folder), suppress(FileNotFoundError):
        files.get_file(f"{folder}/{path.name}", str(draft))
        _put_in_place(draft, path)


def _put_in_place(draft: Path, path: Path) -> None:
    draft.chmod(0o600)
    with open(draft, "rb") as file:
        os.fsync(file.fileno())
    draft.rename(path)


def _has_hash(path: Path, file_hash: str) -> bool:
    return path.exists() and _file_hash(path) == file_hash


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _shared(home: Home, sync: str) -> Iterator[tuple[Any, str]]:
    """The file system where plans are shared, and a sync's folder there. What fails in it is a CdpError."""
    import fsspec

    try:
        files, folder = fsspec.core.url_to_fs(home.plans_url)
        yield files, f"{folder.rstrip('/')}/{sync}"
    except (OSError, ValueError, ImportError) as error:
        raise CdpError(
            f"plan files cannot be shared at CDP_PLANS_URL ({type(error).__name__}).",
            remedy="Check the address, its credentials and the package that speaks to it; nothing was sent.",
        ) from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CdpError(
            f"{path} cannot be read or written ({error.strerror or error}).",
            remedy="Check the disk's space and the permissions; nothing was sent from this plan.",
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
        _expire_shared(home, sync, needed, oldest)


def _expire_shared(home: Home, sync: str, needed: Container[str], oldest: float) -> None:
    with _shared(home, sync) as (files, folder):
        for name in files.glob(f"{folder}/*.parquet*"):
            digest = name.rsplit("/", 1)[-1].split(".")[0]
            if digest not in needed and files.modified(name).timestamp() < oldest:
                files.rm_file(name)


def plan_files(home: Home, sync: str) -> list[Path]:
    """The files of a sync's plans that lie here, fetched first from where plans are shared."""
    folder = home.plans / sync
    if home.plans_url:
        with _shared(home, sync) as (files, shared):
            names = [name.rsplit("/", 1)[-1] for name in files.glob(f"{shared}/*.parquet")]
        for name in names:
            if not (folder / name).exists():
                _fetch(home, sync, folder / name)
    return sorted(folder.glob("*.parquet")) if folder.exists() else []


def forget_plan(home: Home, sync: str, path: Path) -> None:
    """Delete a plan's file wherever it lies: the plan's record stays, and cannot be sent any more."""
    if home.plans_url:
        with _shared(home, sync) as (files, folder):
            if files.exists(f"{folder}/{path.name}"):
                files.rm_file(f"{folder}/{path.name}")
    with _explained(path):
        path.unlink(missing_ok=True)


def has_former_match_values(path: Path) -> bool:
    """Whether a plan's file was written since there are moved rows; an older one may still wait to be settled."""
    return _COLUMNS[-1] in pq.read_schema(path).names


def read_batches(path: Path, rows: int, *, is_membership: bool = False) -> Iterator[Batch]:
    """Read a plan's operations in order, at most `rows` at a time; removals stand in batches of their own.

    Of memberships, a withdrawal is a removal, and each row tells what was last delivered.
    """
    first = 0
    removing = (Operation.REMOVE, Operation.WITHDRAW) if is_membership else (Operation.REMOVE,)
    with pq.ParquetFile(path) as file:
        columns = [*_COLUMNS, "previous"] if is_membership else _COLUMNS
        for record_batch in file.iter_batches(batch_size=rows, columns=columns):
            told = record_batch.to_pydict()
            operations = list(map(_OPERATIONS.__getitem__, told["operation"]))
            ordinals = range(first, first + len(operations))
            read = Batch(
                ordinals,
                operations,
                told["match_value"],
                told["record_id"],
                told["payload"],
                told["changed"],
                former_match_values=told.get(_COLUMNS[-1]),
                previous=told.get("previous"),
            )
            first = ordinals.stop
            # Removals stand first in the file.
            removals = sum(map(operations.count, removing))
            yield from (part for part in (read[:removals], read[removals:]) if part)
