"""A sync that meets another account asks a person: send everything there, or take the present as delivered."""

import pytest

from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import FirstRun
from cdp_platform.errors import CdpError, GuardTripped
from cdp_platform.syncs import controls
from cdp_platform.syncs.approval import require_approvable
from cdp_platform.syncs.reset import adopt, reset
from cdp_platform.texts.catalogue import verdict_text
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


def failed(plan: Plan) -> list[str]:
    return [verdict.code for verdict in plan.verdicts if not verdict.passed]


def moved(shop: Shop) -> Shop:
    """Deliver to one account, then let the connection lead to another, empty one."""
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.account = type(shop.account)("fake-2", shop.account.fields)
    shop.session = type(shop.session)(shop.account)
    shop.people([person_of(1), person_of(2), person_of(3)])
    return shop


def test_the_first_account_of_a_sync_follows_its_definition(shop: Shop) -> None:
    shop.people([person_of(1)])
    assert failed(shop.plan()) == []
    assert shop.run().counts.delivered == 1


def test_the_dry_run_of_a_sync_that_is_off_is_no_account(shop: Shop) -> None:
    shop.people([person_of(1)])
    controls.switch(shop.engine.journal, "crm_contacts", is_enabled=False)
    shop.plan()
    controls.switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    assert failed(shop.plan()) == []


def test_a_new_account_gets_nothing_before_a_person_has_chosen(shop: Shop) -> None:
    # The connection's account was last asked for when it was the old one: the plan is made for the one there now.
    first = moved(shop).plan()
    assert failed(first) == ["account_known"]
    verdict = next(verdict for verdict in first.verdicts if not verdict.passed)
    assert verdict_text(verdict, "en").splitlines()[0] == (
        "Nothing was sent: the connection leads to the account fake-2, which is new to crm_contacts;"
        " so far it delivered to fake-1."
    )
    with pytest.raises(GuardTripped, match="cdp baseline crm_contacts"):
        shop.send(first)
    assert shop.session.writes == []


def test_an_approval_sends_everything_to_the_new_account_and_the_next_plan_asks_no_more(shop: Shop) -> None:
    plan = moved(shop).plan()
    found = require_approvable(shop.engine.journal, "crm_contacts", plan.digest)
    controls.approve(shop.engine.journal, "crm_contacts", found.digest, approved_by="olive")
    assert shop.send(plan).counts == Counts(planned=3, delivered=3)
    shop.people([person_of(1, segment="lapsed"), person_of(2), person_of(3)])
    assert failed(shop.plan()) == []


def test_a_definition_that_says_baseline_does_not_decide_for_a_second_account(shop: Shop) -> None:
    moved(shop).spec = spec_of(first_run=FirstRun.BASELINE)
    plan = shop.plan()
    assert (failed(plan), plan.to_send) == (["account_known"], 3)


def test_the_present_rows_may_be_taken_as_delivered_to_the_new_account(shop: Shop) -> None:
    moved(shop)
    assert adopt(shop.engine, shop.spec) == 3
    assert shop.run().counts == Counts()
    shop.people([person_of(1, segment="lapsed"), person_of(2), person_of(3)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert [row["match_value"] for row in shop.sent_rows()] == ["p-001"]


def test_rows_are_not_taken_as_delivered_where_something_was_delivered(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    with pytest.raises(CdpError, match="cdp reset crm_contacts"):
        adopt(shop.engine, shop.spec)


def test_a_model_that_cannot_be_right_is_not_taken_as_delivered(shop: Shop) -> None:
    shop.people([person_of(1), person_of(1, email="twin@example.com")])
    with pytest.raises(GuardTripped, match="person_id"):
        adopt(shop.engine, shop.spec)
    shop.people([person_of(1)])
    assert shop.plan().operations == {"create": 1}


def test_back_at_the_first_account_its_own_ledger_goes_on(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    first = shop.session
    shop.session = type(first)(type(shop.account)("fake-2", shop.account.fields))
    shop.people([person_of(1), person_of(2), person_of(3)])
    assert failed(shop.plan()) == ["account_known"]
    shop.session = first
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_a_reset_is_a_person_s_word_for_the_account_that_was_known(shop: Shop) -> None:
    plan = moved(shop).plan()
    controls.approve(shop.engine.journal, "crm_contacts", plan.digest, approved_by="olive")
    shop.send(plan)
    reset(shop.engine, shop.spec)
    controls.switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    assert failed(shop.plan()) == []
