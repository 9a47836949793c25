"""A merge of persons moves the record's key: the destination's record is changed, and no second one is made."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cdp_platform.connectors.protocol import DestinationField
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FieldKind, FirstRun, Limits, Mode, Removal
from cdp_platform.errors import GuardTripped, TemporarilyDown
from cdp_platform.syncs import controls
from cdp_platform.syncs.explain import explain
from cdp_platform.syncs.preview import preview
from cdp_platform.syncs.resolve import resolve
from cdp_platform.syncs.revert import make_revert
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import FIELDS, Shop, person_of, spec_of

MERGES = "identity.identity_merges"
Move = tuple[int, int] | tuple[int, int, str]


def log(shop: Shop, *moves: Move, day: int) -> None:
    """Write moves of records as identity logs them: former number, number, kind (merge where left out)."""
    with shop.warehouse.session("test") as session:
        session.execute("create schema if not exists identity")
        session.execute(
            f"create table if not exists {MERGES} (resolved_at timestamptz, former_person_id varchar,"
            " person_id varchar, kind varchar, record_count bigint)"
        )
        for former, number, *kind in moves:
            session.execute(
                f"insert into {MERGES} values (make_timestamptz(2017, 12, {day}, 6, 0, 0.0), ?, ?, ?, 1)",
                [f"p-{former:03}", f"p-{number:03}", *(kind or ["merge"])],
            )


def ids(shop: Shop) -> dict[str, str]:
    return {person: record.record_id for person, record in shop.account.records.items()}


def keys(shop: Shop) -> list[str]:
    [ledger] = shop.sql("select ledger_id from cdp.ledgers where account_id <> 'not-asked'")
    return [row["key"] for row in shop.sql(f'select "key" from cdp.ledger_{ledger["ledger_id"]} order by "key"')]


def run_of(shop: Shop, numbers: Sequence[int], **changes: str) -> Counts:
    shop.people([person_of(number, **changes) for number in numbers])
    return shop.run().counts


@pytest.fixture
def moving(shop: Shop) -> Shop:
    shop.spec = spec_of(key_moves=MERGES)
    return shop


def test_the_record_of_a_merged_person_is_updated_and_no_second_one_is_made(moving: Shop) -> None:
    run_of(moving, [1, 2])
    before = ids(moving)
    log(moving, (1, 9), day=2)
    moving.people([person_of(2), person_of(9)])
    plan = moving.plan()
    assert (plan.operations, plan.moved_rows, plan.unchanged) == ({"update": 1}, 1, 1)
    assert moving.send(plan).counts == Counts(planned=1, delivered=1)
    assert ids(moving) == {"p-002": before["p-002"], "p-009": before["p-001"]}
    assert moving.records("email")["p-009"] == "Person9@example.com"
    assert keys(moving) == ["p-002", "p-009"]
    assert moving.run().counts == Counts()


def test_a_sync_without_key_moves_makes_a_second_record(shop: Shop) -> None:
    run_of(shop, [1])
    log(shop, (1, 9), day=2)
    run_of(shop, [9])
    assert sorted(ids(shop)) == ["p-001", "p-009"]


def test_the_plan_shows_from_which_id_the_record_is_moved(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    moving.people([person_of(9, email="Person1@example.com")])
    (change,) = preview(moving.home, moving.warehouse, moving.spec, moving.plan(), rows=3)
    assert (change.key, change.operation, change.field) == ("p-009", "update", "cdp_person_id")
    assert (change.old, change.new) == ("p-001", "p-009")


def test_the_story_of_either_id_tells_of_the_move(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    run_of(moving, [9])
    told = explain(moving.warehouse, moving.spec, "p-009")
    assert [delivery.operation for delivery in told.deliveries] == ["move", "update"]
    for key in ("p-001", "p-009"):
        (move,) = explain(moving.warehouse, moving.spec, key).moves
        assert (move.former_key, move.key, move.merged_at.day) == ("p-001", "p-009", 2)


def test_a_chain_of_merges_before_the_next_plan_leads_to_its_end(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 5), day=2)
    log(moving, (5, 9), day=3)
    run_of(moving, [9])
    assert ids(moving) == {"p-009": "r-1"}


def test_each_merge_of_a_chain_may_have_its_own_plan(moving: Shop) -> None:
    run_of(moving, [1])
    for day, (former, number) in enumerate([(1, 5), (5, 9), (9, 3)], start=2):
        log(moving, (former, number), day=day)
        run_of(moving, [number])
    assert ids(moving) == {"p-003": "r-1"}


def test_a_merge_that_was_split_again_moves_nothing(moving: Shop) -> None:
    run_of(moving, [1, 2])
    log(moving, (1, 2), day=2)
    log(moving, (2, 1, "split"), day=3)
    assert run_of(moving, [1, 2]) == Counts()
    moving.people([person_of(2)])
    assert moving.plan().operations == {}


def test_after_a_split_the_record_stays_with_who_keeps_the_id_and_the_other_is_new(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 2, "split"), day=2)
    run_of(moving, [1, 2])
    assert ids(moving) == {"p-001": "r-1", "p-002": "r-2"}


def test_a_move_back_and_forth_keeps_the_one_record(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 2), day=2)
    run_of(moving, [2])
    log(moving, (2, 1, "split"), day=3)
    log(moving, (2, 1), day=4)
    run_of(moving, [1])
    assert ids(moving) == {"p-001": "r-1"}


def test_a_key_that_still_stands_in_the_model_is_not_moved(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    moving.people([person_of(1)])
    assert moving.plan().operations == {}
    assert keys(moving) == ["p-001"]


def test_a_person_who_is_not_in_the_model_keeps_the_record_for_later(moving: Shop) -> None:
    run_of(moving, [1, 2])
    log(moving, (1, 9), day=2)
    run_of(moving, [2])
    run_of(moving, [2, 9])
    assert ids(moving) == {"p-002": "r-2", "p-009": "r-1"}


def test_of_two_former_records_one_is_moved_and_the_other_is_counted_as_left(moving: Shop) -> None:
    run_of(moving, [1, 2])
    log(moving, (1, 9), (2, 9), day=2)
    record = run_of(moving, [9])
    assert record == Counts(planned=2, delivered=1, skipped=1)
    assert ids(moving) == {"p-009": "r-1", "p-002": "r-2"}
    assert moving.run().skipped_reasons == {"merged": 1}


def test_where_both_have_a_record_an_upsert_keeps_the_second_and_says_so(moving: Shop) -> None:
    run_of(moving, [1, 2])
    log(moving, (1, 2), day=2)
    moving.people([person_of(2)])
    plan = moving.plan()
    assert (plan.operations, plan.skipped, plan.unchanged) == ({}, {"merged": 1}, 1)
    assert ids(moving) == {"p-001": "r-1", "p-002": "r-2"}


def test_where_both_have_a_record_removal_takes_the_second_away_and_its_brake_holds(moving: Shop) -> None:
    limits = Limits(removed_rows=0, removed_share=0.1)
    moving.spec = spec_of(key_moves=MERGES, removal=Removal.DELETE, limits=limits)
    run_of(moving, [1, 2, 3])
    log(moving, (1, 2), day=2)
    moving.people([person_of(2), person_of(3)])
    plan = moving.plan()
    assert plan.operations == {"remove": 1}
    with pytest.raises(GuardTripped, match="removals_within_limit"):
        moving.send(plan)
    controls.approve(moving.engine.journal, moving.spec.name, plan.digest, approved_by="Ada")
    assert moving.send(plan).counts == Counts(planned=1, delivered=1)
    assert sorted(ids(moving)) == ["p-002", "p-003"]
    assert keys(moving) == ["p-002", "p-003"]


def test_a_mirror_moves_one_record_and_removes_the_other(moving: Shop) -> None:
    moving.spec = spec_of(key_moves=MERGES, mode=Mode.MIRROR, removal=Removal.DELETE)
    run_of(moving, [1, 2, 3])
    log(moving, (1, 9), (2, 9), day=2)
    moving.people([person_of(3), person_of(9)])
    record = moving.run()
    assert record.operations == {"remove": 1, "update": 1}
    assert ids(moving) == {"p-003": "r-3", "p-009": "r-1"}


def test_what_was_sent_once_for_a_person_is_not_sent_again_for_who_took_the_person_in(shop: Shop) -> None:
    shop.spec = spec_of(key_moves=MERGES, mode=Mode.APPEND)
    shop.destination = FakeDestination(modes=frozenset({Mode.APPEND}), at_most_once=frozenset({Mode.APPEND}))
    run_of(shop, [1])
    log(shop, (1, 9), day=2)
    assert run_of(shop, [9]) == Counts()
    assert shop.account.processed == ["p-001"]


def test_a_row_of_unknown_outcome_is_held_under_its_new_key_until_a_person_says(shop: Shop) -> None:
    shop.spec = spec_of(key_moves=MERGES, mode=Mode.APPEND)
    shop.destination = FakeDestination(modes=frozenset({Mode.APPEND}), at_most_once=frozenset({Mode.APPEND}))
    shop.people([person_of(1)])
    shop.session.fail_next(TemporarilyDown("timeout"), is_processed=True)
    assert shop.run().counts.unknown == 1
    log(shop, (1, 9), day=2)
    shop.people([person_of(9)])
    assert shop.plan().skipped == {"unresolved": 1}
    assert resolve(shop.engine, shop.spec, is_delivered=True, resolved_by="Ada", key="p-009") == 1
    assert shop.run().counts == Counts()
    assert shop.account.processed == ["p-001"]


@pytest.mark.parametrize("is_processed", [True, False])
def test_a_move_without_an_answer_is_sent_again_and_makes_no_second_record(moving: Shop, is_processed: bool) -> None:
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    moving.people([person_of(9)])
    moving.session.fail_next(TemporarilyDown("timeout"), times=5, is_processed=is_processed)
    with pytest.raises(TemporarilyDown):
        moving.run()
    moving.run()
    assert ids(moving) == {"p-009": "r-1"}
    assert moving.run().counts == Counts()


def test_a_record_that_may_be_there_is_found_by_its_former_match_value(moving: Shop) -> None:
    moving.people([person_of(1)])
    moving.session.fail_next(TemporarilyDown("timeout"), times=5, is_processed=True)
    with pytest.raises(TemporarilyDown):
        moving.run()
    log(moving, (1, 9), day=2)
    run_of(moving, [9])
    assert ids(moving) == {"p-009": "r-1"}


def test_a_record_that_is_not_there_any_more_is_made_anew(moving: Shop) -> None:
    run_of(moving, [1])
    moving.account.records.clear()
    log(moving, (1, 9), day=2)
    assert run_of(moving, [9]) == Counts(planned=1, delivered=1)
    assert ids(moving) == {"p-009": "r-2"}
    assert moving.records("lifetime_value") == {"p-009": "10.00"}


def test_who_withdrew_is_moved_with_the_opt_out_and_nothing_else(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    moving.people([person_of(9, permission="withdrawn")])
    record = moving.run()
    assert record.operations == {"withdraw": 1}
    assert ids(moving) == {"p-009": "r-1"}
    assert moving.sent_rows()[-1]["fields"] == {"email_permission": "withdrawn"}
    assert moving.records("email") == {"p-009": "Person1@example.com"}


def test_a_baseline_record_is_moved_though_no_run_has_learned_its_id(moving: Shop) -> None:
    moving.spec = spec_of(key_moves=MERGES, first_run=FirstRun.BASELINE)
    moving.account.apply({"match_value": "p-001", "operation": "create", "fields": {}})
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    run_of(moving, [9])
    assert ids(moving) == {"p-009": "r-1"}


def test_a_rejected_move_is_kept_with_its_reason_and_tried_by_the_record(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    moving.session.reject("p-009", code="invalid_email", field="email")
    assert run_of(moving, [9]).rejected == 1
    moving.session.accept("p-009")
    assert run_of(moving, [9], segment="new").delivered == 1
    assert ids(moving) == {"p-009": "r-1"}


def test_a_match_key_that_was_corrected_finds_its_record_too(shop: Shop) -> None:
    shop.account.fields = tuple(DestinationField(name=name, kind=FieldKind.TEXT, is_unique=True) for name in FIELDS)
    mapping = tuple(replace(entry, match_key=entry.field == "email") for entry in spec_of().mapping)
    shop.spec = spec_of(mapping=mapping)
    shop.people([person_of(1)])
    shop.run()
    shop.people([person_of(1, email="New1@example.com")])
    shop.run()
    assert ids(shop) == {"New1@example.com": "r-1"}


def test_a_revert_gives_the_record_its_former_id_back(moving: Shop) -> None:
    run_of(moving, [1])
    log(moving, (1, 9), day=2)
    moving.people([person_of(9, email="Person1@example.com")])
    record = moving.run()
    plan = make_revert(moving.engine, moving.spec, record.run_id, run_id="undo")
    controls.approve(moving.engine.journal, moving.spec.name, plan.digest, approved_by="Ada")
    moving.send(plan)
    assert ids(moving) == {"p-001": "r-1"}


def test_a_log_of_merges_that_is_not_there_yet_moves_nothing(moving: Shop) -> None:
    run_of(moving, [1])
    assert run_of(moving, [1], segment="new").delivered == 1


def test_a_ledger_whose_past_is_in_doubt_is_left_as_it_is(moving: Shop) -> None:
    moving.spec = spec_of(key_moves=MERGES, mode=Mode.MIRROR, removal=Removal.DELETE)
    run_of(moving, [1])
    with moving.warehouse.session("test") as session:
        session.execute("update cdp.ledgers set last_settle_id = 'another'")
    log(moving, (1, 9), day=2)
    moving.people([person_of(9)])
    plan = moving.plan()
    assert [one.code for one in plan.verdicts if not one.passed] == ["ledger_current"]
    assert keys(moving) == ["p-001"]
