"""Identity of a million people: all records, a day's new ones, and all again, in a warehouse of its own.

    python benchmarks/identity.py WORKDIR [PEOPLE] [memory|sql]

A person has one record or more, 1.75 on average, each with an e-mail address and a telephone number: 3.5 million edges
for a million people. A day brings 0.3 % new records, half of them of people who are known by their address.
"""

import resource
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cdp_platform.identity.graph import connect_in_memory, connect_in_sql
from cdp_platform.identity.resolve import Resolution, resolve_all, resolve_changes
from cdp_platform.identity.rule_file import read_rules
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

RULES = """
records: {key: record_key, source: source}
fields: {email: email, phone: phone}
rules:
  - {name: email, match: {email: email}}
  - {name: phone, match: {phone: phone(TW)}}
"""


def make_records(warehouse: DuckDbWarehouse, people: int) -> None:
    """Make `bench.records` and `bench.day`, the same each time."""
    records = people * 7 // 4
    with warehouse.session("benchmark") as session:
        session.execute("create schema bench")
        session.execute(
            "create table bench.records as select 'r' || i as record_key, 'shop' as source,"
            " 'user' || person || '.' || md5_number_lower(i || 'e') % 3 || '@example.com' as email,"
            " '09' || lpad(cast((person * 10 + md5_number_lower(i || 'p') % 2) % 100000000 as varchar), 8, '0')"
            " as phone"
            f" from (select i, case when i < {people} then i else md5_number_lower(i || 'h') % {people} end as person"
            f" from range({records}) as numbers (i)) as drawn"
        )
        session.execute(
            "create table bench.day as select 'n' || i as record_key, 'shop' as source,"
            f" 'user' || md5_number_lower(i || 'n') % {people} || '.' || i % 3 || '@example.com' as email,"
            f" '09' || lpad(cast((({people} + i) * 10) % 100000000 as varchar), 8, '0') as phone"
            f" from range({records * 3 // 1000}) as numbers (i)"
        )


def measure(name: str, run: Callable[[], Resolution]) -> None:
    """Print wall and CPU seconds, the process's peak so far, and what was found."""
    started, used = time.monotonic(), time.process_time()
    found = run()
    wall, cpu = time.monotonic() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{name:12} {wall:6.1f} s wall {cpu:6.1f} s CPU  peak {peak:,} MB  {found.record_count:,} records,"
        f" {found.edge_count:,} edges → {found.person_count:,} people, {found.passes} passes",
        flush=True,
    )


def main(folder: Path, people: int, way: str) -> None:
    """Measure in a folder that is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    rules = read_rules(folder / "rules.yaml")
    warehouse = DuckDbWarehouse(folder / "warehouse.duckdb")
    make_records(warehouse, people)
    connect = {"memory": connect_in_memory, "sql": connect_in_sql}[way]

    def at(day: int) -> datetime:
        return datetime(2026, 1, day, tzinfo=UTC)

    def whole(day: int) -> Resolution:
        return resolve_all(
            warehouse, rules, records="bench.records", schema="identity", resolved_at=at(day), connect=connect
        )

    measure("all, first", lambda: whole(1))
    measure(
        "a day",
        lambda: resolve_changes(
            warehouse, rules, records="bench.day", schema="identity", resolved_at=at(2), connect=connect
        ),
    )
    measure("all, again", lambda: whole(3))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000, (sys.argv[3:] or ["memory"])[0])
