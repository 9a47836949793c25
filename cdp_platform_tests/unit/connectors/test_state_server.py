"""The database that hosts share: one lock a subject, nothing half kept, no word of an address, its own clock."""

import threading
import time
from typing import Any

import pytest

pytest.importorskip("psycopg2", reason="the extra `cluster` is not installed: the shared journal was NOT tested")

import psycopg2

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.connectors.state_server import StateServer
from cdp_platform.errors import CdpError, ConfigError, ConnectionFailed
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

TABLE = "create table if not exists notes (number integer primary key autoincrement, said text not null, at real)"


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.emptied()


def server_at(address: str, **options: Any) -> StateServer:
    return StateServer(address, scope="journal", schema=TABLE, **options)


def say(server: StateServer, what: str) -> None:
    with server.transaction() as statements:
        statements.execute("insert into notes (said) values (?)", [what])


def said(server: StateServer) -> list[str]:
    with server.reading() as statements:
        return [what for (what,) in statements.execute("select said from notes order by number")]


def cut(address: str) -> int:
    """End every connection but this one, as the server's end does; how many there were."""
    connection = psycopg2.connect(address)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        (count,) = cursor.fetchone() or (0,)
    connection.close()
    return int(count)


def test_what_one_host_has_written_another_reads(address: str) -> None:
    say(server_at(address), "100 % sure? 台北")
    assert said(server_at(address)) == ["100 % sure? 台北"]


def test_a_transaction_that_fails_leaves_nothing(address: str) -> None:
    server = server_at(address)

    def fail() -> None:
        with server.transaction() as statements:
            statements.execute("insert into notes (said) values ('half')")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    say(server, "whole")
    assert said(server) == ["whole"]


def test_an_error_that_was_swallowed_is_no_success(address: str) -> None:
    server = server_at(address)

    def swallow() -> None:
        with server.transaction() as statements:
            statements.execute("insert into notes (said) values ('half')")
            with pytest.raises(psycopg2.Error):
                statements.execute("select nothing_of_the_kind")

    with pytest.raises(CdpError, match="nothing of it was kept"):
        swallow()
    assert said(server) == []


def test_a_connection_that_was_cut_while_it_rested_is_replaced(address: str) -> None:
    server = server_at(address)
    say(server, "before")
    assert cut(address) == 1
    say(server, "after")
    assert said(server) == ["before", "after"]


def test_a_connection_that_is_cut_inside_a_transaction_is_told_and_the_next_goes_on(address: str) -> None:
    server = server_at(address)

    def be_cut() -> None:
        with server.transaction() as statements:
            statements.execute("insert into notes (said) values ('half')")
            assert cut(address) == 1

    with pytest.raises(CdpError, match=r"journal's database cannot be used \(.*connection"):
        be_cut()
    say(server, "next")
    assert said(server) == ["next"]


def test_a_subject_is_held_by_one_and_another_subject_is_free(address: str) -> None:
    first, second, order = server_at(address), server_at(address), []
    say(first, "there")
    came = threading.Event()

    def wait_for_it() -> None:
        with second.transaction("ledger-b"):
            order.append("b")
        came.set()
        with second.transaction("ledger-a"):
            order.append("a")

    waiter = threading.Thread(target=wait_for_it)
    with first.transaction("ledger-a"):
        waiter.start()
        assert came.wait(20)
        time.sleep(0.05)
        assert order == ["b"]
    waiter.join(20)
    assert order == ["b", "a"]


def test_who_holds_the_whole_scope_waits_for_every_subject(address: str) -> None:
    first, second = server_at(address), server_at(address)
    say(second, "there")
    with (
        first.transaction("ledger-a"),
        pytest.raises(CdpError, match="another host has held the lock"),
        second.transaction(wait_seconds=0.05),
    ):
        pytest.fail("two at once")


def test_who_holds_a_lock_and_stands_still_is_cut_off_and_keeps_nothing(address: str) -> None:
    slow, other = server_at(address), server_at(address)
    say(other, "there")

    def stand_still() -> None:
        with slow.transaction(idle_seconds=0.1) as statements:
            statements.execute("insert into notes (said) values ('late')")
            with other.transaction(wait_seconds=20) as others:
                others.execute("insert into notes (said) values ('in time')")

    with pytest.raises(CdpError, match="cannot be used"):
        stand_still()
    assert said(other) == ["there", "in time"]


def test_the_servers_clock_is_never_ahead_of_the_server(address: str) -> None:
    server = server_at(address)
    for _ in range(20):
        told = server.seconds()
        with server.reading() as statements:
            (now,) = statements.execute("select extract(epoch from clock_timestamp())").fetchone()
        assert told <= float(now)
    assert server.seconds() == pytest.approx(float(now), abs=5.0)


def test_a_schema_of_another_version_is_refused_and_left_as_it_is(address: str) -> None:
    say(server_at(address), "there")
    with server_at(address).transaction() as statements:
        statements.execute("update meta set value = '7' where name = 'schema'")
    with pytest.raises(CdpError, match="has schema 7, this version reads 1"), server_at(address).reading():
        pytest.fail("it must not open")


def test_a_user_who_may_not_make_tables_works_with_those_that_are_there(address: str, postgres: PostgresServer) -> None:
    say(server_at(address), "by the owner")
    connection = psycopg2.connect(address)
    with connection, connection.cursor() as cursor:
        cursor.execute("select 1 from pg_roles where rolname = 'worker'")
        if cursor.fetchone() is None:
            cursor.execute("create role worker login")
        cursor.execute("grant usage on schema cdp_journal to worker")
        cursor.execute("grant select, insert, update, delete on all tables in schema cdp_journal to worker")
    connection.close()
    worker = server_at(address.replace("user=cdp", "user=worker"))
    say(worker, "by the worker")
    assert said(worker) == ["by the owner", "by the worker"]
    worker.close()
    more = StateServer(
        address.replace("user=cdp", "user=worker"), scope="pace", schema="create table if not exists m (n real)"
    )
    with pytest.raises(CdpError, match="lacks a grant"), more.reading():
        pytest.fail("it must not make a table")


def test_a_server_that_is_not_there_is_told_in_the_words_of_who_asks_and_without_its_address() -> None:
    server = server_at("postgresql://cdp:canary@127.0.0.1:1/state?connect_timeout=2", failure=ConnectionFailed)
    with pytest.raises(ConnectionFailed, match="CDP_JOURNAL") as failure, server.reading():
        pytest.fail("it must not open")
    assert "canary" not in str(failure.value) and "127.0.0.1" not in str(failure.value)


@pytest.mark.parametrize("address", ["postgresql://cdp:can%ary@h/x", "postgresql://cdp:canary@[h/x", "postgresql://?a"])
def test_an_address_that_cannot_be_read_is_not_quoted(address: str) -> None:
    with pytest.raises(CdpError) as failure, server_at(address).reading():
        pytest.fail("it must not open")
    assert "ary" not in str(failure.value)


def test_shredding_keeps_what_was_not_deleted(address: str) -> None:
    server = server_at(address)
    for what in ("one", "two"):
        say(server, what)
    with server.transaction() as statements:
        statements.execute("delete from notes where said = 'one'")
    server.shred()
    assert said(server) == ["two"]


def test_the_setting_is_one_address_and_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_JOURNAL", "postgresql://cdp@db/state")
    assert cdp_home().journal_address == "postgresql://cdp@db/state"
    assert "db/state" not in repr(cdp_home())
    monkeypatch.setenv("CDP_JOURNAL", "mysql://cdp:canary@db/state")
    with pytest.raises(ConfigError, match="CDP_JOURNAL") as failure:
        cdp_home()
    assert "canary" not in str(failure.value)
    monkeypatch.setenv("CDP_JOURNAL", " ")
    assert cdp_home().journal_address is None
