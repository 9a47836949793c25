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
from cdp_platform.warehouse.base import Session, cost_of
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


def test_what_a_transaction_reads_twice_is_the_same(case: WarehouseCase) -> None:
    with case.warehouse.session("plan") as session, case.other.session("dbt") as other:
        other.execute("create schema marts")
        other.execute("create table marts.people as select 1 as person_id")
        other.execute("create view marts.seen as select person_id from marts.people")
        with session.transaction():
            before = [session.rows(f"select * from marts.{name}") for name in ("people", "seen")]
            other.execute("insert into marts.people values (2)")
            after = [session.rows(f"select * from marts.{name} as model") for name in ("people", "seen")]
        assert before == after == [[{"person_id": 1}]] * 2
        assert len(session.rows("select * from marts.people")) == 2


def test_tables_of_upper_case_names_are_found_by_the_names_of_the_yaml(case: WarehouseCase) -> None:
    with case.warehouse.session("plan") as session:
        session.execute('create schema "MARTS"')
        session.execute("""create table "MARTS"."PEOPLE" as select 'a' as "PERSON_ID", 1 as "Mixed" """)
        assert session.columns("marts.people") == {"person_id": "VARCHAR", "Mixed": "HUGEINT"}
        assert session.rows("select person_id as found from marts.people as m where m.person_id = 'a'") == [
            {"found": "a"}
        ]


def test_a_session_tells_how_many_statements_it_has_run_and_the_last_ones_name(case: WarehouseCase) -> None:
    with case.warehouse.session("plan") as session:
        before = cost_of(session)
        session.rows("select 1 as one")
        after = cost_of(session)
    assert before is not None and after is not None
    assert after.statements > before.statements and after.last_statement_id


def test_a_role_that_may_do_everything_lacks_nothing(case: WarehouseCase) -> None:
    warehouse = cast("SnowflakeWarehouse", case.warehouse)
    with warehouse.session("dbt") as session:
        session.execute("create schema marts")
        session.execute("create table marts.people (n integer)")
    assert warehouse.missing_grants(["marts.people"]) == []
    [told] = warehouse.missing_grants(["marts.people", "marts.nobody"])
    assert "grant select on all tables in schema" in told and told.endswith("marts.nobody")


def test_a_connection_that_left_nothing_behind_serves_the_next_session(case: WarehouseCase) -> None:
    warehouse = cast("SnowflakeWarehouse", case.warehouse)
    used = []
    for sql in ("select 1 as n", "select 2 as n", "create temporary table mine as select 1 as n", "select 3 as n"):
        with warehouse.session("test") as session:
            session.rows(sql)
            used.append(session._connection)
    assert used[0] is used[1] is used[2] is not used[3]
