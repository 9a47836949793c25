"""A person is whoever identity says: purchases of all their customer numbers add up, and each field has its record."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from cdp_platform_tests.dbt.conftest import Warehouse

BEFORE, AFTER = date(2017, 12, 24), date(2017, 12, 31)
RECORDS = """
    select resolved.person_id, records.* from intermediate.int_identity_records as records
    join intermediate.int_records__resolved as resolved using (record_key)
"""
VALUE = "select person_id, lifetime_value, order_count from marts.traits_rfm"


@dataclass(frozen=True, kw_only=True)
class Week:
    """People before and after the tickets of the week in which two customers turn out to be one person."""

    warehouse: Warehouse
    before: dict[str, tuple[Any, ...]]
    after: dict[str, tuple[Any, ...]]
    merges: list[tuple[str, str]]


@pytest.fixture(scope="module")
def week(restore: Callable[[], Warehouse]) -> Week:
    warehouse = restore()
    found = []
    for day in (BEFORE, AFTER):
        assert warehouse.run_people(day).success
        found.append({row[0]: row[1:] for row in warehouse.rows(VALUE)})
    merges = warehouse.rows("select former_person_id, person_id from identity.identity_merges where kind = 'merge'")
    return Week(warehouse=warehouse, before=found[0], after=found[1], merges=merges)


def test_no_fact_holds_a_person(week: Week) -> None:
    for table in ("orders", "order_lines", "events"):
        columns = {row[0] for row in week.warehouse.rows(f"describe marts.{table}")}
        assert "customer_number" in columns
        assert "person_id" not in columns


def test_the_purchases_of_both_customers_of_a_merged_person_add_up(week: Week) -> None:
    merged = [(former, now) for former, now in week.merges if former in week.before and now in week.before]
    assert merged
    for former, now in merged:
        numbers = [
            row[0]
            for row in week.warehouse.rows(
                f"select customer_number from intermediate.int_customers__resolved where person_id = '{now}'"
            )
        ]
        assert len(numbers) == 2
        listed = ", ".join(f"'{number}'" for number in numbers)
        [(value, count)] = week.warehouse.rows(
            "select sum(merchandise_value), count(*) from marts.orders"
            f" where is_purchase and order_day <= '{AFTER}' and customer_number in ({listed})"
        )
        assert week.after[now] == (value, count)
        assert former not in week.after
        assert week.after[now][1] >= week.before[former][1] + week.before[now][1]


def test_history_is_not_rewritten_by_a_merge_and_no_purchase_is_lost(week: Week) -> None:
    [(facts,)] = week.warehouse.rows(f"select count(*) from marts.orders where is_purchase and order_day <= '{AFTER}'")
    assert sum(count for _, count in week.after.values()) == facts


def test_a_former_id_leads_to_the_person_of_now(week: Week) -> None:
    now = dict(week.warehouse.rows("select person_id, present_person_id from staging.stg_identity__person_ids"))
    assert all(now[former] == person for former, person in week.merges)


def test_what_the_crm_says_of_a_former_id_counts_for_the_person_of_now(week: Week) -> None:
    former, person = next((former, now) for former, now in week.merges if former in week.before)
    week.warehouse.read_back(
        [{"feedback_day": BEFORE, "contact_id": "77", "cdp_person_id": former, "email": "confirmed@example.com",
          "email_opt_out": False, "email_confirmed_on": BEFORE}]
    )  # fmt: skip
    assert week.warehouse.run_people(AFTER).success
    assert week.warehouse.rows(
        f"select email, email_source, email_changed_on from marts.profiles where person_id = '{person}'"
    ) == [("confirmed@example.com", "crm", BEFORE)]


@pytest.mark.parametrize(
    ("field", "column", "rule"),
    [
        ("birth_date", "birth_date", "most_frequent"),
        ("postal_code", "postcode", "most_recent"),
        ("first_name", "given_name", "source_priority"),
        ("phone", "phone", "source_priority"),
    ],
)
def test_each_field_is_the_one_that_its_rule_lets_survive(week: Week, field: str, column: str, rule: str) -> None:
    rows = week.warehouse.rows(
        f"select person_id, source, seen_at, record_key, {column} from ({RECORDS}) where coalesce({column}, '') <> ''"
    )
    people: dict[str, list[tuple[Any, ...]]] = {}
    for person, *record in rows:
        people.setdefault(person, []).append(tuple(record))
    expected = {person: _survivor(records, rule) for person, records in people.items()}
    found = week.warehouse.rows(
        f"select person_id, value, source, record_key, rule from marts.profile_fields where field = '{field}'"
    )
    assert len(found) > 50
    assert {person: tuple(rest) for person, *rest in found} == {
        person: (value, source, key, rule) for person, (source, _, key, value) in expected.items()
    }
    assert any(len(records) > 1 for records in people.values())


def _survivor(records: list[tuple[Any, ...]], rule: str) -> tuple[Any, ...]:
    order = ["retail", "loyalty", "support", "web"]
    counted = Counter(str(record[3]).lower() for record in records)
    newest = sorted(sorted(records, key=lambda record: record[2]), key=lambda record: record[1], reverse=True)
    if rule == "most_frequent":
        return max(newest, key=lambda record: counted[str(record[3]).lower()])
    return min(newest, key=lambda record: order.index(record[0])) if rule == "source_priority" else newest[0]


def test_a_profile_shows_exactly_its_surviving_fields(week: Week) -> None:
    differing = week.warehouse.rows(
        "select count(*) from marts.profiles as profiles join marts.profile_fields as fields using (person_id)"
        " where fields.field = 'email' and (fields.value <> profiles.email or fields.source <> profiles.email_source)"
    )
    assert differing == [(0,)]


def test_the_identifiers_of_a_person_are_those_of_the_records(week: Week) -> None:
    held = set(week.warehouse.rows("select person_id, identifier_type, identifier from marts.profile_identifiers"))
    numbers = week.warehouse.rows(f"select person_id, 'customer_number', customer_number from ({RECORDS})"
                                  " where customer_number is not null")  # fmt: skip
    assert set(numbers) <= held
    assert {kind for _, kind, _ in held} == {"customer_number", "card_number", "anonymous_id", "email", "phone"}


def test_a_rule_that_nobody_knows_and_a_source_that_is_not_there_stop_the_build(warehouse: Warehouse) -> None:
    for rule, told in (("{rule: newest}", "no rule newest"), ("{rule: source_priority, sources: [cmr]}", "source cmr")):
        result = warehouse.run(
            "compile", "--select", "profile_fields", "--vars", f"{{survivorship: {{email: {rule}}}}}"
        )
        assert not result.success
        assert told in f"{result.exception} {[str(one.message) for one in result.result or ()]}"
