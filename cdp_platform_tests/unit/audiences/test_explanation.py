"""One sentence says why a person is a member, or is not: the deciding conditions with the person's values."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Kind
from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.definition import OPERATORS, Comparison, Condition, Definition, Operator, Top
from cdp_platform.audiences.explanation import explain, sentence
from cdp_platform.audiences.sizes import measure, sparkline
from cdp_platform.audiences.words import comparison_words, condition_words, ending_words
from cdp_platform.domain.permission import ConsentPolicy, ConsentRule
from cdp_platform.texts import LANGUAGES
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.audiences.market import (
    AS_OF,
    Answer,
    Happened,
    Market,
    Person,
    Suppressed,
    catalogue,
    fill,
    fill_members,
)

CATALOGUE = catalogue()
VISITS = CATALOGUE.events["visits"]
SPENT = tree.TraitCondition(
    trait=CATALOGUE.traits["spent"], comparison=Comparison(operator=Operator.AT_LEAST, values=(10,))
)
CITY = tree.TraitCondition(
    trait=CATALOGUE.traits["city"], comparison=Comparison(operator=Operator.EQUALS, values=("Taipei",))
)
VISITED = tree.EventCondition(
    occurrence=tree.Occurrence(event=VISITS, within_days=7), operator=Operator.AT_LEAST, count=1
)
CONSENT = tree.ConsentCondition(purpose="email_marketing", channel="email")
MEMBER = tree.MembershipCondition(audience="others")
RETURNED = tree.SequenceCondition(first=tree.Occurrence(event=VISITS), then=tree.Occurrence(event=VISITS), gap_days=3)
MARKET = Market(
    people=[
        Person(person_id="in", city="Taipei", email="in@x.com", spent=Decimal("1234.50")),
        Person(person_id="out", city="Tainan", email="out@x.com", spent=Decimal("3.00")),
        Person(person_id="blank", has_traits=False),
    ],
    visits=[Happened(person_id="in", day=AS_OF), Happened(person_id="in", day=AS_OF - timedelta(days=2))],
    answers=[
        Answer(identifier="in@x.com", purpose="email_marketing"),
        Answer(identifier="out@x.com", purpose="email_marketing", status="withdrawn"),
    ],
    members=[("others", "out")],
)


def told(tmp_path: Path, condition: Condition, person: str, language: str = "en", **more: Any) -> str:
    is_shown = more.pop("is_shown", False)
    definition = Definition(
        name="spenders", labels={"en": "Spenders", "zh-Hant": "消費者"}, members=condition, version="v1", **more
    )
    with DuckDbWarehouse(tmp_path / "w.duckdb").session("test") as session:
        fill(session, MARKET)
        fill_members(session, MARKET.members)
        session.execute("alter table audiences.audience_members add column is_held_out boolean default false")
        known = explain(session, definition, compile_audience(definition, CATALOGUE, as_of=AS_OF), person)
    return sentence(definition, known, language, is_shown=is_shown)


@pytest.mark.parametrize(
    ("condition", "person", "language", "says"),
    [
        (SPENT, "in", "en", "in is a member of “Spenders” – spent: 1,234.50 (the rule: is at least 10)."),
        (SPENT, "out", "en", "out is no member of “Spenders” – spent: 3.00 (the rule: is at least 10)."),
        (SPENT, "blank", "en", "blank is no member of “Spenders” – spent: unknown (the rule: is at least 10)."),
        (SPENT, "out", "zh-Hant", "out 不是「消費者」的成員，原因：spent：3.00（條件：至少 10）。"),
        (SPENT, "nobody", "en", "There is no person nobody."),
        (CONSENT, "in", "en", "in is a member of “Spenders” – marketing e-mail by e-mail is allowed."),
        (MEMBER, "out", "zh-Hant", "out 是「消費者」的成員，原因：是受眾「others」的成員。"),
        (VISITED, "in", "en", "in is a member of “Spenders” – visits in the last 7 days: 2 (the rule: at least 1)."),
    ],
)  # fmt: skip
def test_the_sentence_is_the_one_expected(
    tmp_path: Path, condition: Condition, person: str, language: str, says: str
) -> None:
    assert told(tmp_path, condition, person, language) == says


@pytest.mark.parametrize(
    ("person", "part"),
    [("out", "the permission for marketing e-mail by e-mail was withdrawn"), ("blank", "nobody ever asked")],
)
def test_a_missing_permission_says_which_way_it_is_missing(tmp_path: Path, person: str, part: str) -> None:
    assert part in told(tmp_path, CONSENT, person)


def test_of_an_all_that_fails_only_the_failing_parts_are_told(tmp_path: Path) -> None:
    said = told(tmp_path, tree.All(conditions=(MEMBER, SPENT, VISITED)), "out")
    assert "spent: 3.00" in said and "visits" in said
    assert "others" not in said


def test_of_an_any_that_holds_the_first_part_that_does_is_told(tmp_path: Path) -> None:
    said = told(tmp_path, tree.AnyOf(conditions=(MEMBER, SPENT, VISITED)), "in")
    assert "spent" in said
    assert "others" not in said and "visits" not in said


def test_what_a_not_turns_around_is_told(tmp_path: Path) -> None:
    said = told(tmp_path, tree.Not(condition=MEMBER), "out")
    assert said == "out is no member of “Spenders” – a member of the audience “others”."


@pytest.mark.parametrize(("person", "part"), [("in", "this happened: visits, and visits"), ("out", "did not happen")])
def test_a_sequence_says_whether_it_happened(tmp_path: Path, person: str, part: str) -> None:
    assert part in told(tmp_path, RETURNED, person)


def test_who_meets_the_rule_and_is_not_among_the_first_is_told_so(tmp_path: Path) -> None:
    anybody = tree.TraitCondition(
        trait=CATALOGUE.traits["spent"], comparison=Comparison(operator=Operator.IS_KNOWN, values=(True,))
    )
    said = told(tmp_path, anybody, "out", top=Top(count=1, by=CATALOGUE.traits["spent"]))
    assert said == "out meets every condition of “Spenders”, and is not among the 1 that are taken by spent."


def test_a_personal_value_is_masked_unless_it_is_asked_for(tmp_path: Path) -> None:
    hidden, shown = (told(tmp_path, CITY, "out", is_shown=is_shown) for is_shown in (False, True))
    assert "Tainan" not in hidden and "T•••" in hidden
    assert "“Tainan”" in shown


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("operator", Operator)
def test_every_operator_can_be_said_with_its_values(operator: Operator, language: str) -> None:
    kind = next(kind for kind, able in OPERATORS.items() if operator in able)
    samples: dict[Kind, Any] = {Kind.TEXT: "a", Kind.NUMBER: 12, Kind.DATE: date(2017, 1, 2), Kind.BOOLEAN: True}
    value = 12 if operator in (Operator.WITHIN_DAYS, Operator.LONGER_AGO_THAN_DAYS) else samples[kind]
    said = comparison_words(Comparison(operator=operator, values=(value, value)), language)
    assert said
    assert operator is Operator.IS_KNOWN or any(part in said for part in ("12", "a", "2017"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_condition_can_be_said(language: str) -> None:
    blocks = (tree.All(conditions=(SPENT,)), tree.AnyOf(conditions=(SPENT,)), tree.Not(condition=SPENT))
    said = [condition_words(one, language) for one in (*blocks, SPENT, VISITED, RETURNED, CONSENT, MEMBER)]
    assert len(set(said)) == len(said) and all(said)
    ends = ending_words(
        Definition(
            name="x", members=SPENT, version="v", holdout_share=0.1, top=Top(count=7, by=CATALOGUE.traits["spent"])
        ),
        language,
    )
    assert "7" in ends[0] and "10" in ends[1]


def test_the_filter_of_an_event_stands_in_brackets() -> None:
    where = tree.FieldCondition(
        field=VISITS.fields["shop"], comparison=Comparison(operator=Operator.IN, values=("a", "b"))
    )
    once = tree.EventCondition(
        occurrence=tree.Occurrence(event=VISITS, where=(where,)), operator=Operator.AT_MOST, count=0
    )
    assert condition_words(once, "en") == "visits (shop is “a” or “b”): at most 0"


def test_a_line_of_sizes_rises_from_the_smallest_to_the_largest() -> None:
    days = [(AS_OF + timedelta(days=number), count) for number, count in enumerate((5, 10, 40))]
    assert sparkline(days) == "▁▂█"
    assert (sparkline([]), sparkline(days[:1])) == ("", "▁")


@pytest.mark.parametrize(
    ("person", "part"),
    [
        ("listed", "the address must never be contacted by e-mail"),
        ("elsewhere", "marketing e-mail by e-mail is allowed for another brand only"),
        ("hasty", "the permission for marketing e-mail by e-mail is not confirmed"),
    ],
)
def test_every_reason_why_a_consent_is_missing_is_told_and_counted(tmp_path: Path, person: str, part: str) -> None:
    names = ("listed", "elsewhere", "hasty", "never", "out", "sure")
    market = Market(
        people=[Person(person_id=name, email=f"{name}@x.com") for name in names],
        answers=[
            Answer(identifier="listed@x.com", purpose="email_marketing", status="confirmed"),
            Answer(identifier="elsewhere@x.com", purpose="email_marketing", entity="tw"),
            Answer(identifier="hasty@x.com", purpose="email_marketing"),
            Answer(identifier="out@x.com", purpose="email_marketing", status="withdrawn"),
            Answer(identifier="sure@x.com", purpose="email_marketing", status="confirmed"),
        ],
        suppressed=[Suppressed(identifier="LISTED@x.com")],
    )
    strict = replace(CATALOGUE, policy=ConsentPolicy(rules={"us": {"email": ConsentRule.DOUBLE_OPT_IN}}))
    definition = Definition(name="asked", members=tree.All(conditions=(CONSENT,)), version="v1")
    compiled = compile_audience(definition, strict, as_of=AS_OF)
    with DuckDbWarehouse(tmp_path / "w.duckdb").session("test") as session:
        fill(session, market)
        known = explain(session, definition, compiled, person)
        sizes = measure(session, compiled)
    assert part in sentence(definition, known, "en")
    assert sizes.members == 1
    reasons = ("never_asked", "other_brand", "not_confirmed", "withdrawn", "suppressed")
    assert sizes.conditions[1].left_out == dict.fromkeys(reasons, 1)
    assert sizes.conditions[0].left_out == {}
