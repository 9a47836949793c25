"""Judges a sync of events against the vendor's own log, and shares no code with the engine; no fault: an empty list."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb


def check_events(root: Path, processed: Sequence[str]) -> list[str]:
    """Say what is wrong once the sync is quiet: no event twice, ever, and none missing that is not unknown."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
        model = _column(warehouse, "select event_id from activation.events")
        delivered = _column(warehouse, "select primary_key from cdp.sync_log")
        unknown = _column(warehouse, "select primary_key from cdp.unknown_rows where resolved_at is null")
        rejected = _column(warehouse, "select primary_key from cdp.rejected_rows")
        runs = _rows(warehouse, "select * from cdp.sync_runs")
        logged = _rows(warehouse, "select run_id, count(*) as n from cdp.sync_log group by run_id")
        resolved = _rows(
            warehouse,
            "select run_id, count(*) as n from cdp.unknown_rows"
            " where resolved_as = 'delivered' and resolved_by not like 'run-%' group by run_id",
        )
    log, said = set(processed), set(delivered)
    wrong = [f"G3: {event} was processed {count} times" for event, count in Counter(processed).items() if count > 1]
    wrong += [f"the log has {event} twice" for event, count in Counter(delivered).items() if count > 1]
    wrong += [f"{event} is unknown twice" for event, count in Counter(unknown).items() if count > 1]
    wrong += [f"{event} is both delivered and unknown" for event in said & set(unknown)]
    wrong += [f"G1: {event} is said to be delivered and was not processed" for event in said - log]
    wrong += [f"G3: {event} was processed and nobody speaks of it" for event in log - said - set(unknown)]
    missing = set(model) - log - set(unknown) - set(rejected)
    wrong += [f"G2: {event} is missing and not unknown" for event in missing]
    return [*wrong, *_judge_books(runs, _counts(logged), _counts(resolved))]


def unknown_events(root: Path) -> set[str]:
    """The events of which the platform says that nobody knows."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
        return set(_column(warehouse, "select primary_key from cdp.unknown_rows where resolved_at is null"))


def _judge_books(runs: list[dict[str, Any]], logged: dict[str, int], resolved: dict[str, int]) -> list[str]:
    wrong = []
    for run in runs:
        ended = sum(run[name] for name in ("delivered", "rejected", "unknown", "skipped", "pending"))
        if run["planned"] != ended or min(run["planned"], run["pending"]) < 0:
            wrong.append(f"G14: {run['run_id']} planned {run['planned']} and accounts for {ended}")
        if run["delivered"] + resolved.get(run["run_id"], 0) != logged.get(run["run_id"], 0):
            wrong.append(f"G14: {run['run_id']} says {run['delivered']} delivered, the sync log does not")
    return wrong


def _counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {row["run_id"]: row["n"] for row in rows}


def _column(warehouse: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    return [value for (value,) in warehouse.execute(sql).fetchall()]


def _rows(warehouse: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = warehouse.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
