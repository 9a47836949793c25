"""Traits that are computed from events: how often, how much, when last, which most. Nothing but YAML defines them.

A set of them is one select over everybody, compiled as audiences are: names from the catalogue, values bound, each
relation read once. Its answer is a table with one row per person, so that audiences know a computed trait as any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final

from sqlglot import exp

from cdp_platform.audiences.catalogue import Catalogue, EventField, Kind, Named, Relation, Trait
from cdp_platform.audiences.definition import Occurrence, Value
from cdp_platform.audiences.event_reading import EventReading, Matched
from cdp_platform.audiences.expressions import Bound, certain, column, counted, relation, table, written
from cdp_platform.audiences.readings import PERSON, Table, joined, or_zero

SCHEMA: Final = "traits"
_EXACT: Final = "decimal(28,6)"
_SHOWN: Final = "decimal(24,4)"


class Aggregate(StrEnum):
    """What is made of the events that match. Counts and sums of none are 0, everything else of none is unknown."""

    COUNT = "count"
    DISTINCT_COUNT = "distinct_count"
    """Different known values of a field."""
    SUM = "sum"
    AVERAGE = "average"
    """Over the events whose field is known, to four places."""
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    FIRST = "first"
    """The first known value by day and instant; of one instant the smallest."""
    LAST = "last"
    MOST_FREQUENT = "most_frequent"
    """The known value of most events; the smallest of those that are equally frequent."""


AGGREGATES: Final[Mapping[Aggregate, tuple[Kind, ...]]] = {
    Aggregate.COUNT: (),
    Aggregate.DISTINCT_COUNT: tuple(Kind),
    Aggregate.SUM: (Kind.NUMBER,),
    Aggregate.AVERAGE: (Kind.NUMBER,),
    Aggregate.MINIMUM: (Kind.NUMBER, Kind.DATE, Kind.TEXT),
    Aggregate.MAXIMUM: (Kind.NUMBER, Kind.DATE, Kind.TEXT),
    Aggregate.FIRST: tuple(Kind),
    Aggregate.LAST: tuple(Kind),
    Aggregate.MOST_FREQUENT: tuple(Kind),
}
"""The kinds of field that each can be made of; none: it takes no field."""
_NUMBERS: Final = (Aggregate.COUNT, Aggregate.DISTINCT_COUNT, Aggregate.SUM, Aggregate.AVERAGE)
_CHOSEN: Final = (Aggregate.FIRST, Aggregate.LAST, Aggregate.MOST_FREQUENT)


@dataclass(frozen=True, kw_only=True)
class ComputedTrait(Named):
    """One value per person, made of the events that match."""

    occurrence: Occurrence
    aggregate: Aggregate
    field: EventField | None = None
    """None for a count only."""
    is_personal: bool = True

    @property
    def kind(self) -> Kind:
        """What its values are."""
        return Kind.NUMBER if self.aggregate in _NUMBERS or self.field is None else self.field.kind


@dataclass(frozen=True, kw_only=True)
class TraitSet:
    """Traits that are computed together, into the table `traits.<name>`."""

    name: str
    traits: tuple[ComputedTrait, ...]

    @property
    def relation(self) -> Relation:
        """The table, made by the asset `traits/<name>`."""
        return Relation(schema=SCHEMA, name=self.name, asset=(SCHEMA, self.name))


@dataclass(frozen=True, kw_only=True)
class CompiledTraits:
    """One select over everybody: `person_id` (text) and one column per trait, nullable but for counts and sums."""

    sql: str
    parameters: Mapping[str, Value] = field(default_factory=dict)


def with_traits(catalogue: Catalogue, found: TraitSet) -> Catalogue:
    """Add a set's traits to a catalogue, by name and by `<set>.<name>`; its names must be free there."""
    traits = dict(catalogue.traits)
    for one in found.traits:
        trait = Trait(
            name=one.name,
            labels=one.labels,
            relation=found.relation,
            person_key=PERSON,
            column=one.name,
            kind=one.kind,
            is_personal=one.is_personal,
        )
        traits |= {one.name: trait, f"{found.name}.{one.name}": trait}
    return replace(catalogue, traits=traits)


def compile_traits(
    traits: Sequence[ComputedTrait], catalogue: Catalogue, *, as_of: date, dialect: str = "duckdb"
) -> CompiledTraits:
    """Compile traits for `duckdb`, `snowflake` or `bigquery`, as of the end of a day."""
    bound = Bound(dialect)
    events = EventReading(bound, as_of)
    asked = [(trait, events.matched(trait.occurrence, trait.field)) for trait in traits]
    people = catalogue.people
    tables = [
        (
            "people",
            exp.select(exp.alias_(column(people.person_key), PERSON, quoted=True))
            .from_(relation(people.relation), copy=False),
        ),
        *events.tables(),
    ]  # fmt: skip
    key = exp.alias_(exp.cast(column(PERSON, "people"), "text"), PERSON, quoted=True)
    select = exp.select(key).from_(table("people"), copy=False)
    summed: dict[str, list[exp.Expr]] = {}
    for number, (trait, matched) in enumerate(asked, 1):
        if trait.aggregate in _CHOSEN:
            alias, value = f"chosen_{number}", column("value", f"chosen_{number}")
            tables += _chosen(number, trait.aggregate, matched)
            select = joined(select, alias)
        else:
            alias = matched.table.replace("happened", "summed")
            summed.setdefault(matched.table, []).append(
                exp.alias_(_summed(trait.aggregate, matched, dialect), f"trait_{number}", quoted=True)
            )
            value = column(f"trait_{number}", alias)
        has_zero = trait.aggregate in _NUMBERS and trait.aggregate is not Aggregate.AVERAGE
        select = select.select(exp.alias_(or_zero(value) if has_zero else value, trait.name, quoted=True), copy=False)
    for source, values in summed.items():
        alias = source.replace("happened", "summed")
        per_person = exp.select(column(PERSON), *values).from_(table(source), copy=False)
        tables.append((alias, per_person.group_by(column(PERSON), copy=False)))
        select = joined(select, alias)
    for name, one in tables:
        select = select.with_(exp.to_identifier(name, quoted=True), as_=one, copy=False)
    return CompiledTraits(sql=written(select, dialect), parameters=bound.values)


def _summed(aggregate: Aggregate, matched: Matched, dialect: str) -> exp.Expr:
    if matched.field is None:
        return counted(matched.flag)
    value = exp.Case().when(matched.flag, matched.field)
    match aggregate:
        case Aggregate.DISTINCT_COUNT:
            return exp.Count(this=exp.Distinct(expressions=[value]))
        case Aggregate.MINIMUM:
            return exp.Min(this=value)
        case Aggregate.MAXIMUM:
            return exp.Max(this=value)
    # Exact decimals: a sum of floats depends on the order of the rows.
    total: exp.Expr = exp.Sum(this=exp.cast(value, _decimal(_EXACT, dialect)))
    if aggregate is Aggregate.AVERAGE:
        known = exp.Nullif(this=exp.Count(this=value.copy()), expression=exp.Literal.number(0))
        total = exp.Div(this=total, expression=known)
    return exp.cast(exp.Round(this=total, decimals=exp.Literal.number(4)), _decimal(_SHOWN, dialect))


def _decimal(kind: str, dialect: str) -> str:
    # BigQuery has one exact type of a fixed scale, which is wide enough.
    return "numeric" if dialect == "bigquery" else kind


def _chosen(number: int, aggregate: Aggregate, matched: Matched) -> Iterator[Table]:
    """For each person the known values in an order, then the first of them."""
    assert matched.field is not None  # noqa: S101
    ranked, value = f"ranked_{number}", matched.field
    is_known = exp.Is(this=value.copy(), expression=exp.null()).not_()
    keys = [column(PERSON), exp.alias_(value, "value", quoted=True)]
    place = exp.Window(
        this=exp.RowNumber(),
        partition_by=[column(PERSON)],
        order=exp.Order(expressions=[*_order(aggregate, matched), exp.Ordered(this=value.copy(), nulls_first=True)]),
    )
    rows = (
        exp.select(*keys, exp.alias_(place, "place", quoted=True))
        .from_(table(matched.table), copy=False)
        .where(certain(matched.flag), is_known, copy=False)
    )
    if aggregate is Aggregate.MOST_FREQUENT:
        rows = rows.group_by(column(PERSON), value.copy(), copy=False)
    yield ranked, rows
    is_first = exp.EQ(this=column("place"), expression=exp.Literal.number(1))
    first = exp.select(column(PERSON), column("value")).from_(table(ranked), copy=False)
    yield f"chosen_{number}", first.where(is_first, copy=False)


def _order(aggregate: Aggregate, matched: Matched) -> list[exp.Expr]:
    if aggregate is Aggregate.MOST_FREQUENT:
        return [exp.Ordered(this=exp.Count(this=exp.Star()), desc=True, nulls_first=False)]
    is_last = aggregate is Aggregate.LAST
    moments = [column("day"), *([column("moment")] if matched.has_moment else [])]
    return [exp.Ordered(this=one, desc=is_last, nulls_first=not is_last) for one in moments]
