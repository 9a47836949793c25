"""The models of the project say the same on PostgreSQL as on DuckDB, row by row, and stay while others are built."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from cdp_platform.audiences.membership import take_over
from cdp_platform.components.audience_catalogue import read_catalogue
from cdp_platform.components.clock import set_clock
from cdp_platform.components.dbt_project import DbtProject, DbtResult
from cdp_platform.components.dlt_destination import dlt_destination
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError
from cdp_platform.identity.present import update
from cdp_platform.identity.rule_file import read_rules
from cdp_platform.ingest import retail
from cdp_platform.ingest.declared import DeclaredTable, Reading
from cdp_platform.ingest.load import load_table
from cdp_platform.warehouse.base import Warehouse
from cdp_platform.warehouse.choice import open_warehouse
from cdp_platform_tests.dbt.conftest import AUDIENCES, PROJECT, RULES, read_audience
from cdp_platform_tests.small_sources import HOUSEHOLDS_UP_TO, small_sources
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DAYS = (date(2017, 12, 1), date(2017, 12, 27))
BUILT = {"success", "pass", "warn", "no-op"}


@dataclass(frozen=True, kw_only=True)
class House:
    """A home with its warehouse and the project on it."""

    home: Home
    project: DbtProject
    warehouse: Warehouse

    def load(self, faces: Sequence[tuple[DeclaredTable, Reading]]) -> None:
        for table in retail.TABLES.values():
            rows = retail.read_table(table.name, DAYS)
            if "household_id" in table.schema.names:
                rows = rows.filter(pc.less_equal(rows["household_id"], HOUSEHOLDS_UP_TO))
            self._load(rows, table.name, "raw_retail")
        for declared, reading in faces:
            self._load(reading.rows, declared.name, f"raw_{declared.source}")

    def _load(self, rows: Any, name: str, dataset: str) -> None:
        with self.warehouse.exclusive("test"):
            load_table(
                rows,
                name=name,
                dataset=dataset,
                destination=dlt_destination(self.home, {}),
                pipelines_dir=self.home.dlt,
            )

    def names(self, tag: str) -> list[str]:
        """The models of one op, and the tests on them."""
        manifest = self.project.manifest()
        chosen = [key for key in manifest.models if self._op(key) == tag]
        tests = [manifest.tests[key]["name"] for key in manifest.check_specs(chosen)]
        return [manifest.models[key]["name"] for key in chosen] + tests

    def _op(self, key: str) -> str:
        manifest = self.project.manifest()
        is_person = "person" in manifest.models[key]["tags"]
        return "activation" if manifest.audiences_above(key) else "person" if is_person else "facts"

    def build(self, tag: str, days: tuple[date, date] | None = None) -> dict[str, DbtResult]:
        bounds = (days[0].isoformat(), (days[1] + timedelta(days=1)).isoformat()) if days else None
        with self.warehouse.exclusive("test"):
            done = self.project.build(self.names(tag), bounds)
        broken = {one.unique_id: one.message for one in done.values() if one.status not in BUILT}
        assert not broken, broken
        return done

    def live(self, day: date, facts: tuple[date, date]) -> None:
        """A day of the loop without its syncs."""
        set_clock(self.warehouse, day)
        self.build("facts", facts)
        records = "intermediate.int_identity_records"
        update(self.warehouse, read_rules(RULES), records=records, schema="identity", as_of=day)
        self.build("person")
        known = read_catalogue(self.project.manifest())
        with self.warehouse.session("test") as session:
            for name in AUDIENCES:
                take_over(session, self.warehouse.dialect, read_audience(name, known), known, as_of=day)
        self.build("activation")

    def rows(self, relation: str) -> list[tuple[str, ...]]:
        with self.warehouse.session("test") as session:
            found = session.rows(f"select * from {self.warehouse.dialect.relation(relation)}")
        return sorted(tuple(f"{name}={plain(value)}" for name, value in row.items()) for row in found)


def plain(value: Any) -> str:
    """A value as both engines have it: a sum of whole numbers may be a decimal in one of them."""
    match value:
        case Decimal():
            return f"{value.normalize():f}"
        case datetime() if value.tzinfo:
            return value.astimezone(UTC).isoformat()
    return str(value)


def house(home: Home) -> House:
    return House(home=home, project=DbtProject(folder=PROJECT, home=home), warehouse=open_warehouse(home))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("houses")


@pytest.fixture(scope="module")
def both(folder: Path, postgres: PostgresServer) -> Iterator[tuple[House, House]]:
    """Two days of the loop on each engine; the second replaces one day of the facts."""
    address = postgres.new_database()
    embedded = house(Home(root=folder / "embedded"))
    server = house(Home(root=folder / "server", warehouse_kind="postgres", warehouse_address=address))
    faces = list(small_sources(folder / "demo"))
    for one in (embedded, server):
        one.load(faces)
        one.live(DAYS[1] - timedelta(days=1), DAYS)
        one.live(DAYS[1], (DAYS[1], DAYS[1]))
    yield embedded, server
    server.warehouse.close()  # type: ignore[attr-defined]


def test_every_table_that_dbt_builds_is_the_same_row_by_row(both: tuple[House, House]) -> None:
    embedded, server = both
    models = embedded.project.manifest().models.values()
    compared = 0
    for node in models:
        relation = f"{node['schema']}.{node['name']}"
        assert server.rows(relation) == embedded.rows(relation), relation
        compared += len(embedded.rows(relation))
    assert compared > 50_000 and len(models) > 70


def test_audiences_and_identity_are_the_same(both: tuple[House, House]) -> None:
    embedded, server = both
    for table in ("audiences.audience_membership_history", "audiences.audience_conditions", "audiences.audience_sizes"):
        assert embedded.rows(table) == server.rows(table), table
    assert embedded.rows("audiences.audience_conditions")
    for table in ("identity.identity_clusters", "identity.identity_person_ids", "identity.identity_runs"):
        assert embedded.rows(table) == server.rows(table), table


def test_the_columns_are_traced_as_on_duckdb(both: tuple[House, House]) -> None:
    embedded, server = both
    lineage = server.project.column_lineage()
    assert lineage.columns == embedded.project.column_lineage().columns
    assert lineage.unresolved_count == embedded.project.column_lineage().unresolved_count


def test_a_view_stays_while_the_table_below_it_is_built_alone(both: tuple[House, House]) -> None:
    _, server = both
    before = server.rows("marts.person_orders")
    with server.warehouse.exclusive("test"):
        done = server.project.build(["int_customers__resolved", "stg_identity__clusters", "orders"], None)
    assert {one.status for one in done.values()} == {"success"}
    assert server.rows("marts.person_orders") == before != []


def test_dbt_is_told_of_a_server_that_is_not_there_and_the_password_is_not_repeated(tmp_path: Path) -> None:
    address = "postgresql://cdp:canary@127.0.0.1:1/nowhere"
    home = Home(root=tmp_path, warehouse_kind="postgres", warehouse_address=address)
    with pytest.raises(CdpError) as failure:
        DbtProject(folder=PROJECT, home=home).build(["orders"], None)
    assert "canary" not in str(failure.value)
