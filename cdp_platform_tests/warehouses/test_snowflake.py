"""Snowflake's adapter holds what every warehouse must hold, on an emulator that is started for it: fakesnow."""

from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cdp_platform.errors import WarehouseError
from cdp_platform.testing.warehouse_contract import WarehouseCase, WarehouseContract
from cdp_platform.testing.warehouse_sessions import ManySessionsContract
from cdp_platform.testing.warehouse_values import WarehouseValuesContract
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.snowflake import SnowflakeSession, SnowflakeWarehouse
from cdp_platform_tests.warehouses.emulators import FAKESNOW_LACKS, Fakesnow, NoSecrets


@pytest.fixture
def case(fakesnow: Fakesnow, request: pytest.FixtureRequest) -> Iterator[WarehouseCase]:
    if reason := FAKESNOW_LACKS.get(request.node.name):
        pytest.xfail(f"fakesnow: {reason}")
    account = fakesnow.new_account()
    with (
        closing(SnowflakeWarehouse(account, NoSecrets())) as warehouse,
        closing(SnowflakeWarehouse(account, NoSecrets())) as other,
    ):
        yield WarehouseCase(warehouse=warehouse, other=other, lose=lose)


def lose(session: Session) -> None:
    """End the session at the server, as its end of life does; the client is not told."""
    rest = cast("SnowflakeSession", session)._connection.rest
    assert rest is not None
    rest.delete_session()


class TestSnowflake(WarehouseContract):
    pass


class TestSessionsOfSnowflake(ManySessionsContract):
    pass


class TestValuesOfSnowflake(WarehouseValuesContract):
    pass


def test_a_relation_is_not_made_inside_a_transaction_that_has_begun(case: WarehouseCase) -> None:
    with case.warehouse.session("settle crm_contacts") as session:
        session.execute("create table kept (n integer)")
        with pytest.raises(WarehouseError, match="settle crm_contacts"):
            _insert_and_make(session)
        assert session.rows("select n from kept") == []


def _insert_and_make(session: Session) -> None:
    with session.transaction():
        session.execute("create or replace temporary table before as select 1 as n")
        session.execute("insert into kept select n from before")
        session.execute("create or replace temporary table after as select 1 as n")
