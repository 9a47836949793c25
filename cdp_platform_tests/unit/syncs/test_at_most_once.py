"""Where sending twice does harm: a row is sent once, ever, and what nobody knows is unknown and stays."""

import threading
from dataclasses import replace
from datetime import datetime
from unittest.mock import patch

import pytest

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FirstRun, Mode
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ConnectionFailed,
    ContractBroken,
    GuardTripped,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.explain import explain
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.reset import reset, resync
from cdp_platform.syncs.status import read_status
from cdp_platform.syncs.unknown import read_unknown
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, spec_of
from cdp_platform_tests.unit.syncs.events import (
    DAY_SECONDS,
    events_of,
    processed_twice,
    unknown_keys,
    write_events,
)


class Killed(BaseException):
    """Stands for the end of the process."""


def only(results: int) -> Answer:
    """An answer that tells of the first rows alone."""
    told = [{"ordinal": ordinal, "id": f"r-{ordinal}"} for ordinal in range(results)]
    return Answer(status=200, headers={}, body={"results": told})


def test_an_event_is_sent_once_whether_it_changes_or_not_and_whoever_leaves_is_nothing(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(5))
    assert shop.run().operations == {"create": 5}
    write_events(shop, range(3), segment="changed")
    assert shop.run().counts == Counts()
    write_events(shop, range(2, 7), segment="changed again")
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert sorted(shop.account.processed) == [f"p-{number:03}" for number in range(7)]


@pytest.mark.parametrize(("mode", "begun_together"), [(Mode.APPEND, 4), (Mode.UPSERT, 6)])
def test_no_event_is_written_down_as_begun_before_its_request_may_go(
    shop: Shop, mode: Mode, begun_together: int
) -> None:
    if mode is Mode.APPEND:
        events_of(shop)
    shop.destination._capabilities = replace(shop.capabilities, requests_at_once=4, batch_rows=2)
    write_events(shop, range(24))
    together, under_way, most = threading.Barrier(begun_together), [0], [0]

    def meet(request: Request) -> None:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        together.wait(timeout=10)
        under_way[0] -= 1

    shop.session.before_send = meet
    assert shop.run().counts == Counts(planned=24, delivered=24)
    assert most == [begun_together]


def test_a_day_without_events_stops_nothing(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(20))
    shop.run()
    write_events(shop, [])
    plan = shop.plan()
    assert (plan.is_allowed, plan.to_send) == (True, 0)


def test_present_events_taken_as_sent_are_never_sent(shop: Shop) -> None:
    events_of(shop)
    shop.spec = replace(shop.spec, first_run=FirstRun.BASELINE)
    write_events(shop, range(3))
    shop.run()
    write_events(shop, range(4))
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert shop.account.processed == ["p-003"]


@pytest.mark.parametrize("failure", [TemporarilyDown("timeout"), TemporarilyDown("503", status=503)])
@pytest.mark.parametrize("is_processed", [True, False])
def test_a_request_without_an_answer_is_unknown_and_never_sent_again(
    shop: Shop, failure: TemporarilyDown, is_processed: bool
) -> None:
    events_of(shop)
    write_events(shop, range(25))
    shop.session.fail_next(failure, is_processed=is_processed)
    assert shop.run().counts == Counts(planned=25, delivered=15, unknown=10)
    assert unknown_keys(shop) == [f"p-{number:03}" for number in range(10)]
    record = shop.run()
    assert (record.counts, record.skipped_reasons) == (Counts(planned=10, skipped=10), {"unresolved": 10})
    assert len(shop.session.writes) == 3
    assert len(shop.account.processed) == (25 if is_processed else 15)


@pytest.mark.parametrize(
    "body",
    [
        Answer(status=200, headers={}, body=None),
        Answer(status=200, headers={}, body={"results": "x"}),
        only(0),
        only(2),
        only(4),
    ],
)
def test_an_answer_that_cannot_be_believed_leaves_its_rows_unknown(shop: Shop, body: Answer) -> None:
    events_of(shop)
    write_events(shop, range(3))
    shop.session.answer_next(lambda answer: body)
    assert shop.run().counts == Counts(planned=3, unknown=3)
    assert shop.run().counts.skipped == 3
    assert len(shop.session.writes) == 1


def test_of_an_answer_with_errors_the_accepted_rows_are_delivered_and_the_others_unknown(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(3))
    shop.session.reject("p-001", code="invalid_email", field="email")
    assert shop.run().counts == Counts(planned=3, delivered=2, unknown=1)
    (row,) = read_unknown(shop.warehouse, shop.spec)
    assert (row.key, row.code, row.request_id, row.retry_until) == ("p-001", "invalid_email", "q-5", None)
    assert shop.sql("select * from cdp.rejected_rows") == []


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_batch_refused_for_certain_is_halved_and_the_bad_row_rejected(shop: Shop, status: int) -> None:
    events_of(shop)
    write_events(shop, range(10))
    shop.session.poison("p-007")
    assert shop.run().counts == Counts(planned=10, delivered=9, rejected=1)
    assert (unknown_keys(shop), processed_twice(shop)) == ([], set())
    shop.session.fail_next(Refused("no", status=status))
    write_events(shop, [11])
    assert shop.run().counts == Counts(planned=1, rejected=1)


def test_a_request_that_is_too_large_is_halved(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(10))
    shop.session.limit_rows(3)
    assert shop.run().counts == Counts(planned=10, delivered=10)
    assert processed_twice(shop) == set()


@pytest.mark.parametrize("failure", [ConnectionFailed("refused"), RateLimited("slow down", retry_after_seconds=3.0)])
def test_what_was_surely_not_processed_is_sent_again(shop: Shop, failure: CdpError) -> None:
    events_of(shop)
    write_events(shop, range(3))
    shop.session.fail_next(failure, times=3)
    assert shop.run().counts == Counts(planned=3, delivered=3)
    assert processed_twice(shop) == set()


def test_a_credential_that_is_not_accepted_ends_the_run_and_the_rows_are_pending(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(3))
    shop.session.fail_next(AuthenticationFailed("401"))
    with pytest.raises(AuthenticationFailed):
        shop.run()
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["pending"], run["unknown"]) == (3, 0)
    assert shop.run().counts == Counts(planned=3, delivered=3)


def test_a_destination_that_answers_nothing_is_not_given_the_whole_plan(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(100))
    shop.session.fail_next(TemporarilyDown("timeout"), times=100)
    with pytest.raises(TemporarilyDown):
        shop.run()
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["unknown"], run["pending"]) == (30, 70)


@pytest.mark.parametrize("moment", ["before_send", "after_send"])
def test_an_intent_that_a_dead_run_left_is_unknown(shop: Shop, moment: str) -> None:
    events_of(shop)
    write_events(shop, range(25))
    plan = shop.plan()

    def die(*_: object) -> None:
        if len(shop.session.writes) == 2:
            raise Killed

    setattr(shop.session, moment, die)
    with patch.object(send_module, "settle"), pytest.raises(Killed):
        shop.send(plan)
    shop.session = type(shop.session)(shop.account)
    assert shop.run().counts == Counts(planned=15, delivered=5, skipped=10)
    (recovered,) = shop.sql("select * from cdp.sync_runs where status = 'recovered'")
    assert (recovered["delivered"], recovered["unknown"], recovered["pending"]) == (10, 10, 5)
    assert processed_twice(shop) == set()
    assert unknown_keys(shop) == [f"p-{number:03}" for number in range(10, 20)]


def test_a_row_in_doubt_and_then_refused_is_not_tried_again_once_its_key_is_forgotten(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(1))
    shop.session.fail_next(TemporarilyDown("timeout"), is_processed=True)
    shop.session.fail_next(Refused("gone", status=404))
    assert shop.run().counts == Counts(planned=1, rejected=1)
    assert unknown_keys(shop) == ["p-000"]
    assert shop.run().skipped_reasons == {"held": 1}
    shop.sql("update cdp.rejected_rows set next_at = current_timestamp")
    shop.sql("update cdp.unknown_rows set retry_until = current_timestamp - interval 1 second")
    shop.account.forget_keys()
    assert shop.run().skipped_reasons == {"unresolved": 1}
    assert processed_twice(shop) == set()


def test_a_row_that_is_harmless_twice_is_tried_again_until_it_is_known(shop: Shop) -> None:
    events_of(shop, is_harmless=True)
    write_events(shop, range(3))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    record = shop.run()
    assert (record.operations, record.counts) == ({"create": 3}, Counts(planned=3, delivered=3))
    assert shop.run().counts == Counts()


def test_a_withdrawn_person_gets_no_event_of_unknown_outcome_again(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    shop.spec = replace(shop.spec, consent=spec_of().consent)
    write_events(shop, range(2))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    write_events(shop, range(2), permission="withdrawn")
    assert shop.run().skipped_reasons == {"withdrawn": 2}
    assert shop.account.processed == []


# with an idempotency key


def keys_sent(shop: Shop) -> list[str]:
    return [row["idempotency_key"] for request in shop.session.writes for row in request.body["rows"]]


def test_no_key_is_given_where_the_object_takes_none(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(2))
    shop.run()
    assert keys_sent(shop) == [None, None]


def test_a_request_in_doubt_is_repeated_with_the_same_keys(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(3))
    shop.session.fail_next(TemporarilyDown("timeout"), is_processed=True)
    assert shop.run().counts == Counts(planned=3, delivered=3)
    first, second = keys_sent(shop)[:3], keys_sent(shop)[3:]
    assert first == second
    assert len(set(first)) == 3
    assert processed_twice(shop) == set()


def test_a_dead_runs_rows_are_repeated_with_the_same_keys_by_the_next(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(3))
    plan = shop.plan()

    def die(*_: object) -> None:
        raise Killed

    shop.session.after_send = die
    with patch.object(send_module, "settle"), pytest.raises(Killed):
        shop.send(plan)
    shop.session.after_send = None
    assert shop.run().counts == Counts(planned=3, delivered=3)
    assert keys_sent(shop)[:3] == keys_sent(shop)[3:]
    assert processed_twice(shop) == set()
    assert unknown_keys(shop) == []


def test_rows_in_doubt_are_pending_while_their_keys_are_remembered_and_unknown_after(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(2))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5, is_processed=True)
    with pytest.raises(TemporarilyDown):
        shop.run()
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["pending"], run["unknown"]) == (2, 0)
    assert all(row.retry_until for row in read_unknown(shop.warehouse, shop.spec))
    shop.sql("update cdp.unknown_rows set retry_until = current_timestamp - interval 1 second")
    shop.account.forget_keys()
    assert shop.run().skipped_reasons == {"unresolved": 2}
    assert processed_twice(shop) == set()


def test_a_row_planned_with_a_key_that_is_forgotten_before_it_is_sent_is_unknown(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(2))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    write_events(shop, range(3))
    plan = shop.plan()
    assert plan.to_send == 3
    shop.sql("update cdp.unknown_rows set retry_until = current_timestamp + interval 60 seconds")
    assert shop.send(plan).counts == Counts(planned=3, delivered=1, unknown=2)
    assert shop.account.processed == ["p-002"]


def test_an_event_that_changed_while_in_doubt_is_another_delivery_and_not_sent(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(1))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5, is_processed=True)
    with pytest.raises(TemporarilyDown):
        shop.run()
    write_events(shop, range(1), segment="changed")
    assert shop.run().skipped_reasons == {"unresolved": 1}


def test_keys_whose_secret_is_lost_are_not_counted_on(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(1))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5, is_processed=True)
    with pytest.raises(TemporarilyDown):
        shop.run()
    with shop.engine.journal.transaction() as connection:
        connection.execute("delete from meta where name = 'idempotency_secret'")
    assert shop.run().counts == Counts(planned=1, unknown=1)
    assert processed_twice(shop) == set()


def test_a_value_that_comes_back_has_another_key_and_an_unanswered_one_the_same(shop: Shop) -> None:
    shop.destination = FakeDestination(modes=frozenset({Mode.UPSERT}), idempotency_seconds=DAY_SECONDS)
    for segment in ("a", "b", "a"):
        write_events(shop, [1], segment=segment)
        shop.run()
    first, _, third = keys_sent(shop)
    assert first != third
    shop.session.fail_next(TemporarilyDown("timeout"), times=5)
    write_events(shop, [1], segment="c")
    with pytest.raises(TemporarilyDown):
        shop.run()
    shop.run()
    assert len(set(keys_sent(shop)[3:])) == 1
    assert len(set(keys_sent(shop))) == 4


# what people see


def test_an_unknown_row_is_listed_explained_and_counted(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(2))
    shop.session.answer_next(lambda answer: replace(answer, body=None))
    record = shop.run()
    first, second = read_unknown(shop.warehouse, shop.spec)
    assert (first.key, second.key, first.run_id, first.digest) == ("p-000", "p-001", record.run_id, record.digest)
    assert (first.batch, first.operation) == (1, "create")
    assert isinstance(first.last_at, datetime)
    told = explain(shop.warehouse, shop.spec, "p-001")
    assert (told.reason, told.unknown, told.deliveries) == ("unknown", second, [])
    (status,) = read_status(shop.engine.journal, shop.warehouse)
    assert (status.unknown, status.unresolved) == (2, 2)
    shop.run()
    (status,) = read_status(shop.engine.journal, shop.warehouse)
    assert (status.unknown, status.unresolved) == (0, 2)


def test_one_event_first_leaves_the_others_to_the_next_run(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(3))
    plan = make_plan(shop.engine, shop.spec, run_id="one", keys=("p-001",))
    assert send_module.send_plan(shop.engine, shop.spec, plan, run_id="one").counts.delivered == 1
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert processed_twice(shop) == set()


# beginning anew


def test_everything_cannot_be_sent_again_where_that_does_harm(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(2))
    shop.run()
    with pytest.raises(CdpError, match="sends each row once"):
        resync(shop.engine, shop.spec)
    assert shop.run().counts == Counts()


def test_a_reset_forgets_also_what_was_unknown(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(2))
    shop.session.fail_next(TemporarilyDown("timeout"))
    shop.run()
    reset(shop.engine, shop.spec)
    assert unknown_keys(shop) == []


def test_a_warehouse_that_lost_what_was_sent_sends_nothing(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(2))
    ledger = shop.plan().ledger_id
    shop.run()
    shop.sql(f"delete from cdp.ledger_{ledger}")
    shop.sql("update cdp.ledgers set version = 0")
    with pytest.raises(GuardTripped, match="ledger_current"):
        shop.run()
    assert processed_twice(shop) == set()


def test_nonsense_for_ever_ends_the_run_with_what_is_known(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(2))
    for _ in range(5):
        shop.session.answer_next(lambda answer: replace(answer, body=[]))
    with pytest.raises(ContractBroken):
        shop.run()
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert processed_twice(shop) == set()
