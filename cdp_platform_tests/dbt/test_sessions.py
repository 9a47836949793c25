"""Sessions, touchpoints and visitors as of the clock, held against a reading of the same events in plain Python."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from cdp_platform_tests.dbt.conftest import Warehouse

CLOCK = date(2017, 12, 20)
MODELS = ("stg_loop__clock", "int_clocks__bounded", "loop_clock", "visitors", "session_events", "sessions",
          "int_exposures__begun", "touchpoints")  # fmt: skip
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
    warehouse.set_clock(clock)
    result = warehouse.run("build", "--select", *MODELS, "--indirect-selection", "cautious")
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


def test_a_browser_of_one_customer_is_that_customer_s_and_one_of_several_is_nobody_s(web: Warehouse) -> None:
    customers = defaultdict[str, set[str | None]](set)
    for event in events_of(web, CLOCK):
        customers[event.anonymous_id].add(event.customer_number)
    rows = dict(web.rows("select anonymous_id, customer_number from marts.visitors"))
    assert rows.keys() == customers.keys()
    for browser, found in customers.items():
        known = found - {None}
        assert rows[browser] == (next(iter(known)) if len(known) == 1 else None)
    assert any(len(found - {None}) > 2 for found in customers.values())


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
