"""A connection that is lost in the middle, rows that change while they are read, and models of another shape."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import duckdb
import pytest

from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import FieldMapping, Mode, Removal
from cdp_platform.errors import ConfigError, WarehouseError
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

in_steps = pytest.mark.parametrize(
    "step",
    [pytest.param(6, id="every sixth word"), pytest.param(1, id="every word", marks=pytest.mark.slow)],
)
TALKS = ("execute", "rows", "arrow", "write_parquet", "columns")


class WatchedSession:
    """A session that tells before it talks to the warehouse."""

    def __init__(self, session: DuckDbSession, before: Callable[[], None]) -> None:
        self._session, self._before = session, before

    def __getattr__(self, name: str) -> Any:
        if name in TALKS:
            self._before()
        return getattr(self._session, name)


class WatchedWarehouse(DuckDbWarehouse):
    """A warehouse whose sessions call `trouble` with the number of each word that is said, from 1."""

    trouble: Callable[[int], None]
    count = 0

    @contextmanager
    def session(self, purpose: str) -> Iterator[Any]:
        with super().session(purpose) as session:
            yield WatchedSession(session, self._before)

    def _before(self) -> None:
        self.count += 1
        self.trouble(self.count)


def watched(shop: Shop, trouble: Callable[[int], None]) -> WatchedWarehouse:
    shop.warehouse = WatchedWarehouse(shop.home.warehouse, wait_seconds=5)
    shop.warehouse.trouble = trouble
    return shop.warehouse


def unwatched(shop: Shop) -> None:
    shop.warehouse = DuckDbWarehouse(shop.home.warehouse, wait_seconds=5)


def lost_from(number: int) -> Callable[[int], None]:
    def lose(count: int) -> None:
        if count >= number:
            raise WarehouseError("the connection to the warehouse was lost.")

    return lose


def words_of_a_run(shop: Shop) -> int:
    """How often a run of this kind talks to the warehouse."""
    people(shop, "counted")
    warehouse = watched(shop, lambda count: None)
    shop.run()
    unwatched(shop)
    return warehouse.count


def people(shop: Shop, segment: str) -> None:
    shop.people([person_of(number, segment=segment) for number in range(3)])


@in_steps
@pytest.mark.duckdb_only
def test_a_connection_lost_at_any_word_of_a_run_loses_nothing_and_looks_like_no_empty_model(
    shop: Shop, step: int
) -> None:
    shop.spec = spec_of(mode=Mode.MIRROR, removal=Removal.DELETE)
    people(shop, "first")
    shop.run()
    words, sent_before_the_end = words_of_a_run(shop), 0
    assert words > 40
    for number in range(1, words + 1, step):
        people(shop, f"day-{number}")
        before = len(shop.sent_rows())
        watched(shop, lost_from(number))
        with pytest.raises(WarehouseError, match="was lost"):
            shop.run()
        unwatched(shop)
        sent_before_the_end += len(shop.sent_rows()) - before
        assert len(shop.account.records) == 3, f"word {number}"
        shop.run()
        assert set(shop.records("segment").values()) == {f"day-{number}"}, f"word {number}"
        assert shop.run().counts == Counts(), f"word {number}"
        assert shop.sql('select primary_key, "version" from cdp.sync_log group by all having count(*) > 1') == []
    assert sent_before_the_end > 0, "the connection was never lost after a send"


@in_steps
@pytest.mark.duckdb_only
def test_rows_that_change_while_they_are_read_are_seen_as_of_one_moment(shop: Shop, step: int) -> None:
    people(shop, "first")
    shop.run()
    words = words_of_a_run(shop)
    changed_within = 0
    for number in range(1, words + 1, step):
        before, after = f"before-{number}", f"after-{number}"
        people(shop, before)
        plan, seen = planned_while(shop, number, f"update activation.sync_contacts__crm set segment = '{after}'")
        assert seen in ({before}, {after}), f"word {number}: {seen}"
        changed_within += seen == {before}
        shop.send(plan)
        shop.run()
        assert len(set(shop.records("segment").values())) == 1
        assert shop.plan().to_send == 0
    assert changed_within > 2, "the rows never changed while they were read"


def planned_while(shop: Shop, number: int, change: str) -> tuple[Plan, set[str]]:
    """Plan, with a change by somebody else before one word; the plan and the segments that it would send."""

    def interfere(count: int) -> None:
        if count == number:
            with duckdb.connect(str(shop.home.warehouse)) as other:
                other.execute(change)

    watched(shop, interfere)
    plan = shop.plan()
    unwatched(shop)
    path = plan_path(shop.home, plan.sync, plan.digest)
    found = shop.sql(f"select json_extract_string(payload, '$.segment') as segment from read_parquet('{path}')")
    return plan, {row["segment"] for row in found}


# models of another shape


@pytest.mark.parametrize("change", ["drop column segment", "rename column segment to tier"])
def test_a_column_that_is_gone_is_an_error_and_its_return_sends_nothing(shop: Shop, change: str) -> None:
    people(shop, "loyal")
    shop.run()
    before = len(shop.session.requests)
    shop.sql(f"alter table activation.sync_contacts__crm {change}")
    with pytest.raises(ConfigError, match="no column `segment`"):
        shop.plan()
    assert len(shop.session.requests) == before
    people(shop, "loyal")
    assert shop.run().counts == Counts()


def test_a_column_that_was_renamed_in_model_and_mapping_sends_nothing_again(shop: Shop) -> None:
    people(shop, "loyal")
    shop.run()
    shop.sql("alter table activation.sync_contacts__crm rename column segment to tier")
    renamed = FieldMapping(column="tier", field="segment", personal=False)
    shop.spec = spec_of(mapping=(*shop.spec.mapping[:3], renamed, *shop.spec.mapping[4:]))
    plan = shop.plan()
    assert (plan.to_send, plan.resend_reason) == (0, None)


def test_a_column_that_cannot_be_said_in_its_declared_type_any_more_is_left_out_and_told(shop: Shop) -> None:
    people(shop, "loyal")
    shop.run()
    shop.sql("alter table activation.sync_contacts__crm alter lifetime_value type varchar")
    shop.sql("update activation.sync_contacts__crm set lifetime_value = 'much' where person_id = 'p-001'")
    assert shop.plan().skipped == {"invalid_value": 1}
    people(shop, "loyal")
    assert shop.run().counts == Counts()


def numbered(shop: Shop, key_type: str, segment: str = "loyal", count: int = 3) -> None:
    shop.people([person_of(number, person_id=str(number), segment=segment) for number in range(1, count + 1)])
    shop.sql(f"alter table activation.sync_contacts__crm alter person_id type {key_type}")


@pytest.mark.parametrize("mode", [Mode.UPSERT, Mode.MIRROR])
@pytest.mark.duckdb_only
def test_keys_that_become_text_stay_the_same_keys(shop: Shop, mode: Mode) -> None:
    removal = Removal.DELETE if mode is Mode.MIRROR else Removal.KEEP
    shop.spec = spec_of(mode=mode, removal=removal)
    numbered(shop, "integer")
    shop.run()
    numbered(shop, "varchar", count=4)
    plan = shop.plan()
    assert plan.operations == {"create": 1, "update": 3}
    assert (plan.resend_reason, plan.resent_rows) == ("types_changed", 3)
    assert shop.send(plan).counts == Counts(planned=4, delivered=4)
    assert sorted(shop.account.records) == ["1", "2", "3", "4"]
    assert shop.run().counts == Counts()


def test_keys_that_become_text_while_a_run_waits_to_be_settled_lose_nothing(shop: Shop) -> None:
    numbered(shop, "integer", "a")
    shop.run()
    numbered(shop, "integer", "b")
    with patch.object(send_module, "settle"):
        shop.send(shop.plan())
    numbered(shop, "varchar", "a")
    shop.run()
    assert shop.records("segment") == {"1": "a", "2": "a", "3": "a"}
    assert shop.run().counts == Counts()


def test_keys_of_a_wider_whole_number_are_the_same_keys(shop: Shop) -> None:
    numbered(shop, "integer")
    shop.run()
    numbered(shop, "bigint")
    assert shop.run().counts == Counts()


@pytest.mark.parametrize("new_type", ["integer", "uuid", "date"])
@pytest.mark.duckdb_only
def test_text_keys_that_become_something_else_are_an_error_that_says_what_to_do(shop: Shop, new_type: str) -> None:
    numbered(shop, "varchar")
    shop.run()
    before = len(shop.session.requests)
    numbered(shop, "varchar")
    value = {"integer": "1", "uuid": "'00000000-0000-0000-0000-000000000001'", "date": "'2017-12-25'"}[new_type]
    shop.sql(
        f"create or replace table activation.sync_contacts__crm as"
        f" select * replace (cast({value} as {new_type}) as person_id) from activation.sync_contacts__crm limit 1"
    )
    with pytest.raises(ConfigError, match=rf"defs\.yaml:1.*varchar.*{new_type}.*Cast the column to varchar"):
        shop.plan()
    assert len(shop.session.requests) == before
    numbered(shop, "varchar")
    assert shop.run().counts == Counts()


# edited between crash and resume


def changed_specs() -> dict[str, Any]:
    spec = spec_of()
    return {
        "a field less": {"mapping": spec.mapping[:-1]},
        "another type": {
            "mapping": (*spec.mapping[:-1], FieldMapping(column="lifetime_value", field="lifetime_value"))
        },
        "a mirror now": {"mode": Mode.MIRROR, "removal": Removal.DELETE},
        "an approval now": {"needs_approval": True},
    }


@pytest.mark.parametrize("change", changed_specs())
def test_a_definition_edited_between_crash_and_resume_settles_the_old_plan_and_goes_on(shop: Shop, change: str) -> None:
    shop.people([person_of(number, segment="a") for number in range(30)])
    shop.run()
    shop.people([person_of(number, segment="b") for number in range(30)])
    plan = shop.plan()

    def die(*_: object) -> None:
        if len(shop.session.writes) == 5:
            raise KeyboardInterrupt

    shop.session.after_send = die
    with patch.object(send_module, "settle"), pytest.raises(KeyboardInterrupt):
        shop.send(plan)
    shop.session = type(shop.session)(shop.account)
    shop.spec = spec_of(**changed_specs()[change])
    again = shop.plan()
    (recovered,) = shop.sql("select delivered, pending from cdp.sync_runs where status = 'recovered'")
    assert recovered == {"delivered": 10, "pending": 20}
    if shop.spec.needs_approval:
        send_module.controls.approve(shop.engine.journal, again.sync, again.digest, approved_by="olive")
    shop.send(again)
    assert set(shop.records("segment").values()) == {"b"}
    assert shop.plan().to_send == 0


def test_a_run_for_an_earlier_day_after_a_newer_one_compares_with_what_is_there_now(shop: Shop) -> None:
    shop.people([person_of(1, segment="newest")])
    shop.run()
    plan = make_plan(shop.engine, shop.spec, run_id="backfill", partition="2017-12-01")
    assert plan.to_send == 0
    days = itertools.chain.from_iterable(row.values() for row in shop.sql('select "partition" from cdp.sync_log'))
    assert list(days) == ["2017-12-25"]
