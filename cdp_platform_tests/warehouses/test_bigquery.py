"""BigQuery holds what every warehouse must hold, on an emulator; what that cannot do stands in `emulators`."""

from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from cdp_platform.testing.warehouse_contract import WarehouseCase, WarehouseContract
from cdp_platform.testing.warehouse_values import WarehouseValuesContract
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.bigquery import BigQuerySession, BigQueryWarehouse
from cdp_platform_tests.warehouses.bigquery_server import BigQueryServer
from cdp_platform_tests.warehouses.emulators import BIGQUERY_LACKS, left_out

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _lacks(request: pytest.FixtureRequest) -> None:
    left_out(request, BIGQUERY_LACKS)


@pytest.fixture
def case(bigquery: BigQueryServer) -> Iterator[WarehouseCase]:
    project = bigquery.new_project()
    with (
        closing(BigQueryWarehouse(project, wait_seconds=5, lock_seconds=0.6, retry_seconds=0.3)) as warehouse,
        closing(BigQueryWarehouse(project, wait_seconds=0.9, lock_seconds=0.6, retry_seconds=0.3)) as other,
    ):
        yield WarehouseCase(warehouse=warehouse, other=other, lose=lose)


def lose(session: Session) -> None:
    """Lead the session's requests to where nobody answers."""
    cast("BigQuerySession", session)._jobs.client._connection.API_BASE_URL = "http://127.0.0.1:1"


class TestBigQuery(WarehouseContract):
    pass


class TestValuesOfBigQuery(WarehouseValuesContract):
    pass
