"""Two days of the demo on a slice of the data, once on DuckDB and once on PostgreSQL: the same books at the end."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.domain.home import Home
from cdp_platform.warehouse.base import Warehouse
from cdp_platform.warehouse.choice import open_warehouse
from cdp_platform_tests.end_to_end.conftest import Demo, make_demo
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
LAST_DAY = "2017-12-26"
MOMENTS = ("delivered_at", "request_id", "run_id", "record_id", "digest", "ledger_id", "started_at")
"""When and by which call something was sent; all else is the same whatever the warehouse."""
BOOKS = (
    "audiences.audience_membership_history",
    "audiences.audience_assignments",
    "audiences.audience_sizes",
    "identity.identity_clusters",
    "identity.identity_person_ids",
    "cdp.sync_log",
    "activation.sync_contacts__crm",
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A demo that has run to its end."""

    demo: Demo
    printed: str
    warehouse: Warehouse

    def book(self, relation: str) -> list[dict[str, str]]:
        with self.warehouse.session("test") as session:
            rows = session.rows(f"select * from {self.warehouse.dialect.relation(relation)}")
        told = [{name: said(value) for name, value in row.items() if name not in MOMENTS} for row in rows]
        return sorted(told, key=str)

    @property
    def table(self) -> list[str]:
        """What was printed of the days and of the syncs, without where and how long."""
        lines = self.printed.splitlines()
        return [line for line in lines if line.startswith(" ") and not line.strip().startswith(("make", "cdp", "repl"))]


def said(value: Any) -> str:
    """Documents, lists of names and decimals as they are meant; spaces, order and last noughts are the engine's."""
    if isinstance(value, list):
        return ",".join(sorted(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    text = str(value)
    return json.dumps(json.loads(text), sort_keys=True) if text.startswith("{") else text


def ended(demo: Demo, home: Home, last_day: str = LAST_DAY, seconds: float = 1400) -> Ended:
    line = demo.line(*demo.demo_arguments(last_day))
    done = subprocess.run(
        line, cwd=demo.home, env=demo.environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Ended(demo=demo, printed=done.stdout, warehouse=open_warehouse(home))


@pytest.fixture(scope="module")
def embedded(slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    demo = make_demo(slice_of_retail, tmp_path_factory.mktemp("embedded"))
    return ended(demo, Home(root=demo.home / "cdp"))


@pytest.fixture(scope="module")
def server(
    slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[Ended]:
    made, address = make_demo(slice_of_retail, tmp_path_factory.mktemp("server")), postgres.new_database()
    settings = {"CDP_WAREHOUSE": "postgres", "CDP_POSTGRES": address}
    demo = replace(made, environment={**made.environment, **settings})
    home = Home(root=demo.home / "cdp", warehouse_kind="postgres", warehouse_address=address)
    found = ended(demo, home)
    yield found
    found.warehouse.close()  # type: ignore[attr-defined]


def test_the_demo_says_the_same_of_its_days_and_syncs(embedded: Ended, server: Ended) -> None:
    assert len(server.table) > 12
    assert server.table == embedded.table
    assert not (server.demo.home / "cdp" / "warehouse.duckdb").exists()


@pytest.mark.parametrize("relation", BOOKS)
def test_the_books_of_the_warehouse_are_the_same(embedded: Ended, server: Ended, relation: str) -> None:
    found = embedded.book(relation)
    assert found and server.book(relation) == found


def test_the_commands_of_every_day_answer_there(server: Ended) -> None:
    for line in (["status"], ["audience", "list"], ["audience", "show", "coupon_lovers"], ["report"]):
        done = server.demo.cdp(*line)
        assert done.returncode == 0, done.stderr[-500:]


def test_a_second_demo_finds_nothing_to_do(server: Ended) -> None:
    done = server.demo.cdp(*server.demo.demo_arguments(LAST_DAY))
    assert done.returncode == 0, done.stderr[-500:]
    assert "nothing is run again" in done.stdout and "0 records to send" in done.stdout


def test_who_is_forgotten_stands_in_no_table_any_more(server: Ended) -> None:
    with server.warehouse.session("test") as session:
        [one] = session.rows("select customer_number, email from marts.profiles order by person_id limit 1")
    done = server.demo.cdp("forget", f"customer_number:{one['customer_number']}", "--yes")
    assert "warehouse: done" in done.stdout, done.stdout + done.stderr
    for relation in ("marts.profiles", "marts.profile_identifiers", "staging.stg_retail__people", "cdp.delivered_rows"):
        assert one["email"] not in str(server.book(relation)), relation
