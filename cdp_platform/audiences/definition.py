"""An audience as a closed tree: what `all`, `any`, `not` and the leaves may be, and nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from cdp_platform.audiences.catalogue import Event, EventField, Kind, Trait

Value = str | int | Decimal | bool | date


class Operator(StrEnum):
    """What a comparison asks of a value. An unknown value meets none of them but `is_known: false`."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    IN = "in"
    NOT_IN = "not_in"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    BETWEEN = "between"
    """Both ends belong to it."""
    IS_KNOWN = "is_known"
    BEFORE = "before"
    AFTER = "after"
    WITHIN_DAYS = "within_days"
    """On one of the last n days, the clock's day the last of them."""
    LONGER_AGO_THAN_DAYS = "longer_ago_than_days"
    """Before those."""
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"


_ALWAYS = (Operator.EQUALS, Operator.NOT_EQUALS, Operator.IN, Operator.NOT_IN, Operator.IS_KNOWN)
OPERATORS: Mapping[Kind, tuple[Operator, ...]] = {
    Kind.TEXT: (*_ALWAYS, Operator.CONTAINS, Operator.STARTS_WITH),
    Kind.NUMBER: (*_ALWAYS, Operator.AT_LEAST, Operator.AT_MOST, Operator.BETWEEN),
    Kind.DATE: (
        *_ALWAYS,
        Operator.BEFORE,
        Operator.AFTER,
        Operator.BETWEEN,
        Operator.WITHIN_DAYS,
        Operator.LONGER_AGO_THAN_DAYS,
    ),
    Kind.BOOLEAN: (Operator.EQUALS, Operator.IS_KNOWN),
}
"""By kind of value, what may be asked of it."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One comparison of one value; `values` are of its kind, whole days for the operators that count days."""

    operator: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class TraitCondition:
    """A trait of the person meets a comparison."""

    trait: Trait
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class FieldCondition:
    """A field of an event meets a comparison."""

    field: EventField
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """Events of one kind whose fields meet every comparison. `within_days`: of the last n days; None: ever."""

    event: Event
    where: tuple[FieldCondition, ...] = ()
    within_days: int | None = None


@dataclass(frozen=True, kw_only=True)
class EventCondition:
    """Something happened so many times: AT_LEAST, AT_MOST or EQUALS `count`."""

    occurrence: Occurrence
    operator: Operator
    count: int


@dataclass(frozen=True, kw_only=True)
class SequenceCondition:
    """After `first` came `then`, on the same or one of the following `gap_days` days."""

    first: Occurrence
    then: Occurrence
    gap_days: int


@dataclass(frozen=True, kw_only=True)
class MembershipCondition:
    """The person is a member of another audience, held out or not."""

    audience: str


@dataclass(frozen=True, kw_only=True)
class ConsentCondition:
    """The person has granted the consent. `entity` None: of the person's own brand and market."""

    purpose: str
    channel: str
    entity: str | None = None


@dataclass(frozen=True, kw_only=True)
class All:
    """Every one of the conditions holds."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """At least one of the conditions holds."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, kw_only=True)
class Not:
    """The condition does not hold; so where it asks for an unknown value, this holds."""

    condition: "Condition"


Leaf = TraitCondition | EventCondition | SequenceCondition | MembershipCondition | ConsentCondition
Condition = Leaf | All | AnyOf | Not


@dataclass(frozen=True, kw_only=True)
class Top:
    """Only the first `count` by a trait; unknown values come last, ties go by person."""

    count: int
    by: Trait
    is_highest: bool = True


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size in people that is expected; None: no such bound."""

    at_least: int | None = None
    at_most: int | None = None

    def holds(self, members: int) -> bool:
        """Whether so many members are expected."""
        return (self.at_least or 0) <= members and (self.at_most is None or members <= self.at_most)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """An audience. `version` names what decides on membership; a change of labels or of the holdout leaves it."""

    name: str
    members: Condition
    version: str
    document: str = ""
    """The definition as canonical JSON of what stood in the YAML, to be compared with a later one."""
    labels: Mapping[str, str] = field(default_factory=dict)
    top: Top | None = None
    yields_to: tuple[str, ...] = ()
    holdout_share: float | None = None
    size: Size = field(default_factory=Size)

    @property
    def condition(self) -> Condition:
        """The whole rule: what was written, and membership in none of the audiences that come first."""
        if not self.yields_to:
            return self.members
        own = self.members.conditions if isinstance(self.members, All) else (self.members,)
        taken = tuple(Not(condition=MembershipCondition(audience=name)) for name in self.yields_to)
        return All(conditions=(*own, *taken))

    def label(self, language: str) -> str:
        """What people call it."""
        return self.labels.get(language) or self.labels.get("en") or self.name.replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One condition of a tree: its place in it (parents before children), how deep it stands, its children's places."""

    number: int
    depth: int
    condition: Condition
    children: tuple[int, ...]


def steps_of(condition: Condition) -> tuple[Step, ...]:
    """Number a tree's conditions from 0, the root, each parent before its children; sorted by number."""
    found: list[Step] = []

    def visit(one: Condition, depth: int) -> int:
        number = len(found)
        found.append(Step(number=number, depth=depth, condition=one, children=()))
        children = tuple(visit(child, depth + 1) for child in children_of(one))
        found[number] = Step(number=number, depth=depth, condition=one, children=children)
        return number

    visit(condition, 0)
    return tuple(found)


def children_of(condition: Condition) -> tuple[Condition, ...]:
    """The conditions directly inside a condition; none for a leaf."""
    match condition:
        case All() | AnyOf():
            return condition.conditions
        case Not():
            return (condition.condition,)
    return ()


def leaves_of(condition: Condition) -> Iterator[Leaf]:
    """Yield the leaves of a tree, in order."""
    for step in steps_of(condition):
        if not isinstance(step.condition, All | AnyOf | Not):
            yield step.condition


def audiences_of(definition: Definition) -> tuple[str, ...]:
    """Name the other audiences that a definition asks for, each once, in order."""
    asked = (leaf.audience for leaf in leaves_of(definition.condition) if isinstance(leaf, MembershipCondition))
    return tuple(dict.fromkeys(asked))
