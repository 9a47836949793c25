"""Computed traits → one select over everybody, compiled as audiences are: names from the catalogue, values bound, each
relation read once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from sqlglot import exp

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.computed import Aggregate, ComputedTrait
from cdp_platform.audiences.definition import Value
from cdp_platform.audiences.event_reading import EventReading, Matched
from cdp_platform.audiences.expressions import Bound, certain, column, counted, relation, table, written
from cdp_platform.audiences.readings import PERSON, Table, joined, or_zero

_EXACT: Final = "decimal(28,6)"
_SHOWN: Final = "decimal(24,4)"
_WITH_ZERO: Final = (Aggregate.COUNT, Aggregate.DISTINCT_COUNT, Aggregate.SUM)
_CHOSEN: Final = (Aggregate.FIRST, Aggregate.LAST, Aggregate.MOST_FREQUENT)


@dataclass(frozen=True, kw_only=True)
class CompiledTraits:
    """One select over everybody: `person_id` (text) and one column per trait, nullable but for counts and sums."""

    sql: str
    parameters: Mapping[str, Value] = field(default_factory=dict)


def compile_traits(traits: Sequence[ComputedTrait], catalogue: Catalogue, *, as_of: date) -> CompiledTraits:
    """Compile traits, as of the end of a day."""
    bound = Bound()
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
                exp.alias_(_summed(trait.aggregate, matched), f"trait_{number}", quoted=True)
            )
            value = column(f"trait_{number}", alias)
        told = or_zero(value) if trait.aggregate in _WITH_ZERO else value
        select = select.select(exp.alias_(told, trait.name, quoted=True), copy=False)
    for source, values in summed.items():
        alias = source.replace("happened", "summed")
        per_person = exp.select(column(PERSON), *values).from_(table(source), copy=False)
        tables.append((alias, per_person.group_by(column(PERSON), copy=False)))
        select = joined(select, alias)
    for name, one in tables:
        select = select.with_(exp.to_identifier(name, quoted=True), as_=one, copy=False)
    return CompiledTraits(sql=written(select), parameters=bound.values)


def _summed(aggregate: Aggregate, matched: Matched) -> exp.Expr:
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
    total: exp.Expr = exp.Sum(this=exp.cast(value, _EXACT))
    if aggregate is Aggregate.AVERAGE:
        known = exp.Nullif(this=exp.Count(this=value.copy()), expression=exp.Literal.number(0))
        total = exp.Div(this=total, expression=known)
    return exp.cast(exp.Round(this=total, decimals=exp.Literal.number(4)), _SHOWN)


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
