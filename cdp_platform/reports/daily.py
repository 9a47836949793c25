"""Read the warehouse's books into the values of the daily reports.

A table that does not exist yet makes its section None. Only what a page shows crosses into Python: lists are cut in SQL
at `SHOWN`, the counts beside them are whole.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from cdp_platform.reports.audiences import SIZES, read_audiences
from cdp_platform.reports.changes import read_created, read_field_changes
from cdp_platform.reports.people import name_people
from cdp_platform.reports.values import (
    DayReport,
    EmailChange,
    Feedback,
    Rejection,
    SyncDay,
)
from cdp_platform.warehouse.base import Row, Session, Warehouse

SHOWN = 50
_REPLAYED_AFTER = timedelta(days=31)
_RUNS, _LOG, _REJECTED = "cdp.sync_runs", "cdp.sync_log", "cdp.rejected_rows"
_CONTACTS = "raw_hubspot.contacts"
_RUN_DAY = 'coalesce(try_cast(left("partition", 10) as date), cast(started_at as date))'
_SENT = ("delivered", "rejected", "unknown")
_STANDING = ("skipped", "pending", "unchanged")


def read_days(warehouse: Warehouse, today: date) -> list[DayReport]:
    """Read every day on which something was planned, changed or read back; oldest first."""
    with warehouse.session("daily report") as session:
        days = _days(session)
        return [_read_day(session, day, today, is_newest=day == days[-1]) for day in days]


def _days(session: Session) -> list[date]:
    sources = {_RUNS: _RUN_DAY, SIZES: "as_of_on", _CONTACTS: "feedback_day"}
    selects = [f"select {day} as day from {table}" for table, day in sources.items() if session.columns(table)]
    if not selects:
        return []
    rows = session.rows(
        f"select distinct day from ({' union all '.join(selects)}) as days where day is not null order by day"
    )
    return [row["day"] for row in rows]


def _read_day(session: Session, day: date, today: date, *, is_newest: bool) -> DayReport:
    return DayReport(
        day=day,
        audiences=read_audiences(session, day, SHOWN),
        syncs=_syncs(session, day),
        rejections=_rejections(session) if is_newest else None,
        feedback=_feedback(session, day),
        is_newest=is_newest,
        is_replay=(_first_run_on(session, day) or today) - day > _REPLAYED_AFTER,
    )


def _first_run_on(session: Session, day: date) -> date | None:
    if not session.columns(_RUNS):
        return None
    found: date | None = session.rows(
        f"select min(cast(started_at as date)) as first_on from {_RUNS} where {_RUN_DAY} = ?", [day]
    )[0]["first_on"]
    return found


def _syncs(session: Session, day: date) -> tuple[SyncDay, ...] | None:
    if not session.columns(_RUNS):
        return None
    columns = ", ".join((*_SENT, *_STANDING))
    runs = session.rows(
        f"select sync, destination, {columns}, skipped_reasons from {_RUNS} where {_RUN_DAY} = ?"
        " order by destination, sync, started_at",
        [day],
    )
    by_sync: dict[tuple[str, str], list[Row]] = {}
    for run in runs:
        by_sync.setdefault((run["destination"], run["sync"]), []).append(run)
    return tuple(_sync(session, day, *key, grouped) for key, grouped in by_sync.items())


def _sync(session: Session, day: date, destination: str, sync: str, runs: list[Row]) -> SyncDay:
    sent = {name: sum(run[name] or 0 for run in runs) for name in _SENT}
    standing = {name: runs[-1][name] or 0 for name in _STANDING}
    has_log = bool(session.columns(_LOG))
    operations = _operations(session, day, destination, sync) if has_log else {}
    field_changes, not_shown = read_field_changes(session, day, destination, sync, SHOWN) if has_log else ((), 0)
    return SyncDay(
        sync=sync,
        destination=destination,
        planned=sum(sent.values()) + standing["skipped"] + standing["pending"],
        **sent,
        **standing,
        run_count=len(runs),
        operations=operations,
        skipped_reasons=_parsed_counts(runs[-1]["skipped_reasons"]),
        created=read_created(session, day, destination, sync, SHOWN) if has_log else (),
        field_changes=field_changes,
        records_not_shown=not_shown,
    )


def _operations(session: Session, day: date, destination: str, sync: str) -> dict[str, int]:
    rows = session.rows(
        f"select operation, count(*) as records from {_LOG}"
        " where sync = ? and destination = ?"
        ' and coalesce(try_cast(left("partition", 10) as date), cast(delivered_at as date)) = ?'
        " group by operation order by operation",
        [sync, destination, day],
    )
    return {row["operation"]: row["records"] for row in rows}


def _rejections(session: Session) -> tuple[Rejection, ...] | None:
    if not session.columns(_REJECTED):
        return None
    groups = session.rows(
        f"select sync, code, parameters, count(*) as rows_rejected from {_REJECTED}"
        " group by sync, code, parameters order by rows_rejected desc, sync, code, parameters"
    )
    destinations = _destinations(session)
    return tuple(_rejection(session, group, destinations) for group in groups)


def _rejection(session: Session, group: Row, destinations: Mapping[str, str]) -> Rejection:
    rows = session.rows(
        f"select primary_key from {_REJECTED} where sync = ? and code = ? and parameters is not distinct from ?"
        f" order by primary_key limit {SHOWN}",
        [group["sync"], group["code"], group["parameters"]],
    )
    people = name_people(session, (row["primary_key"] for row in rows))
    return Rejection(
        sync=group["sync"],
        destination=destinations.get(group["sync"], ""),
        code=group["code"],
        parameters=json.loads(group["parameters"] or "{}"),
        count=group["rows_rejected"],
        people=tuple(people.values()),
    )


def _destinations(session: Session) -> dict[str, str]:
    if not session.columns(_RUNS):
        return {}
    return {row["sync"]: row["destination"] for row in session.rows(f"select distinct sync, destination from {_RUNS}")}


def _feedback(session: Session, day: date) -> Feedback | None:
    if not session.columns(_CONTACTS):
        return None
    opt_outs = _read_back(session, day, "now.email_opt_out and not coalesce(before.email_opt_out, false)")
    emails = _read_back(
        session,
        day,
        "now.email_confirmed_on is not null and now.email_confirmed_on is distinct from before.email_confirmed_on",
    )
    people = name_people(session, (row["person_id"] for row in [*opt_outs[:SHOWN], *emails[:SHOWN]]))
    return Feedback(
        opt_out_count=len(opt_outs),
        email_count=len(emails),
        opt_outs=tuple(people[row["person_id"]] for row in opt_outs[:SHOWN]),
        emails=tuple(
            EmailChange(person=people[row["person_id"]], old=row["old_email"], new=row["email"])
            for row in emails[:SHOWN]
        ),
    )


def _read_back(session: Session, day: date, condition: str) -> list[Row]:
    """Contacts of the day's read-back that differ from the newest one before it in the way `condition` says."""
    return session.rows(
        f"""with before as (
            select contact_id, email, email_opt_out, email_confirmed_on from {_CONTACTS}
            where feedback_day = (select max(feedback_day) from {_CONTACTS} where feedback_day < ?)
        )
        select coalesce(now.cdp_person_id, now.contact_id) as person_id, now.email, before.email as old_email
        from {_CONTACTS} as now left join before on now.contact_id = before.contact_id
        where now.feedback_day = ? and {condition} order by 1""",
        [day, day],
    )


def _parsed_counts(document: str | None) -> dict[str, int]:
    counts: Iterable[tuple[str, int]] = json.loads(document or "{}").items()
    return {name: count for name, count in counts if count}
