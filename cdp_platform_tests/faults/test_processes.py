"""Processes that meet, that are asked to end, and that wake up too late."""

import signal
import subprocess
import threading

from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform_tests.faults.scenario import second_day, write_people
from cdp_platform_tests.faults.stage import Stage, end_of

LEASE_SECONDS = 2.0
AT_ONCE = min(3, HubSpot().capabilities("contacts").requests_at_once)
"""Requests that are under way together: the plan has three batches."""


def start_and_hold(stage: Stage, *options: str) -> tuple[subprocess.Popen[str], threading.Event]:
    """Start a process and keep back the answers to its first requests until the event is set."""
    stage.gateway.hold = release = threading.Event()
    process = stage.start(*options)
    stage.gateway.wait_for_writes(AT_ONCE)
    stage.gateway.hold = None
    return process, release


def test_of_two_processes_on_one_account_one_works_and_the_other_says_so(stage: Stage) -> None:
    first, release = start_and_hold(stage)
    second = stage.run()
    assert second.code == 3
    assert "LeaseLost" in second.error
    assert "another run is at work" in second.error
    release.set()
    assert end_of(first).code == 0
    assert stage.faults() == []


def test_a_process_asked_to_end_finishes_its_request_settles_and_begins_no_other(stage: Stage) -> None:
    process, release = start_and_hold(stage)
    process.send_signal(signal.SIGTERM)
    threading.Event().wait(0.5)
    release.set()
    assert end_of(process).code == 143
    assert stage.gateway.write_count == AT_ONCE
    assert stage.gateway.accepted_count > 0
    resumed = stage.run()
    assert resumed.hits.get("recover.begun", 0) == 0, "something was left in the journal"
    assert stage.faults() == []
    assert stage.gateway.accepted_count == len({row for write in stage.gateway.writes for row in write.accepted})


def test_a_process_that_wakes_up_after_its_lease_sends_and_settles_nothing_more(stage: Stage) -> None:
    lease = ("--lease-seconds", str(LEASE_SECONDS))
    sleeper, release = start_and_hold(stage, *lease)
    sleeper.send_signal(signal.SIGSTOP)
    threading.Event().wait(LEASE_SECONDS + 0.5)
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
