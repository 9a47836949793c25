"""A definition → one select: who is a member, and for each person which condition holds and by which value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlglot import exp

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.consent_reading import ConsentReading
from cdp_platform.audiences.definition import (
    All,
    AnyOf,
    Comparison,
    Condition,
    ConsentCondition,
    Definition,
    EventCondition,
    MembershipCondition,
    Not,
    SequenceCondition,
    Step,
    Top,
    TraitCondition,
    Value,
    steps_of,
)
from cdp_platform.audiences.event_reading import EventReading
from cdp_platform.audiences.expressions import Bound, column, compared, table, written
from cdp_platform.audiences.readings import (
    MembershipReading,
    Table,
    TraitReading,
)
from cdp_platform.domain.permission import Permission

Answer = tuple[exp.Expr, exp.Expr | None]
"""Of a leaf: whether it holds, and the value that says so; None where there is no value to tell."""


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """One select over everybody: `person_id` (text), `is_member`, `condition_<n>` for each step (booleans, never
    null), and `value_<n>` for the steps in `valued` (nullable). `parameters` are bound by name."""

    sql: str
    parameters: Mapping[str, Value]
    steps: tuple[Step, ...]
    valued: frozenset[int]


def compile_audience(definition: Definition, catalogue: Catalogue, *, as_of: date, after: int = 0) -> Compiled:
    """Compile a definition, as of the end of a day.

    `after` counts the values of another statement, so that both can stand in one.
    """
    return _Statement(catalogue, as_of, Bound(after)).compiled(definition)


class _Statement:
    def __init__(self, catalogue: Catalogue, as_of: date, bound: Bound) -> None:
        self._as_of = as_of
        self._bound = bound
        self._traits = TraitReading(catalogue)
        self._events = EventReading(bound, as_of)
        self._consents = ConsentReading(catalogue, self._traits, bound)
        self._memberships = MembershipReading(bound)

    def compiled(self, definition: Definition) -> Compiled:
        steps = steps_of(definition.condition)
        answers = {step.number: self._answer(step.condition) for step in steps if not step.children}
        ranked = self._traits.place(definition.top.by) if definition.top else None
        tables = [*self._tables(), ("judged", self._judged(answers, ranked))]
        select = _composed(steps, answers, ranked is not None)
        if definition.top:
            tables.append(("composed", select))
            select = self._chosen(steps, answers, definition.top)
        for name, one in tables:
            select = select.with_(exp.to_identifier(name, quoted=True), as_=one, copy=False)
        return Compiled(
            sql=written(select),
            parameters=self._bound.values,
            steps=steps,
            valued=frozenset(number for number, (_, value) in answers.items() if value is not None),
        )

    def _answer(self, condition: Condition) -> Answer:
        match condition:
            case TraitCondition():
                value = self._traits.place(condition.trait)
                return compared(value, condition.comparison, self._bound, self._as_of), value.copy()
            case EventCondition():
                count = self._events.count(condition.occurrence)
                asked = Comparison(operator=condition.operator, values=(condition.count,))
                return compared(count, asked, self._bound, self._as_of), count.copy()
            case SequenceCondition():
                count = self._events.sequence(condition)
                return exp.GT(this=count, expression=exp.Literal.number(0)), count.copy()
            case ConsentCondition():
                found = self._consents.permission(condition)
                return exp.EQ(this=found, expression=exp.Literal.string(Permission.GRANTED)), found.copy()
            case MembershipCondition():
                return self._memberships.mark(condition.audience), None
        raise AssertionError(condition)

    def _tables(self) -> list[Table]:
        consents = list(self._consents.tables())
        return [*self._traits.tables(), *self._events.tables(), *consents, *self._memberships.tables()]

    def _judged(self, answers: Mapping[int, Answer], ranked: exp.Expr | None) -> exp.Select:
        """One row per person with the answers of the leaves."""
        chosen = [exp.alias_(exp.cast(column("person_id", "people"), "text"), "person_id", quoted=True)]
        for number, (holds, value) in answers.items():
            chosen.append(exp.alias_(holds, f"condition_{number}", quoted=True))
            if value is not None:
                chosen.append(exp.alias_(value, f"value_{number}", quoted=True))
        if ranked is not None:
            chosen.append(exp.alias_(ranked, "ranked", quoted=True))
        select = exp.select(*chosen).from_(table("people"), copy=False)
        for reading in (self._traits, self._events, self._consents, self._memberships):
            select = reading.join(select)
        return select

    def _chosen(self, steps: tuple[Step, ...], answers: Mapping[int, Answer], top: Top) -> exp.Select:
        """Keep the first of those for whom the rule holds."""
        unknown = exp.Case().when(exp.Is(this=column("ranked"), expression=exp.null()), exp.Literal.number(1))
        place = exp.Window(
            this=exp.RowNumber(),
            partition_by=[column("condition_0")],
            order=exp.Order(
                expressions=[
                    exp.Ordered(this=unknown.else_(exp.Literal.number(0)), nulls_first=True),
                    exp.Ordered(this=column("ranked"), desc=top.is_highest, nulls_first=not top.is_highest),
                    exp.Ordered(this=column("person_id"), nulls_first=True),
                ]
            ),
        )
        is_first = exp.LTE(this=place, expression=self._bound.place(top.count))
        member = exp.alias_(exp.and_(column("condition_0"), is_first), "is_member", quoted=True)
        return exp.select(column("person_id"), member, *_shown(steps, answers)).from_(table("composed"), copy=False)


def _composed(steps: tuple[Step, ...], answers: Mapping[int, Answer], is_ranked: bool) -> exp.Select:
    """Put the answers of the leaves together to those of the blocks, and the root's to membership."""
    by_number = {step.number: step for step in steps}

    def holds(number: int) -> exp.Expr:
        step = by_number[number]
        inside = [holds(child) for child in step.children]
        match step.condition:
            case All():
                return exp.paren(exp.and_(*inside))
            case AnyOf():
                return exp.paren(exp.or_(*inside))
            case Not():
                return exp.paren(exp.not_(inside[0]))
        return column(f"condition_{number}")

    blocks = [
        exp.alias_(holds(step.number), f"condition_{step.number}", quoted=True) for step in steps if step.children
    ]
    leaves = [one for one in _shown(steps, answers) if one.name not in {block.alias for block in blocks}]
    last = column("ranked") if is_ranked else exp.alias_(holds(0), "is_member", quoted=True)
    return exp.select(column("person_id"), last, *blocks, *leaves).from_(table("judged"), copy=False)


def _shown(steps: tuple[Step, ...], answers: Mapping[int, Answer]) -> list[exp.Column]:
    flags = [column(f"condition_{step.number}") for step in steps]
    return [*flags, *(column(f"value_{number}") for number, (_, value) in answers.items() if value is not None)]
