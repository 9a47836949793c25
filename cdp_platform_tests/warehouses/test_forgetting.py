"""A person is forgotten behind a server as on DuckDB: loaded tables, ledger, log, and the destination."""

from pathlib import Path

import pytest

from cdp_platform.domain.syncs import Removal
from cdp_platform.erasure.book import State
from cdp_platform.erasure.forget import forget
from cdp_platform.warehouse.base import Warehouse
from cdp_platform_tests.unit.erasure.conftest import CUSTOMERS, ErasingDestination, scope_of
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of
from cdp_platform_tests.warehouses.homes import on


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, engine: str) -> Shop:
    """People who were loaded and sent; on Snowflake what is loaded has names in upper case."""

    def as_loaded(name: str) -> str:
        return ".".join(f'"{part.upper() if engine == "snowflake" else part}"' for part in name.split("."))

    number, email, phone, order = map(as_loaded, ("customer_number", "email", "phone", "order_id"))
    made = Shop(tmp_path / "sent", warehouse)
    made.destination = ErasingDestination(Removal.DELETE)
    made.people([person_of(number, email=address) for number, address, _ in CUSTOMERS])
    customers = ", ".join(str(one) for one in CUSTOMERS)
    with warehouse.session("test") as session:
        session.execute(f"create schema if not exists {as_loaded('raw_shop')}")
        session.execute(
            f"create table {as_loaded('raw_shop.customers')} as"
            f" select customer_number as {number}, email as {email}, phone as {phone}"
            f" from (values {customers}) as given (customer_number, email, phone)"
        )
        session.execute(
            f"create table {as_loaded('raw_shop.orders')} as"
            f" select n as {order}, n as {number} from range(1, 5) as numbers (n)"
        )
        session.execute("create schema if not exists staging")
        session.execute(
            "create view staging.people as select 'p-00' || cast(customer_number as varchar) as person_id,"
            " customer_number, email, phone from raw_shop.customers"
        )
    made.run()
    return made


@on()
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
