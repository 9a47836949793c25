"""Hosts that share a journal in PostgreSQL: one sender at a time, and a database that goes away costs nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("psycopg2", reason="the extra `cluster` is not installed: the shared journal was NOT tested")

from cdp_platform import faultpoints
from cdp_platform.domain.outcomes import Counts
from cdp_platform.errors import CdpError, LeaseLost
from cdp_platform.syncs import journal as journal_module
from cdp_platform.syncs import lease as lease_module
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import LEASE_SECONDS, Clock, held_lease, is_dead, lease_holder, take_lease
from cdp_platform_tests.unit.connectors.test_state_server import cut
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of
from cdp_platform_tests.warehouses.postgres_server import PostgresServer


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.emptied()


@pytest.fixture
def shared(tmp_path: Path, address: str) -> Shop:
    shop = Shop(tmp_path / "home", journal_address=address)
    shop.people([person_of(number) for number in range(1, 26)])
    return shop


def at_pass(place: str, number: int, act: Callable[[], object]) -> Callable[[str], None]:
    """Act once, when a place is passed for the nth time."""
    passed = []

    def hook(name: str) -> None:
        if name == place:
            passed.append(name)
            if len(passed) == number:
                act()

    return hook


@pytest.mark.parametrize("place", ["intent.uncommitted", "outcome.uncommitted"])
def test_a_connection_lost_in_the_middle_of_a_send_loses_nothing_and_the_next_run_goes_on(
    shared: Shop, address: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = shared.plan()
    monkeypatch.setattr(faultpoints, "hook", at_pass(place, 2, lambda: cut(address)))
    with pytest.raises(CdpError, match="the journal's database cannot be used"):
        shared.send(plan)
    monkeypatch.setattr(faultpoints, "hook", None)
    assert shared.session.writes, "work had happened before the fault"
    shared.run()
    assert shared.plan().to_send == 0
    assert len(shared.account.records) == 25
    again = len(shared.sent_rows()) - 25
    assert again <= 10, "no more than the batch that was in flight"


def test_a_connection_that_is_cut_between_two_requests_is_not_even_noticed(
    shared: Shop, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = shared.plan()
    cuts: list[int] = []
    shared.session.after_send = lambda *_: cuts.append(cut(address))
    assert shared.send(plan).counts == Counts(planned=25, delivered=25)
    assert sum(cuts) >= 2


@pytest.mark.parametrize("lines", [1, 3, 10_000])
def test_a_journal_that_is_read_in_parts_is_read_whole(
    shared: Shop, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "READ_LINES", lines)
    assert shared.run().counts == Counts(planned=25, delivered=25)
    assert len(shared.session.writes) == 3
    assert shared.plan().to_send == 0


def test_the_lease_is_told_by_the_databases_clock_whatever_the_hosts_say(
    shared: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "is_dead", lambda holder: False)
    here, there = shared.engine.journal, shared.engine.journal
    with held_lease(here, "a-ledger"):
        wall = lease_module.time.time
        monkeypatch.setattr(lease_module.time, "time", lambda: wall() + 10 * LEASE_SECONDS)
        with pytest.raises(LeaseLost, match="at work"), held_lease(there, "a-ledger"):
            pytest.fail("there were two")


def test_who_comes_after_the_term_takes_over_and_the_late_one_is_fenced_off(shared: Shop) -> None:
    here, there = shared.engine.journal, shared.engine.journal
    with held_lease(here, "a-ledger") as late:
        later = Clock(seconds=lambda: Clock.of(there).seconds() + LEASE_SECONDS + 1, boot=late.clock.boot)
        assert take_lease(there, "a-ledger", "another-host/1/b", later) == late.fence + 1
        with pytest.raises(LeaseLost, match="took over"):
            late.renew()
    assert lease_holder(here, "a-ledger") == "another-host/1/b"


def test_a_late_writer_cannot_slip_in_while_the_lease_changes_hands(
    shared: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The taker's transaction and the writer's are never open at once: they hold the same lock."""
    plan = shared.plan()
    other = Journal(shared.home).server
    taken: list[str] = []
    assert other is not None

    def take() -> None:
        with (
            pytest.raises(CdpError, match="another host has held the lock"),
            other.transaction(plan.ledger_id, wait_seconds=0.05),
        ):
            pytest.fail("the lease could be taken while the fence was being looked at")
        taken.append("tried")

    monkeypatch.setattr(faultpoints, "hook", at_pass("intent.uncommitted", 1, take))
    assert shared.send(plan).counts == Counts(planned=25, delivered=25)
    assert taken == ["tried"]


def test_of_a_host_with_the_same_name_nothing_is_known(shared: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = shared.engine.journal
    with held_lease(journal, "a-ledger") as lease:
        host, _, token = lease.holder.split("/")
        assert is_dead(f"{host}/999999999/{token}")
        monkeypatch.setattr(lease_module, "_exact_host", lambda: f"{host.split('~')[0]}~otherwise")
        assert not is_dead(f"{host}/999999999/{token}")
