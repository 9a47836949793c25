"""An event counts once, on the day on which it was received first, whatever is delivered again and in which order."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY
from cdp_platform_tests.dbt.conftest import Warehouse, event_time

DAY = date(2017, 6, 14)
Delivery = tuple[str, datetime, date]
"""Message, instant of receipt, day of the file."""


@pytest.fixture(scope="module")
def shop(restore: Callable[[], Warehouse]) -> Warehouse:
    """The small warehouse, for tests that leave no trace of theirs to the next: each writes all deliveries anew."""
    return restore()


def rebuild(warehouse: Warehouse, first: date, last: date) -> None:
    result = warehouse.run("run", "--select", "events", *event_time(first, last))
    assert result.success, result.exception


def deliver(warehouse: Warehouse, deliveries: list[Delivery]) -> None:
    """Replace everything that was delivered."""
    warehouse.execute("delete from raw_web.events")
    values = ", ".join(
        f"('{message}', 'a', 'page_viewed', timestamptz '2017-06-13 12:00:00+00', timestamptz '{received_at}', '{day}')"
        for message, received_at, day in deliveries
    )
    if values:
        warehouse.execute(
            "insert into raw_web.events (message_id, anonymous_id, event_name, occurred_at, received_at, file_day)"
            f" values {values}"
        )


def at_noon(day: date, minutes: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, 16, tzinfo=UTC) + timedelta(minutes=minutes)


def shown(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows("select message_id, received_on from marts.events order by all")


def test_the_year_holds_each_message_once_though_some_came_twice(warehouse: Warehouse) -> None:
    [(deliveries, messages)] = warehouse.rows("select count(*), count(distinct message_id) from raw_web.events")
    assert deliveries > messages > 2_000
    assert warehouse.rows("select count(*), count(distinct message_id) from marts.events") == [(messages, messages)]


def test_an_evening_in_new_york_is_the_day_of_the_event_and_lateness_does_not_move_it(warehouse: Warehouse) -> None:
    [(evenings, late)] = warehouse.rows(
        "select count(*) filter (cast(occurred_at at time zone 'UTC' as date) = event_day + 1),"
        " count(*) filter (received_on > event_day) from marts.events"
    )
    assert evenings > 0
    assert late > 0
    wrong = (
        "select count(*) from marts.events where cast(occurred_at at time zone 'America/New_York' as date) <> event_day"
    )
    assert warehouse.rows(wrong) == [(0,)]


def test_a_day_rebuilt_is_the_same_day_and_no_other_is_touched(warehouse: Warehouse) -> None:
    everything = "select * from marts.events order by message_id"
    before = warehouse.rows(everything)
    rebuild(warehouse, DAY, DAY)
    assert warehouse.rows(everything) == before


def test_a_message_that_comes_again_the_next_day_stays_where_it_was(shop: Warehouse) -> None:
    next_day = DAY + timedelta(days=1)
    deliver(shop, [("m", at_noon(DAY), DAY)])
    rebuild(shop, FIRST_DAY, LAST_DAY)
    deliver(shop, [("m", at_noon(DAY), DAY), ("m", at_noon(next_day), next_day)])
    rebuild(shop, next_day, next_day)
    assert shown(shop) == [("m", DAY)]


def test_an_older_file_that_comes_after_a_newer_one_takes_its_messages_back(shop: Warehouse) -> None:
    next_day = DAY + timedelta(days=1)
    deliver(shop, [("m", at_noon(next_day), next_day)])
    rebuild(shop, FIRST_DAY, LAST_DAY)
    deliver(shop, [("m", at_noon(DAY), DAY), ("m", at_noon(next_day), next_day)])
    rebuild(shop, DAY, DAY)
    assert shown(shop) == [("m", DAY)]


def test_a_message_that_was_taken_out_of_its_file_counts_by_its_other_delivery(shop: Warehouse) -> None:
    next_day = DAY + timedelta(days=1)
    deliver(shop, [("m", at_noon(DAY), DAY), ("m", at_noon(next_day), next_day), ("gone", at_noon(DAY), DAY)])
    rebuild(shop, FIRST_DAY, LAST_DAY)
    deliver(shop, [("m", at_noon(next_day), next_day)])
    rebuild(shop, DAY, DAY)
    assert shown(shop) == [("m", next_day)]


def test_whatever_is_delivered_and_in_whatever_order_days_are_rebuilt_each_message_counts_by_its_first_delivery(
    shop: Warehouse,
) -> None:
    seed = 20_171
    chance = Random(seed)
    days = [DAY + timedelta(days=offset) for offset in range(4)]
    files: dict[date, list[Delivery]] = {day: [] for day in days}
    deliver(shop, [])
    rebuild(shop, FIRST_DAY, LAST_DAY)
    for _ in range(10):
        day = chance.choice(days)
        files[day] = [
            (f"m{chance.randrange(6)}", at_noon(day, chance.randrange(300)), day) for _ in range(chance.randrange(6))
        ]
        deliver(shop, [one for found in files.values() for one in found])
        rebuild(shop, day, day)
        first: dict[str, tuple[datetime, date]] = {}
        for message, received_at, file_day in (one for found in files.values() for one in found):
            first[message] = min(first.get(message, (received_at, file_day)), (received_at, file_day))
        assert shown(shop) == sorted((message, file_day) for message, (_, file_day) in first.items()), f"seed {seed}"
