"""Processes that meet, that are asked to end, and that wake up too late."""

import signal
import threading

from cdp_platform_tests.faults.gateway import Trouble
from cdp_platform_tests.faults.scenario import second_day, write_people
from cdp_platform_tests.faults.stage import Stage, end_of

LEASE_SECONDS = 2.0
HONEST = 3
"""The first write that holds no poison, so that it is accepted."""


def held_at(stage: Stage, number: int) -> threading.Event:
    """Keep the answer to the `number`-th write back until the event is set; the account has processed it."""
    release = threading.Event()
    stage.gateway.trouble = lambda write: Trouble(hold=release) if write == number else None
    return release


def test_of_two_processes_on_one_account_one_works_and_the_other_says_so(stage: Stage) -> None:
    release = held_at(stage, HONEST)
    first = stage.start()
    stage.gateway.wait_for_write(HONEST)
    second = stage.run()
    assert second.code == 3
    assert "LeaseLost" in second.error
    assert "another run is at work" in second.error
    release.set()
    assert end_of(first).code == 0
    assert stage.faults() == []


def test_a_process_asked_to_end_finishes_its_request_settles_and_begins_no_other(stage: Stage) -> None:
    release = held_at(stage, HONEST)
    process = stage.start()
    stage.gateway.wait_for_write(HONEST)
    process.send_signal(signal.SIGTERM)
    release.set()
    assert end_of(process).code == 143
    assert stage.gateway.write_count == HONEST
    assert stage.gateway.accepted_count > 0
    resumed = stage.run()
    assert resumed.hits.get("recover.begun", 0) == 0, "something was left in the journal"
    assert stage.faults() == []
    assert stage.gateway.accepted_count == len({row for write in stage.gateway.writes for row in write.accepted})


def test_a_process_that_wakes_up_after_its_lease_sends_and_settles_nothing_more(stage: Stage) -> None:
    lease = ("--lease-seconds", str(LEASE_SECONDS))
    release = held_at(stage, HONEST)
    sleeper = stage.start(*lease)
    stage.gateway.wait_for_write(HONEST)
    sleeper.send_signal(signal.SIGSTOP)
    threading.Event().wait(LEASE_SECONDS + 0.5)
    stage.gateway.trouble = lambda write: None
    # Meanwhile the model moves on: what the sleeper still has in hand is an older value than the account's.
    write_people(stage.root, [(*person[:3], "vip", *person[4:]) for person in second_day()])
    assert stage.run(*lease).code == 0
    assert stage.faults() == []
    before = stage.gateway.write_count
    release.set()
    sleeper.send_signal(signal.SIGCONT)
    ended = end_of(sleeper)
    assert ended.code == 3
    assert "LeaseLost" in ended.error
    assert stage.gateway.write_count == before
    assert stage.faults() == []
    assert stage.run().hits.get("recover.begun", 0) == 0
