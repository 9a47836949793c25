"""Operating a sync: one person first, a pause, rejected rows, an explanation, beginning anew."""

from datetime import UTC, datetime

import pytest

from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FirstRun, Mode, Removal
from cdp_platform.errors import CdpError, LeaseLost
from cdp_platform.syncs import controls
from cdp_platform.syncs.explain import explain
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.rejected import read_rejected, replay
from cdp_platform.syncs.reset import reset, resync
from cdp_platform.syncs.send import send_plan
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


def run_only(shop: Shop, *keys: str) -> Counts:
    shop.runs += 1
    plan = make_plan(shop.engine, shop.spec, run_id=f"run-{shop.runs}", keys=keys)
    return shop.send(plan).counts


def test_one_person_first_and_the_next_run_does_not_repeat_it(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(5)])
    assert run_only(shop, "p-003") == Counts(planned=1, delivered=1)
    assert list(shop.account.records) == ["p-003"]
    assert shop.run().counts == Counts(planned=4, delivered=4)


def test_a_mirror_narrowed_to_one_person_removes_nobody_else(shop: Shop) -> None:
    shop.spec = spec_of(mode=Mode.MIRROR, removal=Removal.DELETE, consent=None)
    shop.people([person_of(number) for number in range(5)])
    shop.run()
    shop.people([person_of(0, segment="lapsed"), *(person_of(number) for number in range(1, 4))])
    assert run_only(shop, "p-000") == Counts(planned=1, delivered=1)
    assert len(shop.account.records) == 5
    assert run_only(shop, "p-004") == Counts(planned=1, delivered=1)
    assert len(shop.account.records) == 4


def test_one_person_first_counts_neither_as_a_full_run_nor_as_a_shrunk_model(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(10)])
    shop.run()
    run_only(shop, "p-001")
    shop.people([person_of(number) for number in range(4)])
    assert not shop.plan().is_allowed


def test_a_limit_sends_the_first_rows_and_the_rest_is_planned_again(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(25)])
    plan = shop.plan()
    record = send_plan(shop.engine, shop.spec, plan, run_id=plan.run_id, limit=12)
    assert record.counts == Counts(planned=25, delivered=12, pending=13)
    assert shop.run().counts == Counts(planned=13, delivered=13)
    assert len(shop.sent_rows()) == 25


def test_a_pause_stops_a_send_within_a_batch_and_the_rest_is_planned_again(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(50)])
    plan = shop.plan()

    def pause_at_the_second(request: object, answer: object) -> None:
        if len(shop.session.writes) == 2:
            controls.pause(shop.engine.journal, "connection", "fake", paused_by="olive")

    shop.session.after_send = pause_at_the_second
    with pytest.raises(CdpError, match="paused by olive"):
        shop.send(plan)
    assert len(shop.session.writes) <= 3
    with pytest.raises(CdpError, match="paused by olive"):
        shop.run()
    assert controls.resume(shop.engine.journal, "connection", "fake")
    shop.run()
    assert len(shop.account.records) == 50
    assert len(shop.sent_rows()) == 50


@pytest.mark.parametrize(("scope", "name"), [("sync", "crm_contacts"), ("connection", "fake"), ("all", "all")])
def test_a_pause_survives_a_restart_and_makes_no_request(shop: Shop, scope: str, name: str) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    controls.pause(shop.engine.journal, scope, name, paused_by="olive")
    seen = len(shop.session.requests)
    with pytest.raises(CdpError, match="paused"):
        shop.send(plan)
    assert len(shop.session.requests) == seen


def test_a_pause_of_another_sync_or_connection_holds_nobody_back(shop: Shop) -> None:
    shop.people([person_of(1)])
    controls.pause(shop.engine.journal, "sync", "another", paused_by="olive")
    controls.pause(shop.engine.journal, "connection", "crm_contacts", paused_by="olive")
    assert shop.run().counts.delivered == 1


def test_rejected_rows_are_listed_with_field_reason_and_a_masked_value(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.session.reject("p-002", code="invalid_email", field="email")
    shop.run()
    (row,) = read_rejected(shop.warehouse, shop.spec)
    assert (row.key, row.operation, row.code, row.field, row.attempts) == (
        "p-002",
        "create",
        "invalid_email",
        "email",
        1,
    )
    assert row.value == "P•••@•••.com"
    assert row.next_at is not None and row.next_at > datetime.now(UTC)
    assert "example" not in repr(row)


def test_a_row_that_is_tried_by_hand_only_has_no_next_time(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.session.reject("p-001")
    shop.run()
    shop.sql("update cdp.rejected_rows set next_at = cast('infinity' as timestamptz)")
    assert [row.next_at for row in read_rejected(shop.warehouse, shop.spec)] == [None]


def test_a_replayed_row_is_tried_by_the_next_run(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.session.reject("p-001")
    shop.session.reject("p-002")
    shop.run()
    shop.session.accept("p-001")
    shop.session.accept("p-002")
    assert shop.run().skipped_reasons == {"held": 2}
    assert replay(shop.warehouse, "crm_contacts", key="p-001") == 1
    assert shop.run().counts == Counts(planned=2, delivered=1, skipped=1)
    assert replay(shop.warehouse, "crm_contacts") == 1
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert read_rejected(shop.warehouse, shop.spec) == []


def test_a_key_that_was_not_rejected_cannot_be_replayed(shop: Shop) -> None:
    with pytest.raises(CdpError, match="cdp rejected crm_contacts"):
        replay(shop.warehouse, "crm_contacts", key="p-404")


def test_an_explanation_tells_what_was_sent_when_by_whom_and_from_where(shop: Shop) -> None:
    shop.people([person_of(1)])
    first = shop.run()
    shop.people([person_of(1, segment="lapsed")])
    second = shop.run()
    shop.people([person_of(1, segment="champion")])
    known = explain(shop.warehouse, shop.spec, "p-001")
    assert [(one.operation, one.run_id, one.digest) for one in known.deliveries] == [
        ("create", "run-1", first.digest),
        ("update", "run-2", second.digest),
    ]
    assert known.deliveries[1].fields == {"segment": "lapsed"}
    assert known.deliveries[1].record_id == "r-1"
    stories = {story.field: story for story in known.fields}
    segment, email = stories["segment"], stories["email"]
    assert (segment.column, segment.delivered, segment.now) == ("segment", "lapsed", "champion")
    assert segment.by is not None and segment.by.run_id == "run-2"
    assert email.by is not None and email.by.run_id == "run-1"
    assert known.reason is None and known.is_record_there and known.is_content_known


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        (None, "not_in_model"),
        (person_of(1, permission=None), "never_asked"),
        (person_of(1, permission="withdrawn"), "withdrawn"),
        (person_of(1), None),
    ],
)
def test_what_was_never_sent_is_told_with_the_reason(shop: Shop, person: dict[str, object], reason: str | None) -> None:
    shop.people([person_of(2), *([person] if person else [])])
    known = explain(shop.warehouse, shop.spec, "p-001")
    assert (known.reason, known.deliveries, known.is_record_there) == (reason, [], False)


def test_what_stopped_later_is_told_with_the_reason(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2), person_of(3)])
    shop.session.reject("p-003", code="invalid_email", field="email")
    shop.run()
    shop.people([person_of(1, permission="withdrawn"), person_of(3)])
    reasons = {key: explain(shop.warehouse, shop.spec, key).reason for key in ("p-001", "p-002", "p-003")}
    assert reasons == {"p-001": "withdrawn_there", "p-002": "gone_from_model", "p-003": "rejected"}


def test_a_removed_record_holds_nothing_any_more(shop: Shop) -> None:
    shop.spec = spec_of(mode=Mode.MIRROR, removal=Removal.DELETE, consent=None)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(2)])
    shop.run()
    known = explain(shop.warehouse, shop.spec, "p-001")
    assert (known.reason, known.is_record_there) == ("not_in_model", False)
    assert [one.operation for one in known.deliveries] == ["create", "remove"]
    assert {story.delivered for story in known.fields} == {None}


def test_a_baseline_is_told_as_taken_over(shop: Shop) -> None:
    shop.spec = spec_of(first_run=FirstRun.BASELINE)
    shop.people([person_of(1)])
    shop.run()
    (taken,) = explain(shop.warehouse, shop.spec, "p-001").deliveries
    assert (taken.operation, taken.run_id, taken.fields["segment"]) == ("baseline", None, "loyal")


def test_a_resync_sends_every_field_of_every_row_again_once(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    assert resync(shop.engine, shop.spec) == 2
    assert not explain(shop.warehouse, shop.spec, "p-001").is_content_known
    assert shop.run().operations == {"update": 2}
    assert set(shop.sent_rows()[-1]["fields"]) >= {"email", "segment", "lifetime_value"}
    assert shop.run().counts == Counts()


def test_a_plan_made_before_a_resync_is_not_sent(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    shop.people([person_of(1, segment="lapsed")])
    plan = shop.plan()
    resync(shop.engine, shop.spec)
    with pytest.raises(CdpError, match="moved on"):
        shop.send(plan)


def test_a_reset_makes_the_sync_as_new_and_keeps_the_log(shop: Shop) -> None:
    for segment in ("loyal", "lapsed"):
        shop.people([person_of(1, segment=segment), person_of(2)])
        shop.run()
    assert reset(shop.engine, shop.spec) == 2
    assert not controls.is_enabled(shop.engine.journal, "crm_contacts")
    known = explain(shop.warehouse, shop.spec, "p-001")
    assert (len(known.deliveries), known.is_record_there) == (2, False)
    controls.switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    assert shop.run().operations == {"create": 2}
    shop.people([person_of(1, segment="champion"), person_of(2)])
    shop.run()
    assert shop.sent_rows()[-1]["fields"] == {"segment": "champion"}
    assert reset(shop.engine, shop.spec) == 2


def test_the_first_run_after_a_reset_may_be_a_baseline(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    reset(shop.engine, shop.spec)
    controls.switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    shop.spec = spec_of(first_run=FirstRun.BASELINE)
    assert shop.run().counts == Counts()
    assert len(shop.session.writes) == 1


def test_a_sync_at_work_is_neither_reset_nor_sent_again(shop: Shop) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    with held_lease(shop.engine.journal, plan.ledger_id), pytest.raises(LeaseLost):
        resync(shop.engine, shop.spec)
