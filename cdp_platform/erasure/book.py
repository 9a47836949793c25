"""The book of erasures: a status for each system, without personal data, and what is left to do in a file beside it.

`cdp.erasures` [erasure × system] says what was done and what waits. The file holds what the work needs (identifiers,
record ids) from before the first deletion until the last is acknowledged, and is deleted then: an erasure that was
broken off goes on from it.
"""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cdp_platform.domain.home import Home
from cdp_platform.erasure.identifiers import Closure
from cdp_platform.errors import CdpError
from cdp_platform.warehouse.base import Session

_TABLE = """create table if not exists cdp.erasures (
    erasure_id varchar, system varchar, status varchar, code varchar, row_count bigint, begun_at timestamptz,
    updated_at timestamptz)"""


class State(StrEnum):
    """How far an erasure is in one system."""

    DONE = "done"
    PENDING = "pending"
    """Not done yet: `cdp forget --resume` goes on."""
    FAILED = "failed"
    """Refused; somebody must look, then resume."""
    BY_HAND = "by_hand"
    """The system offers no way to do it: a person has to, there."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What became of an erasure in one system."""

    system: str
    state: State
    code: str
    """What happened, as a code under `erasure.` in the catalogue of texts."""
    rows: int = 0
    """Rows, records or files that are gone."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What an erasure has to do; it lies in a file until everything is done."""

    erasure_id: str
    begun_at: datetime
    closure: Closure
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By sync: the primary keys of the person's rows."""
    records: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """By ledger: match value → the destination's record ids, which may be none."""
    delivered: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By ledger: match value → the fields as last delivered, as JSON text: a membership is removed by them."""


def new_work(closure: Closure, keys: Mapping[str, tuple[str, ...]]) -> Work:
    """Begin an erasure."""
    return Work(erasure_id=uuid.uuid4().hex[:12], begun_at=datetime.now(UTC), closure=closure, keys=keys)


def keep_work(home: Home, work: Work) -> None:
    """Make the work durable, readable by its owner only."""
    home.erasures.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = _path(home, work.erasure_id)
    draft = path.with_suffix(".part")
    document = asdict(work) | {"begun_at": work.begun_at.isoformat()}
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, default=sorted)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def add_records(
    home: Home, work: Work, ledger_id: str, records: Mapping[str, tuple[str, ...]], delivered: Mapping[str, str]
) -> Work:
    """Keep the records that are to be deleted at a destination, before the ledger forgets them.

    `delivered` are their fields by match value, as they were last delivered, as JSON text. What is kept is the file's:
    a share that was broken off by an error has told nobody what it has added.
    """
    work = _read(_path(home, work.erasure_id))
    known = work.records.get(ledger_id, {})
    merged = {
        value: tuple(sorted({*known.get(value, ()), *records.get(value, ())}))
        for value in known.keys() | records.keys()
    }
    told = {**delivered, **work.delivered.get(ledger_id, {})}
    work = replace(work, records={**work.records, ledger_id: merged}, delivered={**work.delivered, ledger_id: told})
    keep_work(home, work)
    return work


def open_work(home: Home) -> list[Work]:
    """The erasures that have not ended, oldest first. Raises CdpError for a file that cannot be read."""
    paths = sorted(home.erasures.glob("*.json")) if home.erasures.exists() else []
    return sorted((_read(path) for path in paths), key=lambda work: work.begun_at)


def end_work(home: Home, work: Work) -> None:
    """Delete the file of an erasure that is done."""
    _path(home, work.erasure_id).unlink(missing_ok=True)


def note(session: Session, work: Work, step: Step) -> None:
    """Write what became of an erasure in one system, in place of what was written before."""
    session.execute("create schema if not exists cdp")
    session.execute(_TABLE)
    with session.transaction():
        session.execute("delete from cdp.erasures where erasure_id = ? and system = ?", [work.erasure_id, step.system])
        session.execute(
            "insert into cdp.erasures values (?, ?, ?, ?, ?, ?, current_timestamp)",
            [work.erasure_id, step.system, step.state, step.code, step.rows, work.begun_at],
        )


def read_steps(session: Session) -> list[Mapping[str, Any]]:
    """Every line of the book, newest erasure first, with the columns of `cdp.erasures`."""
    if not session.columns("cdp.erasures"):
        return []
    return list(session.rows("select * from cdp.erasures order by begun_at desc, erasure_id, updated_at, system"))


def _path(home: Home, erasure_id: str) -> Path:
    return home.erasures / f"{erasure_id}.json"


def _read(path: Path) -> Work:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        closure = document["closure"]
        return Work(
            erasure_id=document["erasure_id"],
            begun_at=datetime.fromisoformat(document["begun_at"]),
            closure=Closure(
                values={kind: frozenset(values) for kind, values in closure["values"].items()},
                texts=frozenset(closure["texts"]),
                shared=closure["shared"],
            ),
            keys={sync: tuple(keys) for sync, keys in document["keys"].items()},
            records={
                ledger: {value: tuple(ids) for value, ids in records.items()}
                for ledger, records in document["records"].items()
            },
            delivered=document["delivered"],
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CdpError(
            f"the work of an erasure, {path.name}, cannot be read ({type(error).__name__}).",
            remedy="Delete the file and run `cdp forget` with the identifier again.",
        ) from error
