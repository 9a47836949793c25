"""A project grows to several hosts: its journal goes along, and the first run on the new one sends nothing again."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("psycopg2", reason="the extra `cluster` is not installed: moving the journal was NOT tested")

from cdp_platform import faultpoints
from cdp_platform.connectors.pace_file import open_paces
from cdp_platform.domain.outcomes import Counts
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.syncs import controls, journal_moving
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.journal_moving import MovedJournal, carry_allowances, move_journal
from cdp_platform.syncs.lease import Clock, held_lease, take_lease
from cdp_platform_tests.unit.connectors.test_state_server import cut
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

PEOPLE = [person_of(number) for number in range(1, 26)]


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.emptied()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop of one host that has delivered."""
    shop = Shop(tmp_path / "home")
    shop.people(PEOPLE)
    shop.run()
    return shop


class Killed(BaseException):
    """Stands for the end of the process."""


def die(name: str) -> None:
    if name == "settle.uncommitted":
        raise Killed


def grown(shop: Shop, address: str) -> MovedJournal:
    """Move the journal to the database, and live with it from then on."""
    shop.home = replace(shop.home, journal_address=address)
    return move_journal(shop.home)


def test_the_first_run_with_the_shared_journal_sends_nothing_again(shop: Shop, address: str) -> None:
    moved = grown(shop, address)
    assert (moved.rows["settlings"], moved.rows["plans"], moved.rows["leases"]) == (1, 1, 1)
    plan = shop.plan()
    assert (plan.to_send, plan.unchanged, plan.resend_reason) == (0, 25, None)
    shop.people([person_of(1, segment="new"), *PEOPLE[1:]])
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_switches_pauses_and_approvals_go_along(shop: Shop, address: str) -> None:
    journal = Journal(shop.home)
    controls.pause(journal, "sync", "crm_contacts", paused_by="ada")
    controls.approve(journal, "crm_contacts", "d1", approved_by="ada")
    controls.approve(journal, "crm_contacts", "d2", approved_by="ada")
    pauses, approvals = controls.pauses(journal), approvals_in(journal)
    grown(shop, address)
    assert controls.is_enabled(Journal(shop.home), "crm_contacts")
    assert pauses and controls.pauses(Journal(shop.home)) == pauses
    assert len(approvals) == 2 and approvals_in(Journal(shop.home)) == approvals


def approvals_in(journal: Journal) -> list[tuple[str, str]]:
    with journal.transaction() as connection:
        rows = connection.execute("select digest, approved_at from approvals order by number").fetchall()
    return [(digest, approved_at) for digest, approved_at in rows]


def test_a_send_that_was_broken_off_is_settled_from_the_new_journal(
    shop: Shop, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.people([person_of(number, segment="later") for number in range(1, 26)])
    plan = shop.plan()

    monkeypatch.setattr(faultpoints, "hook", die)
    with pytest.raises(Killed):
        shop.send(plan)
    monkeypatch.setattr(faultpoints, "hook", None)
    sent = len(shop.sent_rows())
    assert sent > 25, "work had happened before the fault"
    assert grown(shop, address).rows["requests"] > 0
    shop.run()
    assert shop.plan().to_send == 0
    assert len(shop.sent_rows()) == 25 + 25, "every row was sent once, in two runs"


def test_the_file_is_closed_for_who_has_it_open_and_for_who_opens_it(shop: Shop, address: str) -> None:
    former, home = Journal(shop.home), shop.home
    grown(shop, address)
    with pytest.raises(CdpError, match="was moved into the database that hosts share"):
        former.syncs()
    with pytest.raises(CdpError, match="was moved into the database that hosts share"):
        Journal(home).syncs()


def test_moving_twice_does_nothing_the_second_time(shop: Shop, address: str) -> None:
    assert not grown(shop, address).was_here
    shop.people([person_of(1, segment="new"), *PEOPLE[1:]])
    shop.run()
    assert move_journal(shop.home).was_here
    assert shop.plan().to_send == 0


def test_a_journal_that_another_project_works_with_is_not_touched(shop: Shop, address: str, tmp_path: Path) -> None:
    other = Shop(tmp_path / "other", journal_address=address)
    other.people(PEOPLE)
    other.run()
    with pytest.raises(CdpError, match="is in use already"):
        move_journal(replace(shop.home, journal_address=address))
    assert shop.plan().to_send == 0
    assert other.plan().to_send == 0


def test_a_run_that_is_at_work_is_named_and_nothing_is_moved(shop: Shop, address: str) -> None:
    moving = replace(shop.home, journal_address=address)
    with held_lease(Journal(shop.home), "0123456789abcdef"), pytest.raises(CdpError, match="a run is at work"):
        move_journal(moving)
    assert shop.plan().to_send == 0
    # Of a process that is gone nothing is waited for.
    take_lease(
        Journal(shop.home), "0123456789abcdef", "elsewhere/1/x", replace(Clock.of_this_kernel(), seconds=lambda: -1e6)
    )
    assert move_journal(moving).rows["leases"] == 2


def test_a_database_lost_on_the_way_leaves_the_file_as_it_was(
    shop: Shop, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, moving = journal_moving._fill, replace(shop.home, journal_address=address)
    cuts = []

    def fill_and_cut(database: object, table: str, *rest: object) -> None:
        if table == "leases":
            cuts.append(cut(address))
        fill(database, table, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(journal_moving, "_fill", fill_and_cut)
    with pytest.raises(CdpError, match="the journal's database cannot be used"):
        move_journal(moving)
    assert cuts and cuts[0] >= 1, "the connection was cut while lines arrived"
    monkeypatch.setattr(journal_moving, "_fill", fill)
    assert shop.plan().to_send == 0
    assert grown(shop, address).rows["plans"] == 2
    assert shop.plan().to_send == 0


def test_a_move_that_was_killed_after_it_closed_the_file_is_ended_by_the_next(shop: Shop, address: str) -> None:
    with Journal(shop.home).transaction() as file:
        file.execute("insert into meta values ('moved', 'x')")
    with pytest.raises(CdpError, match="run cdp move --journal once more"):
        shop.plan()
    assert grown(shop, address).rows["plans"] == 1
    assert shop.plan().to_send == 0


def test_without_a_database_or_a_file_it_says_what_is_missing(shop: Shop, address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no database is named"):
        move_journal(shop.home)
    with pytest.raises(CdpError, match="there is no journal in"):
        move_journal(replace(shop.home, root=tmp_path / "nowhere", journal_address=address))


def test_plan_files_lie_where_all_hosts_find_them(shop: Shop, address: str, tmp_path: Path) -> None:
    shop.home = replace(shop.home, plans_url=f"file://{tmp_path}/shared")
    moved = grown(shop, address)
    assert (moved.shared_plans, moved.lost_plans) == (1, 0)
    assert [path.name for path in (tmp_path / "shared" / "crm_contacts").iterdir()]


def test_what_is_used_of_a_day_is_not_given_twice(shop: Shop, address: str) -> None:
    with open_paces(shop.home.rate_limits).transaction() as file:
        file.execute("insert into hours values ('bucket', 500000, 7)")
    shared = replace(shop.home, journal_address=address)
    assert carry_allowances(shared) == 1
    assert carry_allowances(shared) == 1
    with open_paces(address).transaction() as database:
        assert database.execute("select hour, requests from hours").fetchall() == [(500000, 7)]
