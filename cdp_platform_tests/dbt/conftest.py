"""A small warehouse, built once: the year of 150 households, loaded and turned into facts as the platform does it."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow.compute as pc
import pytest
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.definition import Definition
from cdp_platform.audiences.membership import Taken, take_over
from cdp_platform.components.audience_blocks import TopBlock
from cdp_platform.components.audience_catalogue import read_catalogue
from cdp_platform.components.audience_definition import make_definition
from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.identity.present import Update, update
from cdp_platform.identity.rule_file import read_rules
from cdp_platform.ingest import retail
from cdp_platform.ingest.load import load_table
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.small_sources import HOUSEHOLDS_UP_TO, small_sources

PROJECT = Path(__file__).parents[2] / "dbt_project"
RULES = Path(__file__).parents[2] / "cdp_platform" / "defs" / "identity" / "rules.yaml"
AUDIENCES = (
    "lapsed_loyalists", "high_value_at_risk", "coupon_lovers", "new_department_explorers", "big_basket_families",
)  # fmt: skip
"""Those that are shipped, each after those that it asks for."""


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """One DuckDB file and the dbt project on it."""

    path: Path
    folder: Path
    manifest: Manifest

    def run(self, *arguments: str) -> dbtRunnerResult:
        try:
            return dbtRunner(manifest=self.manifest).invoke([*arguments, *_folders(self.folder)])
        finally:
            # dbt keeps the database open in its process; what it wrote would not be in the file that is copied.
            DuckDBConnectionManager.close_all_connections()

    def run_facts(self, first: date, last: date) -> dbtRunnerResult:
        """Rebuild the facts of the days from `first` to `last`, both included."""
        return self.run("run", "--select", "tag:facts", *event_time(first, last))

    def run_people(self, as_of_on: date) -> dbtRunnerResult:
        """Build what describes people, compute the audiences, and build what reads them, as a day of the loop does."""
        self.set_clock(as_of_on)
        self.resolve(as_of_on)
        marts = self.run("build", "--select", "tag:person", "--exclude", "source:audiences+")
        assert marts.success, marts.exception
        self.take_over(as_of_on)
        return self.run("build", "--select", "source:audiences+")

    def catalogue(self) -> Catalogue:
        return read_catalogue(DbtManifest.read(self.folder / "target" / "manifest.json"))

    def take_over(self, as_of_on: date) -> dict[str, Taken]:
        """Compute the shipped audiences as of a day, each after those that it asks for."""
        known, warehouse = self.catalogue(), DuckDbWarehouse(self.path)
        with warehouse.session("test") as session:
            return {
                name: take_over(session, warehouse.dialect, read_audience(name, known), known, as_of=as_of_on)
                for name in AUDIENCES
            }

    def resolve(self, as_of_on: date) -> Update:
        """Find out who is who, by the rules of the demo."""
        return update(
            DuckDbWarehouse(self.path),
            read_rules(RULES),
            records="intermediate.int_identity_records",
            schema="identity",
            as_of=as_of_on,
        )

    def set_clock(self, as_of_on: date) -> None:
        self.execute("create schema if not exists cdp")
        self.execute(f"create or replace table cdp.loop_clock as select date '{as_of_on}' as as_of_on")

    def execute(self, statement: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(query).fetchall()

    def read_back(self, rows: Sequence[dict[str, object]]) -> None:
        """Write contacts as a read-back would."""
        self.execute("create schema if not exists raw_hubspot")
        self.execute(
            "create table if not exists raw_hubspot.contacts (feedback_day date, contact_id varchar, "
            "cdp_person_id varchar, email varchar, email_opt_out boolean, email_confirmed_on date, "
            "lapsed_loyalist boolean, created_at timestamptz, updated_at timestamptz)"
        )
        with duckdb.connect(str(self.path)) as connection:
            for row in rows:
                names = ", ".join(row)
                marks = ", ".join("?" for _ in row)
                connection.execute(f"insert into raw_hubspot.contacts ({names}) values ({marks})", list(row.values()))


def read_audience(name: str, known: Catalogue) -> Definition:
    """The shipped definition of an audience."""
    file = PROJECT.parent / "cdp_platform" / "defs" / "audiences" / name / "defs.yaml"
    said = yaml.safe_load(file.read_text(encoding="utf-8"))["attributes"]
    return make_definition(
        name=said["name"],
        members=said["members"],
        catalogue=known,
        top=TopBlock(**said["top"]) if "top" in said else None,
        yields_to=said.get("yields_to", ()),
        holdout_share=said.get("holdout_share"),
    )


def event_time(first: date, last: date) -> tuple[str, ...]:
    return "--event-time-start", str(first), "--event-time-end", str(last + timedelta(days=1))


def _folders(folder: Path) -> list[str]:
    places = {"project-dir": PROJECT, "profiles-dir": PROJECT, "target-path": folder / "target", "log-path": folder}
    return [*(f"--{name}={place}" for name, place in places.items()), "--no-use-colors", "--quiet"]


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of its own, with the environment that the profile reads."""
    folder = tmp_path_factory.mktemp("dbt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDP_WAREHOUSE_PATH", str(folder / "warehouse.duckdb"))
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        yield folder


@pytest.fixture(scope="session")
def manifest(dbt_folder: Path) -> Manifest:
    result = dbtRunner().invoke(["parse", *_folders(dbt_folder)])
    assert isinstance(result.result, Manifest), result.exception
    return result.result


@pytest.fixture(scope="session")
def built_once(dbt_folder: Path, manifest: Manifest) -> Path:
    """A copy of the warehouse after the history was loaded and its facts were built and tested."""
    warehouse = Warehouse(path=dbt_folder / "warehouse.duckdb", folder=dbt_folder, manifest=manifest)
    for table in retail.TABLES.values():
        rows = retail.read_table(table.name)
        if "household_id" in table.schema.names:
            rows = rows.filter(pc.less_equal(rows["household_id"], HOUSEHOLDS_UP_TO))
        load_table(
            rows,
            name=table.name,
            dataset="raw_retail",
            destination=dlt.destinations.duckdb(str(warehouse.path)),
            pipelines_dir=dbt_folder / "pipelines",
        )
    for declared, reading in small_sources(dbt_folder / "demo"):
        load_table(
            reading.rows,
            name=declared.name,
            dataset=f"raw_{declared.source}",
            destination=dlt.destinations.duckdb(str(warehouse.path)),
            pipelines_dir=dbt_folder / "pipelines",
        )
    result = warehouse.run("build", "--select", "tag:facts", *event_time(retail.FIRST_DAY, retail.LAST_DAY))
    assert result.success, result.exception
    copy = dbt_folder / "built_once.duckdb"
    shutil.copy(warehouse.path, copy)
    return copy


@pytest.fixture
def warehouse(dbt_folder: Path, manifest: Manifest, built_once: Path) -> Warehouse:
    """The warehouse with the facts of the year, as if no other test had been."""
    return _restored(dbt_folder, manifest, built_once)


@pytest.fixture(scope="module")
def restore(dbt_folder: Path, manifest: Manifest, built_once: Path) -> Callable[[], Warehouse]:
    """The same for fixtures of a module."""
    return lambda: _restored(dbt_folder, manifest, built_once)


def _restored(folder: Path, manifest: Manifest, built_once: Path) -> Warehouse:
    path = folder / "warehouse.duckdb"
    # dbt keeps its connection until its next command, and DuckDB would write what it holds over the copy.
    DuckDBConnectionManager.close_all_connections()
    path.with_suffix(".duckdb.wal").unlink(missing_ok=True)
    shutil.copy(built_once, path)
    return Warehouse(path=path, folder=folder, manifest=manifest)
