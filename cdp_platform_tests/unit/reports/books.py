"""A small warehouse with two days of books, for the tests of the report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from cdp_platform.warehouse.duckdb import DuckDbWarehouse

FIRST, SECOND = "2017-12-25", "2017-12-26"
TABLES = (
    "create schema cdp",
    "create schema marts",
    "create schema audiences",
    "create schema raw_hubspot",
    """create table cdp.sync_runs (run_id varchar, sync varchar, destination varchar, ledger_id varchar,
        "partition" varchar, digest varchar, planned bigint, delivered bigint, rejected bigint, unknown bigint,
        skipped bigint, pending bigint, unchanged bigint, model_rows bigint, operations varchar,
        skipped_reasons varchar, status varchar, started_at timestamptz, ended_at timestamptz)""",
    """create table cdp.sync_log (ledger_id varchar, sync varchar, destination varchar, primary_key varchar,
        operation varchar, changed varchar, payload varchar, previous varchar, digest varchar, run_id varchar,
        "partition" varchar, record_id varchar, delivered_at timestamptz)""",
    """create table cdp.rejected_rows (ledger_id varchar, sync varchar, primary_key varchar, operation varchar,
        code varchar, parameters varchar, attempts bigint, first_at timestamptz, last_at timestamptz,
        next_at timestamptz)""",
    "create table marts.profiles (person_id varchar, first_name varchar, last_name varchar, email varchar)",
    """create table audiences.audience_sizes (audience varchar, as_of_on date, member_count bigint,
        entered_count bigint, left_count bigint, words varchar)""",
    """create table audiences.audience_membership_changes (audience varchar, person_id varchar, changed_on date,
        change varchar, reason varchar, condition_number integer, value varchar)""",
    """create table raw_hubspot.contacts (feedback_day date, contact_id varchar, cdp_person_id varchar, email varchar,
        email_opt_out boolean, email_confirmed_on date)""",
)


class Books:
    """Writes rows as the platform would, one call a row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_sql(*TABLES)

    @property
    def warehouse(self) -> DuckDbWarehouse:
        return DuckDbWarehouse(self.path)

    def run_sql(self, *statements: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)

    def person(self, person_id: str, first_name: str, last_name: str) -> None:
        email = f"{person_id}@example.com"
        self._insert("marts.profiles", [person_id, first_name, last_name, email])

    def audience(
        self, day: str, *, members: int = 1, entered: int | None = None, left: int | None = None, **words: Any
    ) -> None:
        """An audience's day; without `entered` and `left` its first one."""
        row = ["lapsed_loyalists", day, members, entered, left, json.dumps(words) if words else None]
        self._insert("audiences.audience_sizes", row)

    def change(
        self, person_id: str, day: str, change: str, reason: str, condition: int | None = None, value: str | None = None
    ) -> None:
        row = ["lapsed_loyalists", person_id, day, change, reason, condition, value]
        self._insert("audiences.audience_membership_changes", row)

    def run(self, day: str | None, started_at: str = "2026-11-22 10:00:00+00", **counts: Any) -> None:
        operations, reasons = counts.pop("operations", {}), counts.pop("reasons", {})
        names = ("planned", "delivered", "rejected", "unknown", "skipped", "pending", "unchanged", "model_rows")
        books = [counts.get(name, 0) for name in names]
        sync, destination = counts.pop("sync", "crm_contacts"), counts.pop("destination", "hubspot")
        key = ["run", sync, destination, "ledger", day, "digest"]
        texts = [json.dumps(operations), json.dumps(reasons), "complete", started_at, started_at]
        self._insert("cdp.sync_runs", [*key, *books, *texts])

    def sent(self, person_id: str, day: str, operation: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        changed = [name for name in after if after[name] != before.get(name)]
        documents = [json.dumps(changed), json.dumps(after), json.dumps(before) if before else None]
        key = ["ledger", "crm_contacts", "hubspot", person_id, operation]
        self._insert("cdp.sync_log", [*key, *documents, "digest", "run", day, "1", "2026-11-22 10:00:00+00"])

    def rejected(self, person_id: str, code: str, **parameters: str) -> None:
        at = "2026-11-22 10:00:00+00"
        row = ["ledger", "crm_contacts", person_id, "update", code, json.dumps(parameters), 1, at, at, at]
        self._insert("cdp.rejected_rows", row)

    def contact(self, person_id: str, day: str, *, opt_out: bool = False, confirmed_on: str | None = None) -> None:
        email = f"{person_id}.new@example.com" if confirmed_on else f"{person_id}@example.com"
        self._insert("raw_hubspot.contacts", [day, f"c{person_id}", person_id, email, opt_out, confirmed_on])

    def _insert(self, table: str, row: Sequence[Any]) -> None:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"insert into {table} values ({', '.join('?' * len(row))})", list(row))
