"""A shop with people in raw tables, a model, identity and a sync; and the scope in which a person is forgotten."""

from pathlib import Path

import pytest

from cdp_platform.domain.syncs import Removal
from cdp_platform.erasure.forget import Scope
from cdp_platform.syncs.journal import Journal
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

DECLARED = {
    "raw_shop.customers": {"customer_number": "customer_number", "email": "email", "phone": "phone"},
    "raw_shop.orders": {"customer_number": "customer_number"},
    "raw_shop.tickets": {"ticket_id": "ticket_id", "email": "email", "phone": "phone"},
    "staging.people": {
        "person_id": "person_id", "customer_number": "customer_number", "email": "email", "phone": "phone",
    },
    "activation.sync_contacts__crm": {"person_id": "person_id", "email": "email"},
    "marts.consents": {"identifier": "email"},
    "marts.suppressions": {"identifier": "email"},
}  # fmt: skip
CUSTOMERS = [
    (1, "Person1@example.com", "+12125550101"),
    (2, "family@example.com", "+12125550102"),
    (3, "family@example.com", "(212) 555-0103"),
    (4, "Person4@example.com", "0212 555 0104"),
]


class ErasingDestination(FakeDestination):
    """The fake destination, which removes records for good."""

    def __init__(self, *removals: Removal) -> None:
        super().__init__(batch_rows=10, removals=frozenset(removals))


def load(shop: Shop) -> None:
    """Fill the raw tables, the view of people and the model, as a source and dbt would."""
    shop.people([person_of(number, email=address) for number, address, _ in CUSTOMERS])
    with shop.warehouse.session("test") as session:
        for schema in ("raw_shop", "staging"):
            session.execute(f"create schema if not exists {schema}")
        session.execute(
            "create or replace table raw_shop.customers (customer_number bigint, email varchar, phone varchar)"
        )
        session.execute("create or replace table raw_shop.orders (order_id bigint, customer_number bigint)")
        session.execute("create or replace table raw_shop.tickets (ticket_id varchar, email varchar, phone varchar)")
        session.execute(
            """create or replace view staging.people as
            select format('p-{:03}', customer_number) as person_id, customer_number, email, phone
            from raw_shop.customers"""
        )
        for number, address, phone in CUSTOMERS:
            session.execute("insert into raw_shop.customers values (?, ?, ?)", [number, address, phone])
            session.execute("insert into raw_shop.orders values (?, ?), (?, ?)", [number, number, number + 10, number])
        session.execute(
            "insert into raw_shop.tickets values ('t-1', 'person1@EXAMPLE.com', null), ('t-2', null, '212-555-0101'),"
            " ('t-3', 'family@example.com', null)"
        )


def scope_of(shop: Shop) -> Scope:
    """A new scope, as a new process would make it."""
    return Scope(
        home=shop.home,
        warehouse=shop.warehouse,
        journal=Journal(shop.home),
        declared=DECLARED,
        syncs=[(shop.engine, shop.spec)],
    )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """People who were loaded and sent."""
    made = Shop(tmp_path / "home")
    made.destination = ErasingDestination(Removal.DELETE)
    load(made)
    made.run()
    return made
