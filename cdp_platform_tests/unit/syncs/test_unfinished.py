"""What the journal says waits for a run: a send that was cut off, a plan that somebody has approved."""

import socket

import pytest

from cdp_platform.domain.partitions import Partition, Partitioning
from cdp_platform.errors import GuardTripped
from cdp_platform.syncs.controls import approve, pause, switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import Clock
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.unfinished import approved_plans, plans_to_approve, unfinished_sends
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


class Killed(BaseException):
    """Stands for a process that ends at once."""


def cut_off(shop: Shop) -> str:
    """A send whose process is gone after a request, before it could settle; the plan's digest."""
    shop.people([person_of(number) for number in range(3)])
    plan = shop.plan()
    shop.session.after_send = _die
    journal = Journal(shop.home)
    with pytest.raises(Killed):
        shop.send(plan)
    shop.session.after_send = None
    with journal.transaction() as connection:
        rows = connection.execute("select status from requests").fetchall()
        connection.execute("update leases set holder = ?, expires_at = 1e12", [f"{socket.gethostname()}/999999999/x"])
    assert rows, "something was under way"
    return plan.digest


def _die(*_: object) -> None:
    raise Killed


@pytest.fixture
def unsettled(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop where a killed send settles nothing."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("cdp_platform.syncs.send.settle", killed)
        cut_off(shop)
    return shop


def test_a_send_that_was_cut_off_is_found_until_a_run_has_taken_it_up(unsettled: Shop) -> None:
    journal = Journal(unsettled.home)
    [found] = unfinished_sends(journal)
    assert found.plan.sync == "crm_contacts"
    assert [one.mark for one in unfinished_sends(journal)] == [found.mark], "asked twice, the same mark"
    unsettled.run()
    assert unfinished_sends(journal) == []
    assert len(unsettled.account.records) == 3


def test_a_send_whose_process_is_alive_is_left_alone(unsettled: Shop) -> None:
    import os

    journal, clock = Journal(unsettled.home), Clock.of(unsettled.engine.journal)
    with journal.transaction() as connection:
        holder = f"{socket.gethostname()}/{os.getpid()}/x"
        connection.execute("update leases set holder = ?, expires_at = ?", [holder, clock.seconds() + 60])
    assert unfinished_sends(journal) == []


def test_a_live_process_whose_lease_has_run_out_counts_as_gone(unsettled: Shop) -> None:
    journal, clock = Journal(unsettled.home), Clock.of(unsettled.engine.journal)
    with journal.transaction() as connection:
        connection.execute("update leases set holder = 'elsewhere/1/x', expires_at = ?", [clock.seconds() + 60])
    assert unfinished_sends(journal) == []
    later = Clock(seconds=lambda: clock.seconds() + 61, boot=clock.boot)
    assert len(unfinished_sends(journal, later)) == 1


def test_a_run_that_died_with_the_lease_and_before_its_first_request_is_found(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.plan()
    journal = Journal(shop.home)
    with journal.transaction() as connection:
        connection.execute("update leases set holder = ?, expires_at = 1e12", [f"{socket.gethostname()}/999999999/x"])
    [found] = unfinished_sends(journal)
    assert found.mark.startswith("lease-")


@pytest.mark.parametrize("is_paused", [True, False])
def test_a_sync_that_is_off_or_paused_waits_for_nobody(unsettled: Shop, is_paused: bool) -> None:
    journal = Journal(unsettled.home)
    if is_paused:
        pause(journal, "sync", "crm_contacts", paused_by="olive")
    else:
        switch(journal, "crm_contacts", is_enabled=False)
    assert unfinished_sends(journal) == []


def test_a_stopped_plan_waits_until_it_is_approved_and_is_ready_until_it_is_sent(shop: Shop) -> None:
    shop.spec = spec_of(needs_approval=True)
    shop.people([person_of(1)])
    plan = shop.plan()
    journal = Journal(shop.home)
    assert [one.digest for one in plans_to_approve(journal)] == [plan.digest]
    assert approved_plans(journal) == []
    with pytest.raises(GuardTripped):
        shop.send(plan)
    approve(journal, "crm_contacts", plan.digest, approved_by="olive")
    [ready] = approved_plans(journal)
    assert (ready.plan.digest, plans_to_approve(journal)) == (plan.digest, [])
    shop.send(plan)
    assert approved_plans(journal) == []


def test_the_partition_of_a_plan_is_known(shop: Shop) -> None:
    shop.spec = spec_of(
        consent=None,
        needs_approval=True,
        partitioning=Partitioning(split_column="segment", split_values=("loyal",)),
    )
    shop.people([person_of(1)])
    make_plan(shop.engine, shop.spec, run_id="run-1", partition=Partition(value="loyal"))
    [waiting] = plans_to_approve(Journal(shop.home))
    assert (waiting.partition, waiting.is_of_partition) == ("loyal", True)
