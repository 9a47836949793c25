"""Traits that are computed from events: how often, how much, when last, which most. Nothing but YAML defines them.

A set of them becomes a table with one row per person, so that audiences know a computed trait as any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cdp_platform.audiences.catalogue import Catalogue, EventField, Kind, Named, Relation, Trait
from cdp_platform.audiences.definition import Occurrence

SCHEMA: Final = "traits"
PERSON: Final = "person_id"


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
