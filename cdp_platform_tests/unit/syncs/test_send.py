"""What a send does, and what it leaves behind."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from cdp_platform.connectors.protocol import Answer
from cdp_platform.domain.outcomes import Counts
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    CircuitOpen,
    ConnectionFailed,
    ContractBroken,
    GuardTripped,
    LeaseLost,
    RateLimited,
    TemporarilyDown,
)
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.status import read_status
from cdp_platform_tests.unit.syncs import journal_copies
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


def test_a_run_delivers_everybody_and_the_next_one_has_nothing_to_do(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(25)])
    assert shop.run().counts == Counts(planned=25, delivered=25)
    assert len(shop.session.writes) == 3
    record = shop.run()
    assert record.counts == Counts()
    assert record.unchanged == 25
    assert len(shop.session.writes) == 3


def test_an_update_carries_only_the_fields_that_changed(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="lapsed"), person_of(2)])
    shop.run()
    (row,) = shop.sent_rows()[2:]
    assert row["match_value"] == "p-001"
    assert row["fields"] == {"segment": "lapsed"}


def test_a_value_that_became_null_is_cleared(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    shop.people([person_of(1, segment=None)])
    shop.run()
    assert shop.records("segment") == {"p-001": None}


def test_a_to_b_to_a_is_three_sends(shop: Shop) -> None:
    for segment in ("loyal", "lapsed", "loyal"):
        shop.people([person_of(1, segment=segment)])
        shop.run()
    assert [row["fields"].get("segment") for row in shop.sent_rows()] == ["loyal", "lapsed", "loyal"]


def test_a_withdrawal_writes_the_opt_out_and_no_marketing_field_ever_after(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1, permission="withdrawn", segment="lapsed"), person_of(2)])
    record = shop.run()
    assert record.operations == {"withdraw": 1}
    assert shop.sent_rows()[-1]["fields"] == {"email_permission": "withdrawn"}
    shop.people([person_of(1, permission="withdrawn", segment="champion", lifetime_value="99.00"), person_of(2)])
    assert shop.run().counts.planned == 0
    assert shop.records("segment")["p-001"] == "loyal"


def test_a_permission_given_again_brings_the_fields_up_to_date(shop: Shop) -> None:
    for permission, segment in (("granted", "loyal"), ("withdrawn", "lapsed"), ("granted", "lapsed")):
        shop.people([person_of(1, permission=permission, segment=segment), person_of(2)])
        shop.run()
    assert shop.sent_rows()[-1]["fields"] == {"email_permission": "granted", "segment": "lapsed"}


def test_a_consent_withdrawn_between_plan_and_send_is_obeyed(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    plan = shop.plan()
    shop.sql("update marts.consents set status = 'withdrawn' where identifier = 'person1@example.com'")
    record = shop.send(plan)
    assert record.counts == Counts(planned=2, delivered=1, skipped=1)
    assert record.skipped_reasons == {"withdrawn_during_send": 1}
    assert list(shop.account.records) == ["p-002"]


def test_a_rejected_row_is_kept_with_its_reason_and_the_others_are_delivered(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(5)])
    shop.session.reject("p-003", code="invalid_email", field="email")
    assert shop.run().counts == Counts(planned=5, delivered=4, rejected=1)
    (row,) = shop.sql("select * from cdp.rejected_rows")
    assert (row["primary_key"], row["code"], row["attempts"]) == ("p-003", "invalid_email", 1)
    assert row["next_at"] - row["last_at"] == timedelta(minutes=15)


def test_a_rejected_row_waits_for_its_time_unless_it_changed(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.session.reject("p-001", code="invalid_email")
    shop.run()
    assert shop.run().skipped_reasons == {"held": 1}
    shop.session.accept("p-001")
    shop.people([person_of(1, email="mended@example.com"), person_of(2)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert shop.sql("select * from cdp.rejected_rows") == []


def test_a_batch_refused_without_detail_is_halved_until_the_row_at_fault_stands_alone(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(10)])
    shop.session.poison("p-007")
    assert shop.run().counts == Counts(planned=10, delivered=9, rejected=1)
    assert len(shop.session.writes) <= 2 * 4 + 1


def test_a_timeout_is_retried_and_the_row_counted_once(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True)
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert len(shop.account.arrived) == 2
    assert len(shop.sleeps) == 1


def test_a_rate_limit_is_waited_for_as_told_and_uses_up_no_attempt(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.session.fail_next(RateLimited("slow down", retry_after_seconds=7.0), times=9)
    assert shop.run().counts.delivered == 1
    assert shop.sleeps == [7.0] * 9


def test_a_rate_limit_without_end_defers_the_run(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.session.fail_next(RateLimited("slow down", retry_after_seconds=600.0), times=9)
    with pytest.raises(RateLimited):
        shop.run()
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["status"], run["pending"]) == ("deferred", 1)


def test_an_open_circuit_ends_the_run_at_once_with_its_rows_pending(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(30)])
    left_alone = CircuitOpen("It is left alone.", until=datetime.now(UTC))
    shop.session.after_send = lambda request, answer: shop.session.fail_next(left_alone)
    with pytest.raises(CircuitOpen):
        shop.run()
    (run,) = shop.sql("select status, delivered, pending, rejected, unknown from cdp.sync_runs")
    assert run == {"status": "deferred", "delivered": 10, "pending": 20, "rejected": 0, "unknown": 0}
    assert len(shop.session.writes) == 2, "it must not be tried again in a loop"
    assert shop.sleeps == []


def test_a_destination_that_goes_down_in_the_middle_loses_nothing(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(30)])
    plan = shop.plan()
    shop.session.after_send = lambda request, answer: shop.session.fail_next(ConnectionFailed("refused"), times=5)
    with pytest.raises(ConnectionFailed):
        shop.send(plan)
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["status"], run["planned"], run["delivered"], run["pending"]) == ("deferred", 30, 10, 20)
    shop.session = type(shop.session)(shop.account)
    assert shop.run().counts == Counts(planned=20, delivered=20)
    assert len(shop.sent_rows()) == 30


def test_bad_credentials_stop_the_run_at_once_and_mark_no_row_as_bad(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.session.fail_next(AuthenticationFailed("not accepted"))
    with pytest.raises(AuthenticationFailed):
        shop.run()
    assert len(shop.session.writes) == 1
    assert shop.sql("select * from cdp.rejected_rows") == []
    assert shop.run().counts.delivered == 1


@pytest.mark.parametrize("results", [[], [{"ordinal": 0, "id": "r-1"}] * 2, [{"ordinal": 7, "id": "r-1"}]])
def test_an_answer_that_does_not_match_the_rows_is_never_an_acknowledgement(
    shop: Shop, results: list[dict[str, object]]
) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    for _ in range(5):
        shop.session.answer_next(lambda answer: Answer(status=200, headers={}, body={"results": results}))
    with pytest.raises(ContractBroken):
        shop.send(plan)
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["delivered"], run["pending"]) == (0, 1)
    assert shop.run().counts.delivered == 1


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("moment", ["before_send", "after_send"])
def test_a_run_broken_off_is_settled_by_the_next_which_completes_it(shop: Shop, moment: str) -> None:
    shop.people([person_of(number) for number in range(30)])
    plan = shop.plan()

    def die(*_: object) -> None:
        if len(shop.session.writes) == 2:
            raise Killed

    setattr(shop.session, moment, die)
    # The process is gone: it does not settle.
    with patch.object(send_module, "settle"), pytest.raises(Killed):
        shop.send(plan)
    assert shop.engine.journal.open_digests(plan.ledger_id) == [(plan.digest, plan.run_id)]
    shop.session = type(shop.session)(shop.account)
    shop.run()
    assert len(shop.account.records) == 30
    (recovered,) = shop.sql("select * from cdp.sync_runs where status = 'recovered'")
    assert (recovered["planned"], recovered["delivered"], recovered["pending"]) == (30, 10, 20)
    assert len(shop.sent_rows()) == (40 if moment == "after_send" else 30)
    assert shop.run().counts.planned == 0


def test_an_unanswered_change_with_the_model_back_at_the_old_value_ends_at_the_old_value(shop: Shop) -> None:
    shop.people([person_of(1, segment="a")])
    shop.run()
    shop.people([person_of(1, segment="b")])
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True, times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    assert shop.records("segment") == {"p-001": "b"}
    shop.people([person_of(1, segment="a")])
    shop.run()
    assert shop.records("segment") == {"p-001": "a"}


def test_an_unanswered_create_leaves_a_trace_in_the_ledger(shop: Shop) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True, times=5)
    with pytest.raises(TemporarilyDown):
        shop.send(plan)
    assert shop.sql(f"select * from cdp.ledger_{plan.ledger_id}") == [{"key": "p-001", "fingerprint": None}]


def test_settling_twice_writes_the_log_once(shop: Shop) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    with patch.object(Journal, "forget"):
        shop.send(plan)
    assert shop.engine.journal.open_digests(plan.ledger_id)
    shop.run()
    assert len(shop.sql("select * from cdp.sync_log")) == 1
    assert shop.engine.journal.open_digests(plan.ledger_id) == []


def test_another_account_is_another_ledger(shop: Shop) -> None:
    shop.people([person_of(1)])
    first = shop.plan()
    shop.account.account_id = "fake-2"
    with pytest.raises(CdpError, match="another account"):
        shop.send(first)
    second = shop.plan()
    assert second.ledger_id != first.ledger_id
    assert second.operations == {"create": 1}


def test_a_plan_is_sent_once_and_only_the_newest(shop: Shop) -> None:
    shop.people([person_of(1)])
    first = shop.plan()
    shop.people([person_of(1), person_of(2)])
    second = shop.plan()
    with pytest.raises(CdpError, match="not the newest"):
        shop.send(first)
    shop.send(second)
    with pytest.raises(CdpError, match="moved on"):
        shop.send(second)
    assert len(shop.session.writes) == 1


def test_a_plan_of_friday_is_not_sent_on_monday(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()

    class Monday(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=3)

    monkeypatch.setattr(send_module, "datetime", Monday)
    with pytest.raises(CdpError, match="too old"):
        send_module.send_plan(shop.engine, shop.spec, plan, run_id="another-run")
    assert shop.session.writes == []


def test_two_runs_at_once_one_works_and_the_other_says_so(shop: Shop) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    with held_lease(shop.engine.journal, plan.ledger_id), pytest.raises(LeaseLost, match="another run"):
        shop.send(plan)
    assert shop.session.writes == []
    assert shop.send(plan).counts.delivered == 1


def test_a_plan_whose_guards_failed_makes_no_request_when_sent_alone(shop: Shop) -> None:
    shop.people([person_of(1), person_of(1, email="twin@example.com")])
    plan = shop.plan()
    before = len(shop.session.requests)
    with pytest.raises(GuardTripped) as stopped:
        shop.send(plan)
    assert len(shop.session.requests) == before
    assert stopped.value.counts["keys_unique"] == 1


def test_no_personal_value_reaches_the_journal_or_an_error(shop: Shop) -> None:
    shop.people([person_of(1, email="canary@example.com")])
    shop.session.fail_next(TemporarilyDown("no answer"), times=5)
    with pytest.raises(TemporarilyDown) as failure:
        shop.run()
    assert "canary" not in str(failure.value)
    bookkeeping = journal_copies.content(shop.home)
    assert b"fake" in bookkeeping
    assert b"canary" not in bookkeeping


def test_status_tells_of_the_last_run_and_of_a_plan_that_waits(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2, permission=None)])
    plan = shop.plan()
    (waiting,) = read_status(shop.engine.journal, shop.warehouse)
    assert (waiting.planned, waiting.pending, waiting.skipped, waiting.ended_at) == (2, 1, 1, None)
    shop.send(plan)
    (ended,) = read_status(shop.engine.journal, shop.warehouse)
    assert (ended.name, ended.destination, ended.partition) == ("crm_contacts", "fake", "2017-12-25")
    assert (ended.delivered, ended.pending, ended.digest) == (1, 0, plan.digest)
    assert ended.ended_at is not None


def test_what_was_delivered_and_what_was_rejected_keep_the_vendors_name_of_the_request(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(1, 13)])
    shop.session.reject("p-012", code="invalid_email", field="email")
    shop.run()
    log = {row["primary_key"]: row["request_id"] for row in shop.sql("select * from cdp.sync_log")}
    assert len(log) == 11
    assert log["p-001"] != log["p-011"]
    assert shop.sql("select primary_key, request_id from cdp.rejected_rows") == [
        {"primary_key": "p-012", "request_id": log["p-011"]}
    ]


def test_a_run_tells_its_traffic(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(1, 13)])
    traffic = shop.run().traffic
    assert traffic.request_count >= 2
    assert traffic.limited_count == 0
