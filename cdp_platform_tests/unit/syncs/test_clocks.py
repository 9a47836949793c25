"""Clocks that jump an hour or a day, forwards and backwards: one sender, no stale plan, nobody locked out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Counts
from cdp_platform.errors import CdpError, LeaseLost
from cdp_platform.syncs import lease as lease_module
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import LEASE_SECONDS, Clock, held_lease, take_lease
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

HOUR, DAY = 3600.0, 86_400.0
JUMPS = (-DAY, -HOUR, HOUR, DAY)


class Time:
    """A clock that tests set."""

    def __init__(self, seconds: float = 1_000_000.0) -> None:
        self.now = seconds

    def clock(self, boot: str) -> Clock:
        return Clock(seconds=lambda: self.now, boot=boot)


@pytest.fixture
def journal(tmp_path: Path, journal_address: str | None) -> Journal:
    return Journal(Home(root=tmp_path / "home", journal_address=journal_address))


@pytest.fixture
def everybody_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "is_dead", lambda holder: False)


@pytest.mark.parametrize("jump", JUMPS)
def test_the_wall_clock_has_no_say_in_a_lease(
    journal: Journal, jump: float, monkeypatch: pytest.MonkeyPatch, everybody_lives: None
) -> None:
    monkeypatch.setattr(lease_module, "_boot_id", lambda: "boot-1")
    with held_lease(journal, "a-ledger") as held:
        wall = lease_module.time.time
        monkeypatch.setattr(lease_module.time, "time", lambda: wall() + jump)
        with pytest.raises(LeaseLost, match="at work"), held_lease(journal, "a-ledger"):
            raise AssertionError("there were two")
        held.renew()


@pytest.mark.parametrize("jump", [-DAY, -HOUR])
def test_a_clock_that_was_set_back_locks_nobody_out_for_longer_than_a_term(
    journal: Journal, jump: float, everybody_lives: None
) -> None:
    """On a kernel without a boot id the wall clock is all there is."""
    time = Time()
    assert take_lease(journal, "a-ledger", "host/1/a", time.clock("")) == 1
    time.now += jump
    assert take_lease(journal, "a-ledger", "host/2/b", time.clock("")) is None
    time.now += LEASE_SECONDS + 1
    assert take_lease(journal, "a-ledger", "host/2/b", time.clock("")) == 2


def test_of_another_boot_s_clock_nothing_is_believed_and_a_live_holder_keeps_its_lease(
    journal: Journal, everybody_lives: None
) -> None:
    old, new = Time(50_000.0), Time(20.0)
    assert take_lease(journal, "a-ledger", "there/1/a", old.clock("boot-1")) == 1
    assert take_lease(journal, "a-ledger", "here/2/b", new.clock("boot-2")) is None
    new.now += LEASE_SECONDS - 1
    assert take_lease(journal, "a-ledger", "there/1/a", old.clock("boot-1")) == 1, "it renews"
    new.now += 2
    assert take_lease(journal, "a-ledger", "here/2/b", new.clock("boot-2")) is None
    new.now += LEASE_SECONDS + 1
    assert take_lease(journal, "a-ledger", "here/2/b", new.clock("boot-2")) == 2


def test_a_holder_whose_clock_jumps_renews_or_learns_that_it_lost(journal: Journal, everybody_lives: None) -> None:
    time = Time()
    with held_lease(journal, "a-ledger", clock=time.clock("")) as held:
        time.now -= DAY
        held.renew_if_due()
        assert take_lease(journal, "a-ledger", "host/2/b", time.clock("")) is None
        time.now += DAY
        assert take_lease(journal, "a-ledger", "host/2/b", time.clock("")) == 2
        with pytest.raises(LeaseLost, match="took over"):
            held.renew_if_due()


def test_a_lease_of_a_journal_from_before_boots_were_noted_is_waited_for_one_term(
    tmp_path: Path, everybody_lives: None
) -> None:
    journal = Journal(Home(root=tmp_path / "home"))
    with journal.transaction() as connection:
        connection.execute("alter table leases drop column boot")
        connection.execute("insert into leases values ('a-ledger', 'host/1/a', 7, 1790000000.0)")
    journal, time = Journal(Home(root=tmp_path / "home")), Time(100.0)
    assert take_lease(journal, "a-ledger", "host/2/b", time.clock("boot-1")) is None
    time.now += LEASE_SECONDS + 1
    assert take_lease(journal, "a-ledger", "host/2/b", time.clock("boot-1")) == 8


@pytest.mark.parametrize("jump", [timedelta(seconds=-1), timedelta(hours=-1), timedelta(days=-1), timedelta(days=1)])
def test_a_plan_from_the_future_is_as_little_fresh_as_an_old_one(
    shop: Shop, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + jump - (timedelta(seconds=5) if jump < timedelta(0) else timedelta(0))

    monkeypatch.setattr(send_module, "datetime", Jumped)
    with pytest.raises(CdpError, match="not the newest one, or too old"):
        send_module.send_plan(shop.engine, shop.spec, plan, run_id="another-run")
    assert shop.session.writes == []
    assert shop.send(plan).counts == Counts(planned=1, delivered=1), "its own run sends it"


def rejected_once(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.session.reject("p-001")
    shop.run()
    assert shop.run().skipped_reasons == {"held": 1}
    shop.session.accept("p-001")


def test_a_rejection_from_the_future_is_not_waited_for(shop: Shop) -> None:
    rejected_once(shop)
    shop.sql("update cdp.rejected_rows set last_at = last_at + interval 1 day, next_at = next_at + interval 1 day")
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_a_row_that_is_tried_by_hand_only_stays_so_whatever_the_clock_says(shop: Shop) -> None:
    rejected_once(shop)
    shop.sql(
        "update cdp.rejected_rows set last_at = last_at + interval 1 day, next_at = cast('infinity' as timestamptz)"
    )
    assert shop.run().skipped_reasons == {"held": 1}


def test_a_clock_that_jumps_past_the_seven_days_does_not_end_the_attempts(shop: Shop) -> None:
    rejected_once(shop)
    shop.session.reject("p-001")
    for attempt, is_last in ((2, False), (3, False), (4, False), (5, True)):
        shop.sql("update cdp.rejected_rows set first_at = first_at - interval 8 days, next_at = last_at")
        assert shop.run().counts.rejected == 1
        (row,) = shop.sql("select attempts, isfinite(next_at) as is_finite from cdp.rejected_rows")
        assert (row["attempts"], row["is_finite"]) == (attempt, not is_last)


def test_the_consent_is_read_again_in_time_whatever_the_wall_clock_does() -> None:
    assert send_module.Timing().clock is lease_module.time.monotonic
