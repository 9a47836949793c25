"""Alerts: what is wrong with the syncs, and the book of what people were told.

An alert follows a change of state and not a run: a condition that holds on is told once, and once more when it is over.
The book lies in the journal. A channel that could not be reached is tried again; the others are not told twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from cdp_platform.domain.alerts import AlertKind, Change, Condition
from cdp_platform.domain.outcomes import RunStatus
from cdp_platform.domain.plans import Plan
from cdp_platform.syncs import controls
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import ensure_tables
from cdp_platform.warehouse.base import Row, Warehouse

_LAST_RUNS = """
select sync, status, planned, rejected, pending, ended_at
from cdp.sync_runs
qualify row_number() over (partition by sync order by ended_at desc) = 1"""
_UNRESOLVED = """
select sync, count(*) as row_count, min(first_at) as since
from cdp.unknown_rows where resolved_at is null group by sync"""


def sync_conditions(
    journal: Journal, warehouse: Warehouse, *, owners: Mapping[str, str], rejected_share: float
) -> list[Condition]:
    """Say what is wrong with the syncs now.

    `owners` by sync; `rejected_share` is the share of its planned rows that a run may have rejected (0 to 1).
    """
    with warehouse.session("alerts") as session:
        ensure_tables(session)
        runs = {row["sync"]: row for row in session.rows(_LAST_RUNS)}
        doubts = session.rows(_UNRESOLVED)
    found = [
        Condition(
            kind=AlertKind.UNKNOWN_ROWS,
            subject=row["sync"],
            owner=owners.get(row["sync"], ""),
            since=row["since"],
            count=row["row_count"],
        )
        for row in doubts
    ]
    for name in journal.syncs():
        plan, run, owner = journal.plan(name), runs.get(name), owners.get(name, "")
        if plan is not None and controls.is_enabled(journal, name):
            found += _of_plan(journal, plan, owner)
        if run is not None:
            found += _of_run(name, run, owner, rejected_share)
    return found


def _of_plan(journal: Journal, plan: Plan, owner: str) -> list[Condition]:
    failed = [verdict.code for verdict in plan.verdicts if not verdict.passed]
    if not failed or controls.waiting_approval(journal, plan.sync, plan.digest):
        return []
    return [
        Condition(
            kind=AlertKind.STOPPED,
            subject=plan.sync,
            owner=owner,
            since=plan.made_at,
            count=plan.to_send,
            details={"guards": ", ".join(failed), "digest": plan.digest[:12]},
        )
    ]


def _of_run(name: str, run: Row, owner: str, rejected_share: float) -> list[Condition]:
    about = {"subject": name, "owner": owner, "since": run["ended_at"]}
    found = []
    if run["status"] == RunStatus.DEFERRED:
        found.append(Condition(kind=AlertKind.DEFERRED, count=run["pending"], **about))
    if run["planned"] and run["rejected"] > rejected_share * run["planned"]:
        found.append(Condition(kind=AlertKind.REJECTED, count=run["rejected"], **about))
    return found


def changes(journal: Journal, conditions: Sequence[Condition], *, channels: frozenset[str]) -> list[Change]:
    """Note the conditions that hold now, and return what began or ended and is not told to all of `channels` yet.

    What ended before anybody was told of it is not told at all.
    """
    holding = {condition.key: condition for condition in conditions}
    with journal.transaction() as connection:
        known = {(row[0], row[1]): row for row in connection.execute("select * from alerts")}
        for key, condition in holding.items():
            if key not in known or known[key][3]:
                connection.execute(
                    "insert into alerts values (?, ?, ?, 0, '[]') on conflict (kind, subject) do update"
                    " set condition = excluded.condition, is_over = 0, told = '[]'",
                    [*key, _document(condition)],
                )
        for key, row in known.items():
            if key not in holding and not row[3]:
                if json.loads(row[4]):
                    connection.execute("update alerts set is_over = 1, told = '[]' where kind = ? and subject = ?", key)
                else:
                    connection.execute("delete from alerts where kind = ? and subject = ?", key)
        rows = connection.execute("select * from alerts order by kind, subject").fetchall()
    noted = [_change(row) for row in rows]
    return [change for change in noted if not channels <= change.told]


def note_told(journal: Journal, change: Change, channel: str, *, channels: frozenset[str]) -> None:
    """Note that a channel was told of a change; one that is over and told to all leaves the book."""
    key = change.condition.key
    with journal.transaction() as connection:
        row = connection.execute("select told from alerts where kind = ? and subject = ?", key).fetchone()
        told = {*json.loads(row[0] if row else "[]"), channel}
        if change.is_over and channels <= told:
            connection.execute("delete from alerts where kind = ? and subject = ?", key)
        else:
            sql = "update alerts set told = ? where kind = ? and subject = ?"
            connection.execute(sql, [json.dumps(sorted(told)), *key])


def _document(condition: Condition) -> str:
    return json.dumps(asdict(condition) | {"since": condition.since.astimezone(UTC).isoformat()})


def _change(row: tuple[str, str, str, int, str]) -> Change:
    told = json.loads(row[2])
    told |= {"kind": AlertKind(told["kind"]), "since": datetime.fromisoformat(told["since"])}
    return Change(condition=Condition(**told), is_over=bool(row[3]), told=frozenset(json.loads(row[4])))
