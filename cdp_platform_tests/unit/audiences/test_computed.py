"""Whatever a set of traits asks of the events, its one select says of everybody what a plain reading says."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Kind
from cdp_platform.audiences.compile_traits import compile_traits
from cdp_platform.audiences.computed import AGGREGATES, Aggregate, ComputedTrait, TraitSet, with_traits
from cdp_platform.audiences.definition import Comparison, Operator
from cdp_platform_tests.unit.audiences.market import (
    AS_OF,
    Happened,
    Market,
    Person,
    catalogue,
    connected,
    matching,
)
from cdp_platform_tests.unit.audiences.test_compiled import CATALOGUE, MARKETS, occurrences
from cdp_platform_tests.unit.audiences.test_sql import HOSTILE
from cdp_platform_tests.warehouses.listening import ENGINES, said_on

VISITS, CLICKS = CATALOGUE.events["visits"], CATALOGUE.events["clicks"]


@st.composite
def traits(draw: Callable[..., Any], number: int) -> ComputedTrait:
    occurrence = draw(occurrences())
    aggregate = draw(st.sampled_from(list(Aggregate)))
    able = [one for _, one in sorted(occurrence.event.fields.items()) if one.kind in AGGREGATES[aggregate]]
    field = draw(st.sampled_from(able)) if able else None
    return ComputedTrait(name=f"trait {number}", occurrence=occurrence, aggregate=aggregate, field=field)


SETS = st.integers(1, 4).flatmap(lambda count: st.tuples(*(traits(number) for number in range(count))))


def evaluated(trait: ComputedTrait, person: Person, market: Market) -> Any:
    """What a trait says of a person: the plain reading of what the guide says, row by row."""
    rows = matching(trait.occurrence, person, market)
    if trait.field is None:
        return len(rows)
    known = [(row, value) for row in rows if (value := getattr(row, trait.field.name)) is not None]
    values = [value for _, value in known]
    has_moment = trait.occurrence.event.moment is not None

    def at(row: Happened) -> tuple[Any, ...]:
        moment = row.moment if has_moment else None
        return row.day, moment is not None, moment.timestamp() if moment else 0.0

    match trait.aggregate:
        case Aggregate.DISTINCT_COUNT:
            return len(set(values))
        case Aggregate.SUM:
            return sum(values, Decimal())
        case _ if not values:
            return None
        case Aggregate.AVERAGE:
            return sum(values, Decimal()) / len(values)
        case Aggregate.MINIMUM:
            return min(values)
        case Aggregate.MAXIMUM:
            return max(values)
        case Aggregate.FIRST:
            return min((at(row), value) for row, value in known)[1]
        case Aggregate.LAST:
            newest = max(at(row) for row, _ in known)
            return min(value for row, value in known if at(row) == newest)
        case Aggregate.MOST_FREQUENT:
            counts = Counter(values)
            return min(value for value, count in counts.items() if count == max(counts.values()))
    raise AssertionError(trait.aggregate)


@settings(max_examples=250, deadline=None)
@given(SETS, MARKETS)
def test_every_person_has_what_a_plain_reading_says(chosen: tuple[ComputedTrait, ...], market: Market) -> None:
    compiled = compile_traits(chosen, CATALOGUE, as_of=AS_OF)
    with connected(market) as connection:
        found = connection.execute(compiled.sql, dict(compiled.parameters))
        columns = [one[0] for one in found.description]
        rows = {row[0]: row[1:] for row in found.fetchall()}
    assert columns == ["person_id", *(trait.name for trait in chosen)]
    assert rows.keys() == {person.person_id for person in market.people}
    for person in market.people:
        for trait, value in zip(chosen, rows[person.person_id], strict=True):
            expected = evaluated(trait, person, market)
            if trait.aggregate is Aggregate.AVERAGE and expected is not None:
                assert abs(value - expected) <= Decimal("0.00005"), trait
            else:
                assert value == expected, trait


def one_of_each() -> tuple[ComputedTrait, ...]:
    in_shop = tree.FieldCondition(
        field=VISITS.fields["shop"], comparison=Comparison(operator=Operator.STARTS_WITH, values=("Tai",))
    )
    found = []
    for aggregate, kinds in AGGREGATES.items():
        event = VISITS if aggregate is not Aggregate.MOST_FREQUENT else CLICKS
        field = next((one for _, one in sorted(event.fields.items()) if one.kind in kinds), None)
        occurrence = tree.Occurrence(event=event, where=(in_shop,) if event is VISITS else (), within_days=90)
        found.append(ComputedTrait(name=str(aggregate), occurrence=occurrence, aggregate=aggregate, field=field))
    return tuple(found)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_set_is_one_select_that_reads_each_table_once(engine: str) -> None:
    compiled = compile_traits(one_of_each(), catalogue(), as_of=AS_OF)
    [statement] = sqlglot.parse(said_on(engine, compiled.sql, compiled.parameters), dialect=engine)
    assert isinstance(statement, exp.Select)
    read = sorted(f"{table.db}.{table.name}".lower() for table in statement.find_all(exp.Table) if table.db)
    assert read == ["marts.clicks", "marts.people", "marts.visits"]


def test_duckdb_scans_each_table_once() -> None:
    compiled = compile_traits(one_of_each(), CATALOGUE, as_of=AS_OF)
    happened = Happened(person_id="p1", day=AS_OF, shop="Tainan", value=Decimal(1))
    with connected(Market(people=[Person(person_id="p1")], visits=[happened], clicks=[happened])) as connection:
        rows = connection.execute(f"explain (format json) {compiled.sql}", dict(compiled.parameters)).fetchall()
    plan = "".join(text for _, text in rows)
    assert [plan.count(f'.marts.{name}"') for name in ("visits", "clicks")] == [1, 1]


@settings(max_examples=30, deadline=None)
@given(HOSTILE)
def test_a_hostile_value_is_a_value_and_a_hostile_name_a_name(text: str) -> None:
    asked = tree.FieldCondition(
        field=VISITS.fields["shop"], comparison=Comparison(operator=Operator.EQUALS, values=(text,))
    )
    trait = ComputedTrait(
        name="visits" if "." in text else text,
        occurrence=tree.Occurrence(event=VISITS, where=(asked,)),
        aggregate=Aggregate.COUNT,
    )
    compiled = compile_traits([trait], CATALOGUE, as_of=AS_OF)
    assert text in compiled.parameters.values()
    for engine in ENGINES:
        found = sqlglot.parse(said_on(engine, compiled.sql, compiled.parameters), dialect=engine)
        assert len(found) == 1 and isinstance(found[0], exp.Select)
        assert text in {one.this for one in found[0].find_all(exp.Literal)}


def test_the_order_of_rows_does_not_change_a_sum_or_an_average() -> None:
    values = [Decimal("0.10"), Decimal("1e9"), Decimal("-1e9"), Decimal("0.20"), Decimal("33.33")]
    chosen = [
        ComputedTrait(
            name=str(aggregate), occurrence=tree.Occurrence(event=CLICKS), aggregate=aggregate,
            field=CLICKS.fields["value"],
        )
        for aggregate in (Aggregate.SUM, Aggregate.AVERAGE)
    ]  # fmt: skip
    answers = set()
    for turn in range(len(values)):
        clicks = [Happened(person_id="p1", day=AS_OF, value=value) for value in values[turn:] + values[:turn]]
        compiled = compile_traits(chosen, CATALOGUE, as_of=AS_OF)
        with connected(Market(people=[Person(person_id="p1")], clicks=clicks)) as connection:
            answers.add(connection.execute(compiled.sql, dict(compiled.parameters)).fetchone())
    assert answers == {("p1", Decimal("33.6300"), Decimal("6.7260"))}


def test_a_computed_trait_is_a_trait_of_the_catalogue() -> None:
    count = ComputedTrait(
        name="visits_28d", labels={"en": "visits"}, occurrence=tree.Occurrence(event=VISITS),
        aggregate=Aggregate.COUNT, is_personal=False,
    )  # fmt: skip
    usual = ComputedTrait(
        name="usual_shop", occurrence=tree.Occurrence(event=VISITS), aggregate=Aggregate.MOST_FREQUENT,
        field=VISITS.fields["shop"],
    )  # fmt: skip
    known = with_traits(CATALOGUE, TraitSet(name="habits", traits=(count, usual)))
    trait = known.traits["visits_28d"]
    assert known.traits["habits.visits_28d"] == trait
    assert (trait.kind, trait.is_personal, trait.label("en")) == (Kind.NUMBER, False, "visits")
    assert trait.relation.asset == ("traits", "habits")
    assert known.traits["usual_shop"].kind is Kind.TEXT
    assert known.traits.keys() > CATALOGUE.traits.keys()


def test_none_of_them_is_nought_for_counts_and_sums_and_unknown_for_the_rest() -> None:
    compiled = compile_traits(one_of_each(), CATALOGUE, as_of=AS_OF)
    with connected(Market(people=[Person(person_id="p1")])) as connection:
        row = connection.execute(compiled.sql, dict(compiled.parameters)).fetchone()
    assert row is not None
    told = dict(zip(["person_id", *Aggregate], row, strict=True))
    assert {name for name, value in told.items() if value == 0} == {"count", "distinct_count", "sum"}
    assert {name for name, value in told.items() if value is None} == {
        "average", "minimum", "maximum", "first", "last", "most_frequent",
    }  # fmt: skip
