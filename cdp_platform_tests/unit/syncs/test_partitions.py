"""Partitions of a sync: rows of a model in, the plans of single days and markets out."""

from datetime import date
from typing import Any

import pytest

from cdp_platform.domain.outcomes import RunRecord
from cdp_platform.domain.partitions import Partition, Partitioning
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Mode, Removal
from cdp_platform.errors import AuthenticationFailed, ConfigError, GuardTripped, TemporarilyDown
from cdp_platform.syncs.plan import make_plan
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, spec_of
from cdp_platform_tests.unit.syncs.events import APPEND

DAYS = Partitioning(day_column="happened_on")
MARKETS = Partitioning(split_column="market", split_values=("jp", "tw"))
FIRST, SECOND, THIRD = (date(2017, 12, day) for day in (1, 2, 3))
Rows = list[tuple[str, date, str]]


def shop_of(shop: Shop, cut: Partitioning, mode: Mode, **changes: Any) -> Shop:
    """Let the shop's sync be cut; its model has a row for each (person, day, market)."""
    shop.people([])
    shop.spec = spec_of(mode=mode, consent=None, partitioning=cut, **changes)
    shop.destination = FakeDestination(batch_rows=10, modes=frozenset({mode}), at_most_once=APPEND & {mode})
    return shop


def write(shop: Shop, rows: Rows, day_type: str = "date") -> None:
    """Replace the source model by these rows; the segment of each is its day."""
    values = ", ".join(
        f"('{person}', '{person}@example.com', 'granted', '{day}', 1, '{day}', '{market}')"
        for person, day, market in rows
    )
    shop.sql(
        "create or replace table activation.sync_contacts__crm (person_id varchar, email varchar, email_permission"
        f" varchar, segment varchar, lifetime_value decimal(14, 4), happened_on {day_type}, market varchar)"
    )
    if rows:
        shop.sql(f"insert into activation.sync_contacts__crm values {values}")


def plan(shop: Shop, day: date | None = None, market: str | None = None) -> Plan:
    shop.runs += 1
    part = Partition(day=day, value=market)
    return make_plan(shop.engine, shop.spec, run_id=f"run-{shop.runs}", partition=part)


def run(shop: Shop, day: date | None = None, market: str | None = None) -> RunRecord:
    return shop.send(plan(shop, day, market))


def failed(made: Plan) -> set[str]:
    return {verdict.code for verdict in made.verdicts if not verdict.passed}


def test_a_day_sends_its_own_events_once_whatever_the_order_of_the_days(shop: Shop) -> None:
    shop_of(shop, DAYS, Mode.APPEND)
    write(shop, [("a", FIRST, ""), ("b", SECOND, ""), ("c", SECOND, ""), ("d", THIRD, "")])
    records = [run(shop, day) for day in (SECOND, FIRST, SECOND)]
    assert [record.counts.delivered for record in records] == [2, 1, 0]
    assert [record.partition for record in records] == ["2017-12-02", "2017-12-01", "2017-12-02"]
    assert shop.account.processed == ["b", "c", "a"]
    logged = shop.sql('select distinct primary_key, "partition" from cdp.sync_log order by all')
    assert [tuple(row.values()) for row in logged] == [
        ("a", "2017-12-01"),
        ("b", "2017-12-02"),
        ("c", "2017-12-02"),
    ]


def test_a_day_that_failed_is_repaired_alone(shop: Shop) -> None:
    shop_of(shop, DAYS, Mode.APPEND)
    write(shop, [("a", FIRST, ""), ("b", SECOND, ""), ("c", THIRD, "")])
    run(shop, FIRST)
    shop.session.fail_next(AuthenticationFailed("401"))
    with pytest.raises(AuthenticationFailed):
        run(shop, SECOND)
    assert len(shop.session.writes) == 2, "the failed day has tried"
    run(shop, THIRD)
    assert shop.account.processed == ["a", "c"]
    assert run(shop, SECOND).counts.delivered == 1
    assert shop.account.processed == ["a", "c", "b"]


@pytest.mark.parametrize("day_type", ["timestamptz", "timestamp"])
def test_the_local_day_of_a_time_is_that_of_the_time_zone(shop: Shop, day_type: str) -> None:
    cut = Partitioning(day_column="happened_on", time_zone="Asia/Taipei")
    write(shop_of(shop, cut, Mode.APPEND), [("a", FIRST, "")], day_type)
    shop.sql("update activation.sync_contacts__crm set happened_on = timestamp '2017-12-01 20:00:00'")
    is_local = day_type == "timestamp"
    assert (plan(shop, FIRST).to_send, plan(shop, SECOND).to_send) == (int(is_local), int(not is_local))


def test_a_day_without_rows_is_a_plan_of_nothing_that_no_brake_stops(shop: Shop) -> None:
    shop_of(shop, DAYS, Mode.UPSERT)
    write(shop, [("a", FIRST, "")])
    run(shop, FIRST)
    empty = plan(shop, SECOND)
    assert (empty.is_allowed, empty.model_rows, empty.planned) == (True, 0, 0)
    assert shop.send(empty).counts.planned == 0


def test_an_old_day_never_overwrites_a_newer_one_and_says_how_many_rows_it_skipped(shop: Shop) -> None:
    shop_of(shop, DAYS, Mode.UPSERT)
    write(shop, [("a", FIRST, ""), ("b", FIRST, ""), ("a", SECOND, "")])
    run(shop, SECOND)
    record = run(shop, FIRST)
    assert record.skipped_reasons == {"older_day": 1}
    assert (record.counts.planned, record.counts.delivered, record.counts.skipped) == (2, 1, 1)
    assert shop.records("segment") == {"a": "2017-12-02", "b": "2017-12-01"}


def test_a_newer_day_whose_outcome_is_in_doubt_is_not_overwritten_either(shop: Shop) -> None:
    shop_of(shop, DAYS, Mode.UPSERT)
    write(shop, [("a", FIRST, ""), ("a", SECOND, "")])
    shop.session.fail_next(TemporarilyDown("timeout"), times=20, is_processed=True)
    with pytest.raises(TemporarilyDown):
        run(shop, SECOND)
    assert shop.records("segment") == {"a": "2017-12-02"}
    shop.session._failures.clear()
    assert run(shop, FIRST).skipped_reasons == {"older_day": 1}
    assert shop.records("segment") == {"a": "2017-12-02"}


def test_a_whole_plan_of_a_model_with_days_takes_the_newest_row_of_each_key(shop: Shop) -> None:
    shop_of(shop, DAYS, Mode.UPSERT)
    write(shop, [("a", FIRST, ""), ("a", THIRD, ""), ("b", SECOND, "")])
    assert shop.run().counts.delivered == 2
    assert shop.records("segment") == {"a": "2017-12-03", "b": "2017-12-02"}


def test_who_moved_to_another_market_is_not_removed_by_the_one_that_lost_them(shop: Shop) -> None:
    shop_of(shop, MARKETS, Mode.MIRROR, removal=Removal.DELETE)
    write(shop, [("a", FIRST, "jp"), ("b", FIRST, "jp"), ("c", FIRST, "tw"), ("d", FIRST, "tw")])
    run(shop, market="jp")
    run(shop, market="tw")
    write(shop, [("a", FIRST, "jp"), ("b", FIRST, "tw"), ("c", FIRST, "tw")])
    assert plan(shop, market="jp").operations == {}
    record = run(shop, market="tw")
    assert record.operations == {"remove": 1}
    assert set(shop.account.records) == {"a", "b", "c"}


def test_a_market_removes_only_what_it_delivered_itself(shop: Shop) -> None:
    shop_of(shop, MARKETS, Mode.MIRROR, removal=Removal.DELETE)
    write(shop, [("a", FIRST, "jp"), ("b", FIRST, "jp"), ("c", FIRST, "tw"), ("d", FIRST, "tw")])
    run(shop, market="jp")
    run(shop, market="tw")
    write(shop, [("a", FIRST, "jp"), ("c", FIRST, "tw")])
    assert run(shop, market="jp").operations == {"remove": 1}
    assert set(shop.account.records) == {"a", "c", "d"}
    assert run(shop, market="tw").operations == {"remove": 1}


def test_a_market_that_lost_its_rows_is_stopped_and_the_others_go_on(shop: Shop) -> None:
    shop_of(shop, MARKETS, Mode.MIRROR, removal=Removal.DELETE)
    everybody = [(f"j{number}", FIRST, "jp") for number in range(5)] + [("c", FIRST, "tw")]
    write(shop, everybody)
    run(shop, market="jp")
    run(shop, market="tw")
    write(shop, [("c", FIRST, "tw"), ("e", FIRST, "tw")])
    stopped = plan(shop, market="jp")
    assert failed(stopped) == {"model_not_empty", "model_not_shrunk"}
    with pytest.raises(GuardTripped):
        shop.send(stopped)
    assert run(shop, market="tw").operations == {"create": 1}
    assert len(shop.account.records) == 7


def test_a_market_that_never_had_rows_may_have_none(shop: Shop) -> None:
    write(shop_of(shop, MARKETS, Mode.UPSERT), [("a", FIRST, "jp")])
    assert plan(shop, market="tw").is_allowed


def test_a_key_or_match_key_that_two_markets_share_stops_both(shop: Shop) -> None:
    shop_of(shop, MARKETS, Mode.UPSERT)
    write(shop, [("a", FIRST, "jp"), ("a", FIRST, "tw"), ("b", FIRST, "tw")])
    for market in ("jp", "tw"):
        assert failed(plan(shop, market=market)) == {"keys_unique", "match_keys_unique"}


def test_rows_of_a_value_without_a_partition_are_counted_and_kept_at_the_destination(shop: Shop) -> None:
    shop_of(shop, MARKETS, Mode.MIRROR, removal=Removal.DELETE)
    write(shop, [("a", FIRST, "jp"), ("b", FIRST, "jp")])
    run(shop, market="jp")
    write(shop, [("a", FIRST, "jp"), ("b", FIRST, "kr")])
    made = plan(shop, market="jp")
    assert (made.outside_rows, made.operations) == (1, {})


def test_a_day_of_a_market_is_both(shop: Shop) -> None:
    cut = Partitioning(day_column="happened_on", split_column="market", split_values=("jp", "tw"))
    shop_of(shop, cut, Mode.APPEND)
    write(shop, [("a", FIRST, "jp"), ("b", FIRST, "tw"), ("c", SECOND, "tw")])
    record = run(shop, FIRST, "tw")
    assert (record.partition, shop.account.processed) == ("2017-12-01|tw", ["b"])


def test_a_value_with_quotes_is_a_value_and_no_sql(shop: Shop) -> None:
    evil = "x' or 'a' = 'a"
    shop_of(shop, Partitioning(split_column="market", split_values=(evil,)), Mode.UPSERT)
    write(shop, [("a", FIRST, "jp")])
    made = plan(shop, market=evil)
    assert (made.model_rows, made.outside_rows) == (0, 1)


def test_a_later_run_of_a_partition_does_not_say_that_the_mapping_changed(shop: Shop) -> None:
    shop_of(shop, MARKETS, Mode.UPSERT)
    write(shop, [("a", FIRST, "jp")])
    run(shop, market="jp")
    write(shop, [("a", SECOND, "jp")])
    made = plan(shop, market="jp")
    assert (made.operations, made.resend_reason) == ({"update": 1}, None)


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (Partitioning(day_column="happend_on"), r"`days.column`.*no column `happend_on`.*happened_on"),
        (Partitioning(day_column="segment"), r"`days.column`.*varchar.*does not tell a row's day"),
        (Partitioning(split_column="markt", split_values=("jp",)), r"`split.column`.*no column `markt`.*market"),
    ],
)
def test_a_column_that_cannot_cut_the_model_is_named(shop: Shop, cut: Partitioning, told: str) -> None:
    write(shop_of(shop, cut, Mode.UPSERT), [("a", FIRST, "jp")])
    with pytest.raises(ConfigError, match=told):
        plan(shop, day=FIRST if cut.day_column else None, market="jp" if cut.split_column else None)
