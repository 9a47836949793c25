"""`cdp move`: house by house, with what stays behind said in words."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.errors import CdpError
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import held_lease
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


def test_days_that_nobody_can_be_asked_about_again_come_along_and_those_that_are_here_stay(
    shop: Shop, cdp: Cdp, server: Warehouse
) -> None:
    embedded = delivered(shop).warehouse
    for warehouse, rows in (
        (embedded, [("2017-12-24", "ada", True), ("2017-12-25", "ada", True)]),
        (server, [("2017-12-25", "ada", False)]),
    ):
        with warehouse.session("test") as session:
            session.execute("create schema raw_hubspot")
            session.execute(
                "create table raw_hubspot.contacts (feedback_day date, contact_id varchar, is_opted_out boolean)"
            )
            for row in rows:
                session.execute("insert into raw_hubspot.contacts values (?, ?, ?)", row)
    told = cdp("move", "--from", "duckdb")
    assert "raw_hubspot.contacts: 1 rows of days that were not here" in told.text
    again = cdp("move", "--from", "duckdb")
    assert "raw_hubspot.contacts: 0 rows of days that were not here" in again.text
    with server.session("test") as session:
        kept = session.rows("select cast(feedback_day as varchar) as day, is_opted_out from raw_hubspot.contacts")
    assert sorted((row["day"], row["is_opted_out"]) for row in kept) == [("2017-12-24", True), ("2017-12-25", False)]


def test_people_who_were_made_anew_in_the_new_house_stop_the_move_before_anything_is_taken(
    shop: Shop, cdp: Cdp, server: Warehouse
) -> None:
    delivered(shop)
    with server.session("test") as session:
        session.execute("create schema identity")
        session.execute("create table identity.identity_person_ids (person_id varchar, current_id varchar)")
        session.execute("insert into identity.identity_person_ids values ('p-000', 'p-000'), ('stranger', 'stranger')")
    told = cdp("move", "--from", "duckdb")
    assert "made in the new warehouse without 1 of the rows of the old one" in str(told.error)
    assert "drop the schema identity" in str(told.error)
    assert "sync crm_contacts" not in told.text


def test_one_sync_that_cannot_be_moved_does_not_keep_the_others_behind(shop: Shop, cdp: Cdp, server: Warehouse) -> None:
    delivered(shop)
    [ledger] = shop.sql("select ledger_id from cdp.ledgers")
    shop.warehouse = server
    shop.people(PEOPLE)
    with held_lease(Journal(shop.home), ledger["ledger_id"]):
        told = cdp("move", "--from", "duckdb")
    assert "sync crm_contacts: not moved: another run is at work" in told.text
    assert "for the reasons above" in str(told.error)
    assert cdp("move", "--from", "duckdb").code == 0


def test_an_account_that_is_not_the_one_that_was_sent_to_is_said(shop: Shop, cdp: Cdp, server: Warehouse) -> None:
    delivered(shop).warehouse = server
    shop.people(PEOPLE)
    shop.spec = replace(shop.spec, connection=replace(shop.spec.connection, base_url="https://other.example.com"))
    told = cdp("move", "--from", "duckdb")
    assert "never ran on this account; what went to another is left behind" in told.text


def test_the_journal_goes_from_its_file_to_the_database_that_is_set(
    shop: Shop, cdp: Cdp, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(shop)
    assert "no database is named" in str(cdp("move", "--journal").error)
    monkeypatch.setenv("CDP_JOURNAL", postgres.emptied())
    told = cdp("move", "--journal")
    assert "plans: 1 rows" in told.text and "The file is closed." in told.text
    assert "was moved before" in cdp("move", "--journal").text
    shop.home = replace(shop.home, journal_address=cdp_home().journal_address)
    assert shop.plan().to_send == 0


def test_it_has_to_be_said_what_is_moved(shop: Shop, cdp: Cdp) -> None:
    assert "say what is moved" in str(cdp("move").error)
    assert "say what is moved" in str(cdp("move", "--from", "duckdb", "--journal").error)
