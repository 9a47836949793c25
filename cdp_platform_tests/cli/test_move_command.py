"""`cdp move`: house by house, with what stays behind said in words."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from cdp_platform.errors import CdpError
from cdp_platform.warehouse.base import Warehouse
from cdp_platform_tests.cli.conftest import Cdp
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

PEOPLE = [person_of(number) for number in range(3)]


@pytest.fixture
def server(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """The new house, which the setting names."""
    from cdp_platform.warehouse.postgres import PostgresWarehouse

    address = postgres.emptied()
    monkeypatch.setenv("CDP_WAREHOUSE", "postgres")
    monkeypatch.setenv("CDP_POSTGRES", address)
    with closing(PostgresWarehouse(address, wait_seconds=5)) as warehouse:
        yield warehouse


def delivered(shop: Shop) -> Shop:
    """A shop that has delivered, and knows one person by an older id."""
    shop.people(PEOPLE)
    shop.run()
    with shop.warehouse.session("test") as session:
        session.execute("create schema identity")
        session.execute("create table identity.identity_person_ids (person_id varchar, current_id varchar)")
        session.execute("insert into identity.identity_person_ids values ('p-000', 'p-000'), ('p-9', 'p-000')")
    return shop


def test_people_go_first_the_syncs_follow_their_models_and_then_nothing_is_sent(
    shop: Shop, cdp: Cdp, server: Warehouse
) -> None:
    delivered(shop).warehouse = server
    first = cdp("move", "--from", "duckdb")
    assert "from duckdb to postgres" in first.text
    assert "identity.identity_person_ids: 2 rows" in first.text
    assert "sync crm_contacts: not yet" in first.text
    assert isinstance(first.error, CdpError)
    assert "1 of the syncs were not moved" in str(first.error)
    shop.people(PEOPLE)
    second = cdp("move", "--from", "duckdb")
    assert second.code == 0
    assert "identity.identity_person_ids: is here already" in second.text
    assert "sync crm_contacts: 3 rows, 3 of them the same here" in second.text
    assert shop.plan().to_send == 0
    assert len(shop.sent_rows()) == 3
    assert shop.sql("select count(*) as ids from identity.identity_person_ids") == [{"ids": 2}]


def test_there_is_no_moving_to_where_one_lives(shop: Shop, cdp: Cdp) -> None:
    told = cdp("move", "--from", "duckdb")
    assert "the project is in the warehouse duckdb now" in str(told.error)


def test_a_house_that_never_was_is_named_with_the_nearest(shop: Shop, cdp: Cdp) -> None:
    told = cdp("move", "--from", "postgre")
    assert "there is no warehouse 'postgre'" in str(told.error)
    assert "postgres" in str(told.error)
