"""What every day of the replay did, read from the warehouse: the table at the end of the demo."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from rich import box
from rich.table import Table

from cdp_platform.warehouse.base import Session, Warehouse

_COLUMNS: Final = (
    ("rows", "rows in"),
    ("people", "people"),
    ("entered", "entered"),
    ("left", "left"),
    ("creates", "create"),
    ("updates", "update"),
    ("withdrawals", "withdraw"),
    ("removals", "remove"),
    ("delivered", "delivered"),
    ("rejected", "rejected"),
    ("skipped", "skipped"),
    ("read_back", "read back"),
)


@dataclass(frozen=True, kw_only=True)
class DayRow:
    """One day of the replay, all syncs together. All are rows or people; `people` of the largest source model."""

    day: date
    rows: int
    people: int
    entered: int
    left: int
    creates: int
    updates: int
    withdrawals: int
    removals: int
    delivered: int
    rejected: int
    skipped: int
    read_back: int


def read_day_rows(warehouse: Warehouse, days: Sequence[date]) -> list[DayRow]:
    """Read the days, all syncs together; a table that is not there yet counts as zero."""
    with warehouse.session("the table of the days") as session:
        return [_read(session, day) for day in days]


def narrow_table(title: str) -> Table:
    """An empty table of the demo, which fits into 120 characters."""
    return Table(
        title=title,
        header_style="bold",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=0,
        collapse_padding=True,
    )


def day_table(rows: Sequence[DayRow]) -> Table:
    """Lay the days out for a terminal."""
    table = narrow_table("The replayed days")
    table.add_column("day", no_wrap=True)
    for _, title in _COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.day.isoformat(), *(f"{getattr(row, name):,}" for name, _ in _COLUMNS))
    return table


def _read(session: Session, day: date) -> DayRow:
    loaded = (
        _count(session, "raw_retail.transactions", "transaction_day = ?", [day]),
        _count(session, "raw_retail.coupon_redemptions", "redemption_day = ?", [day]),
    )
    runs = _runs(session, day)
    operations = [json.loads(run["operations"] or "{}") for run in runs]
    return DayRow(
        day=day,
        rows=sum(loaded),
        people=max((run["model_rows"] for run in runs), default=0),
        entered=_changed(session, day, "entered"),
        left=_changed(session, day, "left"),
        creates=_sum(operations, "create"),
        updates=_sum(operations, "update"),
        withdrawals=_sum(operations, "withdraw"),
        removals=_sum(operations, "remove"),
        delivered=_sum(runs, "delivered"),
        rejected=_sum(runs, "rejected"),
        skipped=_standing(runs, "skipped"),
        read_back=_count(session, "raw_hubspot.contacts", "feedback_day = ?", [day]),
    )


def _runs(session: Session, day: date) -> list[dict[str, Any]]:
    if not session.columns("cdp.sync_runs"):
        return []
    return session.rows(
        "select sync, operations, model_rows, delivered, rejected, skipped from cdp.sync_runs"
        ' where "partition" = ? order by sync, ended_at',
        [day.isoformat()],
    )


def _standing(runs: Sequence[Mapping[str, Any]], name: str) -> int:
    """Add up what stood at the end of each sync's last run of the day."""
    return sum({run["sync"]: run[name] or 0 for run in runs}.values())


def _changed(session: Session, day: date, change: str) -> int:
    return _count(session, "audiences.audience_membership_changes", "changed_on = ? and change = ?", [day, change])


def _count(session: Session, relation: str, condition: str, parameters: list[Any]) -> int:
    if not session.columns(relation):
        return 0
    [row] = session.rows(f"select count(*) as row_count from {relation} where {condition}", parameters)
    return int(row["row_count"])


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(row.get(name) or 0 for row in rows)
