"""Whether sessions of a warehouse exclude each other: an adapter's test inherits one of these two."""

# A pytest suite that lies in the package, so that packages elsewhere can inherit it.
# ruff: noqa: S101

import pytest

from cdp_platform.errors import WarehouseLocked
from cdp_platform.testing.warehouse_contract import WarehouseCase


class OneSessionContract:
    """A warehouse that one process at a time may open."""

    def test_one_session_at_a_time_and_who_waits_is_told_for_whom(self, case: WarehouseCase) -> None:
        with case.warehouse.session("plan crm_contacts") as session:
            with pytest.raises(WarehouseLocked, match="plan crm_contacts"), case.other.session("test"):
                pytest.fail("the session must not open")
            assert session.rows("select 1 as one") == [{"one": 1}]
        with case.other.session("test") as session:
            assert session.rows("select 1 as one") == [{"one": 1}]

    def test_a_tool_that_works_alone_keeps_sessions_out(self, case: WarehouseCase) -> None:
        with (
            case.warehouse.exclusive("dbt build"),
            pytest.raises(WarehouseLocked, match="dbt build"),
            case.other.session("test"),
        ):
            pytest.fail("the session must not open")


class ManySessionsContract:
    """A warehouse whose sessions work beside each other, without a lock."""

    def test_sessions_work_beside_each_other(self, case: WarehouseCase) -> None:
        with case.warehouse.session("one") as one, case.other.session("two") as two:
            one.execute("create schema if not exists cdp")
            one.execute("create table cdp.given (n integer)")
            two.execute("insert into cdp.given values (1)")
            assert one.rows("select n from cdp.given") == [{"n": 1}]

    def test_temporary_tables_of_one_name_do_not_meet(self, case: WarehouseCase) -> None:
        with case.warehouse.session("one") as one, case.other.session("two") as two:
            for number, session in enumerate((one, two)):
                session.execute(f"create or replace temporary table mine as select {number} as n")
            assert [session.rows("select n from mine") for session in (one, two)] == [[{"n": 0}], [{"n": 1}]]

    def test_what_is_not_committed_is_not_seen_by_others(self, case: WarehouseCase) -> None:
        with case.warehouse.session("one") as one, case.other.session("two") as two:
            one.execute("create table given (n integer)")
            with one.transaction():
                one.execute("insert into given values (1)")
                assert two.rows("select n from given") == []
            assert two.rows("select n from given") == [{"n": 1}]
