"""DuckDB holds what every warehouse must hold."""

from pathlib import Path
from typing import cast

import pytest

from cdp_platform.testing.warehouse_contract import WarehouseCase, WarehouseContract
from cdp_platform.testing.warehouse_sessions import OneSessionContract
from cdp_platform.testing.warehouse_values import InfiniteTimesContract, WarehouseValuesContract
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse


@pytest.fixture
def case(tmp_path: Path) -> WarehouseCase:
    path = tmp_path / "warehouse.duckdb"
    return WarehouseCase(
        warehouse=DuckDbWarehouse(path, wait_seconds=5), other=DuckDbWarehouse(path, wait_seconds=0.2), lose=lose
    )


def lose(session: Session) -> None:
    connection = cast("DuckDbSession", session)._connection
    # What is being read is kept open by its reader.
    connection.interrupt()
    connection.close()


class TestDuckDb(WarehouseContract):
    pass


class TestSessionsOfDuckDb(OneSessionContract):
    pass


class TestValuesOfDuckDb(WarehouseValuesContract, InfiniteTimesContract):
    pass
