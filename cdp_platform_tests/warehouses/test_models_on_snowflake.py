"""The models of the project, identity and audiences say the same on Snowflake's emulator as on DuckDB, row by row."""

from pathlib import Path

import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")
pytest.importorskip("dbt.adapters.snowflake", reason="dbt's adapter for Snowflake is not installed: it was NOT tested")

from datetime import timedelta

from cdp_platform.domain.home import Home
from cdp_platform_tests.small_sources import small_sources
from cdp_platform_tests.warehouses.emulators import Fakesnow, home_on
from cdp_platform_tests.warehouses.test_models_on_postgres import DAYS, House, house

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
KEPT = (
    "audiences.audience_membership_history",
    "audiences.audience_conditions",
    "audiences.audience_sizes",
    "identity.identity_clusters",
    "identity.identity_person_ids",
    "identity.identity_runs",
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, fakesnow: Fakesnow) -> tuple[House, House]:
    """Two days of the loop on each engine; the second replaces one day of the facts."""
    folder = tmp_path_factory.mktemp("houses")
    embedded = house(Home(root=folder / "embedded"))
    emulated = house(home_on(fakesnow.new_account(), folder / "emulated"))
    faces = list(small_sources(folder / "demo"))
    for one in (embedded, emulated):
        one.load(faces)
        one.live(DAYS[1] - timedelta(days=1), DAYS)
        one.live(DAYS[1], (DAYS[1], DAYS[1]))
    return embedded, emulated


def test_every_table_that_dbt_builds_is_the_same_row_by_row(both: tuple[House, House]) -> None:
    embedded, emulated = both
    models = embedded.project.manifest().models.values()
    compared = 0
    for node in models:
        relation = f"{node['schema']}.{node['name']}"
        assert emulated.rows(relation) == embedded.rows(relation), relation
        compared += len(embedded.rows(relation))
    assert compared > 50_000 and len(models) > 70


@pytest.mark.parametrize("relation", KEPT)
def test_people_and_members_are_the_same(both: tuple[House, House], relation: str) -> None:
    embedded, emulated = both
    assert emulated.rows(relation) == embedded.rows(relation) != []


def test_what_the_platform_writes_is_read_by_models_under_the_names_that_it_has(both: tuple[House, House]) -> None:
    _, emulated = both
    [compiled] = Path(emulated.home.dbt_target).glob("build/compiled/**/stg_identity__clusters.sql")
    told = compiled.read_text(encoding="utf-8")
    assert '"record_key" as record_key' in told and '"identity"."identity_clusters"' in told


def test_the_columns_are_traced_as_on_duckdb(both: tuple[House, House]) -> None:
    embedded, emulated = both
    lineage = emulated.project.column_lineage()
    assert lineage.columns == embedded.project.column_lineage().columns
    assert lineage.unresolved_count == embedded.project.column_lineage().unresolved_count
