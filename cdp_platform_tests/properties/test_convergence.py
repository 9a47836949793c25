"""Whatever happens on the way, a sync that is left in peace ends with the destination as the model says.

A state machine changes people, consents and the mapping, lets requests fail, answers lie and processes die, and
compares the account with a dictionary each time that it is left in peace.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cdp_platform.connectors.protocol import Answer
from cdp_platform.domain.syncs import Limits
from cdp_platform.errors import CdpError, ConnectionFailed, GuardTripped, RateLimited, TemporarilyDown
from cdp_platform.syncs import controls
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.journal import Journal
from cdp_platform.testing.fakes import FakeDestination, FakeSession
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

NUMBERS = st.integers(min_value=0, max_value=9)
SEGMENTS = st.sampled_from(["loyal", "lapsed", "champion", None])
VALUES = st.sampled_from(["0.00", "10.00", "12.50", None])
PERMISSIONS = st.sampled_from(["granted", "granted", "granted", "withdrawn", None])
FAILURES: dict[str, Callable[[], CdpError]] = {
    "unreachable": lambda: ConnectionFailed("refused"),
    "timeout": lambda: TemporarilyDown("no answer"),
    "rate limit": lambda: RateLimited("slow down", retry_after_seconds=1.0),
}
MOST_RUNS = 6


class Killed(BaseException):
    """Stands for the end of the process."""


class SyncMachine(RuleBasedStateMachine):
    """People in a dictionary, a shop that syncs them, and trouble."""

    peaceful_count: ClassVar = 0
    """How often an account was compared with the dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cdp-machine-"))
        self.shop = Shop(self.folder / "home")
        self.shop.destination = FakeDestination(batch_rows=3)
        # Guards against shrinking are tested elsewhere; here people may come and go.
        self.spec = spec_of(limits=Limits(shrunk_share=1.0))
        self.shop.spec = self.spec
        self.people: dict[str, dict[str, Any]] = {}
        self.emails = 0

    @initialize(count=st.integers(min_value=1, max_value=8))
    def begin(self, count: int) -> None:
        for number in range(count):
            self._put(number, {})
        self._put(99, {})

    @rule(number=NUMBERS, permission=PERMISSIONS, segment=SEGMENTS, value=VALUES)
    def put_a_person(self, number: int, permission: str | None, segment: str | None, value: str | None) -> None:
        self._put(number, {"permission": permission, "segment": segment, "lifetime_value": value})

    @rule(number=NUMBERS)
    def change_an_email(self, number: int) -> None:
        if f"p-{number:03}" in self.people:
            self.emails += 1
            self._put(number, {"email": f"person{number}.{self.emails}@example.com"})

    @rule(number=NUMBERS)
    def take_a_person_away(self, number: int) -> None:
        self.people.pop(f"p-{number:03}", None)
        self._write()

    @rule()
    def edit_the_mapping(self) -> None:
        is_whole = len(self.shop.spec.mapping) == len(self.spec.mapping)
        kept = tuple(entry for entry in self.spec.mapping if entry.field != "segment")
        self.shop.spec = replace(self.shop.spec, mapping=kept if is_whole else self.spec.mapping)

    @rule()
    def ask_for_approval_or_not(self) -> None:
        self.shop.spec = replace(self.shop.spec, needs_approval=not self.shop.spec.needs_approval)

    @rule(number=NUMBERS, is_poison=st.booleans())
    def refuse_a_person(self, number: int, is_poison: bool) -> None:
        refuse = self.shop.session.poison if is_poison else self.shop.session.reject
        refuse(f"p-{number:03}")

    @rule(number=NUMBERS)
    def accept_a_person(self, number: int) -> None:
        self.shop.session.accept(f"p-{number:03}")

    @rule(kind=st.sampled_from(sorted(FAILURES)), times=st.integers(1, 6), is_processed=st.booleans())
    def run_with_failures(self, kind: str, times: int, is_processed: bool) -> None:
        self.shop.session.fail_next(FAILURES[kind](), times=times, is_processed=is_processed and kind == "timeout")
        self._run()

    @rule(times=st.integers(1, 6))
    def run_with_answers_that_are_cut(self, times: int) -> None:
        for _ in range(times):
            self.shop.session.answer_next(_without_last)
        self._run()

    @rule()
    def run(self) -> None:
        self._run()

    @rule(write=st.integers(1, 4), is_answered=st.booleans())
    def die_while_sending(self, write: int, is_answered: bool) -> None:
        before = len(self.shop.session.writes)

        def die(*_: object) -> None:
            if len(self.shop.session.writes) - before >= write:
                raise Killed

        self.shop.session.before_send = None if is_answered else die
        self.shop.session.after_send = die if is_answered else None
        with suppress(Killed), patch.object(send_module, "settle", side_effect=Killed):
            self._run()
        self.shop.session.before_send = self.shop.session.after_send = None

    @rule()
    def die_between_the_commit_and_the_emptying(self) -> None:
        with suppress(Killed), patch.object(Journal, "forget", side_effect=Killed):
            self._run()

    @precondition(lambda self: any(person["permission"] == "granted" for person in self.people.values()))
    @rule(data=st.data())
    def withdraw_between_plan_and_send(self, data: st.DataObject) -> None:
        granted = sorted(
            key for key, person in self.people.items() if person["permission"] == "granted" and key != "p-099"
        )
        if not granted:
            return
        chosen = data.draw(st.sampled_from(granted))
        with suppress(CdpError):
            plan = self.shop.plan()
            before = len(self.shop.sent_rows())
            self.people[chosen]["permission"] = "withdrawn"
            self._write()
            self.shop.send(plan)
            assert chosen not in [row["match_value"] for row in self.shop.sent_rows()[before:]]
        self.people[chosen]["permission"] = "withdrawn"
        self._write()

    @rule()
    def leave_in_peace(self) -> None:
        account, self.shop.session = self.shop.account, FakeSession(self.shop.account)
        for _ in range(MOST_RUNS):
            self._forget_the_waiting()
            if not self._run():
                break
        else:
            raise AssertionError("the account does not come to rest")
        fields = [entry.field for entry in self.shop.spec.mapping if entry.field != "cdp_person_id"]
        for key, person in self.people.items():
            record = account.records.get(key)
            if person["permission"] == "granted":
                assert record is not None, key
                assert {name: record.fields.get(name) for name in fields} == {
                    name: person[_COLUMNS.get(name, name)] for name in fields
                }
            elif person["permission"] == "withdrawn" and record is not None:
                assert record.fields["email_permission"] == "withdrawn"
        self._check_books()
        SyncMachine.peaceful_count += 1

    def teardown(self) -> None:
        self.leave_in_peace()
        shutil.rmtree(self.folder)

    def _put(self, number: int, changes: dict[str, Any]) -> None:
        key = f"p-{number:03}"
        self.people[key] = self.people.get(key, person_of(number)) | changes
        self._write()

    def _write(self) -> None:
        self.shop.people(list(self.people.values()))

    def _run(self) -> bool:
        """Plan and send as a run does, approving where it asks for it; whether there was anything to send or settle."""
        with suppress(CdpError):
            plan = self.shop.plan()
            try:
                self.shop.send(plan)
            except GuardTripped:
                controls.approve(self.shop.engine.journal, plan.sync, plan.digest, approved_by="somebody")
                self.shop.send(plan)
            return plan.to_send > 0
        return True

    def _forget_the_waiting(self) -> None:
        with suppress(CdpError):
            self.shop.sql("update cdp.rejected_rows set next_at = current_timestamp - interval 1 hour")

    def _check_books(self) -> None:
        for run in self.shop.sql("select * from cdp.sync_runs"):
            ended = sum(run[name] for name in ("delivered", "rejected", "unknown", "skipped", "pending"))
            assert run["planned"] == ended
        twice = "select primary_key from cdp.sync_log group by ledger_id, primary_key, version having count(*) > 1"
        assert self.shop.sql(twice) == []


_COLUMNS = {"email_permission": "permission"}


def _without_last(answer: Answer) -> Answer:
    return replace(answer, body={"results": answer.body["results"][:-1]})


class TestConvergence:
    """Two profiles of one machine; a failure prints the steps that lead to it and a seed to repeat it."""

    CHECKS: ClassVar = [HealthCheck.too_slow, HealthCheck.data_too_large]

    @pytest.mark.timeout(1200)
    @pytest.mark.parametrize(
        ("examples", "steps"), [pytest.param(6, 12, id="fast"), pytest.param(60, 30, id="long", marks=pytest.mark.slow)]
    )
    def test_the_account_ends_as_the_model_says(self, examples: int, steps: int) -> None:
        profile = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=self.CHECKS,
            database=None,
            print_blob=True,
        )
        peaceful = SyncMachine.peaceful_count
        run_state_machine_as_test(SyncMachine, settings=profile)
        assert SyncMachine.peaceful_count - peaceful >= examples, "no account was compared"
