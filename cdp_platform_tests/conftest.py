"""One PostgreSQL server, one emulator of Snowflake and of BigQuery each, and one parsing of the dbt project, for all
tests of a run that need one.

Hypothesis takes the same examples each time, however slow the machine is; with `--hypothesis-profile=searching` it
looks for new ones.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("searching"), derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def parsed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which dbt's parsing of the project has left the manifest: to be copied into a home."""
    from cdp_platform.components.dbt_project import DbtProject
    from cdp_platform.domain.home import Home

    home = Home(root=tmp_path_factory.mktemp("parsed"))
    DbtProject(folder=Path(__file__).parents[1] / "dbt_project", home=home).manifest()
    return home.dbt_target


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A `PostgresServer`; tests are skipped where PostgreSQL or its driver is not installed."""
    pytest.importorskip("adbc_driver_postgresql", reason="the extra `postgres` is not installed: it was NOT tested")
    from cdp_platform_tests.warehouses.postgres_server import binaries, running_server

    if binaries() is None:
        pytest.skip("PostgreSQL's initdb is not installed: the PostgreSQL warehouse was NOT tested")
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def fakesnow() -> Iterator[Any]:
    """A `Fakesnow`; tests are skipped where the emulator or Snowflake's connector is not installed."""
    pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")
    from cdp_platform_tests.warehouses.emulators import python_of, running_fakesnow

    if python_of("fakesnow") is None:
        pytest.skip("fakesnow is not installed (make emulators): the Snowflake warehouse was NOT tested")
    with running_fakesnow() as server:
        yield server


@pytest.fixture(scope="session")
def crucible() -> Iterator[Any]:
    """A `Crucible`; tests are skipped where the emulator or BigQuery's client is not installed."""
    pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")
    from cdp_platform_tests.warehouses.bigquery_server import running_crucible
    from cdp_platform_tests.warehouses.emulators import python_of

    if python_of("crucible") is None:
        pytest.skip("crucible is not installed (make emulators): the BigQuery warehouse was NOT tested")
    with running_crucible() as server:
        yield server
