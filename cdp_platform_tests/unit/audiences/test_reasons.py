"""Why somebody entered or left: the condition that has turned, consents first, and never a personal value."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.definition import Comparison, Condition, Definition, Operator, audiences_of, steps_of
from cdp_platform.errors import CdpError
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse
from cdp_platform_tests.unit.audiences import market
from cdp_platform_tests.unit.audiences.conftest import CATALOGUE, NEXT_DAY, Shop, spenders
from cdp_platform_tests.unit.audiences.market import AS_OF, Answer, Market, Person, fill, holds
from cdp_platform_tests.unit.audiences.test_compiled import CONDITIONS, MARKETS

Reasons = dict[str, tuple[Any, ...]]


def trait(name: str, operator: Operator, value: Any) -> tree.TraitCondition:
    return tree.TraitCondition(trait=CATALOGUE.traits[name], comparison=Comparison(operator=operator, values=(value,)))


SPENT = trait("spent", Operator.AT_LEAST, 10)
FEW_POINTS = tree.Not(condition=trait("points", Operator.AT_LEAST, 5))
IN_ROME = trait("city", Operator.EQUALS, "Rome")
NEWS = tree.ConsentCondition(purpose="news", channel="email")


def audience(*conditions: Condition, **more: Any) -> Definition:
    members = tree.All(conditions=conditions)
    return Definition(name="chosen", members=members, version="1", document="{}", **more)


def person(name: str = "ann", *, spent: int = 20, points: int = 0, city: str = "Rome", **more: Any) -> Person:
    address = f"{name}@example.com"
    return Person(person_id=name, spent=Decimal(spent), points=points, city=city, email=address, **more)


def reasons_after(shop: Shop, definition: Definition, before: Market, after: Market) -> Reasons:
    """Person → change, reason, place of the condition, value, of the second of two days."""
    for day, known in ((AS_OF, before), (NEXT_DAY, after)):
        fill(shop.session, known)
        shop.run(definition, day)
    return reasons(shop)


def reasons(shop: Shop) -> Reasons:
    sql = "select person_id, change, reason, condition_number, value from audiences.audience_membership_changes"
    return {row[0]: row[1:] for row in shop.rows(f"{sql} where changed_on = date '{NEXT_DAY}'")}


def test_the_first_day_has_no_changes(shop: Shop) -> None:
    fill(shop.session, Market(people=[person()]))
    shop.run(audience(SPENT))
    assert shop.members("chosen") == {"ann"}
    assert shop.rows("select * from audiences.audience_membership_changes") == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (person(spent=5), person(spent=12), ("entered", "condition", 1, "12.00")),
        (person(spent=12), person(spent=5), ("left", "condition", 1, "5.00")),
        (person(points=7), person(points=2), ("entered", "condition", 3, "2")),
        (person(points=2), person(points=7), ("left", "condition", 3, "7")),
        (person(city="Oslo"), person(), ("entered", "condition", 4, None)),
        (person(spent=5, points=9), person(), ("entered", "condition", 1, "20.00")),
    ],
)
def test_the_condition_that_has_turned_is_the_reason_with_the_value_unless_it_is_personal(
    shop: Shop, before: Person, after: Person, told: tuple[Any, ...]
) -> None:
    definition = audience(SPENT, FEW_POINTS, IN_ROME)
    found = reasons_after(shop, definition, Market(people=[before]), Market(people=[after]))
    assert found == {"ann": told}


def test_a_part_of_any_that_turned_the_other_way_is_no_reason(shop: Shop) -> None:
    definition = audience(tree.AnyOf(conditions=(SPENT, IN_ROME)), trait("points", Operator.AT_LEAST, 5))
    before, after = person(spent=20, city="Oslo"), person(spent=0, city="Rome", points=6)
    found = reasons_after(shop, definition, Market(people=[before]), Market(people=[after]))
    assert found == {"ann": ("entered", "condition", 3, None)}


@pytest.mark.parametrize(("status", "value"), [("withdrawn", "withdrawn"), (None, "never_asked")])
def test_a_consent_comes_before_what_else_has_turned(shop: Shop, status: str | None, value: str | None) -> None:
    granted = Answer(identifier="ann@example.com")
    answers = [replace(granted, status=status)] if status else []
    found = reasons_after(
        shop,
        audience(SPENT, NEWS),
        Market(people=[person()], answers=[granted]),
        Market(people=[person(spent=0)], answers=answers),
    )
    assert found == {"ann": ("left", "condition", 2, value)}


def holds_next_day(condition: Condition, one: Person, after: Market) -> bool:
    """The plain reading as of the second day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(market, "AS_OF", NEXT_DAY)
        return holds(condition, one, after)


@settings(max_examples=25, deadline=None)
@given(MARKETS, MARKETS, CONDITIONS)
def test_whoever_enters_or_leaves_and_was_known_has_a_condition_that_turned(
    before: Market, after: Market, condition: Condition
) -> None:
    definition = Definition(name="chosen", members=condition, version="1", document="{}")
    assume(not audiences_of(definition))
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        after = replace(after, policy=before.policy)
        known = replace(CATALOGUE, policy=before.policy)
        shop = Shop(DuckDbSession(connection, Path()), DuckDbWarehouse(Path("nowhere")), known)
        found = reasons_after(shop, definition, before, after)
    was, is_now = ({one.person_id: one for one in state.people} for state in (before, after))
    entered = {name: holds_next_day(condition, one, after) for name, one in is_now.items()}
    left = {name: holds(condition, one, before) for name, one in was.items()}
    assert found.keys() == {name for name in {*was, *is_now} if entered.get(name, False) != left.get(name, False)}
    for name, (change, reason, number, _) in found.items():
        assert change == ("entered" if entered.get(name) else "left")
        assert (reason == "new_person") is (name not in was)
        assert (reason == "gone") is (name not in is_now)
        if reason == "condition":
            leaf = steps_of(condition)[number].condition
            assert holds(leaf, was[name], before) != holds_next_day(leaf, is_now[name], after)


def test_a_new_person_and_one_who_is_gone_are_told_as_such(shop: Shop) -> None:
    found = reasons_after(
        shop, audience(SPENT), Market(people=[person("old"), person("stays")]),
        Market(people=[person("new"), person("stays")]),
    )  # fmt: skip
    assert found == {"new": ("entered", "new_person", None, None), "old": ("left", "gone", None, None)}


def test_who_moves_among_the_first_or_out_of_them_is_told_as_such(shop: Shop) -> None:
    definition = audience(SPENT, top=tree.Top(count=1, by=CATALOGUE.traits["spent"]))
    found = reasons_after(
        shop, definition, Market(people=[person("a", spent=30), person("b", spent=20)]),
        Market(people=[person("a", spent=30), person("b", spent=40)]),
    )  # fmt: skip
    assert found == {"a": ("left", "rank", None, None), "b": ("entered", "rank", None, None)}


def test_after_another_definition_it_is_the_reason(shop: Shop) -> None:
    shop.spent(low=12, high=40)
    shop.run(spenders(10))
    shop.run(spenders(30), NEXT_DAY, before=spenders(10))
    assert reasons(shop) == {"low": ("left", "definition", None, None)}


def test_a_day_that_is_run_again_keeps_its_reasons(shop: Shop) -> None:
    definition = audience(SPENT, FEW_POINTS)
    after = Market(people=[person("ann", spent=0), person("bob")])
    once = reasons_after(shop, definition, Market(people=[person("ann"), person("bob", points=9)]), after)
    shop.run(definition, NEXT_DAY)
    assert reasons(shop) == once == {
        "ann": ("left", "condition", 1, "0.00"), "bob": ("entered", "condition", 3, "0"),
    }  # fmt: skip


def test_judgements_of_the_two_newest_days_are_kept_and_no_more(shop: Shop) -> None:
    for day in range(4):
        shop.spent(one=20)
        shop.run(spenders(), AS_OF + timedelta(days=day))
    kept = shop.rows("select as_of_on, conditions from audiences.audience_conditions order by 1")
    assert kept == [(AS_OF + timedelta(days=2), "1"), (AS_OF + timedelta(days=3), "1")]


def test_each_reason_has_words_in_both_languages_and_the_rule_is_one_sentence(shop: Shop) -> None:
    definition = audience(SPENT, FEW_POINTS, IN_ROME, NEWS, labels={"en": "Chosen", "zh-Hant": "選出的人"})
    fill(shop.session, Market(people=[person()]))
    shop.run(definition)
    [(document,)] = shop.rows("select words from audiences.audience_sizes")
    words = json.loads(document)
    assert words["en"]["title"] == "Chosen" and words["zh-Hant"]["title"] == "選出的人"
    assert words["en"]["rule"] == (
        "spent is at least 10; not this (points is at least 5); city is “Rome”; news allowed by e-mail."
    )
    conditions = words["en"]["conditions"]
    assert conditions["1"]["entered"] == "spent: {value} (the rule: is at least 10)"
    assert conditions["4"] == {"entered": "now: city is “Rome”", "left": "no longer: city is “Rome”"}
    assert conditions["5"]["values"]["withdrawn"] == "the permission for news by e-mail was withdrawn"
    assert words["zh-Hant"]["conditions"].keys() == conditions.keys() == {"1", "3", "4", "5"}


def test_a_table_that_stands_where_a_view_belongs_is_named_and_kept(shop: Shop) -> None:
    shop.spent(one=20)
    shop.session.execute("create schema audiences; create table audiences.spenders as select 1 as mine")
    with pytest.raises(CdpError, match=r"audiences\.spenders is a table"):
        shop.run(spenders())
    assert shop.rows("select mine from audiences.spenders") == [(1,)]


def test_tables_of_an_earlier_version_get_the_columns_that_they_lack(shop: Shop) -> None:
    shop.spent(one=20)
    shop.run(spenders())
    for column in ("entered_reason", "left_reason", "left_value"):
        shop.session.execute("drop view audiences.audience_membership_changes; drop view audiences.audience_members")
        shop.session.execute(f"alter table audiences.audience_membership_history drop column {column}")
        shop.run(spenders())
    assert shop.members() == {"one"}
