"""Whatever a definition says, its one select says of everybody what a plain reading of it says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Kind
from cdp_platform.audiences.compile import Compiled, compile_audience
from cdp_platform.audiences.definition import OPERATORS, Comparison, Condition, Definition, Operator, Top
from cdp_platform.domain.permission import ConsentPolicy, ConsentRule
from cdp_platform_tests.unit.audiences.market import (
    AS_OF,
    KINDS,
    Answer,
    Happened,
    Market,
    Person,
    Suppressed,
    catalogue,
    connected,
    holds,
    permission,
)

CATALOGUE = catalogue()
PEOPLE = ["p1", "p2", "p3"]
TEXTS = st.sampled_from(["Taipei", "Tainan", "tai", "", "O'Hara", '";--', "台北", "%"])
AMOUNTS = st.sampled_from([Decimal("0.00"), Decimal("-1.50"), Decimal("9.99"), Decimal("10.00"), Decimal("250.25")])
DAYS = st.dates(AS_OF - timedelta(days=4), AS_OF + timedelta(days=1))
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: TEXTS,
    Kind.NUMBER: st.one_of(AMOUNTS, st.integers(-2, 12)),
    Kind.DATE: DAYS,
    Kind.BOOLEAN: st.booleans(),
}


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


@st.composite
def people(draw: Callable[..., Any]) -> list[Person]:
    return [
        Person(
            person_id=name,
            city=draw(maybe(TEXTS)),
            email=draw(maybe(st.sampled_from(["a@x.com", " B@X.com "]))),
            entity=draw(maybe(st.sampled_from(["us", "tw"]))),
            has_traits=draw(st.booleans()),
            spent=draw(maybe(AMOUNTS)),
            points=draw(maybe(st.integers(0, 5))),
            born_on=draw(maybe(DAYS)),
            is_vip=draw(maybe(st.booleans())),
        )
        for name in PEOPLE
    ]


HAPPENED = st.builds(
    Happened,
    person_id=maybe(st.sampled_from([*PEOPLE, "stranger"])),
    day=maybe(DAYS),
    minute=maybe(st.sampled_from([0, 0, 600])),
    value=maybe(AMOUNTS),
    shop=maybe(TEXTS),
    counts=maybe(st.booleans()),
)
ANSWERS = st.builds(
    Answer,
    identifier=st.sampled_from(["a@x.com", "b@x.com", " A@X.com"]),
    entity=st.sampled_from(["us", "tw"]),
    purpose=st.sampled_from(["news", "offers"]),
    status=st.sampled_from(["granted", "confirmed", "withdrawn", "perhaps"]),
)
SUPPRESSED = st.builds(
    Suppressed,
    identifier=st.sampled_from(["a@x.com", "B@x.com"]),
    channel=st.sampled_from(["email", "sms"]),
    entity=maybe(st.sampled_from(["us", "tw"])),
)
POLICIES = st.builds(
    ConsentPolicy,
    rules=st.dictionaries(
        st.sampled_from(["us", "tw", "de"]), st.fixed_dictionaries({"email": st.sampled_from(ConsentRule)}), max_size=2
    ),
)
MARKETS = st.builds(
    Market,
    people=people(),
    visits=st.lists(HAPPENED, max_size=14),
    clicks=st.lists(HAPPENED, max_size=8),
    answers=st.lists(ANSWERS, max_size=5),
    suppressed=st.lists(SUPPRESSED, max_size=1),
    policy=POLICIES,
    members=st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(PEOPLE)), unique=True, max_size=4),
)


@st.composite
def comparisons(draw: Callable[..., Any], kind: Kind) -> Comparison:
    operator = draw(st.sampled_from(OPERATORS[kind]))
    if operator is Operator.IS_KNOWN:
        return Comparison(operator=operator, values=(draw(st.booleans()),))
    if operator in (Operator.WITHIN_DAYS, Operator.LONGER_AGO_THAN_DAYS):
        return Comparison(operator=operator, values=(draw(st.integers(1, 5)),))
    if operator in (Operator.IN, Operator.NOT_IN):
        return Comparison(operator=operator, values=tuple(draw(st.lists(VALUES[kind], min_size=1, max_size=3))))
    if operator is Operator.BETWEEN:
        return Comparison(operator=operator, values=tuple(sorted(draw(st.tuples(VALUES[kind], VALUES[kind])))))
    values = VALUES[kind].filter(bool) if operator in (Operator.CONTAINS, Operator.STARTS_WITH) else VALUES[kind]
    return Comparison(operator=operator, values=(draw(values),))


@st.composite
def occurrences(draw: Callable[..., Any]) -> tree.Occurrence:
    event = CATALOGUE.events[draw(st.sampled_from(["visits", "clicks"]))]
    chosen = draw(st.lists(st.sampled_from(sorted(event.fields)), max_size=2, unique=True))
    where = tuple(
        tree.FieldCondition(field=event.fields[name], comparison=draw(comparisons(event.fields[name].kind)))
        for name in chosen
    )
    return tree.Occurrence(event=event, where=where, within_days=draw(maybe(st.integers(1, 5))))


@st.composite
def leaves(draw: Callable[..., Any]) -> Condition:
    match draw(st.sampled_from(["trait", "trait", "event", "event", "sequence", "member", "consent"])):
        case "trait":
            name = draw(st.sampled_from(sorted(KINDS)))
            return tree.TraitCondition(trait=CATALOGUE.traits[name], comparison=draw(comparisons(KINDS[name])))
        case "event":
            operator = draw(st.sampled_from([Operator.AT_LEAST, Operator.AT_MOST, Operator.EQUALS]))
            return tree.EventCondition(occurrence=draw(occurrences()), operator=operator, count=draw(st.integers(0, 3)))
        case "sequence":
            then = replace(draw(occurrences()), within_days=None)
            return tree.SequenceCondition(first=draw(occurrences()), then=then, gap_days=draw(st.integers(0, 3)))
        case "member":
            return tree.MembershipCondition(audience=draw(st.sampled_from(["one", "two"])))
    return tree.ConsentCondition(
        purpose=draw(st.sampled_from(["news", "offers"])), channel="email", entity=draw(maybe(st.just("tw")))
    )


def blocks(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        several.map(lambda parts: tree.All(conditions=parts)),
        several.map(lambda parts: tree.AnyOf(conditions=parts)),
        inner.map(lambda part: tree.Not(condition=part)),
    )


CONDITIONS = st.recursive(leaves(), blocks, max_leaves=7)


def answered(market: Market, definition: Definition) -> tuple[Compiled, dict[str, dict[str, Any]]]:
    compiled = compile_audience(definition, replace(CATALOGUE, policy=market.policy), as_of=AS_OF)
    with connected(market) as connection:
        cursor = connection.execute(compiled.sql, dict(compiled.parameters))
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert len(rows) == len(market.people)
    return compiled, {row["person_id"]: row for row in rows}


def audience(members: Condition, **more: Any) -> Definition:
    return Definition(name="tried", members=members, version="v1", **more)


@settings(max_examples=250, deadline=None)
@given(MARKETS, CONDITIONS)
def test_members_and_every_condition_are_what_a_plain_reading_says(market: Market, condition: Condition) -> None:
    compiled, rows = answered(market, audience(condition))
    for person in market.people:
        row = rows[person.person_id]
        assert row["is_member"] is holds(condition, person, market)
        for step in compiled.steps:
            assert row[f"condition_{step.number}"] is holds(step.condition, person, market), step


@settings(max_examples=40, deadline=None)
@given(MARKETS, CONDITIONS)
def test_whoever_is_in_an_audience_that_comes_first_is_left_out(market: Market, condition: Condition) -> None:
    _, rows = answered(market, audience(condition, yields_to=("one",)))
    for person in market.people:
        is_free = ("one", person.person_id) not in market.members
        assert rows[person.person_id]["is_member"] is (is_free and holds(condition, person, market))


@settings(max_examples=60, deadline=None)
@given(MARKETS, CONDITIONS, st.integers(1, 4), st.sampled_from(["spent", "points", "born_on"]), st.booleans())
def test_the_top_are_the_first_by_a_trait_unknown_last_and_ties_by_person(
    market: Market, condition: Condition, count: int, by: str, is_highest: bool
) -> None:
    _, rows = answered(
        market, audience(condition, top=Top(count=count, by=CATALOGUE.traits[by], is_highest=is_highest))
    )
    able = [person for person in market.people if holds(condition, person, market)]

    def place(person: Person) -> tuple[bool, Any, str]:
        value = getattr(person, by) if person.has_traits else None
        number = value.toordinal() if isinstance(value, date) else value
        return value is None, 0 if number is None else -number if is_highest else number, person.person_id

    first = {person.person_id for person in sorted(able, key=place)[:count]}
    assert {name for name, row in rows.items() if row["is_member"]} == first


@settings(max_examples=300, deadline=None)
@given(MARKETS, st.sampled_from(["news", "offers"]), maybe(st.just("tw")))
def test_a_permission_is_what_a_plain_reading_of_policy_answers_and_suppressions_says(
    market: Market, purpose: str, entity: str | None
) -> None:
    asked = tree.ConsentCondition(purpose=purpose, channel="email", entity=entity)
    _, rows = answered(market, audience(asked))
    for person in market.people:
        assert rows[person.person_id]["value_0"] == permission(asked, person, market)


def visited(*days: int, minutes: int = 0) -> list[Happened]:
    """Visits of p1, so many days before the clock's day."""
    return [Happened(person_id="p1", day=AS_OF - timedelta(days=day), minute=minutes) for day in days]


def is_member(condition: Condition, visits: list[Happened], **told: Any) -> bool:
    market = Market(people=[Person(person_id="p1", **told)], visits=visits)
    return bool(answered(market, audience(condition))[1]["p1"]["is_member"])


def test_a_window_of_seven_days_holds_the_day_of_the_clock_and_the_six_before_it() -> None:
    born = tree.TraitCondition(
        trait=CATALOGUE.traits["born_on"], comparison=Comparison(operator=Operator.WITHIN_DAYS, values=(7,))
    )
    week = tree.Occurrence(event=CATALOGUE.events["visits"], within_days=7)
    month = tree.Occurrence(event=CATALOGUE.events["visits"], within_days=30)
    came = tree.EventCondition(occurrence=week, operator=Operator.AT_LEAST, count=1)
    both = tree.All(conditions=(came, tree.EventCondition(occurrence=month, operator=Operator.AT_LEAST, count=1)))
    for day, expected in ((0, True), (6, True), (7, False), (-1, False)):
        assert is_member(both, visited(day)) is expected
        assert is_member(born, [], born_on=AS_OF - timedelta(days=day)) is expected


def test_two_events_of_one_moment_are_in_no_order_and_a_later_one_of_the_day_is() -> None:
    visits = tree.Occurrence(event=CATALOGUE.events["visits"])
    again = tree.SequenceCondition(first=visits, then=visits, gap_days=2)
    assert not is_member(again, visited(3, 3))
    assert is_member(again, [*visited(3), *visited(3, minutes=600)])
    assert is_member(again, visited(3, 1))
    assert not is_member(again, visited(3, 0))
    assert is_member(again, visited(9, 3, 1))


def test_the_value_that_decides_stands_beside_the_answer() -> None:
    visits = tree.Occurrence(event=CATALOGUE.events["visits"], within_days=7)
    rule = tree.All(
        conditions=(
            tree.TraitCondition(
                trait=CATALOGUE.traits["spent"], comparison=Comparison(operator=Operator.AT_LEAST, values=(10,))
            ),
            tree.EventCondition(occurrence=visits, operator=Operator.AT_LEAST, count=2),
            tree.ConsentCondition(purpose="news", channel="email"),
            tree.MembershipCondition(audience="one"),
        )
    )
    market = Market(
        people=[Person(person_id="p1", spent=Decimal("9.99"), email="A@x.com")],
        visits=[Happened(person_id="p1", day=AS_OF), Happened(person_id="p1", day=AS_OF - timedelta(days=7))],
        answers=[Answer(identifier="a@x.com", status="withdrawn")],
    )
    compiled, rows = answered(market, audience(rule))
    assert compiled.valued == {1, 2, 3}
    assert [rows["p1"][f"value_{number}"] for number in (1, 2, 3)] == [Decimal("9.99"), 1, "withdrawn"]
