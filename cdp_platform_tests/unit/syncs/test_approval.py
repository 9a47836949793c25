"""A person's word for one plan."""

from dataclasses import replace

import pytest

from cdp_platform.domain.syncs import Mode, Removal
from cdp_platform.errors import CdpError, GuardTripped
from cdp_platform.syncs import controls
from cdp_platform.syncs.approval import require_approvable
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


def approving(shop: Shop) -> Shop:
    shop.spec = spec_of(needs_approval=True)
    return shop


def test_a_plan_that_waits_for_an_approval_sends_nothing_until_it_has_one(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    plan = shop.plan()
    with pytest.raises(GuardTripped, match=f"cdp approve crm_contacts {plan.digest[:12]}"):
        shop.send(plan)
    assert shop.session.writes == []
    approved = require_approvable(shop.engine.journal, "crm_contacts", plan.digest[:8])
    controls.approve(shop.engine.journal, "crm_contacts", approved.digest, approved_by="olive")
    assert shop.send(plan).counts.delivered == 1


def test_an_approval_is_good_once_and_says_who_when_and_which_run(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    plan = shop.plan()
    controls.approve(shop.engine.journal, "crm_contacts", plan.digest, approved_by="olive")
    shop.send(plan)
    (given,) = controls.approvals(shop.engine.journal, "crm_contacts")
    assert (given.digest, given.approved_by, given.used_by_run) == (plan.digest, "olive", "run-1")
    assert given.approved_at.startswith("20")
    assert controls.waiting_approval(shop.engine.journal, "crm_contacts", plan.digest) is None


def test_an_approval_of_one_plan_is_none_for_another(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    controls.approve(shop.engine.journal, "crm_contacts", shop.plan().digest, approved_by="olive")
    shop.people([person_of(1), person_of(2)])
    with pytest.raises(GuardTripped):
        shop.send(shop.plan())
    assert shop.session.writes == []


def test_an_equal_plan_made_later_is_the_same_plan(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    controls.approve(shop.engine.journal, "crm_contacts", shop.plan().digest, approved_by="olive")
    assert shop.run().counts.delivered == 1


def test_the_brake_of_a_mirror_can_be_overruled_for_one_plan(shop: Shop) -> None:
    shop.destination = type(shop.destination)(batch_rows=10)
    limits = replace(spec_of().limits, removed_rows=1, shrunk_share=1.0)
    shop.spec = spec_of(mode=Mode.MIRROR, removal=Removal.DELETE, limits=limits, consent=None)
    shop.people([person_of(number) for number in range(6)])
    shop.run()
    shop.people([person_of(number) for number in range(3)])
    plan = shop.plan()
    assert [verdict.code for verdict in plan.verdicts if not verdict.passed] == ["removals_within_limit"]
    controls.approve(shop.engine.journal, plan.sync, plan.digest, approved_by="olive")
    assert shop.send(plan).counts.delivered == 3
    assert sorted(shop.account.records) == ["p-000", "p-001", "p-002"]


def test_a_plan_that_every_guard_let_pass_needs_no_approval(shop: Shop) -> None:
    shop.people([person_of(1)])
    with pytest.raises(CdpError, match="needs no approval"):
        require_approvable(shop.engine.journal, "crm_contacts", shop.plan().digest)


def test_a_plan_that_another_guard_stopped_cannot_be_approved(shop: Shop) -> None:
    approving(shop).people([person_of(1), person_of(1)])
    with pytest.raises(CdpError, match="cannot be approved: keys_unique"):
        require_approvable(shop.engine.journal, "crm_contacts", shop.plan().digest)


def test_only_the_newest_plan_can_be_approved(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    older = shop.plan()
    shop.people([person_of(2)])
    newest = shop.plan()
    with pytest.raises(CdpError, match=f"not the newest.*{newest.digest[:12]}"):
        require_approvable(shop.engine.journal, "crm_contacts", older.digest)


@pytest.mark.parametrize("digest", ["", "abc", "%%%%%%%%", "ABCDEF123456", "g" * 12])
def test_a_text_that_is_no_digest_is_told_apart(shop: Shop, digest: str) -> None:
    approving(shop).people([person_of(1)])
    shop.plan()
    with pytest.raises(CdpError, match="is no digest"):
        require_approvable(shop.engine.journal, "crm_contacts", digest)


def test_a_digest_of_nothing_and_a_sync_without_plan_are_told_apart(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    shop.plan()
    with pytest.raises(CdpError, match="is no plan of sync"):
        require_approvable(shop.engine.journal, "crm_contacts", "0" * 12)
    with pytest.raises(CdpError, match="never planned"):
        require_approvable(shop.engine.journal, "another", "0" * 12)


def test_a_plan_of_a_sync_that_is_off_cannot_be_approved(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    controls.switch(shop.engine.journal, "crm_contacts", is_enabled=False)
    with pytest.raises(CdpError, match="switched off"):
        require_approvable(shop.engine.journal, "crm_contacts", shop.plan().digest)


def test_a_second_approval_of_the_same_plan_is_not_taken(shop: Shop) -> None:
    approving(shop).people([person_of(1)])
    plan = shop.plan()
    controls.approve(shop.engine.journal, "crm_contacts", plan.digest, approved_by="olive")
    with pytest.raises(CdpError, match="approved by olive"):
        require_approvable(shop.engine.journal, "crm_contacts", plan.digest)
