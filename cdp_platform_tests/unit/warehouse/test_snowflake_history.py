"""A plan's cost on Snowflake is what the account's history tells of its statements, and nothing is made up."""

import json
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, cast

import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import ProgrammingError

from cdp_platform.domain.costs import Cost
from cdp_platform.warehouse.snowflake import SnowflakeSession
from cdp_platform.warehouse.snowflake_history import CREDITS_PER_HOUR, with_history

SMALL = ("Small", "STANDARD", Decimal(90_000), Decimal(5_000_000), Decimal("0.000120"))
NO_WAREHOUSE = (None, None, Decimal(400), Decimal(0), Decimal("0.000030"))
BEFORE = Cost(statements=9, last_statement_id="01ab")


def told(*groups: Sequence[Any]) -> Cost:
    return with_history(BEFORE, lambda sql: groups, "a1b2")


def test_bytes_seconds_size_and_the_credits_of_services_are_told() -> None:
    cost = told(NO_WAREHOUSE, SMALL)
    assert (cost.statements, cost.last_statement_id) == (9, "01ab")
    assert (cost.bytes_scanned, cost.seconds, cost.size, cost.credits) == (5_000_000, 90.0, "Small", 0.00015)


def test_computing_is_estimated_by_the_seconds_in_a_warehouse_and_its_rate() -> None:
    assert told(NO_WAREHOUSE, SMALL).estimated_credits == pytest.approx(90 / 3600 * 2)
    large = ("2X-Large", "STANDARD", Decimal(3_600_000), Decimal(1), Decimal(0))
    both = told(SMALL, large)
    assert both.estimated_credits == pytest.approx(0.05 + 32) and both.size == "Small, 2X-Large"


def test_each_size_costs_twice_the_one_below() -> None:
    rates = list(CREDITS_PER_HOUR.values())
    assert rates[0] == 1 and all(above == 2 * below for below, above in pairwise(rates))
    assert (CREDITS_PER_HOUR["x-small"], CREDITS_PER_HOUR["6x-large"]) == (1, 512)


@pytest.mark.parametrize(
    "group",
    [
        ("Adaptive", "STANDARD", Decimal(5), Decimal(1), None),
        ("Medium", "SNOWPARK-OPTIMIZED", Decimal(5), Decimal(1), None),
        ("Medium", "STANDARD", None, None, None),
    ],
)
def test_nothing_is_estimated_where_a_rate_or_a_time_is_not_known(group: Sequence[Any]) -> None:
    cost = told(SMALL, group)
    assert cost.estimated_credits is None and cost.seconds is not None


def test_what_the_history_does_not_tell_is_unknown_and_not_nothing() -> None:
    assert told() == BEFORE
    cost = told(("X-Small", "STANDARD", None, None, None))
    assert (cost.bytes_scanned, cost.seconds, cost.credits, cost.estimated_credits) == (None, None, None, None)


class Connection:
    """A connection, and its cursor, which knows a history or may not read it."""

    sfqid = "01ab"

    def __init__(self, *, may_read: bool) -> None:
        self.may_read = may_read
        self.said: list[str] = []
        self.tags: list[str] = []

    def cursor(self) -> "Connection":
        return self

    def close(self) -> None:
        pass

    def execute(self, sql: str, _statement_params: dict[str, str]) -> None:
        self.said.append(sql)
        self.tags.append(_statement_params["QUERY_TAG"])
        if not self.may_read:
            raise ProgrammingError(msg="Unknown table function QUERY_HISTORY_BY_SESSION", errno=2140)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [SMALL]


def session_on(connection: Connection) -> SnowflakeSession:
    given = cast("SnowflakeConnection", connection)
    return SnowflakeSession(given, "plan crm_contacts", schema="cdp_session", work={"run": "r-1"})


def test_a_session_asks_for_its_own_statements_though_others_had_its_connection() -> None:
    connection = Connection(may_read=True)
    costs = [session_on(connection).cost() for _ in range(2)]
    names = [json.loads(tag)["session"] for tag in connection.tags]
    assert len(set(names)) == 2 and all(json.loads(tag)["run"] == "r-1" for tag in connection.tags)
    assert all(f"contains(query_tag, '{name}')" in sql for name, sql in zip(names, connection.said, strict=True))
    assert [cost.seconds for cost in costs] == [90.0, 90.0]


def test_where_the_history_may_not_be_read_the_cost_says_what_the_session_knows_itself() -> None:
    cost = session_on(Connection(may_read=False)).cost()
    assert cost == Cost(statements=0)
