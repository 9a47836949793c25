"""A person is forgotten in Snowflake's emulator as on DuckDB: loaded tables, ledger, log, and the destination."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cdp_platform.domain.syncs import Removal
from cdp_platform.erasure.book import State
from cdp_platform.erasure.forget import forget
from cdp_platform.warehouse.snowflake import SnowflakeWarehouse
from cdp_platform_tests.unit.erasure.conftest import CUSTOMERS, ErasingDestination, scope_of
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of
from cdp_platform_tests.warehouses.emulators import Fakesnow, NoSecrets

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(tmp_path: Path, fakesnow: Fakesnow) -> Iterator[Shop]:
    """People who were loaded, under names in upper case, and sent."""
    with closing(SnowflakeWarehouse(fakesnow.new_account(), NoSecrets())) as warehouse:
        made = Shop(tmp_path / "home", warehouse)
        made.destination = ErasingDestination(Removal.DELETE)
        made.people([person_of(number, email=address) for number, address, _ in CUSTOMERS])
        with warehouse.session("test") as session:
            session.execute('create schema if not exists "RAW_SHOP"')
            session.execute(
                'create table "RAW_SHOP"."CUSTOMERS" as'
                ' select customer_number as "CUSTOMER_NUMBER", email as "EMAIL", phone as "PHONE" from (values '
                + ", ".join(str(one) for one in CUSTOMERS)
                + ") as given (customer_number, email, phone)"
            )
            session.execute(
                'create table "RAW_SHOP"."ORDERS" as select 1 as "ORDER_ID", 1 as "CUSTOMER_NUMBER"'
                " union all select 2, 2 union all select 3, 3 union all select 4, 4"
            )
            session.execute("create schema if not exists staging")
            session.execute(
                "create view staging.people as select 'p-00' || cast(customer_number as varchar) as person_id,"
                " customer_number, email, phone from raw_shop.customers"
            )
        made.run()
        yield made


def test_whatever_a_person_is_known_by_leads_to_all_that_is_kept(shop: Shop) -> None:
    assert len(shop.account.records) == 4
    steps = forget(scope_of(shop), " PERSON1@example.com ")
    assert {step.state for step in steps} == {State.DONE}
    for table in ("raw_shop.customers", "raw_shop.orders"):
        assert shop.sql(f"select customer_number from {table} order by 1") == [
            {"customer_number": number} for number in (2, 3, 4)
        ]
    assert sorted(shop.account.records) == ["p-002", "p-003", "p-004"]
    assert shop.sql("select count(*) as n from cdp.delivered_rows where primary_key = 'p-001'") == [{"n": 0}]
    assert shop.run().counts.planned == 0
