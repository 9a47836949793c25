"""Moving house: from DuckDB to PostgreSQL and back, nothing is sent twice and nothing is forgotten."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FieldPolicy, Mode, ReadBack, Removal
from cdp_platform.errors import CdpError, ConfigError, ConnectionFailed, LeaseLost
from cdp_platform.syncs import relocate as relocating
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.relocate import Relocation, relocate
from cdp_platform.warehouse.base import Warehouse
from cdp_platform_tests.unit.syncs.conftest import Person, Shop, person_of
from cdp_platform_tests.unit.syncs.events import events_of

PEOPLE = [
    person_of(1, segment="vip"),
    person_of(2, email="Zoë@example.com", lifetime_value="12.3400"),
    person_of(3, segment=None, lifetime_value=None),
    person_of(4),
    person_of(5, permission=None),
]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    from cdp_platform.warehouse.postgres import PostgresWarehouse

    with closing(PostgresWarehouse(request.getfixturevalue("postgres").emptied(), wait_seconds=5)) as warehouse:
        yield warehouse


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def move(shop: Shop, to: Warehouse, people: Sequence[Person]) -> Relocation | None:
    """Build the model in the other warehouse, move the sync there, and live there from then on."""
    old = shop.engine
    shop.warehouse = to
    shop.people(people)
    return relocate(old, shop.engine, shop.spec)


def ran(shop: Shop, people: Sequence[Person]) -> Counts:
    shop.people(people)
    return shop.run().counts


def test_the_first_run_in_the_new_warehouse_plans_no_change(shop: Shop, server: Warehouse) -> None:
    ran(shop, PEOPLE)
    people = [*PEOPLE[:3], person_of(4, permission="withdrawn"), PEOPLE[4]]
    assert ran(shop, people).delivered == 1
    assert move(shop, server, people) == Relocation(sync="crm_contacts", rows=4, proven=4)
    plan = shop.plan()
    assert (plan.to_send, plan.unchanged, plan.resend_reason, plan.is_allowed) == (0, 4, None, True)
    assert plan.skipped == {"never_asked": 1}
    told = shop.sql("select operation from cdp.sync_log where primary_key = 'p-004' order by version")
    assert [entry["operation"] for entry in told] == ["create", "withdraw"]


def test_the_way_back_is_the_same(shop: Shop, server: Warehouse) -> None:
    embedded = shop.warehouse
    ran(shop, PEOPLE)
    move(shop, server, PEOPLE)
    assert ran(shop, [*PEOPLE[:3], person_of(4, segment="new")]) == Counts(planned=1, delivered=1)
    assert move(shop, embedded, [*PEOPLE[:3], person_of(4, segment="new")]) is not None
    assert shop.plan().to_send == 0
    assert ran(shop, [*PEOPLE[:3], person_of(4, segment="newer")]) == Counts(planned=1, delivered=1)


def test_only_what_is_another_value_there_is_sent(shop: Shop, server: Warehouse) -> None:
    ran(shop, PEOPLE)
    people = [PEOPLE[0], person_of(2, email="zoe@example.com"), *PEOPLE[2:]]
    assert move(shop, server, people) == Relocation(sync="crm_contacts", rows=4, proven=3)
    assert shop.run().counts == Counts(planned=2, delivered=1, skipped=1)
    assert shop.records("email")["p-002"] == "zoe@example.com"


def test_who_has_left_the_model_is_removed_by_the_first_run_there(shop: Shop, server: Warehouse) -> None:
    shop.spec = replace(shop.spec, mode=Mode.MIRROR, removal=Removal.ARCHIVE)
    ran(shop, PEOPLE)
    move(shop, server, PEOPLE[1:])
    assert shop.run().operations == {"remove": 1}
    assert "p-001" not in shop.account.records


def test_a_row_that_was_rejected_is_not_tried_again_because_of_the_move(shop: Shop, server: Warehouse) -> None:
    shop.session.reject("p-002")
    assert ran(shop, PEOPLE).rejected == 1
    move(shop, server, PEOPLE)
    plan = shop.plan()
    assert (plan.to_send, plan.skipped["held"]) == (0, 1)


def test_an_event_is_sent_once_in_both_together(shop: Shop, server: Warehouse) -> None:
    events_of(shop)
    ran(shop, [person_of(number) for number in range(4)])
    move(shop, server, [person_of(number) for number in range(5)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert sorted(shop.account.processed) == [f"p-{number:03}" for number in range(5)]


def test_moving_once_more_does_it_anew_until_something_was_sent_from_there(shop: Shop, server: Warehouse) -> None:
    ran(shop, PEOPLE)
    old = shop.engine
    first = move(shop, server, PEOPLE)
    assert relocate(old, shop.engine, shop.spec) == first
    ran(shop, [person_of(1, segment="later"), *PEOPLE[1:]])
    with pytest.raises(CdpError, match="has been run from the new warehouse already"):
        relocate(old, shop.engine, shop.spec)
    assert shop.plan().to_send == 0


def test_while_a_run_is_at_work_in_the_old_house_nothing_is_moved(shop: Shop, server: Warehouse) -> None:
    ran(shop, PEOPLE)
    embedded, old = shop.warehouse, shop.engine
    [ledger] = shop.sql("select ledger_id from cdp.ledgers")
    shop.warehouse = server
    shop.people(PEOPLE)
    with held_lease(old.journal, ledger["ledger_id"]), pytest.raises(LeaseLost, match="another run is at work"):
        relocate(old, shop.engine, shop.spec)
    shop.warehouse = embedded
    assert shop.plan().to_send == 0
    assert move(shop, server, PEOPLE) == Relocation(sync="crm_contacts", rows=4, proven=4)


def test_a_move_that_was_broken_off_half_way_is_made_anew(
    shop: Shop, server: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(shop, PEOPLE)
    embedded = shop.warehouse
    with monkeypatch.context() as patch:
        patch.setattr(relocating, "_prove", lost)
        with pytest.raises(ConnectionFailed):
            move(shop, server, PEOPLE)
    assert shop.sql("select count(*) as row_count from cdp.ledgers") == [{"row_count": 1}], "half of it was there"
    shop.warehouse = embedded
    assert move(shop, server, PEOPLE) == Relocation(sync="crm_contacts", rows=4, proven=4)
    assert shop.plan().to_send == 0


def test_who_runs_on_a_half_moved_ledger_sends_again_and_removes_nobody(
    shop: Shop, server: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.spec = replace(shop.spec, mode=Mode.MIRROR, removal=Removal.ARCHIVE)
    ran(shop, PEOPLE)
    with monkeypatch.context() as patch:
        patch.setattr(relocating, "_prove", lost)
        with pytest.raises(ConnectionFailed):
            move(shop, server, PEOPLE)
    assert shop.plan().operations == {"update": 4}


def lost(*_: object) -> Relocation:
    raise ConnectionFailed("the warehouse has gone away.")


def test_books_of_another_version_are_refused_by_name(shop: Shop, server: Warehouse) -> None:
    ran(shop, PEOPLE)
    with shop.warehouse.session("test") as session:
        session.execute("alter table cdp.settles add column of_the_future varchar")
    embedded = shop.warehouse
    with pytest.raises(CdpError, match=r"cdp\.settles has another form .*of_the_future"):
        move(shop, server, PEOPLE)
    shop.warehouse = embedded
    assert shop.plan().to_send == 0


def test_a_model_that_is_not_there_yet_stops_the_move_and_leaves_the_old_house_as_it_is(
    shop: Shop, server: Warehouse
) -> None:
    ran(shop, PEOPLE)
    old, embedded = shop.engine, shop.warehouse
    shop.warehouse = server
    with pytest.raises(ConfigError, match="is not in the warehouse"):
        relocate(old, shop.engine, shop.spec)
    shop.warehouse = embedded
    assert shop.plan().to_send == 0
    assert move(shop, server, PEOPLE) == Relocation(sync="crm_contacts", rows=4, proven=4)


def test_a_field_that_a_policy_holds_back_is_not_a_change(shop: Shop, server: Warehouse) -> None:
    mapping = tuple(
        replace(entry, policy=FieldPolicy.FILL_EMPTY) if entry.field == "segment" else entry
        for entry in shop.spec.mapping
    )
    read_back = ReadBack(relation="raw_fake.contacts", key="cdp_person_id", columns={})
    shop.spec = replace(shop.spec, mapping=mapping, read_back=read_back)
    for warehouse in (shop.warehouse, server):
        # Read after the delivery: the segment stands there.
        rows = [(person["person_id"], "vip") for person in PEOPLE] if warehouse is server else [("p-000", "vip")]
        with warehouse.session("test") as session:
            session.execute("create schema raw_fake")
            session.execute(
                "create table raw_fake.contacts (cdp_person_id varchar, segment varchar, read_at timestamptz)"
            )
            for row in rows:
                session.execute("insert into raw_fake.contacts values (?, ?, current_timestamp + interval 1 hour)", row)
    assert ran(shop, PEOPLE).delivered == 4
    assert move(shop, server, PEOPLE) == Relocation(sync="crm_contacts", rows=4, proven=4)
    assert shop.plan().to_send == 0


def test_a_sync_that_never_ran_has_nothing_to_take_along(shop: Shop, server: Warehouse) -> None:
    shop.people(PEOPLE)
    assert move(shop, server, PEOPLE) is None
    assert shop.run().counts.delivered == 4
