"""Modes, removals and the first run: which rows are created, changed and removed."""

import json
import time
from dataclasses import replace

import pytest

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FirstRun, Limits, Mode, Removal
from cdp_platform.errors import CdpError, GuardTripped, TemporarilyDown
from cdp_platform.syncs import controls
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


def mirror(shop: Shop, removal: Removal = Removal.DELETE, **limits: float) -> None:
    shop.spec = spec_of(mode=Mode.MIRROR, removal=removal, limits=Limits(shrunk_share=1.0, **limits))  # type: ignore[arg-type]


def test_an_upsert_leaves_alone_who_left_the_model(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(4)])
    shop.run()
    shop.people([person_of(number) for number in range(3)])
    assert shop.run().counts.planned == 0
    assert len(shop.account.records) == 4


def test_a_mirror_removes_who_left_the_model_and_forgets_them(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(number) for number in range(4)])
    shop.run()
    shop.people([person_of(number) for number in range(3)])
    record = shop.run()
    assert record.operations == {"remove": 1}
    assert shop.sql("select changed, payload from cdp.sync_log where operation = 'remove'") == [
        {"changed": "[]", "payload": "{}"}
    ]
    assert sorted(shop.account.records) == ["p-000", "p-001", "p-002"]
    assert shop.run().counts.planned == 0
    shop.people([person_of(number) for number in range(4)])
    assert shop.run().operations == {"create": 1}


def test_a_mirror_that_clears_empties_the_fields_and_keeps_the_match_key(shop: Shop) -> None:
    mirror(shop, Removal.CLEAR)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1)])
    plan = shop.plan()
    assert plan.operations == {"remove": 1}
    shop.send(plan)
    (row,) = shop.sent_rows()[2:]
    assert row["fields"] == {"email": None, "email_permission": None, "segment": None, "lifetime_value": None}


def test_a_mirror_does_not_remove_somebody_whose_consent_is_only_missing(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1), person_of(2, permission=None)])
    record = shop.run()
    assert (record.operations, record.skipped_reasons) == ({}, {"never_asked": 1})
    assert len(shop.account.records) == 2


def test_a_withdrawal_never_removes_a_record(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1), person_of(2, permission="withdrawn")])
    assert shop.run().operations == {"withdraw": 1}
    assert len(shop.account.records) == 2


def test_the_brake_stops_a_mirror_that_would_remove_too_much(shop: Shop) -> None:
    mirror(shop, removed_rows=1, removed_share=0.1)
    shop.people([person_of(number) for number in range(10)])
    shop.run()
    shop.people([person_of(number) for number in range(8)])
    plan = shop.plan()
    with pytest.raises(GuardTripped, match=r"removals_within_limit.*(\n.*)*cdp approve crm_contacts") as stopped:
        shop.send(plan)
    assert stopped.value.counts == {"removals_within_limit": 2}
    assert len(shop.account.records) == 10


def test_an_approval_lets_exactly_that_plan_pass_once(shop: Shop) -> None:
    mirror(shop, removed_rows=1, removed_share=0.1)
    shop.people([person_of(number) for number in range(10)])
    shop.run()
    shop.people([person_of(number) for number in range(8)])
    plan = shop.plan()
    controls.approve(shop.engine.journal, "crm_contacts", plan.digest, approved_by="Ada")
    assert shop.send(plan).counts == Counts(planned=2, delivered=2)
    (approval,) = controls.approvals(shop.engine.journal, "crm_contacts")
    assert (approval.approved_by, approval.used_by_run) == ("Ada", plan.run_id)
    shop.people([person_of(number) for number in range(6)])
    with pytest.raises(GuardTripped):
        shop.run()
    assert len(shop.account.records) == 8


def test_an_approval_does_not_overrule_a_guard_on_the_keys(shop: Shop) -> None:
    shop.people([person_of(1), person_of(1, email="twin@example.com")])
    plan = shop.plan()
    controls.approve(shop.engine.journal, "crm_contacts", plan.digest, approved_by="Ada")
    with pytest.raises(GuardTripped, match="keys_unique"):
        shop.send(plan)
    assert shop.session.writes == []


def test_a_removal_without_an_answer_is_tried_again(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1)])
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True, times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert shop.run().counts.planned == 0


def test_an_unanswered_create_whose_row_then_leaves_the_model_is_removed(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(1)])
    shop.run()
    shop.people([person_of(1), person_of(2)])
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True, times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    assert "p-002" in shop.account.records
    shop.people([person_of(1)])
    shop.run()
    assert list(shop.account.records) == ["p-001"]


def test_insert_creates_and_never_changes(shop: Shop) -> None:
    shop.spec = spec_of(mode=Mode.INSERT)
    shop.people([person_of(1)])
    shop.run()
    shop.people([person_of(1, segment="lapsed"), person_of(2)])
    assert shop.run().operations == {"create": 1}
    assert shop.records("segment")["p-001"] == "loyal"


def test_update_asks_the_destination_to_change_and_not_to_create(shop: Shop) -> None:
    shop.spec = spec_of(mode=Mode.UPDATE)
    shop.people([person_of(1)])
    assert shop.plan().operations == {"update": 1}


def test_a_baseline_sends_nothing_and_later_only_what_changes(shop: Shop) -> None:
    shop.spec = spec_of(first_run=FirstRun.BASELINE)
    shop.people([person_of(1), person_of(2), person_of(3, permission=None)])
    record = shop.run()
    assert (record.counts.delivered, shop.session.writes) == (0, [])
    shop.people([person_of(1), person_of(2, segment="lapsed"), person_of(3, permission=None)])
    assert shop.run().operations == {"update": 1}
    (row,) = shop.sent_rows()
    assert row["fields"] == {"segment": "lapsed"}


def test_a_pause_stops_a_send_before_its_next_batch_and_holds_after_a_restart(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(30)])
    plan = shop.plan()

    def hold(request: Request, answer: object) -> None:
        controls.pause(shop.engine.journal, "connection", "fake", paused_by="Ada")

    shop.session.after_send = hold
    with pytest.raises(CdpError, match="paused by Ada"):
        shop.send(plan)
    assert len(shop.account.records) == 10
    with pytest.raises(CdpError, match="paused by Ada"):
        shop.run()
    assert controls.resume(shop.engine.journal, "connection", "fake")
    shop.session.after_send = None
    assert shop.run().counts == Counts(planned=20, delivered=20)


def test_a_plan_narrowed_to_one_person_touches_nobody_else(shop: Shop) -> None:
    mirror(shop)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(2, segment="lapsed"), person_of(3)])
    plan = make_plan(shop.engine, shop.spec, run_id="one", keys=("p-003",))
    assert (plan.operations, plan.is_partial) == ({"create": 1}, True)
    send_plan(shop.engine, shop.spec, plan, run_id="one")
    assert sorted(shop.account.records) == ["p-001", "p-002", "p-003"]
    assert shop.run().operations == {"remove": 1, "update": 1}


def test_a_limit_sends_the_first_rows_and_leaves_the_rest_pending(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(25)])
    plan = shop.plan()
    record = send_plan(shop.engine, shop.spec, plan, run_id=plan.run_id, limit=12)
    assert record.counts == Counts(planned=25, delivered=12, pending=13)
    assert shop.run().counts == Counts(planned=13, delivered=13)


def test_several_requests_at_once_deliver_everybody_once(shop: Shop) -> None:
    shop.destination._capabilities = replace(shop.capabilities, requests_at_once=4, batch_rows=7)
    shop.people([person_of(number) for number in range(100)])
    assert shop.run().counts == Counts(planned=100, delivered=100)
    assert len(shop.sent_rows()) == 100
    assert shop.run().counts.planned == 0


def test_nothing_else_goes_before_all_removals_have_ended(shop: Shop) -> None:
    mirror(shop, removed_share=1.0)
    shop.people([person_of(number) for number in range(8)])
    shop.run()
    shop.destination._capabilities = replace(shop.capabilities, requests_at_once=4, batch_rows=2)
    shop.people([person_of(number, segment="vip") for number in range(4, 10)])
    ended: list[str] = []

    def slow_where_it_removes(request: Request, answer: Answer) -> None:
        operation = json.loads(json.dumps(request.body))["rows"][0]["operation"]
        time.sleep(0.1 if operation == "remove" else 0.0)
        ended.append(operation)

    shop.session.after_send = slow_where_it_removes
    assert shop.run().operations == {"remove": 4, "update": 4, "create": 2}
    assert ended[:2] == ["remove", "remove"]
    assert len(ended) == 5


def test_nothing_to_send_asks_the_destination_nothing(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    before = len(shop.session.requests)
    version = shop.sql("select version from cdp.ledgers")
    shop.run()
    assert len(shop.session.requests) == before
    assert shop.sql("select version from cdp.ledgers") == version
