"""A person is forgotten in every table, ledger, log, plan and destination, and stays forgotten."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from cdp_platform import faultpoints
from cdp_platform.domain.syncs import Removal
from cdp_platform.erasure.book import State, open_work, read_steps
from cdp_platform.erasure.forget import forget, look, resume
from cdp_platform.erasure.holdings import undeclared
from cdp_platform.erasure.identifiers import read_key
from cdp_platform.erasure.tombstones import read_hashes, without_forgotten
from cdp_platform.errors import CdpError, ConnectionFailed, LeaseLost, Refused
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform_tests.unit.erasure.conftest import DECLARED, ErasingDestination, load, scope_of
from cdp_platform_tests.unit.syncs.conftest import Shop

PLACES = ("forget.kept", "forget.remembered", "forget.deleted", "forget.noted", "forget.unledgered",
          "forget.acknowledged", "forget.shredded")  # fmt: skip
TRACES = (b"erson1@", b"2125550101", b"555-0101", b"p-001")


def traces(root: Path) -> list[str]:
    """Files under the home that hold anything of the first person."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return [f"{path.name}: {trace!r}" for path in files for trace in TRACES if trace in path.read_bytes()]


@pytest.mark.parametrize(
    "identifier",
    ["person1@example.com", " PERSON1@example.com ", "(212) 555-0101", "p-001", "customer_number:1", "t-1"],
)
def test_whatever_a_person_is_known_by_leads_to_all_that_is_kept(shop: Shop, identifier: str) -> None:
    forget(scope_of(shop), identifier)
    assert shop.sql("select customer_number from raw_shop.customers order by 1") == [
        {"customer_number": number} for number in (2, 3, 4)
    ]
    assert shop.sql("select count(*) as n from raw_shop.orders") == [{"n": 6}]
    assert shop.sql("select ticket_id from raw_shop.tickets") == [{"ticket_id": "t-3"}]
    assert "p-001" not in shop.account.records
    assert len(shop.account.records) == 3


def test_nothing_of_the_person_is_left_in_any_file_of_the_home(shop: Shop) -> None:
    assert len(traces(shop.home.root)) > 3
    steps = forget(scope_of(shop), "person1@example.com")
    assert {step.state for step in steps} == {State.DONE}
    assert traces(shop.home.root) == []
    assert open_work(shop.home) == []


def test_others_lose_nothing_and_their_next_run_sends_nothing(shop: Shop) -> None:
    forget(scope_of(shop), "p-001")
    assert sorted(shop.account.records) == ["p-002", "p-003", "p-004"]
    assert shop.run().counts.planned == 0
    assert shop.sql("select count(*) as n from cdp.sync_log") == [{"n": 3}]


def test_the_book_holds_a_status_for_each_system_and_nothing_of_the_person(shop: Shop) -> None:
    forget(scope_of(shop), "p-001")
    with shop.warehouse.session("test") as session:
        book = {line["system"]: (line["status"], line["code"], line["row_count"]) for line in read_steps(session)}
    assert book == {
        "warehouse": ("done", "erased", 7),
        "fake/crm_contacts": ("done", "erased", 1),
        "files": ("done", "erased", 0),
    }


def test_a_plan_that_held_the_person_is_gone_and_cannot_be_sent(shop: Shop) -> None:
    with shop.warehouse.session("test") as session:
        session.execute("update activation.sync_contacts__crm set segment = 'new'")
    plan = shop.plan()
    forget(scope_of(shop), "p-001")
    assert not plan_path(shop.home, plan.sync, plan.digest).exists()
    with pytest.raises(CdpError, match="moved on"):
        shop.send(plan)


def test_an_identifier_of_nobody_is_refused(shop: Shop) -> None:
    with pytest.raises(CdpError, match=r"nobody is known by.*nothing was erased.*customer_number:…"):
        forget(scope_of(shop), "stranger@example.com")


def test_an_identifier_of_several_people_is_refused_naming_the_choice(shop: Shop) -> None:
    with pytest.raises(
        CdpError, match=r"is of 2 people; nothing was erased\. Say which one is meant: person_id:p-002, person_id:p-003"
    ):
        forget(scope_of(shop), "family@example.com")
    assert len(shop.account.records) == 4


def test_a_shared_address_stays_with_who_shares_it(shop: Shop) -> None:
    outlook = look(scope_of(shop), "p-002")
    assert outlook.closure.shared == {"email": 1}
    forget(scope_of(shop), "person_id:p-002")
    assert shop.sql("select ticket_id from raw_shop.tickets where ticket_id = 't-3'")
    assert shop.sql("select count(*) as n from marts.consents where identifier = 'family@example.com'") == [{"n": 2}]
    assert shop.sql("select count(*) as n from raw_shop.customers") == [{"n": 3}]


def test_a_dry_run_tells_and_changes_nothing(shop: Shop) -> None:
    outlook = look(scope_of(shop), "p-001")
    assert outlook.rows == {
        "raw_shop.customers": 1, "raw_shop.orders": 2, "raw_shop.tickets": 2, "activation.sync_contacts__crm": 1,
        "marts.consents": 1,
    }  # fmt: skip
    assert outlook.keys == {"crm_contacts": 1}
    assert "p-001" in shop.account.records
    assert not shop.home.forgotten_key.exists()


def test_rows_of_who_was_forgotten_are_dropped_on_load_and_counted(shop: Shop) -> None:
    forget(scope_of(shop), "p-001")
    with shop.warehouse.session("test") as session:
        hashes = read_hashes(session)
    rows = pa.table(
        {
            "customer_number": [1, 2, None],
            "email": ["x@example.com", "b@example.com", "PERSON1@example.com "],
            "phone": [None] * 3,
        }
    )
    key = read_key(shop.home.forgotten_key)
    kept, dropped = without_forgotten(rows, DECLARED["raw_shop.customers"], hashes, key)
    assert (kept["customer_number"].to_pylist(), dropped) == ([2], 2)


def test_who_was_forgotten_already_is_told_so(shop: Shop) -> None:
    forget(scope_of(shop), "p-001")
    with pytest.raises(CdpError, match="forgotten already"):
        forget(scope_of(shop), "person1@example.com")


def test_who_comes_back_by_a_restored_table_can_be_forgotten_again(shop: Shop) -> None:
    forget(scope_of(shop), "p-001")
    load(shop)
    forget(scope_of(shop), "p-001")
    assert shop.sql("select count(*) as n from raw_shop.customers") == [{"n": 3}]


@pytest.mark.parametrize("place", PLACES)
def test_an_erasure_broken_off_anywhere_is_finished_by_the_next(
    shop: Shop, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        if name == place:
            raise Killed

    monkeypatch.setattr(faultpoints, "hook", die)
    with pytest.raises(Killed):
        forget(scope_of(shop), "person1@example.com")
    assert open_work(shop.home), "no work had been noted"
    monkeypatch.setattr(faultpoints, "hook", lambda name: None)
    forget(scope_of(shop), "person1@example.com")
    assert traces(shop.home.root) == []
    assert (sorted(shop.account.records), open_work(shop.home)) == (["p-002", "p-003", "p-004"], [])


def test_a_destination_that_is_down_stays_pending_and_a_later_run_completes(shop: Shop) -> None:
    shop.session.fail_next_read(ConnectionFailed("refused"))
    steps = {step.system: (step.state, step.code) for step in forget(scope_of(shop), "p-001")}
    assert steps["fake/crm_contacts"] == (State.PENDING, "unreachable")
    assert steps["warehouse"] == (State.DONE, "erased")
    assert "p-001" in shop.account.records
    [(_, again)] = resume(scope_of(shop))
    assert {step.state for step in again} == {State.DONE}
    assert "p-001" not in shop.account.records
    assert traces(shop.home.root) == []
    assert resume(scope_of(shop)) == []


def test_what_waits_at_one_destination_is_not_forgotten_by_the_share_of_the_next_sync(shop: Shop) -> None:
    first = shop.spec
    second = replace(first, name="crm_contacts_too")
    switch(shop.engine.journal, second.name, is_enabled=True)
    shop.spec = second
    shop.run()
    scope = replace(scope_of(shop), syncs=[(shop.engine, first), (shop.engine, second)])
    record = shop.account.records["p-001"]
    shop.session.fail_next_read(ConnectionFailed("refused"))
    steps = {step.system: step.code for step in forget(scope, "p-001")}
    assert (steps["fake/crm_contacts"], steps["fake/crm_contacts_too"]) == ("unreachable", "erased")
    # Both lead to one account: the record that the first sync still owes is put back.
    shop.account.records["p-001"] = record
    [(_, again)] = resume(scope)
    assert {step.system: step.rows for step in again}["fake/crm_contacts"] == 1
    assert "p-001" not in shop.account.records


def test_while_the_sync_is_at_work_its_share_waits(shop: Shop) -> None:
    [ledger] = shop.sql("select ledger_id from cdp.ledgers")
    with held_lease(shop.engine.journal, ledger["ledger_id"]):
        steps = {step.system: (step.state, step.code) for step in forget(scope_of(shop), "p-001")}
    assert steps["fake/crm_contacts"] == (State.PENDING, "busy")
    assert {step.state for _, steps in resume(scope_of(shop)) for step in steps} == {State.DONE}


def test_a_destination_that_refuses_is_told_as_failed(shop: Shop) -> None:
    shop.session.before_send = lambda request: (_ for _ in ()).throw(Refused("no", status=400))
    steps = {step.system: (step.state, step.code) for step in forget(scope_of(shop), "p-001")}
    assert steps["fake/crm_contacts"] == (State.FAILED, "refused")
    assert open_work(shop.home)


@pytest.mark.parametrize(
    ("removals", "code"), [((Removal.ARCHIVE,), "archived"), ((Removal.CLEAR,), "no_call"), ((), "no_call")]
)
def test_where_a_destination_cannot_delete_a_person_has_to(
    shop: Shop, removals: tuple[Removal, ...], code: str
) -> None:
    shop.destination = ErasingDestination(*removals)
    steps = {step.system: (step.state, step.code) for step in forget(scope_of(shop), "p-001")}
    assert steps["fake/crm_contacts"] == (State.BY_HAND, code)


def test_a_table_that_says_nothing_of_whose_rows_it_holds_is_named(shop: Shop) -> None:
    with shop.warehouse.session("test") as session:
        session.execute("create table raw_shop.newcomers (email varchar)")
        assert undeclared(session, DECLARED) == ["raw_shop.newcomers"]


def test_a_table_of_computed_traits_is_known_to_hold_people_whatever_its_name(shop: Shop) -> None:
    with shop.warehouse.session("test") as session:
        session.execute("create schema traits")
        session.execute(
            "create table traits.habits as select 'p-001' as person_id, 3 as visits union all select 'p-002', 1"
        )
        assert undeclared(session, DECLARED) == []
    forget(scope_of(shop), "p-001")
    assert shop.sql("select person_id from traits.habits") == [{"person_id": "p-002"}]


def test_a_key_file_that_holds_no_key_stops_everything(shop: Shop) -> None:
    shop.home.forgotten_key.write_text("short", encoding="ascii")
    with pytest.raises(CdpError, match="holds no key"):
        forget(scope_of(shop), "p-001")
    assert "p-001" in shop.account.records


def test_a_lease_is_what_a_running_sync_holds(shop: Shop) -> None:
    [ledger] = shop.sql("select ledger_id from cdp.ledgers")
    with held_lease(shop.engine.journal, ledger["ledger_id"]), pytest.raises(LeaseLost):
        shop.plan()


def test_a_removal_tells_what_was_last_delivered_as_memberships_need(shop: Shop) -> None:
    seen = []
    encode = shop.destination.encode
    shop.destination.encode = lambda name, field, rows: (seen.extend(rows), encode(name, field, rows))[1]  # type: ignore[method-assign]
    forget(scope_of(shop), "p-001")
    assert [row.delivered_fields["email"] for row in seen] == ["Person1@example.com"]
