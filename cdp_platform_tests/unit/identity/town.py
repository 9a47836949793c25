"""A town of records behind the tests: put records in, resolve, and see who is one person."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pyarrow as pa

from cdp_platform.identity.graph import Connect, connect_in_memory
from cdp_platform.identity.resolve import Resolution, resolve_all, resolve_changes
from cdp_platform.identity.rule_file import read_rules
from cdp_platform.identity.rules import Rules
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

COLUMNS = ("key", "source", "email", "phone", "name")
START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = """
    records: {key: key, source: source}
    fields:
      email: {columns: email, blocked: [none@example.com]}
      phone: phone
      name: name
    rules:
      - {name: email, match: {email: email}, cap: 4}
      - {name: phone, match: {phone: phone(TW)}, cap: 3}
      - {name: name_and_phone, match: {name: name, phone: [digits, prefix(3)]}}
    largest_cluster: 6
"""
Row = dict[str, str]


def rules_of(folder: Path, text: str = RULES) -> Rules:
    path = folder / "rules.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return read_rules(path)


class Town:
    """One warehouse; each resolution is a day later than the one before."""

    def __init__(self, folder: Path, rules: Rules | None = None, connect: Connect = connect_in_memory) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.warehouse = DuckDbWarehouse(folder / "warehouse.duckdb")
        self.rules = rules or rules_of(folder)
        self.connect = connect
        self.day = 0
        self.place: object = None

    def resolve(self, rows: Iterable[Row]) -> Resolution:
        return resolve_all(self.warehouse, self.rules, **self._given("records", rows))

    def add(self, rows: Iterable[Row], gone: Sequence[str] = ()) -> Resolution:
        given = self._given("changes", rows)
        self._put("gone", pa.table({"record_key": pa.array(gone, pa.string())}))
        return resolve_changes(self.warehouse, self.rules, gone="town.gone", **given)

    def people(self) -> set[frozenset[str]]:
        """Who is together."""
        together: dict[str, set[str]] = {}
        for key, person in self.person_of().items():
            together.setdefault(person, set()).add(key)
        return {frozenset(keys) for keys in together.values()}

    def person_of(self) -> dict[str, str]:
        return {row["record_key"]: row["person_id"] for row in self.table("clusters")}

    def table(self, name: str) -> list[dict[str, Any]]:
        with self.warehouse.session("test") as session:
            return session.rows(f"select * from identity.identity_{name} order by all")

    def _given(self, table: str, rows: Iterable[Row]) -> dict[str, Any]:
        held = list(rows)
        columns = {name: pa.array([row.get(name) for row in held], pa.string()) for name in COLUMNS}
        self._put(table, pa.table(columns))
        self.day += 1
        moment = START + timedelta(days=self.day)
        return {"records": f"town.{table}", "schema": "identity", "resolved_at": moment, "connect": self.connect}

    def _put(self, name: str, table: pa.Table) -> None:
        with self.warehouse.session("test") as session:
            session.register("given", table)
            session.execute("create schema if not exists town")
            session.execute(f"create or replace table town.{name} as select * from given")


def record(key: str, **values: str) -> Row:
    return {"key": key, "source": "shop", **values}


def together(*groups: str) -> set[frozenset[str]]:
    """`together("a b", "c")`: a and b are one person, c another."""
    return {frozenset(group.split()) for group in groups}
