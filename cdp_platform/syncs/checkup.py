"""What must be in order before a sync can run: looked at, and asked of each destination, without sending anything.

A finding that is wrong stops a run sooner or later; a warning does not, or not yet.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from cdp_platform.connectors.credentials import resolve_base_url
from cdp_platform.connectors.protocol import Answer, Request, Session
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import CdpError
from cdp_platform.syncs import controls, guards
from cdp_platform.syncs.account import Engine, connection_id, session_to
from cdp_platform.syncs.journal import Journal
from cdp_platform.texts.catalogue import verdict_text
from cdp_platform.warehouse.base import NeedsGrants, ReadsElsewhere, Source, Warehouse

_SPARE_BYTES: Final = 1_000_000_000
"""Plans, dbt's temporary tables and a second copy of a small warehouse fit into it."""
_FEWEST_BYTES: Final = 100_000_000
_CLOCK_SECONDS: Final = 60.0
"""A signed token request is refused when it is older or newer than a few minutes; a minute is noticed before that."""
_PROBE: Final = "checkup_probe"


class State(StrEnum):
    """How a finding is to be taken."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. `told` and `remedy` hold no secret; `remedy` is blank where all is well."""

    subject: str
    state: State
    told: str
    remedy: str = ""


def examine_home(home: Home, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[Finding]:
    """Look at the folder that holds the state: is it writable, is there room, who reads its secrets, the clock."""
    if not home.root.is_dir():
        return [Finding(subject="state", state=State.FINE, told="nothing is kept yet; the first plan makes the folder")]
    return [_writable(home.root), _room(home), *_readers(home), *_clock_went_back(home, now())]


def examine_warehouse(home: Home, warehouse: Warehouse, relations: Iterable[str] = ()) -> list[Finding]:
    """Open the warehouse, read, and write inside a transaction that is taken back.

    Where a warehouse is shared, each right that is missing is told first, with the statement that grants it;
    `relations` are those that syncs read.
    """
    if not home.has_warehouse:
        told = f"there is no {home.warehouse.name} yet"
        remedy = "Build it first: `cdp demo`, or your own ingest and models."
        return [Finding(subject="warehouse", state=State.WARNING, told=told, remedy=remedy)]
    if isinstance(warehouse, ReadsElsewhere):
        read = _tried("source", lambda: _read_all(warehouse.source, relations))
        return [read, _tried("warehouse", lambda: _write_and_take_back(warehouse))]
    if isinstance(warehouse, NeedsGrants):
        try:
            if missing := list(map(_not_granted, warehouse.missing_grants(sorted(set(relations))))):
                return missing
        except CdpError as error:
            return [Finding(subject="warehouse", state=State.WRONG, told=error.what, remedy=error.remedy)]
    return [_tried("warehouse", lambda: _write_and_take_back(warehouse))]


def examine_journal(home: Home) -> list[Finding]:
    """Open the journal, and say where it is and what waits in it."""
    if home.journal_address is None and not home.journal.is_file():
        return [Finding(subject="journal", state=State.FINE, told="none yet; the first plan makes it")]
    found = [_tried("journal", lambda: _waiting(Journal(home)))]
    if home.journal_address and not home.plans_url:
        told = "hosts can share it, but not the plan files, which lie in this host's CDP_HOME"
        remedy = "Set CDP_PLANS_URL to a folder that all hosts reach, or run on one host only."
        found.append(Finding(subject="journal", state=State.WARNING, told=told, remedy=remedy))
    return found


def examine_sync(engine: Engine, spec: SyncSpec) -> Iterator[Finding]:
    """Ask the destination who we are and which fields it has, with the sync's own credential; it is sent no row."""
    subject = f"{spec.connection.name}/{spec.name}"
    is_on = controls.is_enabled(engine.journal, spec.name)
    try:
        connection_id(engine, spec)
    except CdpError as error:
        state = State.WRONG if is_on else State.WARNING
        remedy = error.remedy if is_on else f"{error.remedy} Until then it is planned, and not sent."
        yield Finding(subject=subject, state=state, told=error.what, remedy=remedy)
        return
    try:
        with session_to(engine, spec) as session:
            listening = _Listening(session)
            account = engine.destination.account_id(listening)
            verdicts = guards.judge_mapping(spec, engine.destination.describe(listening, spec.object))
    except CdpError as error:
        yield Finding(subject=subject, state=State.WRONG, told=error.what, remedy=error.remedy)
        return
    switched = "switched on" if is_on else "switched off"
    yield Finding(subject=subject, state=State.FINE, told=f"account {account} answers; {switched}")
    for verdict in verdicts:
        if not verdict.passed:
            told, _, remedy = verdict_text(verdict, "en").partition("\n")
            yield Finding(subject=subject, state=State.WRONG, told=told, remedy=remedy)
    # What answers without TLS runs on this machine: a stand-in, whose clock may be that of a replay.
    if resolve_base_url(spec.connection, engine.destination.default_base_url).startswith("https:"):
        yield from _clock_differs(subject, listening.heard)


class _Listening:
    """A session that notes how far the other side's clock is from ours."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.heard: float | None = None
        """Seconds by which their clock is ahead; None where no answer told its date."""

    @property
    def traffic(self) -> Traffic:
        return self._session.traffic

    def send(self, request: Request) -> Answer:
        answer = self._session.send(request)
        try:
            theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            return answer
        if theirs.tzinfo is not None:
            self.heard = (theirs - datetime.now(UTC)).total_seconds()
        return answer

    def close(self) -> None:
        self._session.close()


def _tried(subject: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except CdpError as error:
        return Finding(subject=subject, state=State.WRONG, told=error.what, remedy=error.remedy)


def _writable(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"cdp")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        told = f"{folder} cannot be written to ({error.strerror})"
        remedy = "Give this user the right to write there, or set CDP_HOME to another folder."
        return Finding(subject="state", state=State.WRONG, told=told, remedy=remedy)
    return Finding(subject="state", state=State.FINE, told=f"{folder} can be written to")


def _room(home: Home) -> Finding:
    """Erasing a person writes the warehouse anew beside the old one, so there is to be room for it twice."""
    free = shutil.disk_usage(home.root).free
    size = home.warehouse.stat().st_size if home.warehouse.is_file() else 0
    told = f"{free / 1e9:,.1f} GB free, the warehouse has {size / 1e9:,.1f} GB"
    if free >= max(_SPARE_BYTES, size):
        return Finding(subject="disk", state=State.FINE, told=told)
    state = State.WRONG if free < _FEWEST_BYTES else State.WARNING
    return Finding(subject="disk", state=state, told=told, remedy="Make room; `cdp forget` needs the warehouse twice.")


def _readers(home: Home) -> Iterator[Finding]:
    secrets = [home.forgotten_key, *sorted(home.tokens.glob("*"))]
    for file in secrets:
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            told = f"{file.relative_to(home.root)} can be read by others than its owner"
            yield Finding(subject="state", state=State.WRONG, told=told, remedy=f"chmod 600 {file}")


def _clock_went_back(home: Home, now: datetime) -> Iterator[Finding]:
    """Leases, holds and approvals are told by this clock: what was written may not lie in its future."""
    files = [file for file in (home.journal, home.warehouse) if file.is_file()]
    ahead = max((file.stat().st_mtime - now.timestamp() for file in files), default=0.0)
    if ahead > _CLOCK_SECONDS:
        told = f"this machine's clock is {ahead:,.0f} s behind the newest file of the state"
        yield Finding(subject="clock", state=State.WRONG, told=told, remedy="Set the clock, best by NTP.")


def _clock_differs(subject: str, ahead: float | None) -> Iterator[Finding]:
    if ahead is not None and abs(ahead) > _CLOCK_SECONDS:
        told = f"its clock is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
        yield Finding(subject=subject, state=State.WARNING, told=told, remedy="Set this machine's clock, best by NTP.")


def _not_granted(statement: str) -> Finding:
    told = "the warehouse's role lacks a right; an administrator grants it:"
    return Finding(subject="warehouse", state=State.WRONG, told=told, remedy=statement)


class _TakenBack(Exception):
    """Ends the transaction of the probe."""


def _write_and_take_back(warehouse: Warehouse) -> Finding:
    with warehouse.session("cdp doctor") as session:
        with suppress(_TakenBack), session.transaction():
            session.execute("create schema if not exists cdp")
            session.execute(f"create table if not exists cdp.{_PROBE} (number integer)")
            session.execute(f"insert into cdp.{_PROBE} values (1)")
            session.rows(f"select number from cdp.{_PROBE}")
            raise _TakenBack
        # Some warehouses keep a relation whatever becomes of the transaction.
        session.execute(f"drop table if exists cdp.{_PROBE}")
    told = f"{warehouse.dialect.name} can be read, and written to in the schema cdp"
    return Finding(subject="warehouse", state=State.FINE, told=told)


def _read_all(source: Source, relations: Iterable[str]) -> Finding:
    """Look at each relation of a warehouse that is only read, and read none of its rows."""
    with source.reading("cdp doctor") as session:
        missing = [relation for relation in sorted(set(relations)) if not session.columns(relation)]
        for relation in sorted(set(relations) - set(missing)):
            session.rows(f"select count(*) as row_count from {source.dialect.relation(relation)} where false")
    if missing:
        told = f"{source.dialect.name} has no {', '.join(missing)}, or the platform's role does not see them"
        remedy = "Build them there, and grant the role to use their schemas and to select from them."
        return Finding(subject="source", state=State.WRONG, told=told, remedy=remedy)
    return Finding(
        subject="source", state=State.FINE, told=f"{source.dialect.name} can be read; nothing is written there"
    )


def _waiting(journal: Journal) -> Finding:
    with journal.transaction() as connection:
        [(waiting,)] = connection.execute("select count(distinct run_id) from requests").fetchall()
    place = "PostgreSQL" if journal.server else "a file of this host"
    if not waiting:
        return Finding(subject="journal", state=State.FINE, told=f"{place}, in order; nothing waits in it")
    told = f"{place}; {waiting:,} run(s) are under way, or were cut off before they were settled"
    return Finding(subject="journal", state=State.WARNING, told=told, remedy="The sync's next run settles them first.")
