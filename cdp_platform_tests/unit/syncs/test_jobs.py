"""A destination that takes requests as jobs: each is followed to its end, in this run or the next, and made once."""

import json
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from cdp_platform.connectors.protocol import Batch, Capabilities, Job
from cdp_platform.domain.outcomes import Counts, Outcome, RowOutcome
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Limits, Mode, Removal
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ContractBroken,
    GuardTripped,
    JobFailed,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform.syncs import controls
from cdp_platform.syncs import jobs as jobs_module
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.jobs import open_jobs
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.syncs.reset import resync
from cdp_platform.testing.fake_jobs import FakeJobs
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of
from cdp_platform_tests.unit.syncs.events import jobs_of, processed_twice, unknown_keys, write_events

BOTH = pytest.mark.parametrize("mode", [Mode.UPSERT, Mode.APPEND])


class Killed(BaseException):
    """Stands for the end of the process."""


class PassingTime:
    """A clock that moves on when somebody sleeps."""

    def __init__(self, at: float) -> None:
        self.at = at

    def wall(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    @property
    def timing(self) -> Timing:
        return Timing(wall=self.wall, sleep=self.sleep, jitter=lambda: 1.0)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "Timing", lambda: Timing(sleep=lambda seconds: None))


def die(*_: object) -> None:
    raise Killed


def leave_a_job(shop: Shop, count: int = 3) -> Plan:
    """Kill a run while its job is under way."""
    write_events(shop, range(count))
    plan = shop.plan()
    shop.session.job_polls = 2
    shop.session.before_poll = die
    with patch.object(send_module, "settle", side_effect=Killed), pytest.raises(Killed):
        shop.send(plan)
    shop.session.before_poll = None
    return plan


@BOTH
def test_a_job_is_asked_for_until_it_has_ended_and_its_outcomes_count(shop: Shop, mode: Mode) -> None:
    jobs_of(shop, mode)
    write_events(shop, range(25))
    shop.session.job_polls = 3
    assert shop.run().counts == Counts(planned=25, delivered=25)
    assert (len(shop.account.jobs), processed_twice(shop)) == (3, set())
    assert shop.run().counts == Counts()


def test_questions_come_later_and_later_up_to_half_a_minute(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    write_events(shop, range(1))
    shop.session.job_polls = 7
    shop.run()
    assert sum(shop.sleeps) == 1 + 2 + 4 + 8 + 16 + 30 + 30


def test_rows_that_a_job_refuses_are_rejected(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    write_events(shop, range(3))
    shop.session.reject("p-001", code="invalid_email", field="email")
    assert shop.run().counts == Counts(planned=3, delivered=2, rejected=1)


@BOTH
def test_the_name_of_a_job_is_durable_before_it_is_asked_for(shop: Shop, mode: Mode) -> None:
    jobs_of(shop, mode)
    plan = leave_a_job(shop)
    (left,) = open_jobs(shop.engine.journal, plan.ledger_id)
    assert (left.job, left.digest, left.spans) == (Job(id="job-1"), plan.digest, [[0, 2]])


@BOTH
def test_a_job_that_a_dead_run_left_is_picked_up_by_the_next_and_not_made_again(shop: Shop, mode: Mode) -> None:
    jobs_of(shop, mode)
    leave_a_job(shop)
    assert shop.run().counts == Counts()
    assert (len(shop.account.jobs), len(shop.session.writes)) == (1, 1)
    (run,) = shop.sql("select * from cdp.sync_runs where status = 'recovered'")
    assert (run["delivered"], run["pending"], run["unknown"]) == (3, 0, 0)
    assert unknown_keys(shop) == []


def test_a_job_of_many_rows_is_read_from_its_plan_again(shop: Shop) -> None:
    jobs_of(shop, Mode.APPEND, rows=12_000)
    shop.people([person_of(0)])
    shop.sql(
        "insert into activation.sync_contacts__crm select 'n-' || lpad(cast(range as varchar), 6, '0'),"
        " 'x@example.com', 'granted', 'loyal', 1 from range(10500)"
    )
    plan = shop.plan()
    shop.session.before_poll = die
    with patch.object(send_module, "settle", side_effect=Killed), pytest.raises(Killed):
        shop.send(plan)
    shop.session.before_poll = None
    assert shop.run().counts == Counts()
    (run,) = shop.sql("select delivered from cdp.sync_runs where status = 'recovered'")
    assert (run["delivered"], len(shop.account.jobs)) == (10_501, 1)


@pytest.mark.parametrize("ending", ["failed", "expired"])
def test_a_job_that_ends_without_a_word_leaves_rows_that_are_sent_again(shop: Shop, ending: str) -> None:
    jobs_of(shop, Mode.UPSERT)
    write_events(shop, range(3))
    shop.session.job_ends_as = ending
    with pytest.raises(JobFailed, match=f"job-1 {ending}"):
        shop.run()
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["pending"], run["unknown"]) == (3, 0)
    shop.session.job_ends_as = "done"
    assert shop.run().counts == Counts(planned=3, delivered=3)


@pytest.mark.parametrize("ending", ["failed", "expired"])
def test_a_job_that_ends_without_a_word_leaves_rows_unknown_where_sending_twice_does_harm(
    shop: Shop, ending: str
) -> None:
    jobs_of(shop, Mode.APPEND)
    write_events(shop, range(3))
    shop.session.job_ends_as = ending
    assert shop.run().counts == Counts(planned=3, unknown=3)
    shop.session.job_ends_as = "done"
    assert shop.run().counts == Counts(planned=3, skipped=3)
    assert (len(shop.account.jobs), processed_twice(shop)) == (1, set())


def test_a_job_that_never_ends_is_given_up_within_its_bound(shop: Shop) -> None:
    jobs_of(shop, Mode.APPEND, job_seconds=600)
    write_events(shop, range(3))
    shop.session.job_polls = 10_000
    plan, time = shop.plan(), PassingTime(1e9)
    record = send_module.send_plan(shop.engine, shop.spec, plan, run_id=plan.run_id, timing=time.timing)
    assert record.counts == Counts(planned=3, unknown=3)
    assert 600 < time.at - 1e9 < 660


def test_a_job_left_too_long_ago_is_given_up_by_the_next_run(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT, job_seconds=600)
    plan = leave_a_job(shop)
    shop.account.jobs["job-1"].polls_left = 10_000
    with shop.engine.journal.transaction() as connection:
        connection.execute("update requests set noted_at = '2020-01-01T00:00:00+00:00'")
    assert shop.plan().operations == {"update": 3}
    assert open_jobs(shop.engine.journal, plan.ledger_id) == []


@pytest.mark.parametrize(
    "trouble", [TemporarilyDown("503"), RateLimited("slow"), ContractBroken("nonsense")], ids=lambda one: one.what
)
def test_trouble_with_a_question_is_no_trouble_with_the_job(shop: Shop, trouble: CdpError) -> None:
    jobs_of(shop, Mode.APPEND)
    write_events(shop, range(3))
    shop.session.fail_next_poll(trouble, times=5)
    assert shop.run().counts == Counts(planned=3, delivered=3)
    assert len(shop.account.jobs) == 1


@pytest.mark.parametrize("trouble", [TemporarilyDown("503"), AuthenticationFailed("401")], ids=lambda one: one.what)
def test_a_job_that_cannot_be_asked_for_is_kept_for_the_next_run(shop: Shop, trouble: CdpError) -> None:
    jobs_of(shop, Mode.APPEND)
    write_events(shop, range(3))
    shop.session.fail_next_poll(trouble, times=8 if isinstance(trouble, TemporarilyDown) else 1)
    plan = shop.plan()
    with pytest.raises(CdpError):
        shop.send(plan)
    assert len(open_jobs(shop.engine.journal, plan.ledger_id)) == 1
    assert shop.run().counts == Counts()
    (run,) = shop.sql("select * from cdp.sync_runs where status = 'recovered'")
    assert (run["delivered"], len(shop.account.jobs)) == (3, 1)


def test_outcomes_of_other_rows_are_never_believed(shop: Shop) -> None:
    jobs_of(shop, Mode.APPEND)
    write_events(shop, range(3))
    plan = shop.plan()
    shop.session.before_poll = lambda request: shop.account.jobs["job-1"].results.clear()
    with pytest.raises(CdpError, match="cannot be asked for"):
        shop.send(plan)
    assert shop.sql("select * from cdp.sync_log") == []


def test_a_run_that_is_paused_leaves_its_jobs_to_the_next(shop: Shop) -> None:
    jobs_of(shop, Mode.APPEND)
    write_events(shop, range(25))
    plan = shop.plan()
    shop.session.job_polls = 2

    def pause(*_: object) -> None:
        controls.pause(shop.engine.journal, "all", "all", paused_by="olive")

    shop.session.after_send = pause
    with pytest.raises(CdpError, match="paused by olive"):
        shop.send(plan)
    assert len(open_jobs(shop.engine.journal, plan.ledger_id)) == 1
    assert controls.resume(shop.engine.journal, "all", "all")
    shop.session.after_send = None
    assert shop.run().counts == Counts(planned=15, delivered=15)
    assert processed_twice(shop) == set()


def test_a_job_that_was_left_is_finished_before_everything_is_sent_again(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    leave_a_job(shop)
    assert resync(shop.engine, shop.spec) == 3
    (run,) = shop.sql("select * from cdp.sync_runs")
    assert (run["status"], run["delivered"]) == ("recovered", 3)


class Refusing(FakeJobs):
    """Jobs with more than one row are found to be unreadable before any row is processed."""

    def poll(self, session: Any, object_name: str, job: Job, rows: Any) -> Any:
        if len(rows) > 1:
            raise Refused("the file cannot be read", status=400)
        return super().poll(session, object_name, job, rows)


def test_a_job_refused_as_a_whole_is_halved_like_a_request(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    shop.destination = Refusing(modes=frozenset({Mode.UPSERT}))
    write_events(shop, range(4))
    assert shop.run().counts == Counts(planned=4, delivered=4)


def test_a_refused_job_that_was_left_is_planned_again(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    shop.destination = Refusing(modes=frozenset({Mode.UPSERT}))
    write_events(shop, range(4))
    plan = shop.plan()
    with (
        patch.object(Refusing, "poll", side_effect=Killed),
        patch.object(send_module, "settle", side_effect=Killed),
        pytest.raises(Killed),
    ):
        shop.send(plan)
    assert shop.plan().operations == {"create": 4}


class ById(FakeJobs):
    """Removes by record id, which it looks up, and tells of a job's rows by record id, too."""

    def find(self, session: Any, object_name: str, match_field: str, match_values: Any) -> dict[str, str]:
        return {value: f"id-of-{value}" for value in match_values}

    def poll(self, session: Any, object_name: str, job: Job, rows: Any) -> Any:
        super().poll(session, object_name, job, rows)
        assert all(row.record_id for row in rows), "rows without their records"
        return [RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED) for row in rows]


def test_the_records_of_a_removal_are_known_to_the_run_that_picks_its_job_up(shop: Shop) -> None:
    shop.spec = spec_of(
        mode=Mode.MIRROR, removal=Removal.DELETE, consent=None, limits=Limits(removed_rows=9, shrunk_share=1.0)
    )
    shop.destination = ById(modes=frozenset({Mode.MIRROR}))
    with patch.object(ById, "poll", FakeJobs.poll):
        write_events(shop, range(4))
        shop.run()
    shop.sql("update " + f"cdp.ledger_side_{shop.plan().ledger_id}" + " set record_id = null")
    write_events(shop, range(2))
    plan = shop.plan()
    shop.session.before_poll = die
    with patch.object(send_module, "settle", side_effect=Killed), pytest.raises(Killed):
        shop.send(plan)
    shop.session.before_poll = None
    assert shop.plan().to_send == 0
    (run,) = shop.sql("select * from cdp.sync_runs where status = 'recovered'")
    assert run["delivered"] == 2


class Unpollable(FakeJobs):
    poll = None  # type: ignore[assignment]


def test_a_destination_that_answers_with_a_job_and_cannot_be_asked_ends_the_run(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    shop.destination = Unpollable(modes=frozenset({Mode.UPSERT}))
    write_events(shop, range(1))
    with pytest.raises(CdpError):
        shop.run()


def test_two_jobs_at_once_are_both_picked_up(shop: Shop) -> None:
    jobs_of(shop, Mode.APPEND, rows=5)
    told: Capabilities = replace(shop.destination.capabilities("contacts"), requests_at_once=2)
    shop.destination._capabilities = told
    write_events(shop, range(10))
    plan = shop.plan()
    with (
        patch.object(FakeJobs, "poll", side_effect=Killed),
        patch.object(send_module, "settle", side_effect=Killed),
        pytest.raises(Killed),
    ):
        shop.send(plan)
    left = open_jobs(shop.engine.journal, plan.ledger_id)
    assert sorted(span for one in left for span in one.spans) == [[0, 4], [5, 9]]
    assert make_plan(shop.engine, shop.spec, run_id="next").to_send == 0
    assert (len(shop.account.jobs), processed_twice(shop)) == (2, set())


def test_the_journal_holds_the_jobs_name_and_no_person(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    leave_a_job(shop)
    with shop.engine.journal.transaction() as connection:
        (details,) = connection.execute("select details from requests where status = 'submitted'").fetchone()
    assert json.loads(details) == {"job": "job-1"}


def test_rows_between_other_rows_are_found_in_the_plan(shop: Shop) -> None:
    jobs_of(shop, Mode.APPEND, rows=100)
    write_events(shop, range(9))
    plan = shop.plan()
    seen: list[Batch] = []

    class Noting(FakeJobs):
        def poll(self, session: Any, object_name: str, job: Job, rows: Any) -> Any:
            seen.append(rows)
            return super().poll(session, object_name, job, rows)

    shop.session.before_poll = die
    with patch.object(send_module, "settle", side_effect=Killed), pytest.raises(Killed):
        shop.send(plan)
    shop.session.before_poll = None
    with shop.engine.journal.transaction() as connection:
        connection.execute("update requests set spans = '[[1, 2], [5, 5], [8, 8]]'")
    shop.account.jobs["job-1"].results = [{"ordinal": number, "id": "r"} for number in (1, 2, 5, 8)]
    shop.destination = Noting(batch_rows=100, modes=frozenset({Mode.APPEND}), at_most_once=frozenset({Mode.APPEND}))
    shop.plan()
    assert [row.match_value for row in seen[0]] == ["p-001", "p-002", "p-005", "p-008"]


def test_a_job_whose_plan_was_damaged_is_given_up_and_its_rows_are_sent_again(shop: Shop) -> None:
    jobs_of(shop, Mode.UPSERT)
    damage_plan_of_a_job(shop)
    plan = shop.plan()
    assert (plan.to_send, plan.resend_reason) == (3, "ledger_behind")
    assert shop.send(plan).counts == Counts(planned=3, delivered=3)


def test_a_job_whose_plan_was_damaged_stops_a_sync_that_sends_once(shop: Shop) -> None:
    jobs_of(shop, Mode.APPEND)
    damage_plan_of_a_job(shop)
    plan = shop.plan()
    assert [verdict.code for verdict in plan.verdicts if not verdict.passed] == ["ledger_current"]
    with pytest.raises(GuardTripped, match="ledger_current"):
        shop.send(plan)
    assert len(shop.account.jobs) == 1


def damage_plan_of_a_job(shop: Shop) -> None:
    plan = leave_a_job(shop)
    plan_path(shop.home, plan.sync, plan.digest).write_bytes(b"cut")
