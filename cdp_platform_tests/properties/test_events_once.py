"""Whatever happens on the way, an event that may be sent once is processed once, or nobody knows and somebody is told.

A state machine lets events come and go, loses and falsifies answers, kills processes and has people say what became of
the unknown; the account's own list of what it processed is looked at after every step.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cdp_platform.connectors.protocol import Answer
from cdp_platform.domain.syncs import Mode
from cdp_platform.errors import CdpError, ConnectionFailed, RateLimited, Refused, TemporarilyDown
from cdp_platform.syncs import jobs as jobs_module
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.resolve import resolve
from cdp_platform.testing.fakes import FakeSession
from cdp_platform_tests.unit.syncs.conftest import Shop
from cdp_platform_tests.unit.syncs.events import (
    DAY_SECONDS,
    events_of,
    jobs_of,
    processed_twice,
    unknown_keys,
    write_events,
)

NUMBERS = st.integers(min_value=0, max_value=11)
FAILURES: dict[str, Callable[[], CdpError]] = {
    "unreachable": lambda: ConnectionFailed("refused"),
    "timeout": lambda: TemporarilyDown("no answer"),
    "rate limit": lambda: RateLimited("slow down", retry_after_seconds=1.0),
    "refused": lambda: Refused("no", status=400),
}
KINDS = ("plain", "keyed", "jobs", "keyed jobs")


class Killed(BaseException):
    """Stands for the end of the process."""


class EventMachine(RuleBasedStateMachine):
    """Events in a set, a shop that appends them, and trouble."""

    peaceful_count: ClassVar = 0
    """How often the account was compared with all events that there ever were."""
    processed_count: ClassVar = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cdp-events-"))
        self.shop = Shop(self.folder / "home")
        self.present: set[int] = set()
        self.segment = 0
        self.waiting = patch.object(jobs_module, "Timing", lambda: Timing(sleep=lambda seconds: None))
        self.waiting.start()

    @initialize(kind=st.sampled_from(KINDS), count=st.integers(min_value=1, max_value=8))
    def begin(self, kind: str, count: int) -> None:
        key_seconds = DAY_SECONDS if kind.startswith("keyed") else 0.0
        if kind.endswith("jobs"):
            jobs_of(self.shop, Mode.APPEND, rows=3, key_seconds=key_seconds)
        else:
            events_of(self.shop, key_seconds=key_seconds, rows=3)
        self.present |= set(range(count))
        self._write()

    @rule(number=NUMBERS)
    def let_an_event_happen(self, number: int) -> None:
        self.present.add(number)
        self._write()

    @rule(number=NUMBERS)
    def take_an_event_out_of_the_model(self, number: int) -> None:
        self.present.discard(number)
        self._write()

    @rule()
    def change_what_the_events_say(self) -> None:
        self.segment += 1
        self._write()

    @rule(number=NUMBERS, is_poison=st.booleans())
    def refuse_an_event(self, number: int, is_poison: bool) -> None:
        refuse = self.shop.session.poison if is_poison else self.shop.session.reject
        refuse(f"p-{number:03}")

    @rule(number=NUMBERS)
    def accept_an_event(self, number: int) -> None:
        self.shop.session.accept(f"p-{number:03}")

    @rule(kind=st.sampled_from(sorted(FAILURES)), times=st.integers(1, 6), is_processed=st.booleans())
    def run_with_failures(self, kind: str, times: int, is_processed: bool) -> None:
        self.shop.session.fail_next(FAILURES[kind](), times=times, is_processed=is_processed and kind == "timeout")
        self._run()

    @rule(times=st.integers(1, 4))
    def run_with_answers_that_are_cut(self, times: int) -> None:
        for _ in range(times):
            self.shop.session.answer_next(lambda answer: Answer(status=200, headers={}, body={"results": []}))
        self._run()

    @rule(ending=st.sampled_from(["done", "failed", "expired"]), polls=st.integers(0, 2), failures=st.integers(0, 9))
    def run_with_jobs_that(self, ending: str, polls: int, failures: int) -> None:
        self.shop.session.job_ends_as, self.shop.session.job_polls = ending, polls
        self.shop.session.fail_next_poll(TemporarilyDown("no answer"), times=failures)
        self._run()

    @rule()
    def run(self) -> None:
        self._run()

    @rule(write=st.integers(1, 3), moment=st.sampled_from(["before_send", "after_send", "before_poll"]))
    def die_while_sending(self, write: int, moment: str) -> None:
        before = len(self.shop.session.writes)

        def die(*_: object) -> None:
            if len(self.shop.session.writes) - before >= write:
                raise Killed

        setattr(self.shop.session, moment, die)
        with suppress(Killed), patch.object(send_module, "settle", side_effect=Killed):
            self._run()
        setattr(self.shop.session, moment, None)

    @rule()
    def die_between_the_commit_and_the_emptying(self) -> None:
        with suppress(Killed), patch.object(Journal, "forget", side_effect=Killed):
            self._run()

    @rule()
    def let_the_keys_be_forgotten(self) -> None:
        with suppress(CdpError):
            self.shop.sql("update cdp.unknown_rows set retry_until = current_timestamp - interval 1 second")
        with self.shop.engine.journal.transaction() as connection:
            connection.execute("update requests set noted_at = '2020-01-01T00:00:00+00:00'")
        self.shop.account.forget_keys()

    @rule()
    def say_what_became_of_the_unknown(self) -> None:
        with suppress(CdpError):
            for key in unknown_keys(self.shop):
                arrived = key in self.shop.account.processed
                resolve(self.shop.engine, self.shop.spec, is_delivered=arrived, resolved_by="olive", key=key)

    @rule()
    def leave_in_peace(self) -> None:
        self.shop.session = FakeSession(self.shop.account)
        for _ in range(4):
            with suppress(CdpError):
                self.shop.sql("update cdp.rejected_rows set next_at = current_timestamp - interval 1 hour")
            self._run()
        plan = self.shop.plan()
        assert plan.to_send == 0
        processed = set(self.shop.account.processed)
        wanted = {f"p-{number:03}" for number in self.present}
        assert wanted <= processed | set(unknown_keys(self.shop)), "an event is missing and not unknown"
        delivered = [row["primary_key"] for row in self.shop.sql("select primary_key from cdp.sync_log")]
        assert len(delivered) == len(set(delivered))
        assert set(delivered) <= processed, "an event is said to be delivered and was not processed"
        assert processed <= set(delivered) | set(unknown_keys(self.shop)), "nobody speaks of a processed event"
        self._check_books()
        EventMachine.peaceful_count += 1
        EventMachine.processed_count += len(processed)

    @invariant()
    def no_event_is_processed_twice(self) -> None:
        assert processed_twice(self.shop) == set()

    def teardown(self) -> None:
        if self.present or self.shop.account.processed:
            self.leave_in_peace()
        self.waiting.stop()
        shutil.rmtree(self.folder)

    def _write(self) -> None:
        write_events(self.shop, sorted(self.present), segment=f"s-{self.segment}")

    def _run(self) -> None:
        with suppress(CdpError):
            self.shop.run()

    def _check_books(self) -> None:
        for run in self.shop.sql("select * from cdp.sync_runs"):
            ended = sum(run[name] for name in ("delivered", "rejected", "unknown", "skipped", "pending"))
            assert run["planned"] == ended


class TestEventsOnce:
    """Two profiles of one machine; a failure prints the steps that lead to it and a seed to repeat it."""

    CHECKS: ClassVar = [HealthCheck.too_slow, HealthCheck.data_too_large]

    @pytest.mark.timeout(1200)
    @pytest.mark.parametrize(
        ("examples", "steps"), [pytest.param(6, 10, id="fast"), pytest.param(80, 30, id="long", marks=pytest.mark.slow)]
    )
    def test_no_event_is_processed_twice_and_none_is_lost(self, examples: int, steps: int) -> None:
        profile = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=self.CHECKS,
            database=None,
            print_blob=True,
        )
        peaceful, processed = EventMachine.peaceful_count, EventMachine.processed_count
        run_state_machine_as_test(EventMachine, settings=profile)
        assert EventMachine.peaceful_count - peaceful >= examples, "no account was compared"
        assert EventMachine.processed_count > processed, "no work had happened"
