"""Events counted by person: which rows match what is asked, how many there are, what came after what."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sqlglot import exp

from cdp_platform.audiences.catalogue import Event, EventField, Relation
from cdp_platform.audiences.definition import Occurrence, SequenceCondition
from cdp_platform.audiences.expressions import (
    Bound,
    certain,
    column,
    compared,
    counted,
    days_before,
    numbered,
    relation,
    table,
    within,
)
from cdp_platform.audiences.readings import PERSON, Table, joined, or_zero


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Where the rows of an occurrence are found: columns of one of the statement's own tables."""

    table: str
    flag: exp.Column
    """Whether a row matches; never null."""
    field: exp.Column | None
    """The value of the field that was asked for."""
    has_moment: bool
    """Whether the table has `moment` beside `day`."""


class EventReading:
    """The events of relations: which rows match what is asked, how many there are, what came after what."""

    def __init__(self, bound: Bound, as_of: date) -> None:
        """Start without events."""
        self._bound = bound
        self._as_of = as_of
        self._asked: dict[tuple[Relation, str], dict[Occurrence, None]] = {}
        self._counted: dict[Occurrence, None] = {}
        self._sequences: dict[SequenceCondition, None] = {}
        self._fields: dict[tuple[Relation, str], dict[str, None]] = {}

    def matched(self, occurrence: Occurrence, field: EventField | None) -> Matched:
        """The rows of an occurrence themselves, with a field's value, where one is asked for."""
        self._ask(occurrence)
        value = None
        if field is not None:
            fields = self._fields.setdefault(_source(occurrence.event), {})
            fields[field.column] = None
            value = column(f"field_{list(fields).index(field.column) + 1}")
        return Matched(
            table=f"happened_{self._number(occurrence.event)}",
            flag=column(self._flag("is", occurrence)),
            field=value,
            has_moment=occurrence.event.moment is not None,
        )

    def count(self, occurrence: Occurrence) -> exp.Expr:
        """How often a person did it; 0 where never."""
        self._ask(occurrence)
        self._counted[occurrence] = None
        return or_zero(column(self._flag("count", occurrence), f"counted_{self._number(occurrence.event)}"))

    def sequence(self, condition: SequenceCondition) -> exp.Expr:
        """How often the second event came in time after the first; 0 where never."""
        self._ask(condition.first)
        self._ask(condition.then)
        self._sequences[condition] = None
        return or_zero(column("count", f"sequence_{list(self._sequences).index(condition) + 1}"))

    def tables(self) -> Iterator[Table]:
        """For each relation its matching rows, then their counts; then what came after what."""
        for asked in self._asked.values():
            event = next(iter(asked)).event
            name = f"happened_{self._number(event)}"
            yield name, self._happened(event, list(asked))
            counts = [one for one in asked if one in self._counted]
            if counts:
                yield f"counted_{self._number(event)}", self._counts(name, counts)
        for number, condition in enumerate(self._sequences, 1):
            yield from self._in_order(number, condition)

    def join(self, select: exp.Select) -> exp.Select:
        """Join counts and sequences to the people."""
        for event in dict.fromkeys(occurrence.event for occurrence in self._counted):
            alias = f"counted_{self._number(event)}"
            if not any(one.args["this"].alias_or_name == alias for one in select.args.get("joins") or ()):
                select = joined(select, alias)
        for number in range(1, len(self._sequences) + 1):
            select = joined(select, f"sequence_{number}")
        return select

    def _ask(self, occurrence: Occurrence) -> None:
        self._asked.setdefault(_source(occurrence.event), {})[occurrence] = None

    def _number(self, event: Event) -> int:
        return list(self._asked).index(_source(event)) + 1

    def _flag(self, word: str, occurrence: Occurrence) -> str:
        return f"{word}_{list(self._asked[_source(occurrence.event)]).index(occurrence) + 1}"

    def _happened(self, event: Event, asked: list[Occurrence]) -> exp.Select:
        day = column(event.day)
        flags = [
            exp.alias_(self._matches(occurrence), self._flag("is", occurrence), quoted=True) for occurrence in asked
        ]
        moments = [exp.alias_(column(event.moment), "moment", quoted=True)] if event.moment else []
        fields = [
            exp.alias_(column(name), f"field_{number}", quoted=True)
            for number, name in enumerate(self._fields.get(_source(event), {}), 1)
        ]
        select = exp.select(
            exp.alias_(column(event.person_key), PERSON, quoted=True),
            exp.alias_(day.copy(), "day", quoted=True),
            *moments,
            *flags,
            *fields,
        ).from_(relation(event.relation), copy=False)
        select = select.where(exp.LTE(this=day.copy(), expression=self._bound.place(self._as_of)), copy=False)
        days = [occurrence.within_days for occurrence in asked]
        if all(count is not None for count in days):
            first = days_before(self._as_of, max(count or 0 for count in days))
            select = select.where(exp.GT(this=day.copy(), expression=self._bound.place(first)), copy=False)
        return select

    def _matches(self, occurrence: Occurrence) -> exp.Expr:
        event = occurrence.event
        parts = [
            compared(column(one.field.column), one.comparison, self._bound, self._as_of) for one in occurrence.where
        ]
        if event.only:
            parts.append(certain(column(event.only)))
        if occurrence.within_days is not None:
            parts.append(within(column(event.day), occurrence.within_days, self._bound, self._as_of))
        return exp.and_(*parts) if parts else exp.true()

    def _counts(self, source: str, asked: list[Occurrence]) -> exp.Select:
        counts = [
            exp.alias_(counted(column(self._flag("is", one))), self._flag("count", one), quoted=True) for one in asked
        ]
        return exp.select(column(PERSON), *counts).from_(table(source), copy=False).group_by(column(PERSON), copy=False)

    def _in_order(self, number: int, condition: SequenceCondition) -> Iterator[Table]:
        """The last day of the first event before each second event tells: any earlier one lies further back."""
        moments, looked = f"moments_{number}", f"looked_back_{number}"
        yield moments, self._moments(condition)
        last_day = exp.Window(
            this=exp.Max(this=exp.Case().when(_is_one("first"), column("day"))),
            partition_by=[column(PERSON)],
            order=exp.Order(expressions=[exp.Ordered(this=column("moment"), nulls_first=True)]),
            spec=exp.WindowSpec(
                kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end=exp.Literal.number(1), end_side="PRECEDING"
            ),
        )
        yield (
            looked,
            exp.select(column(PERSON), column("day"), column("then"), exp.alias_(last_day, "first_day", quoted=True))
            .from_(table(moments), copy=False),
        )  # fmt: skip
        gap = exp.DateDiff(this=column("day"), expression=column("first_day"), unit=exp.var("day"))
        in_time = exp.and_(
            _is_one("then"), exp.LTE(this=gap, expression=self._bound.place(condition.gap_days)), copy=False
        )
        yield (
            f"sequence_{number}",
            exp.select(column(PERSON), exp.alias_(counted(in_time), "count", quoted=True))
            .from_(table(looked), copy=False)
            .group_by(column(PERSON), copy=False),
        )

    def _moments(self, condition: SequenceCondition) -> exp.Select:
        """One row per person and moment, with whether each of the two events happened then."""
        first, then = condition.first, condition.then
        has_moments = bool(first.event.moment and then.event.moment)
        is_one_table = _source(first.event) == _source(then.event)
        flags = {"first": first, "then": then}
        parts = [flags] if is_one_table else [{"first": first}, {"then": then}]
        selects = [self._marked(part, has_moments) for part in parts]
        rows = selects[0] if is_one_table else exp.union(selects[0], selects[1], distinct=False)
        largest = [exp.alias_(exp.Max(this=column(name)), name, quoted=True) for name in ("day", *flags)]
        return (
            exp.select(column(PERSON), column("moment"), *largest)
            .from_(rows.subquery("marked"), copy=False)
            .group_by(column(PERSON), column("moment"), copy=False)
        )  # fmt: skip

    def _marked(self, flags: dict[str, Occurrence], has_moments: bool) -> exp.Select:
        source = f"happened_{self._number(next(iter(flags.values())).event)}"
        marks = [
            exp.alias_(
                numbered(column(self._flag("is", flags[name]))) if name in flags else exp.Literal.number(0),
                name,
                quoted=True,
            )
            for name in ("first", "then")
        ]
        moment = column("moment" if has_moments else "day")
        asked = exp.or_(*(column(self._flag("is", occurrence)) for occurrence in flags.values()))
        has_moment = exp.Is(this=moment.copy(), expression=exp.null()).not_()
        named = exp.alias_(moment, "moment", quoted=True)
        return (
            exp.select(column(PERSON), column("day"), named, *marks)
            .from_(table(source), copy=False)
            .where(asked, has_moment, copy=False)
        )


def _source(event: Event) -> tuple[Relation, str]:
    return event.relation, event.person_key


def _is_one(name: str) -> exp.Expr:
    return exp.EQ(this=column(name), expression=exp.Literal.number(1))
