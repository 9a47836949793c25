"""From one host to several: the journal's file, taken into the database that hosts share.

Everything in it goes along: switches, accounts, pauses, approvals, plans, fences, settlings, alerts, and the requests
that are not settled yet, with the plan files that settling them needs. The file is closed before it is read, so that no
run goes on with it; all of it arrives in one transaction, or nothing does. A step that was broken off may be repeated.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cdp_platform.connectors.pace_file import open_paces
from cdp_platform.connectors.state_server import Statements
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.journal_file import MOVED
from cdp_platform.syncs.lease import Clock, is_dead
from cdp_platform.syncs.plan_files import is_intact, share

_TABLES: Final[Mapping[str, str]] = {
    "switches": "sync, is_enabled, changed_at",
    "accounts": "connection, account_id, asked_at",
    "pauses": "scope, name, paused_by, paused_at",
    "approvals": "sync, digest, approved_by, approved_at, used_by_run, used_at",
    "plans": "digest, ledger_id, sync, run_id, record",
    "leases": "ledger_id, holder, fence, expires_at, boot",
    "settlings": "ledger_id, settle_id, version, resend_reason",
    "requests": "ledger_id, digest, run_id, fence, batch, attempt, status, spans, details, request_id, noted_at",
    "alerts": "kind, subject, condition, is_over, told",
}
"""The journal's tables with the columns that are copied; numbers are given anew, in the same order."""
_NUMBERED: Final = ("approvals", "plans", "requests")
_ARRIVED: Final = "moved_from"
"""In the database's `meta`: the name that the file was given when it was closed."""


@dataclass(frozen=True, kw_only=True)
class MovedJournal:
    """What was taken along."""

    rows: Mapping[str, int]
    """By table of the journal."""
    shared_plans: int
    """Plan files that lie where all hosts can read them now."""
    lost_plans: int
    """Plans whose file was not as it was kept, or gone: they are made anew."""
    was_here: bool
    """Whether an earlier call had taken it here; nothing was done now."""


def move_journal(home: Home) -> MovedJournal:
    """Take the journal from its file in `home` to the database that `home` names; the file refuses to be used then.

    Raises ConfigError where no database is named, CdpError where there is no file, where a run is at work, and where
    the database knows of another project's work or this file was moved elsewhere: nothing is changed then.
    """
    if not home.journal_address:
        raise ConfigError(
            "no database is named for the journal.", remedy="Set CDP_JOURNAL to its address, then move the journal."
        )
    if not home.journal.is_file():
        raise CdpError(f"there is no journal in {home.root}.", remedy="Nothing is known that could be taken along.")
    there = Journal(replace(home, journal_address=None), may_have_moved=True)
    here = Journal(home)
    name = _named(there)
    arrived = _arrived(here)
    if arrived == name:
        with there.transaction() as file:
            _close(file, name)
        return MovedJournal(rows={}, shared_plans=0, lost_plans=0, was_here=True)
    _require_unused(here, arrived)
    with there.transaction() as file:
        _require_rest(file)
        _close(file, name)
    is_filled = False
    try:
        rows = {table: _lines(there, table, columns) for table, columns in _TABLES.items()}
        shared, lost = _share_plans(home, there)
        with here.transaction() as database:
            if any(_count(database, table) for table in _TABLES):
                raise _used()
            for table, columns in _TABLES.items():
                _fill(database, table, columns, rows[table])
            database.execute("insert into meta values (?, ?)", [_ARRIVED, name])
            is_filled = True
    except BaseException:
        if not is_filled:
            # Nothing arrived; one that may have arrived keeps the file closed, and a repetition finds out.
            with there.transaction() as file:
                file.execute("delete from meta where name = ?", [MOVED])
        raise
    return MovedJournal(
        rows={table: len(found) for table, found in rows.items()}, shared_plans=shared, lost_plans=lost, was_here=False
    )


def carry_allowances(home: Home) -> int:
    """Take along what each credential has used of its day's allowance; the answer is how many hours were counted.

    Paces and circuit breakers last for seconds and are made anew. Raises ConnectionFailed.
    """
    if not home.rate_limits.is_file():
        return 0
    there, here = open_paces(home.rate_limits), open_paces(home.journal_address or home.rate_limits)
    with there.reading() as file:
        hours = [tuple(row) for row in file.execute("select bucket, hour, requests from hours").fetchall()]
    with here.transaction() as database:
        for one in hours:
            database.execute("insert into hours values (?, ?, ?) on conflict (bucket, hour) do nothing", one)
    there.close()
    here.close()
    return len(hours)


def _named(there: Journal) -> str:
    """The name that the file has been given, or is given now, so that the database can tell which file it has."""
    with there.transaction() as file:
        file.execute("insert or ignore into meta values ('file', ?)", [uuid.uuid4().hex])
        return str(file.execute("select value from meta where name = 'file'").fetchone()[0])


def _arrived(here: Journal) -> str | None:
    with here.transaction() as database:
        row = database.execute("select value from meta where name = ?", [_ARRIVED]).fetchone()
    return str(row[0]) if row else None


def _close(file: Statements, name: str) -> None:
    file.execute("insert or ignore into meta values (?, ?)", [MOVED, name])


def _require_unused(here: Journal, arrived: str | None) -> None:
    with here.transaction() as database:
        if arrived or any(_count(database, table) for table in _TABLES):
            raise _used()


def _used() -> CdpError:
    return CdpError(
        "the journal in PostgreSQL is in use already, and this file's lines are not in it; nothing was moved.",
        remedy="Name an empty database by CDP_JOURNAL, or go on with the journal that is there.",
    )


def _require_rest(file: Statements) -> None:
    """Raise CdpError where a lease is held by a run that may be alive."""
    clock = Clock.of_this_kernel()
    now = clock.seconds()
    for holder, expires_at, boot in file.execute(
        "select holder, expires_at, boot from leases where expires_at > 0"
    ).fetchall():
        if not is_dead(holder) and not (boot == clock.boot and expires_at <= now):
            raise CdpError(
                f"a run is at work with this journal ({holder}); nothing was moved.",
                remedy="Run cdp pause --all, wait until it has ended, and move the journal then.",
            )


def _lines(there: Journal, table: str, columns: str) -> list[tuple[object, ...]]:
    order = "number" if table in _NUMBERED else "1"
    with there.transaction() as file:
        return [tuple(row) for row in file.execute(f"select {columns} from {table} order by {order}").fetchall()]


def _fill(database: Statements, table: str, columns: str, rows: list[tuple[object, ...]]) -> None:
    if table == "leases":
        # Nobody holds one; the fence stays, so that a late writer is still recognised.
        rows = [(ledger_id, holder, fence, 0, "") for ledger_id, holder, fence, *_ in rows]
    if rows:
        places = ", ".join("?" * len(rows[0]))
        database.executemany(f"insert into {table} ({columns}) values ({places})", rows)


def _share_plans(home: Home, there: Journal) -> tuple[int, int]:
    """Put the files of the newest plans, and of those with open requests, where all hosts can read them."""
    with there.transaction() as file:
        wanted = file.execute(
            "select sync, digest from plans where number in (select max(number) from plans group by sync)"
            " or digest in (select digest from requests) group by sync, digest"
        ).fetchall()
    plans = [plan for plan in (there.plan(sync, digest=digest) for sync, digest in wanted) if plan]
    kept = [plan for plan in plans if is_intact(home, plan)]
    if not home.plans_url:
        return 0, len(plans) - len(kept)
    for plan in kept:
        share(home, plan.sync, plan.digest)
    return len(kept), len(plans) - len(kept)


def _count(database: Statements, table: str) -> int:
    return int(database.execute(f"select count(*) from {table}").fetchone()[0])
