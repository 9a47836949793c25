"""PostgreSQL holds what every warehouse must hold, on a server that is started for it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("adbc_driver_postgresql", reason="the extra `postgres` is not installed")

from cdp_platform.domain.syncs import FieldType
from cdp_platform.errors import WarehouseError
from cdp_platform.testing.warehouse_contract import WarehouseCase, WarehouseContract
from cdp_platform.testing.warehouse_sessions import OneSessionContract
from cdp_platform.testing.warehouse_values import InfiniteTimesContract, WarehouseValuesContract
from cdp_platform.warehouse.postgres import PostgresWarehouse
from cdp_platform_tests.warehouses.functions import OF_POSTGRES, OWN_OF_POSTGRES
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


class TestSessionsOfPostgres(OneSessionContract):
    pass


class TestValuesOfPostgres(WarehouseValuesContract, InfiniteTimesContract):
    pass


def test_every_function_that_statements_may_call_is_there(case: WarehouseCase) -> None:
    with case.warehouse.session("test") as session:
        there = {row["name"] for row in session.rows("select distinct proname as name from pg_catalog.pg_proc")}
    assert there >= OWN_OF_POSTGRES | OF_POSTGRES


def test_a_database_of_other_texts_than_utf_8_is_refused_with_the_way_out(postgres: PostgresServer) -> None:
    address = postgres.new_database("template template0 encoding 'SQL_ASCII' locale 'C'")
    with pytest.raises(WarehouseError, match="create database"), PostgresWarehouse(address).session("test"):
        pytest.fail("the session must not open")


def test_a_server_that_is_not_there_is_told_without_its_address() -> None:
    address = "postgresql://cdp:canary@127.0.0.1:1/shop"
    with pytest.raises(WarehouseError, match="CDP_POSTGRES") as failure, PostgresWarehouse(address).session("test"):
        pytest.fail("the session must not open")
    assert "canary" not in str(failure.value)


def test_a_connection_that_was_cut_while_it_waited_is_not_used_again(
    case: WarehouseCase, postgres: PostgresServer
) -> None:
    for _ in range(2):
        with case.warehouse.session("test") as session:
            assert session.rows("select 1 as one") == [{"one": 1}]
        postgres.end_connections()


def test_a_number_without_digits_is_read_where_it_is_whole_and_refused_where_it_is_none(case: WarehouseCase) -> None:
    with case.warehouse.session("test") as session:
        assert session.rows("select sum(n) as total from range(4) as numbers (n)") == [{"total": 6}]
        assert [batch.to_pylist() for batch in session.batches("select sum(n) as total from range(4) as numbers (n)")]
        with pytest.raises(WarehouseError, match="total"):
            list(session.batches("select number_of('0.5') as total"))


def test_who_works_in_the_database_can_be_seen_there(case: WarehouseCase) -> None:
    with case.warehouse.session("plan crm_contacts") as session:
        [row] = session.rows("select application_name as name from pg_stat_activity where pid = pg_backend_pid()")
    assert str(row["name"]).endswith(": plan crm_contacts")


def test_nan_is_a_misfit_of_a_decimal(case: WarehouseCase) -> None:
    dialect = case.warehouse.dialect
    misfit = dialect.misfit("value", "DECIMAL(12,2)", FieldType.parse("decimal(12,2)"))
    with case.warehouse.session("test") as session:
        session.execute("create table given (value decimal(12,2))")
        session.execute("insert into given values ('NaN'), (1)")
        assert [row["odd"] for row in session.rows(f"select {misfit} as odd from given order by value")] == [
            False,
            True,
        ]


def test_an_answer_comes_in_batches_of_a_few_megabytes_each(case: WarehouseCase) -> None:
    with case.warehouse.session("test") as session:
        sizes = [
            batch.nbytes for batch in session.batches("select repeat('x', 1000) as text from range(20000) as t(n)")
        ]
    assert sum(sizes) > 20_000_000
    assert max(sizes) < 5_000_000
