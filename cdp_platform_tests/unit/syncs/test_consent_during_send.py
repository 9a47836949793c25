"""Permission is read again while a plan is being sent: before each request, never older than a minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import current_thread, main_thread

import pytest

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.domain.outcomes import Counts, RunRecord
from cdp_platform.domain.plans import Plan
from cdp_platform.errors import GuardTripped, RateLimited, TemporarilyDown, WarehouseError
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.permission_watch import PATIENCE_SECONDS, PERMISSION_MAX_AGE_SECONDS
from cdp_platform.syncs.send import send_plan
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


class Sent:
    """A clock that only sleeping and the test move on."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.now, self.sleeps = shop, 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def send(self, plan: Plan) -> RunRecord:
        timing = Timing(clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0)
        return send_plan(self.shop.engine, self.shop.spec, plan, run_id=plan.run_id, timing=timing)


class Deaf(DuckDbWarehouse):
    """A warehouse that does not answer the next so many questions for permissions."""

    deaf = 0

    @contextmanager
    def session(self, purpose: str) -> Iterator[Session]:
        if purpose.startswith("permission") and self.deaf > 0:
            self.deaf -= 1
            raise WarehouseError("the warehouse does not answer.")
        with super().session(purpose) as session:
            yield session


AT_WORK: ContextVar[str] = ContextVar("at_work", default="nothing")


class Tagging(DuckDbWarehouse):
    """A warehouse that tags its sessions with what their thread is at, as far as it knows."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop.home.warehouse, wait_seconds=5)
        self.tags: list[tuple[str, str, bool]] = []

    @contextmanager
    def session(self, purpose: str) -> Iterator[Session]:
        self.tags.append((purpose, AT_WORK.get(), current_thread() is main_thread()))
        with super().session(purpose) as session:
            yield session


def deaf(shop: Shop, questions: int) -> Deaf:
    shop.warehouse = warehouse = Deaf(shop.home.warehouse, wait_seconds=5)
    warehouse.deaf = questions
    return warehouse


def withdraw(shop: Shop, number: int) -> None:
    shop.sql(f"update marts.consents set status = 'withdrawn' where identifier = 'person{number}@example.com'")


def suppress(shop: Shop, number: int) -> None:
    shop.sql(f"insert into marts.suppressions values ('PERSON{number}@example.com', 'email', null)")


def test_an_address_suppressed_between_plan_and_send_is_left_out(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    plan = shop.plan()
    suppress(shop, 1)
    record = shop.send(plan)
    assert record.counts == Counts(planned=2, delivered=1, skipped=1)
    assert record.skipped_reasons == {"suppressed_during_send": 1}
    assert list(shop.account.records) == ["p-002"]


def test_a_yes_that_is_gone_is_a_reason_of_its_own(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(5)])
    plan = shop.plan()
    shop.sql("update marts.consents set entity = 'other' where identifier = 'person1@example.com'")
    assert shop.send(plan).skipped_reasons == {"other_brand": 1}


def test_who_withdraws_in_the_middle_is_left_out_of_the_batches_after_a_minute(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(30)])
    plan, sent = shop.plan(), Sent(shop)

    def after(request: Request, answer: Answer) -> None:
        withdraw(shop, 25)
        suppress(shop, 26)
        sent.now += PERMISSION_MAX_AGE_SECONDS

    shop.session.after_send = after
    record = sent.send(plan)
    assert record.counts == Counts(planned=30, delivered=28, skipped=2)
    assert record.skipped_reasons == {"suppressed_during_send": 1, "withdrawn_during_send": 1}
    assert not {"p-025", "p-026"} & set(shop.account.processed)


def test_a_request_that_had_to_wait_asks_again_before_it_goes(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    plan, sent = shop.plan(), Sent(shop)
    limited = RateLimited("slow down", retry_after_seconds=PERMISSION_MAX_AGE_SECONDS)
    shop.session.fail_next(limited)
    shop.session.before_send = lambda request: withdraw(shop, 1)
    record = sent.send(plan)
    assert record.counts == Counts(planned=2, delivered=1, skipped=1)
    assert shop.account.processed == ["p-002"]


def test_a_row_that_may_have_arrived_is_not_sent_again_once_withdrawn_and_the_next_run_tells_the_opt_out(
    shop: Shop,
) -> None:
    shop.people([person_of(1), person_of(2)])
    plan, sent = shop.plan(), Sent(shop)
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True)

    def late(request: Request) -> None:
        withdraw(shop, 1)
        sent.now += PERMISSION_MAX_AGE_SECONDS

    shop.session.before_send = late
    record = sent.send(plan)
    assert (record.counts.delivered, record.counts.planned) == (1, 2)
    assert shop.account.processed == ["p-001", "p-002", "p-002"]
    shop.sql("update activation.sync_contacts__crm set email_permission = 'withdrawn' where person_id = 'p-001'")
    assert shop.run().operations == {"withdraw": 1}
    assert shop.records("email_permission")["p-001"] == "withdrawn"


@pytest.mark.duckdb_only
def test_a_warehouse_that_answers_late_makes_the_send_pause_and_go_on(shop: Shop) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    deaf(shop, 2)
    sent = Sent(shop)
    assert sent.send(plan).counts.delivered == 1
    assert sent.sleeps == [1.0, 2.0]


@pytest.mark.duckdb_only
def test_a_warehouse_that_does_not_answer_ends_the_run_as_deferred_with_its_rows_pending(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(30)])
    plan = shop.plan()
    warehouse = deaf(shop, 0)
    sent = Sent(shop)

    def after(request: Request, answer: Answer) -> None:
        warehouse.deaf = 99
        sent.now += PERMISSION_MAX_AGE_SECONDS

    shop.session.after_send = after
    with pytest.raises(WarehouseError, match="permissions could not be read"):
        sent.send(plan)
    assert PATIENCE_SECONDS <= sum(sent.sleeps) < 2 * PATIENCE_SECONDS
    (run,) = shop.sql("select status, delivered, pending from cdp.sync_runs")
    assert run == {"status": "deferred", "delivered": 10, "pending": 20}
    warehouse.deaf = 0
    shop.session.after_send = None
    assert shop.run().counts == Counts(planned=20, delivered=20)


@pytest.mark.parametrize("table", ["consents", "suppressions"])
def test_a_table_that_is_emptied_in_the_middle_ends_the_run(shop: Shop, table: str) -> None:
    shop.people([person_of(number) for number in range(30)])
    suppress(shop, 99)
    plan, sent = shop.plan(), Sent(shop)

    def after(request: Request, answer: Answer) -> None:
        shop.sql(f"delete from marts.{table}")
        sent.now += PERMISSION_MAX_AGE_SECONDS

    shop.session.after_send = after
    with pytest.raises(GuardTripped, match=f"{table} 0 were left"):
        sent.send(plan)
    (run,) = shop.sql("select status, delivered, pending from cdp.sync_runs")
    assert run == {"status": "deferred", "delivered": 10, "pending": 20}


@pytest.mark.duckdb_only
def test_within_a_minute_one_read_is_enough(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(30)])
    plan = shop.plan()
    asked: list[str] = []

    class Counting(DuckDbWarehouse):
        @contextmanager
        def session(self, purpose: str) -> Iterator[Session]:
            asked.append(purpose)
            with super().session(purpose) as session:
                yield session

    shop.warehouse = Counting(shop.home.warehouse, wait_seconds=5)
    assert Sent(shop).send(plan).counts.delivered == 30
    assert len([purpose for purpose in asked if purpose.startswith("permission")]) == 1


def test_what_a_send_asks_from_its_threads_carries_what_its_step_is_at(shop: Shop) -> None:
    shop.warehouse = warehouse = Tagging(shop)
    shop.people([person_of(number) for number in range(25)])
    plan = shop.plan()
    warehouse.tags.clear()
    told = AT_WORK.set("run 1")
    try:
        assert Sent(shop).send(plan).counts.delivered == 25
    finally:
        AT_WORK.reset(told)
    assert {tag for _, tag, _ in warehouse.tags} == {"run 1"}
    assert any(purpose.startswith("permission") and not is_main for purpose, _, is_main in warehouse.tags)
