"""PostgreSQL holds what every warehouse must hold, on a server that is started for it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("adbc_driver_postgresql", reason="the extra `postgres` is not installed")

from cdp_platform.testing.warehouse_contract import WarehouseCase, WarehouseContract
from cdp_platform.testing.warehouse_values import WarehouseValuesContract
from cdp_platform.warehouse.postgres import PostgresWarehouse
from cdp_platform_tests.warehouses.postgres_server import PostgresServer


@pytest.fixture
def case(postgres: PostgresServer) -> Iterator[WarehouseCase]:
    address = postgres.new_database()
    with (
        closing(PostgresWarehouse(address, wait_seconds=5)) as warehouse,
        closing(PostgresWarehouse(address, wait_seconds=0.2)) as other,
    ):
        yield WarehouseCase(warehouse=warehouse, other=other, lose=lambda session: postgres.end_connections())


class TestPostgres(WarehouseContract):
    pass


class TestValuesOfPostgres(WarehouseValuesContract):
    pass
