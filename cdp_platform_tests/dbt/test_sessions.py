"""Sessions, touchpoints and visitors as of the clock, held against a reading of the same events in plain Python."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cdp_platform_tests.dbt.conftest import Warehouse

CLOCK = date(2017, 12, 20)
IDLE = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class Event:
    message_id: str
    anonymous_id: str
    customer_number: str | None
    occurred_at: datetime
    campaign: tuple[str | None, ...]


@pytest.fixture(scope="module")
def web(restore: Callable[[], Warehouse]) -> Warehouse:
    """The small warehouse with the web's models as of the clock."""
    warehouse = restore()
    build(warehouse, CLOCK)
    return warehouse


def build(warehouse: Warehouse, clock: date) -> None:
    result = warehouse.run_people(clock)
    assert result.success, result.exception


def events_of(warehouse: Warehouse, clock: date) -> list[Event]:
    rows = warehouse.rows(
        "select message_id, anonymous_id, customer_number, occurred_at, campaign_source, campaign_medium, campaign_name"
        f" from marts.events where received_on <= '{clock}' order by occurred_at, message_id"
    )
    return [
        Event(message_id=row[0], anonymous_id=row[1], customer_number=row[2], occurred_at=row[3], campaign=row[4:])
        for row in rows
    ]


def sessions_in(events: list[Event]) -> Iterator[list[Event]]:
    """Cut each browser's events: after half an hour without one, and where another campaign is arrived from."""
    by_browser = defaultdict[str, list[Event]](list)
    for event in events:
        by_browser[event.anonymous_id].append(event)
    for found in by_browser.values():
        session: list[Event] = []
        campaign: tuple[str | None, ...] | None = None
        for event in found:
            is_idle = bool(session) and event.occurred_at - session[-1].occurred_at > IDLE
            arrives = event.campaign if any(event.campaign) else None
            if is_idle:
                campaign = None
            if session and (is_idle or (arrives and arrives != campaign)):
                yield session
                session = []
            campaign = arrives or campaign
            session.append(event)
        yield session


def test_each_event_is_in_the_session_that_plain_python_puts_it_into(web: Warehouse) -> None:
    expected = {
        event.message_id: (session[0].message_id, place)
        for session in sessions_in(events_of(web, CLOCK))
        for place, event in enumerate(session, 1)
    }
    rows = web.rows("select message_id, session_id, session_place from marts.session_events")
    assert len(rows) > 2_000
    assert {message: (session, place) for message, session, place in rows} == expected


def test_sessions_that_pause_for_longer_or_meet_another_campaign_were_among_them(web: Warehouse) -> None:
    starts = web.rows(
        "select count(*) from marts.sessions as later join marts.sessions as earlier using (anonymous_id)"
        " where later.started_at > earlier.ended_at and later.started_at - earlier.ended_at < interval 30 minute"
        " and later.campaign_name is not null"
    )
    pauses = web.rows(
        "select count(*) from marts.sessions as later join marts.sessions as earlier using (anonymous_id)"
        " where later.started_at - earlier.ended_at between interval 30 minute and interval 2 hour"
    )
    assert starts[0][0] > 0
    assert pauses[0][0] > 0


def test_a_session_tells_what_happened_in_it(web: Warehouse) -> None:
    told = {row[0]: row[1:] for row in web.rows(
        "select session_id, started_at, ended_at, duration_seconds, event_count from marts.sessions")}  # fmt: skip
    for session in sessions_in(events_of(web, CLOCK)):
        first, last = session[0].occurred_at, session[-1].occurred_at
        assert told[session[0].message_id] == (first, last, (last - first).total_seconds(), len(session))


def test_a_session_over_midnight_is_one_and_belongs_to_the_day_on_which_it_began(web: Warehouse) -> None:
    rows = web.rows(
        "select session_day, cast(started_at at time zone 'America/New_York' as date),"
        " cast(ended_at at time zone 'America/New_York' as date) from marts.sessions"
    )
    over_midnight = [row for row in rows if row[1] != row[2]]
    assert over_midnight
    assert all(day == began for day, began, _ in rows)


def test_a_browser_of_one_person_is_that_person_s_and_one_of_several_is_nobody_s(web: Warehouse) -> None:
    person_of = dict(web.rows("select customer_number, person_id from intermediate.int_customers__resolved"))
    people = defaultdict[str, set[str]](set)
    customers = defaultdict[str, set[str]](set)
    for event in events_of(web, CLOCK):
        found = {event.customer_number} - {None}
        customers[event.anonymous_id] |= {str(number) for number in found}
        people[event.anonymous_id] |= {person_of[str(number)] for number in found}
    rows = dict(web.rows("select anonymous_id, person_id from marts.visitors"))
    assert rows == {browser: next(iter(found)) if len(found) == 1 else None for browser, found in people.items()}
    assert any(len(found) > 2 for found in people.values())
    assert any(len(customers[browser]) == 2 and len(found) == 1 for browser, found in people.items())


def test_an_event_is_the_person_s_who_was_logged_in_otherwise_the_browser_s(web: Warehouse) -> None:
    person_of = dict(web.rows("select customer_number, person_id from intermediate.int_customers__resolved"))
    browser_of = dict(web.rows("select anonymous_id, person_id from marts.visitors"))
    expected = {
        event.message_id: person
        for event in events_of(web, CLOCK)
        if (person := person_of.get(event.customer_number or "") or browser_of[event.anonymous_id]) is not None
    }
    assert dict(web.rows("select message_id, person_id from marts.person_events")) == expected
    assert len(expected) > len([event for event in events_of(web, CLOCK) if event.customer_number])


def test_the_web_reaches_the_engagement_of_people(web: Warehouse) -> None:
    since = CLOCK - timedelta(days=28)
    expected = dict(
        web.rows(
            f"select person_id, count(*) filter (session_day > '{since}') from marts.sessions"
            " where person_id in (select person_id from marts.profiles) group by 1"
        )
    )
    told = web.rows("select person_id, web_visits_28d, last_web_visit_on from marts.traits_engagement")
    assert {person: visits for person, visits, last in told if last is not None} == expected
    assert sum(visits for _, visits, _ in told) == sum(expected.values()) > 20


def test_the_value_of_a_person_is_what_the_receipts_add_up_to(web: Warehouse) -> None:
    orders = web.rows(
        "select person_id, order_day, order_value, store_discount + coupon_discount from marts.person_orders"
        f" where is_purchase and order_day <= '{CLOCK}'"
    )
    for person, value_90d, before, value_365d, average, share, tier in web.rows(
        "select person_id, order_value_90d, order_value_before_90d, order_value_365d, average_order_value_365d,"
        " discount_share_365d, value_tier from marts.traits_value"
    ):
        mine = [((CLOCK - day).days, value, off) for one, day, value, off in orders if one == person]
        year = [(value, off) for ago, value, off in mine if ago < 365]
        assert value_90d == sum(value for ago, value, _ in mine if ago < 90)
        assert before == sum(value for ago, value, _ in mine if 90 <= ago < 180)
        assert value_365d == sum(value for value, _ in year)
        assert abs(average - value_365d / len(year)) <= Decimal("0.005")
        off = sum(off for _, off in year)
        assert abs(share - off / (value_365d + off)) <= Decimal("0.0001")
        assert tier in ("high", "middle", "low")
    people, high = web.rows("select count(*), count(*) filter (value_tier = 'high') from marts.traits_value")[0]
    assert abs(high / people - 0.2) < 0.05


def test_a_touchpoint_is_a_session_from_a_campaign_or_a_mailing_that_has_begun(web: Warehouse) -> None:
    kinds = dict(web.rows("select touchpoint_kind, count(*) from marts.touchpoints group by 1"))
    sessions = web.rows("select count(*) from marts.sessions where campaign_name is not null")[0][0]
    mailings = web.rows(
        "select count(*) from raw_retail.campaigns join raw_retail.campaign_descriptions using (campaign_id)"
        f" where start_date <= '{CLOCK}'"
    )[0][0]
    assert kinds == {"web_session": sessions, "campaign_exposure": mailings}
    assert min(kinds.values()) > 50
    shared = web.rows(
        "select count(distinct campaign_name) from marts.touchpoints as mailing where touchpoint_kind ="
        " 'campaign_exposure' and campaign_name in (select campaign_name from marts.sessions)"
    )
    assert shared[0][0] > 3


def test_an_earlier_clock_knows_only_what_had_been_received(restore: Callable[[], Warehouse]) -> None:
    warehouse = restore()
    clock = date(2017, 3, 1)
    build(warehouse, clock)
    newest: list[tuple[Any, ...]] = warehouse.rows("select max(session_day) from marts.sessions")
    assert newest == [(clock,)]
    assert warehouse.rows("select count(*) from marts.session_events") == [(len(events_of(warehouse, clock)),)]
