"""One server of each kind for all tests of a run that need one."""

from collections.abc import Iterator
from typing import Any

import pytest


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
def bigquery() -> Iterator[Any]:
    """A `BigQueryServer`; tests are skipped where its emulator or BigQuery's client is not installed."""
    pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")
    from cdp_platform_tests.warehouses.bigquery_server import interpreter, running_server

    if interpreter() is None:
        pytest.skip("BigQuery's emulator is not installed (make emulators): the BigQuery warehouse was NOT tested")
    with running_server() as server:
        yield server
