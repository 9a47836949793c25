"""Read the sync log: what the destination accepted on a day, field by field.

Thousands of records may change in the same two fields every day. So the rarest changes come first: the fields that
changed in the fewest records are what a person wants to see.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

from cdp_platform.reports.people import name_people
from cdp_platform.reports.values import FieldChange, Named
from cdp_platform.warehouse.base import Row, Session

_OF_THE_DAY = (
    "from cdp.sync_log where sync = ? and destination = ?"
    ' and coalesce(try_cast(left("partition", 10) as date), cast(delivered_at as date)) = ?'
)
_FIRST = ("withdraw", "remove")


def read_created(session: Session, day: date, destination: str, sync: str, limit: int) -> tuple[Named, ...]:
    """Read who got a record on that day, at most `limit` people."""
    rows = session.rows(
        f"select distinct primary_key {_OF_THE_DAY} and operation = 'create' order by primary_key limit {limit}",
        [sync, destination, day],
    )
    return tuple(name_people(session, (row["primary_key"] for row in rows)).values())


def read_field_changes(
    session: Session, day: date, destination: str, sync: str, limit: int
) -> tuple[tuple[FieldChange, ...], int]:
    """Read at most `limit` changed fields of records that existed before, and how many records are not among them."""
    key = [sync, destination, day]
    groups = session.rows(
        f"select operation, changed, count(*) as records {_OF_THE_DAY} and operation <> 'create'"
        " group by operation, changed",
        key,
    )
    frequency = _frequency(groups)
    shown: list[Row] = []
    for group in sorted(groups, key=lambda group: _rarity(group, frequency)):
        if len(shown) >= limit:
            break
        shown += session.rows(
            f"select primary_key, operation, changed, payload, previous {_OF_THE_DAY}"
            f" and operation = ? and changed is not distinct from ? order by primary_key limit {limit - len(shown)}",
            [*key, group["operation"], group["changed"]],
        )
    people = name_people(session, (row["primary_key"] for row in shown))
    changes: list[FieldChange] = []
    records_shown = 0
    for row in shown:
        told = _changes_of(row, people[row["primary_key"]], frequency)
        if changes and len(changes) + len(told) > limit:
            break
        changes += told
        records_shown += 1
    return tuple(changes[:limit]), sum(group["records"] for group in groups) - records_shown


def _changes_of(row: Row, person: Named, frequency: Counter[str]) -> list[FieldChange]:
    after, before = _document(row["payload"]), _document(row["previous"])
    names = _fields(row) or sorted(before)
    return [
        FieldChange(person=person, operation=row["operation"], field=name, old=before.get(name), new=after.get(name))
        for name in sorted(names, key=lambda name: (frequency[name], name))
    ]


def _frequency(groups: Sequence[Row]) -> Counter[str]:
    frequency: Counter[str] = Counter()
    for group in groups:
        frequency.update(dict.fromkeys(_fields(group), group["records"]))
    return frequency


def _rarity(group: Row, frequency: Counter[str]) -> tuple[bool, int, str, str]:
    rarest = min((frequency[name] for name in _fields(group)), default=0)
    return group["operation"] not in _FIRST, rarest, group["operation"], group["changed"] or ""


def _fields(row: Row) -> list[str]:
    names: list[str] = json.loads(row["changed"] or "[]")
    return names


def _document(text: str | None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text or "{}")
    return document
