"""Judges the books against the destination's own log, in plain SQL and plain HTTP.

Shares no code with the engine: what it knows of the tables stands in the reference of the warehouse, what it knows of
the sandbox in the sandbox's own pages. It answers with what is wrong, in words; nothing is an empty list.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import requests

MODEL_SQL = """
select model.person_id, lower(model.email) as email, model.email_permission, model.rfm_segment,
    cast(cast(model.lifetime_value as decimal(12,2)) as varchar) as lifetime_value,
    strftime(model.last_order_on, '%Y-%m-%d') as last_order_on,
    coalesce(consents.status, 'never_asked') as permission
from activation.people as model
left join marts.consents as consents on consents.identifier = lower(model.email)"""
VALUES = ("email", "email_permission", "rfm_segment", "lifetime_value", "last_order_on")
OPEN_SPANS = """
select spans from requests as intent where status = 'intent' and not exists (
    select 1 from requests as later
    where later.digest = intent.digest and later.batch = intent.batch and later.number > intent.number)"""
Contacts = dict[str, dict[str, str]]


def read_contacts(sandbox_url: str) -> Contacts:
    """Build the destination's records from its own log: person id → fields that have a value."""
    by_id: dict[str, dict[str, str]] = defaultdict(dict)
    after = 0
    while page := requests.get(f"{sandbox_url}/sandbox/writes?after={after}&limit=1000", timeout=10).json()["results"]:
        for line in page:
            for name, (_, new) in line["properties"].items():
                by_id[line["contact_id"]][name] = new
            if line["operation"] == "archive":
                by_id.pop(line["contact_id"])
        after = page[-1]["seq"]
    contacts: Contacts = {}
    for fields in by_id.values():
        present = {name: value for name, value in fields.items() if value not in (None, "")}
        assert present["cdp_person_id"] not in contacts, "one person has two records"
        contacts[present["cdp_person_id"]] = present
    return contacts


def check(root: Path, sandbox_url: str) -> list[str]:
    """Say what is wrong once a sync is quiet: G1, G2, G14 and the sync log."""
    contacts = read_contacts(sandbox_url)
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
        books = _Books(warehouse)
    return [
        *_judge_rows(books, contacts),
        *_judge_ledger(books, contacts),
        *_judge_books(books),
    ]


def rows_in_flight(root: Path) -> int:
    """Count the rows of requests of which the journal knows the intent and nothing else."""
    if not (root / "journal.sqlite").exists():
        return 0
    with closing(sqlite3.connect(root / "journal.sqlite")) as journal:
        open_spans = journal.execute(OPEN_SPANS).fetchall()
    return count_rows(open_spans)


def count_rows(open_spans: Sequence[tuple[str]]) -> int:
    """Count the rows that lines of the journal tell of."""
    return sum(last - first + 1 for (spans,) in open_spans for first, last in json.loads(spans))


class _Books:
    """What the warehouse says, read once."""

    def __init__(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        self._warehouse = warehouse
        ledgers = self.rows("select ledger_id from cdp.ledgers where account_id <> 'not-asked'")
        assert len(ledgers) == 1, "there is not exactly one ledger"
        table = f"cdp.ledger_{ledgers[0]['ledger_id']}"
        self.ledger = {row["key"]: row["fingerprint"] for row in self.rows(f"select * from {table}")}
        self.ledger_rows = self.rows(f"select count(*) as n from {table}")[0]["n"]
        self.model = {row["person_id"]: row for row in self.rows(MODEL_SQL)}
        self.rejected = {row["primary_key"]: row["code"] for row in self.rows("select * from cdp.rejected_rows")}
        self.log = self.rows("select * from cdp.sync_log order by version")
        self.runs = self.rows("select * from cdp.sync_runs")

    def rows(self, sql: str) -> list[dict[str, Any]]:
        cursor = self._warehouse.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _judge_rows(books: _Books, contacts: Contacts) -> list[str]:
    """G2: every row that may be sent is at the destination as the model has it, or is rejected with a reason."""
    wrong = []
    for key, row in books.model.items():
        is_held = books.ledger.get(key) is not None
        if key in books.rejected:
            if not books.rejected[key]:
                wrong.append(f"G2: {key} is rejected without a reason")
        elif row["permission"] == "granted":
            if not is_held or not _agrees(row, contacts.get(key), VALUES):
                wrong.append(f"G2: {key} should be delivered; ledger {is_held}, destination {contacts.get(key)}")
        elif row["permission"] == "withdrawn" and key in books.ledger:
            if not is_held or not _agrees(row, contacts.get(key), ("email_permission",)):
                wrong.append(f"G2: the withdrawal of {key} did not arrive")
        elif key in contacts:
            wrong.append(f"G13: {key} ({row['permission']}) was written to")
    return wrong


def _judge_ledger(books: _Books, contacts: Contacts) -> list[str]:
    """G1: what the ledger says was accepted is what the sync log says, and what the destination holds."""
    said: dict[str, dict[str, Any]] = {}
    for line in books.log:
        # A line tells all that is known of the record then: after an unanswered request, what was sent alone.
        said[line["primary_key"]] = json.loads(line["payload"])
    wrong = [f"the ledger holds {books.ledger_rows - len(books.ledger)} keys twice"] * (
        books.ledger_rows != len(books.ledger)
    )
    for key, fingerprint in books.ledger.items():
        fields = {name: value for name, value in said.get(key, {}).items() if name != "cdp_person_id"}
        if fingerprint is not None and not (fields and _agrees(fields, contacts.get(key), tuple(fields))):
            wrong.append(f"G1: the ledger has {key} as {fields}, the destination as {contacts.get(key)}")
    wrong += [f"G1: the destination holds {key}, the ledger does not" for key in contacts if key not in books.ledger]
    return wrong


def _judge_books(books: _Books) -> list[str]:
    """G14: each run's books balance, its delivered rows stand in the log, and no (key, version) stands there twice."""
    wrong = []
    logged: dict[str, int] = defaultdict(int)
    seen = set()
    for line in books.log:
        # A moved key takes what was delivered before with it, and is no delivery.
        logged[line["run_id"]] += int(line["operation"] != "move")
        place = (line["primary_key"], line["version"])
        if place in seen:
            wrong.append(f"the sync log has {place} twice")
        seen.add(place)
    for run in books.runs:
        ended = sum(run[name] for name in ("delivered", "rejected", "unknown", "skipped", "pending"))
        if run["planned"] != ended or min(run["planned"], run["pending"]) < 0:
            wrong.append(f"G14: {run['run_id']} planned {run['planned']} and accounts for {ended}")
        if run["delivered"] != logged.pop(run["run_id"], 0):
            wrong.append(f"G14: {run['run_id']} says {run['delivered']} delivered, the sync log does not")
    return wrong + [f"G14: the sync log knows {run_id}, the runs do not" for run_id, rows in logged.items() if rows]


def _agrees(wanted: dict[str, Any], found: dict[str, str] | None, names: tuple[str, ...]) -> bool:
    if found is None:
        return False
    return all(_text(name, wanted[name]) == found.get(name, "") for name in names)


def _text(name: str, value: Any) -> str:
    text = "" if value is None else str(value)
    return text.lower() if name == "email" else text
