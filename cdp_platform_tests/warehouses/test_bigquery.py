"""BigQuery's adapter holds what every warehouse must hold, on an emulator that is started for it: crucible."""

from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pyarrow as pa
import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from cdp_platform.errors import GuardTripped, WarehouseError
from cdp_platform.testing.warehouse_contract import WarehouseCase, WarehouseContract
from cdp_platform.testing.warehouse_sessions import ManySessionsContract
from cdp_platform.testing.warehouse_values import WarehouseValuesContract
from cdp_platform.warehouse.base import ForeseesScan, NeedsGrants, Session
from cdp_platform.warehouse.bigquery import BigQuerySession, BigQueryWarehouse
from cdp_platform_tests.warehouses.bigquery_server import Crucible
from cdp_platform_tests.warehouses.emulators import CRUCIBLE_LACKS, NoSecrets

pytestmark = pytest.mark.slow

_UNSAYABLE = ("'infinity'-date-date", "'10000-01-01'-date-date", "'infinity'-timestamp", "'infinity'-timestamptz")
"""Values that no column of BigQuery's holds: that they are misfits cannot be shown, nor need be."""


@pytest.fixture
def case(crucible: Crucible, request: pytest.FixtureRequest) -> Iterator[WarehouseCase]:
    name = request.node.name
    if any(f"[{value}" in name for value in _UNSAYABLE):
        request.applymarker(pytest.mark.xfail(reason="BigQuery has no such value", strict=True))
    if reason := CRUCIBLE_LACKS.get(name):
        request.applymarker(pytest.mark.xfail(reason=f"crucible: {reason}", strict=True))
    account = crucible.new_account()
    with (
        closing(BigQueryWarehouse(account, NoSecrets(), retry_seconds=0.3)) as warehouse,
        closing(BigQueryWarehouse(account, NoSecrets(), retry_seconds=0.3)) as other,
    ):
        yield WarehouseCase(warehouse=warehouse, other=other, lose=lose)


def lose(session: Session) -> None:
    """Lead the session's requests to where nobody answers."""
    cast("BigQuerySession", session)._jobs.client._connection.API_BASE_URL = "http://127.0.0.1:1"


class TestBigQuery(WarehouseContract):
    pass


class TestSessionsOfBigQuery(ManySessionsContract):
    pass


class TestValuesOfBigQuery(WarehouseValuesContract):
    pass


def test_a_session_leaves_none_of_its_temporary_tables(case: WarehouseCase) -> None:
    with case.warehouse.session("test") as session:
        session.execute("create or replace temporary table mine as select 1 as n")
        session.register("told", pa.table({"n": [1, 2]}))
        client = cast("BigQuerySession", session)._jobs.client
        assert len(list(client.list_tables("cdp_temp"))) == 2
    assert list(client.list_tables("cdp_temp")) == []


def test_what_a_query_scans_is_foreseen_and_a_limit_stops_before_it(case: WarehouseCase) -> None:
    with case.warehouse.session("plan crm_contacts") as session:
        session.execute("create table given as select n from range(1000) as numbers (n)")
        assert isinstance(session, ForeseesScan)
        assert session.scanned_bytes("select n from given") == 8000
        session.limit_scan(12_000)
        assert session.rows("select count(*) as row_count from given") == [{"row_count": 1000}]
        with pytest.raises(GuardTripped, match="plan crm_contacts would scan 16,000 bytes"):
            session.rows("select n from given")


def test_who_has_every_right_and_has_built_every_model_lacks_nothing(case: WarehouseCase) -> None:
    assert isinstance(case.warehouse, NeedsGrants)
    with case.warehouse.session("test") as session:
        session.execute("create schema marts")
        session.execute("create table marts.consents (identifier varchar)")
    assert case.warehouse.missing_grants(["marts.consents"]) == []
    [missing] = case.warehouse.missing_grants(["marts.consents", "marts.suppressions"])
    assert missing.endswith('to "user:YOU@EXAMPLE.COM"; or build what is not there yet: marts.suppressions')


def test_a_transaction_reads_what_it_has_written_and_its_tables_of_that_end_with_it(case: WarehouseCase) -> None:
    with case.warehouse.session("test") as session:
        session.execute("create table kept as select 1 as n")
        with session.transaction():
            session.execute("insert into kept values (2)")
            session.execute("create or replace temporary table seen as select n + 10 as n from kept")
            assert session.rows("select n from seen order by n") == [{"n": 11}, {"n": 12}]
            session.execute("delete from kept where n = 1")
            session.execute("insert into kept select n from seen")
        assert session.rows("select n from kept order by n") == [{"n": 2}, {"n": 11}, {"n": 12}]
        with pytest.raises(WarehouseError, match="seen"):
            session.rows("select n from seen")
