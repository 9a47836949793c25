"""A person's word on rows whose outcome nobody knows."""

from dataclasses import replace

import pytest

from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import Limits, Mode, Removal
from cdp_platform.errors import CdpError, LeaseLost, TemporarilyDown
from cdp_platform.syncs.explain import explain
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.resolve import resolve
from cdp_platform.syncs.unknown import read_unknown
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, spec_of
from cdp_platform_tests.unit.syncs.events import (
    DAY_SECONDS,
    events_of,
    processed_twice,
    unknown_keys,
    write_events,
)


def in_doubt(shop: Shop, *, is_processed: bool) -> None:
    """Two events of a first run whose outcome nobody knows, and one of a second run."""
    events_of(shop)
    write_events(shop, range(2))
    shop.session.fail_next(TemporarilyDown("timeout"), is_processed=is_processed)
    shop.run()
    write_events(shop, range(3))
    shop.session.fail_next(TemporarilyDown("timeout"), is_processed=is_processed)
    shop.run()


def test_delivered_rows_stand_in_the_log_as_of_the_runs_that_sent_them_and_are_not_sent_again(shop: Shop) -> None:
    in_doubt(shop, is_processed=True)
    assert resolve(shop.engine, shop.spec, is_delivered=True, resolved_by="olive") == 3
    log = shop.sql("select primary_key, run_id, operation from cdp.sync_log order by primary_key")
    assert [(line["primary_key"], line["run_id"]) for line in log] == [
        ("p-000", "run-1"),
        ("p-001", "run-1"),
        ("p-002", "run-2"),
    ]
    assert shop.run().counts == Counts()
    assert (unknown_keys(shop), processed_twice(shop)) == ([], set())
    (delivery,) = explain(shop.warehouse, shop.spec, "p-002").deliveries
    assert (delivery.run_id, delivery.fields["segment"]) == ("run-2", "loyal")


def test_rows_that_did_not_arrive_are_sent_by_the_next_run(shop: Shop) -> None:
    in_doubt(shop, is_processed=False)
    assert resolve(shop.engine, shop.spec, is_delivered=False, resolved_by="olive") == 3
    assert shop.run().counts == Counts(planned=3, delivered=3)
    assert (shop.run().counts, processed_twice(shop)) == (Counts(), set())


def test_one_row_is_resolved_alone(shop: Shop) -> None:
    in_doubt(shop, is_processed=False)
    assert resolve(shop.engine, shop.spec, is_delivered=False, resolved_by="olive", key="p-001") == 1
    record = shop.run()
    assert (record.counts, record.skipped_reasons) == (Counts(planned=3, delivered=1, skipped=2), {"unresolved": 2})
    assert shop.account.processed == ["p-001"]


def test_who_said_so_and_when_is_kept(shop: Shop) -> None:
    in_doubt(shop, is_processed=True)
    resolve(shop.engine, shop.spec, is_delivered=True, resolved_by="olive", key="p-000")
    (row,) = shop.sql("select * from cdp.unknown_rows where resolved_at is not null")
    assert (row["primary_key"], row["resolved_as"], row["resolved_by"]) == ("p-000", "delivered", "olive")
    assert row["resolved_at"] > row["last_at"]


def test_a_plan_that_was_made_before_is_not_sent_any_more(shop: Shop) -> None:
    in_doubt(shop, is_processed=False)
    write_events(shop, range(4))
    plan = shop.plan()
    resolve(shop.engine, shop.spec, is_delivered=False, resolved_by="olive")
    with pytest.raises(CdpError, match="moved on"):
        shop.send(plan)


@pytest.mark.parametrize(("key", "says"), [("p-009", "no row with this key"), ("", "no row with this key")])
def test_a_row_that_is_not_unknown_cannot_be_resolved(shop: Shop, key: str, says: str) -> None:
    in_doubt(shop, is_processed=True)
    with pytest.raises(CdpError, match=says):
        resolve(shop.engine, shop.spec, is_delivered=True, resolved_by="olive", key=key)
    assert len(unknown_keys(shop)) == 3


def test_nothing_unknown_is_told_so(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(1))
    shop.run()
    with pytest.raises(CdpError, match="no row of sync crm_contacts has an unknown outcome"):
        resolve(shop.engine, shop.spec, is_delivered=True, resolved_by="olive")


def test_while_another_run_is_at_work_nothing_is_resolved(shop: Shop) -> None:
    in_doubt(shop, is_processed=True)
    ledger = shop.sql("select ledger_id from cdp.ledgers")[0]["ledger_id"]
    with held_lease(shop.engine.journal, ledger), pytest.raises(LeaseLost):
        resolve(shop.engine, shop.spec, is_delivered=True, resolved_by="olive")


def test_a_row_that_did_not_arrive_keeps_its_key_so_that_a_mistake_does_no_harm(shop: Shop) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(1))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5, is_processed=True)
    with pytest.raises(TemporarilyDown):
        shop.run()
    resolve(shop.engine, shop.spec, is_delivered=False, resolved_by="olive")
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert processed_twice(shop) == set()


# records that may be changed once


def once(shop: Shop, mode: Mode, removal: Removal = Removal.KEEP) -> None:
    shop.spec = spec_of(mode=mode, removal=removal, consent=None, limits=Limits(removed_rows=9, shrunk_share=1.0))
    shop.destination = FakeDestination(modes=frozenset({mode}), at_most_once=frozenset({mode}))


def lose_the_answer(shop: Shop, *, is_processed: bool) -> None:
    shop.session.fail_next(TemporarilyDown("timeout"), is_processed=is_processed)
    assert shop.run().counts.unknown == 1


@pytest.mark.parametrize("is_delivered", [True, False])
def test_a_change_in_doubt_holds_back_later_ones_until_it_is_resolved(shop: Shop, is_delivered: bool) -> None:
    once(shop, Mode.UPSERT)
    write_events(shop, [1], segment="a")
    shop.run()
    write_events(shop, [1], segment="b")
    lose_the_answer(shop, is_processed=is_delivered)
    write_events(shop, [1], segment="c")
    assert shop.run().skipped_reasons == {"unresolved": 1}
    resolve(shop.engine, shop.spec, is_delivered=is_delivered, resolved_by="olive")
    assert shop.run().operations == {"update": 1}
    assert shop.records("segment") == {"p-001": "c"}
    assert shop.run().counts == Counts()


@pytest.mark.parametrize("is_delivered", [True, False])
def test_a_removal_in_doubt_is_done_once(shop: Shop, is_delivered: bool) -> None:
    once(shop, Mode.MIRROR, Removal.DELETE)
    write_events(shop, [1, 2])
    shop.run()
    write_events(shop, [1])
    lose_the_answer(shop, is_processed=is_delivered)
    assert shop.run().skipped_reasons == {"unresolved": 1}
    resolve(shop.engine, shop.spec, is_delivered=is_delivered, resolved_by="olive")
    assert shop.run().operations == ({} if is_delivered else {"remove": 1})
    assert list(shop.account.records) == ["p-001"]
    assert shop.run().counts == Counts()


def test_a_withdrawal_is_written_while_an_earlier_change_is_in_doubt(shop: Shop) -> None:
    once(shop, Mode.UPSERT)
    shop.spec = replace(shop.spec, consent=spec_of().consent)
    write_events(shop, [1, 2], segment="a")
    shop.run()
    write_events(shop, [1], segment="b")
    lose_the_answer(shop, is_processed=True)
    write_events(shop, [1], segment="b", permission="withdrawn")
    assert shop.run().operations == {"withdraw": 1}
    assert shop.records("email_permission")["p-001"] == "withdrawn"
    assert read_unknown(shop.warehouse, shop.spec) == []
