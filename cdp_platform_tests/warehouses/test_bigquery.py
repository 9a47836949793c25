"""BigQuery's adapter holds what every warehouse must hold, on an emulator that is started for it: crucible."""

from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from cdp_platform.testing.warehouse_contract import WarehouseCase, WarehouseContract
from cdp_platform.testing.warehouse_sessions import ManySessionsContract
from cdp_platform.testing.warehouse_values import WarehouseValuesContract
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.bigquery import BigQuerySession, BigQueryWarehouse
from cdp_platform_tests.warehouses.bigquery_server import Crucible
from cdp_platform_tests.warehouses.emulators import CRUCIBLE_LACKS, NoSecrets

pytestmark = pytest.mark.slow

_UNSAYABLE = ("'infinity'-date-date", "'10000-01-01'-date-date", "'infinity'-timestamp", "'infinity'-timestamptz")
"""Values that no column of BigQuery's holds: that they are misfits cannot be shown, nor need be."""


@pytest.fixture
def case(crucible: Crucible, request: pytest.FixtureRequest) -> Iterator[WarehouseCase]:
    name = request.node.name
    if any(f"[{value}" in name for value in _UNSAYABLE):
        request.applymarker(pytest.mark.xfail(reason="BigQuery has no such value", strict=True))
    if reason := CRUCIBLE_LACKS.get(name):
        request.applymarker(pytest.mark.xfail(reason=f"crucible: {reason}", strict=True))
    account = crucible.new_account()
    with (
        closing(BigQueryWarehouse(account, NoSecrets(), retry_seconds=0.3)) as warehouse,
        closing(BigQueryWarehouse(account, NoSecrets(), retry_seconds=0.3)) as other,
    ):
        yield WarehouseCase(warehouse=warehouse, other=other, lose=lose)


def lose(session: Session) -> None:
    """Lead the session's requests to where nobody answers."""
    cast("BigQuerySession", session)._jobs.client._connection.API_BASE_URL = "http://127.0.0.1:1"


class TestBigQuery(WarehouseContract):
    pass


class TestSessionsOfBigQuery(ManySessionsContract):
    pass


class TestValuesOfBigQuery(WarehouseValuesContract):
    pass
