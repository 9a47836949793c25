"""The models of the project say the same on BigQuery's emulator as on DuckDB, row by row, built twice in a row."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")
pytest.importorskip("dbt.adapters.bigquery", reason="dbt-bigquery is not installed: models on BigQuery were NOT tested")

from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError
from cdp_platform_tests.dbt.conftest import PROJECT
from cdp_platform_tests.small_sources import small_sources
from cdp_platform_tests.warehouses.bigquery_server import Crucible
from cdp_platform_tests.warehouses.test_models_on_postgres import DAYS, House, house

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
AUDIENCE_TABLES = ("audience_membership_history", "audience_conditions", "audience_sizes")
IDENTITY_TABLES = ("identity_clusters", "identity_person_ids", "identity_runs")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, crucible: Crucible) -> Iterator[tuple[House, House]]:
    """Two days of the loop on each engine; the second replaces one day of the facts."""
    folder = tmp_path_factory.mktemp("houses")
    embedded, server = house(Home(root=folder / "embedded")), house(crucible.new_home(folder / "server"))
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
        expected = embedded.rows(relation)
        assert server.rows(relation) == expected, relation
        compared += len(expected)
    assert compared > 50_000 and len(models) > 70


def test_audiences_and_identity_are_the_same(both: tuple[House, House]) -> None:
    embedded, server = both
    for table in (*(f"audiences.{one}" for one in AUDIENCE_TABLES), *(f"identity.{one}" for one in IDENTITY_TABLES)):
        assert embedded.rows(table) == server.rows(table), table
    assert embedded.rows("audiences.audience_conditions") and embedded.rows("identity.identity_clusters")


def test_dbt_is_told_of_a_project_that_cannot_be_reached(tmp_path: Path, crucible: Crucible) -> None:
    home = crucible.new_home(tmp_path)
    file = home.warehouse_accounts
    assert file is not None
    file.write_text(file.read_text(encoding="utf-8").replace(f":{crucible.port}", ":1"), encoding="utf-8")
    with pytest.raises(CdpError, match="dbt"):
        DbtProject(folder=PROJECT, home=home).build(["orders"], None)
