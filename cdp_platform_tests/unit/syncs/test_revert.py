"""Undo: back to the values before a run, and nothing that a person forbids."""

from dataclasses import replace
from typing import Any

import pytest

from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import FieldMapping, Mode, Removal
from cdp_platform.errors import CdpError, GuardTripped
from cdp_platform.syncs import controls
from cdp_platform.syncs.preview import preview
from cdp_platform.syncs.revert import make_revert
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


def revert(shop: Shop, run: str) -> Plan:
    shop.runs += 1
    return make_revert(shop.engine, shop.spec, run, run_id=f"run-{shop.runs}")


def revert_and_send(shop: Shop, run: str) -> Any:
    plan = revert(shop, run)
    controls.approve(shop.engine.journal, plan.sync, plan.digest, approved_by="olive")
    return shop.send(plan)


def two_runs(shop: Shop, **changes: Any) -> None:
    """Run 1 creates two people; run 2 changes the first."""
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1, **changes), person_of(2)])
    shop.run()


def test_the_fields_that_a_run_changed_get_their_former_values(shop: Shop) -> None:
    two_runs(shop, segment="lapsed", lifetime_value="99.50")
    plan = revert(shop, "run-2")
    assert (plan.operations, plan.skipped, plan.reverts) == ({"update": 1}, {}, "run-2")
    changes = preview(shop.home, shop.warehouse, shop.spec, plan, rows=5)
    assert {change.field: (change.old, change.new) for change in changes} == {
        "segment": ("lapsed", "loyal"),
        "lifetime_value": ("99.50", "10.00"),
    }
    controls.approve(shop.engine.journal, plan.sync, plan.digest, approved_by="olive")
    assert shop.send(plan).counts.delivered == 1
    assert shop.sent_rows()[-1]["fields"] == {"segment": "loyal", "lifetime_value": "10.00"}


def test_a_field_that_was_empty_before_is_emptied_again(shop: Shop) -> None:
    shop.people([person_of(1, segment=None)])
    shop.run()
    shop.people([person_of(1)])
    shop.run()
    revert_and_send(shop, "run-2")
    assert shop.records("segment") == {"p-001": None}


def test_what_a_later_run_changed_in_other_fields_stays(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    shop.people([person_of(1, segment="lapsed", lifetime_value="50.00"), person_of(2)])
    shop.run()
    revert_and_send(shop, "run-2")
    assert shop.sent_rows()[-1]["fields"] == {"segment": "loyal"}
    assert shop.records("lifetime_value")["p-001"] == "50.00"


def test_a_revert_needs_an_approval_and_switches_the_sync_off(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    plan = revert(shop, "run-2")
    assert not controls.is_enabled(shop.engine.journal, "crm_contacts")
    with pytest.raises(GuardTripped, match="approved"):
        shop.send(plan)
    assert shop.records("segment")["p-001"] == "lapsed"


def test_a_paused_sync_does_not_send_a_revert(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    controls.pause(shop.engine.journal, "sync", "crm_contacts", paused_by="olive")
    with pytest.raises(CdpError, match="paused by olive"):
        revert_and_send(shop, "run-2")


def test_after_a_revert_the_next_ordinary_plan_brings_the_new_values_again(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    revert_and_send(shop, "run-2")
    controls.switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    plan = shop.plan()
    assert plan.operations == {"update": 1}
    (change,) = preview(shop.home, shop.warehouse, shop.spec, plan, rows=5)
    assert (change.field, change.old, change.new) == ("segment", "loyal", "lapsed")


def test_a_revert_can_be_reverted(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    revert_and_send(shop, "run-2")
    revert_and_send(shop, "run-3")
    assert shop.records("segment")["p-001"] == "lapsed"


def test_an_approved_revert_that_another_plan_has_covered_is_planned_again_and_sent(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    first = revert(shop, "run-2")
    controls.approve(shop.engine.journal, first.sync, first.digest, approved_by="olive")
    shop.people([person_of(1, segment="champion"), person_of(2)])
    shop.plan()
    with pytest.raises(CdpError, match="not the newest"):
        shop.send(first)
    again = revert(shop, "run-2")
    assert again.digest == first.digest
    assert shop.send(again).counts.delivered == 1


def test_numbers_and_truth_values_come_back_as_what_they_were(shop: Shop) -> None:
    segment = FieldMapping(column="visits", field="segment")
    shop.spec = spec_of(mapping=(*shop.spec.mapping[:3], segment), consent=None)
    for visits in (9007199254740993, 2):
        shop.people([person_of(1)])
        shop.sql("alter table activation.sync_contacts__crm add column visits bigint")
        shop.sql(f"update activation.sync_contacts__crm set visits = {visits}")
        shop.run()
    revert_and_send(shop, "run-2")
    assert shop.records("segment") == {"p-001": 9007199254740993}


def test_two_reverts_to_different_values_have_different_digests(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    shop.people([person_of(1, segment="champion"), person_of(2)])
    shop.run()
    assert revert(shop, "run-3").digest != revert(shop, "run-2").digest


def test_created_records_stay_where_the_sync_may_not_remove_and_are_counted(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    plan = revert(shop, "run-1")
    assert (plan.operations, plan.skipped) == ({}, {"not_revertible": 2})
    assert plan.is_allowed


def mirror(shop: Shop) -> None:
    shop.spec = spec_of(
        mode=Mode.MIRROR,
        removal=Removal.DELETE,
        consent=None,
        limits=replace(spec_of().limits, shrunk_share=1.0),
    )


def test_a_mirror_takes_created_records_away_again(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(1)])
    shop.run()
    shop.people([person_of(1), person_of(2)])
    shop.run()
    revert_and_send(shop, "run-2")
    assert list(shop.account.records) == ["p-001"]


def test_a_mirror_brings_removed_records_back(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1)])
    shop.run()
    assert list(shop.account.records) == ["p-001"]
    assert revert_and_send(shop, "run-2").operations == {"create": 1}
    assert shop.records("segment") == {"p-001": "loyal", "p-002": "loyal"}


def test_who_withdrew_since_is_left_alone(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    shop.people([person_of(1, permission="withdrawn", segment="lapsed"), person_of(2)])
    plan = revert(shop, "run-2")
    assert (plan.operations, plan.skipped) == ({}, {"withdrawn": 1})


def test_a_withdrawal_is_never_taken_back(shop: Shop) -> None:
    two_runs(shop, permission="withdrawn")
    assert shop.records("email_permission")["p-001"] == "withdrawn"
    plan = revert(shop, "run-2")
    assert plan.operations == {}
    shop.people([person_of(1), person_of(2)])
    assert revert(shop, "run-2").operations == {}


def test_a_former_address_without_permission_is_not_written(shop: Shop) -> None:
    two_runs(shop, email="New@example.com")
    plan = revert(shop, "run-2")
    assert (plan.operations, plan.skipped) == ({}, {"never_asked": 1})


def test_a_value_that_is_not_known_is_not_reverted(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    shop.sql("update cdp.delivered_rows set previous = null, operation = 'update'")
    assert revert(shop, "run-1").skipped == {"not_revertible": 1}


def test_a_run_that_delivered_nothing_is_named_with_those_that_did(shop: Shop) -> None:
    two_runs(shop, segment="lapsed")
    with pytest.raises(CdpError, match=r"'run-9'.*delivered nothing.*run-2, run-1"):
        revert(shop, "run-9")
    with pytest.raises(CdpError, match="fits more than one"):
        revert(shop, "run-")
    assert controls.is_enabled(shop.engine.journal, "crm_contacts")
