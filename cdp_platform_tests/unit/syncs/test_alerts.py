"""What people are told: a condition once when it begins, once when it is over, whatever happens in between."""

from datetime import UTC, datetime

import pytest

from cdp_platform.domain.alerts import AlertKind, Change, Condition
from cdp_platform.errors import ConnectionFailed
from cdp_platform.syncs.alerts import changes, note_told, sync_conditions
from cdp_platform.syncs.controls import approve, switch
from cdp_platform.syncs.journal import Journal
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

ONE = frozenset({"slack"})
BOTH = frozenset({"slack", "mail"})
STALE = Condition(kind=AlertKind.STALE, subject="raw/shop/orders", since=datetime(2026, 11, 22, 9, tzinfo=UTC))


def conditions(shop: Shop) -> list[Condition]:
    return sync_conditions(Journal(shop.home), shop.warehouse, owners={"crm_contacts": "team:crm"}, rejected_share=0.05)


def tell(shop: Shop, *found: Condition, channels: frozenset[str] = ONE) -> list[Change]:
    """Look once, and have every channel hear of what is new."""
    journal = Journal(shop.home)
    news = changes(journal, found, channels=channels)
    for change in news:
        for channel in channels - change.told:
            note_told(journal, change, channel, channels=channels)
    return news


def test_a_condition_is_told_once_when_it_begins_and_once_when_it_is_over(shop: Shop) -> None:
    assert [change.is_over for change in tell(shop, STALE)] == [False]
    assert tell(shop, STALE) == []
    [over] = tell(shop)
    assert (over.is_over, over.condition.subject) == (True, "raw/shop/orders")
    assert tell(shop) == []


def test_one_that_comes_back_is_told_again(shop: Shop) -> None:
    tell(shop, STALE)
    tell(shop)
    assert [change.is_over for change in tell(shop, STALE)] == [False]


def test_since_is_when_it_began_and_not_when_it_was_last_seen(shop: Shop) -> None:
    tell(shop, STALE)
    later = Condition(kind=AlertKind.STALE, subject=STALE.subject, since=datetime(2026, 11, 23, tzinfo=UTC))
    tell(shop, later)
    [over] = tell(shop)
    assert over.condition.since == STALE.since


def test_a_channel_that_was_not_reached_is_told_later_and_the_other_is_not_told_twice(shop: Shop) -> None:
    journal = Journal(shop.home)
    [change] = changes(journal, [STALE], channels=BOTH)
    note_told(journal, change, "slack", channels=BOTH)
    [again] = changes(journal, [STALE], channels=BOTH)
    assert again.told == {"slack"}
    note_told(journal, again, "mail", channels=BOTH)
    assert changes(journal, [STALE], channels=BOTH) == []


def test_what_ended_before_anybody_heard_of_it_is_not_told(shop: Shop) -> None:
    assert len(changes(Journal(shop.home), [STALE], channels=ONE)) == 1
    assert changes(Journal(shop.home), [], channels=ONE) == []


def test_a_sync_that_runs_well_has_no_condition(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    assert conditions(shop) == []


def test_a_plan_that_guards_stopped_is_a_condition_until_it_is_approved(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(6)])
    shop.run()
    shop.people([person_of(1)])
    plan = shop.plan()
    [stopped] = conditions(shop)
    assert (stopped.kind, stopped.subject, stopped.owner) == (AlertKind.STOPPED, "crm_contacts", "team:crm")
    assert stopped.details == {"guards": "model_not_shrunk, consent_present", "digest": plan.digest[:12]}
    approve(Journal(shop.home), "crm_contacts", plan.digest, approved_by="ada")
    assert conditions(shop) == []


def test_a_plan_of_a_sync_that_is_off_waits_for_nobody(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(6)])
    shop.run()
    shop.people([person_of(1)])
    switch(Journal(shop.home), "crm_contacts", is_enabled=False)
    shop.plan()
    assert conditions(shop) == []


def test_a_run_that_was_broken_off_is_deferred_until_one_ends_well(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.session.fail_next(ConnectionFailed("no way"), times=5)
    with pytest.raises(ConnectionFailed):
        shop.run()
    [deferred] = conditions(shop)
    assert (deferred.kind, deferred.count) == (AlertKind.DEFERRED, 2)
    shop.run()
    assert conditions(shop) == []
