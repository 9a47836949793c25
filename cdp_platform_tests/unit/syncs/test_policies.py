"""Fields with a policy: what somebody changed at the destination stays, what is there is not written over."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.components.read_back import ReadBackRule, check_policies
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FieldPolicy, FirstRun, ReadBack
from cdp_platform.errors import ConfigError, GuardTripped
from cdp_platform.syncs.explain import explain
from cdp_platform.warehouse.base import Warehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

RELATION = "raw_fake.contacts"


class Policied(Shop):
    """A shop whose sync has policies, and whose records are read back."""

    def with_policies(self, **policies: FieldPolicy) -> None:
        mapping = tuple(
            replace(entry, policy=policies.get(entry.field, FieldPolicy.OVERWRITE)) for entry in spec_of().mapping
        )
        self.spec = replace(
            self.spec, mapping=mapping, read_back=ReadBack(relation=RELATION, key="cdp_person_id", columns={})
        )

    def read_back(self, at: datetime | None = None) -> None:
        """Take down what the destination holds now, as a table; `at` is when, by default a moment from now."""
        at = at or datetime.now(UTC) + timedelta(seconds=1)
        names = ("email", "segment", "lifetime_value")
        with self.warehouse.session("test") as session:
            session.execute("create schema if not exists raw_fake")
            session.execute(
                f"create or replace table {RELATION} (cdp_person_id varchar, email varchar, segment varchar,"
                " lifetime_value varchar, read_at timestamptz)"
            )
            for person_id, record in self.account.records.items():
                values = [person_id, *(record.fields.get(name) for name in names), at]
                session.execute(f"insert into {RELATION} values (?, ?, ?, ?, ?)", values)

    def edit(self, person_id: str, **fields: Any) -> None:
        """What somebody does by hand at the destination."""
        self.account.records[person_id].fields.update(fields)

    def sent_fields(self) -> list[Mapping[str, Any]]:
        """The fields of each row of the newest request."""
        return [row["fields"] for row in self.account.arrived[-1].body["rows"]]


@pytest.fixture
def shop(tmp_path: Path, empty_warehouse: Warehouse | None, journal_address: str | None) -> Policied:
    return Policied(tmp_path / "home", empty_warehouse, journal_address)


def test_an_edit_there_stays_and_is_counted_as_drift(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.RESPECT_EDITS)
    shop.people([person_of(1, segment="loyal"), person_of(2, segment="loyal")])
    assert shop.run().counts == Counts(planned=2, delivered=2)
    shop.edit("p-001", segment="vip")
    shop.read_back()
    shop.people([person_of(1, segment="lapsed"), person_of(2, segment="lapsed")])
    plan = shop.plan()
    assert (plan.to_send, plan.held_fields) == (1, {"segment": 1})
    shop.send(plan)
    assert shop.records("segment") == {"p-001": "vip", "p-002": "lapsed"}


def test_the_other_fields_of_an_edited_record_are_still_written(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.RESPECT_EDITS)
    shop.people([person_of(1, segment="loyal", lifetime_value=10)])
    shop.run()
    shop.edit("p-001", segment="vip")
    shop.read_back()
    shop.people([person_of(1, segment="lapsed", lifetime_value=20)])
    shop.run()
    assert shop.sent_fields() == [{"lifetime_value": "20.00"}]


def test_an_edit_is_written_over_once_it_is_taken_back(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.RESPECT_EDITS)
    shop.people([person_of(1, segment="loyal")])
    shop.run()
    shop.edit("p-001", segment="vip")
    shop.read_back()
    shop.people([person_of(1, segment="lapsed")])
    shop.run()
    shop.edit("p-001", segment="loyal")
    shop.read_back(datetime.now(UTC) + timedelta(seconds=2))
    shop.run()
    assert shop.records("segment") == {"p-001": "lapsed"}


def test_a_reading_from_before_the_last_delivery_is_no_edit(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.RESPECT_EDITS)
    shop.people([person_of(1, segment="loyal")])
    shop.run()
    shop.read_back(datetime.now(UTC) + timedelta(milliseconds=1))
    shop.people([person_of(1, segment="lapsed")])
    shop.run()
    shop.people([person_of(1, segment="won back")])
    plan = shop.plan()
    assert (plan.to_send, plan.held_fields) == (1, {})


def test_what_is_there_already_is_not_written_over_where_only_gaps_are_filled(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.FILL_EMPTY)
    shop.account.apply({"match_value": "p-001", "operation": "create", "fields": {"segment": "theirs"}})
    shop.account.apply({"match_value": "p-002", "operation": "create", "fields": {"segment": " "}})
    shop.read_back()
    shop.people([person_of(1, segment="ours"), person_of(2, segment="ours"), person_of(3, segment="ours")])
    plan = shop.plan()
    assert plan.held_fields == {"segment": 1}
    shop.send(plan)
    assert shop.records("segment") == {"p-001": "theirs", "p-002": "ours", "p-003": "ours"}


def test_what_was_filled_once_is_not_filled_again(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.FILL_EMPTY)
    shop.people([person_of(1)])
    shop.account.apply({"match_value": "p-001", "operation": "create", "fields": {}})
    shop.read_back(datetime.now(UTC))
    shop.people([person_of(1, segment="ours")])
    shop.run()
    shop.people([person_of(1, segment="newer")])
    assert shop.plan().to_send == 0, "the reading is older than what was filled, and that is known to be there"
    shop.read_back()
    assert shop.plan().to_send == 0


@pytest.mark.parametrize(
    "make", [lambda shop: None, lambda shop: shop.read_back(datetime.now(UTC) - timedelta(days=3))]
)
def test_a_missing_or_old_read_back_stops_the_plan(shop: Policied, make: Callable[[Policied], None]) -> None:
    shop.with_policies(segment=FieldPolicy.FILL_EMPTY)
    shop.account.apply({"match_value": "p-001", "operation": "create", "fields": {}})
    make(shop)
    shop.people([person_of(1)])
    with pytest.raises(GuardTripped, match="read_back_fresh"):
        shop.run()
    assert shop.account.arrived == []


def test_before_anything_was_written_there_are_no_edits_to_wait_for(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.RESPECT_EDITS)
    shop.people([person_of(1)])
    assert shop.run().counts.delivered == 1
    shop.people([person_of(1, segment="other")])
    with pytest.raises(GuardTripped, match="read_back_fresh"):
        shop.run()


def test_a_baseline_takes_the_model_and_leaves_what_differs_there(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.RESPECT_EDITS)
    shop.account.apply({"match_value": "p-001", "operation": "create", "fields": {"segment": "theirs"}})
    shop.people([person_of(1, segment="ours")])
    shop.spec = replace(shop.spec, first_run=FirstRun.BASELINE)
    assert shop.run().counts == Counts()
    shop.read_back()
    shop.people([person_of(1, segment="newer")])
    assert shop.plan().held_fields == {"segment": 1}


def test_explaining_a_person_tells_which_field_is_held(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.RESPECT_EDITS)
    shop.people([person_of(1, segment="loyal")])
    shop.run()
    shop.edit("p-001", segment="vip")
    shop.read_back()
    shop.people([person_of(1, segment="lapsed")])
    held = {story.field: story.held_by for story in explain(shop.warehouse, shop.spec, "p-001").fields}
    assert held["segment"] == "respect_edits" and set(held.values()) == {None, "respect_edits"}


def test_a_column_that_is_not_there_is_named(shop: Policied) -> None:
    shop.with_policies(segment=FieldPolicy.FILL_EMPTY)
    shop.read_back()
    assert shop.spec.read_back
    shop.spec = replace(shop.spec, read_back=replace(shop.spec.read_back, columns={"segment": "segmnt"}))
    shop.people([person_of(1)])
    with pytest.raises(ConfigError, match="segmnt"):
        shop.plan()


def test_a_policy_is_part_of_the_mapping_and_the_ordinary_one_is_not(shop: Policied) -> None:
    plain = spec_of().mapping_version
    shop.with_policies()
    assert shop.spec.mapping_version == plain
    shop.with_policies(segment=FieldPolicy.FILL_EMPTY)
    assert shop.spec.mapping_version != plain


@pytest.mark.parametrize(
    ("field", "policy", "rule", "says"),
    [
        ("segment", FieldPolicy.FILL_EMPTY, None, "needs to know"),
        ("segment", FieldPolicy.OVERWRITE, ReadBackRule(asset="feedback/hubspot/contacts", key="k"), "no field"),
        ("email_permission", FieldPolicy.FILL_EMPTY, ReadBackRule(asset="raw/zoho/items", key="k"), "always written"),
    ],
)
def test_policies_that_cannot_work_are_refused(
    field: str, policy: FieldPolicy, rule: ReadBackRule | None, says: str
) -> None:
    mapping = [replace(entry, policy=policy) if entry.field == field else entry for entry in spec_of().mapping]
    with pytest.raises(ConfigError, match=says):
        check_policies(mapping, rule)


@pytest.mark.parametrize(
    "told", [{}, {"asset": "feedback/x"}, {"source_model": "nobody"}, {"asset": "raw/a/b", "source_model": "m"}]
)
def test_a_read_back_that_cannot_be_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        ReadBackRule(key="k", **told).as_read_back({"m": "marts.m"})
