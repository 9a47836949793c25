"""What an audience may speak of: the people, their traits, the events, the consents. Names come from nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cdp_platform.domain.permission import ConsentPolicy


class Kind(StrEnum):
    """What the values of a trait or of an event's field are; it decides what they may be compared with."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One table or view of the warehouse. `asset` is the key of the asset that makes it."""

    schema: str
    name: str
    asset: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Named:
    """What people call something, by language; without a label its name is written out."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def label(self, language: str) -> str:
        """The label of a language, else the English one, else the name with blanks."""
        return self.labels.get(language) or self.labels.get("en") or self.name.replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Trait(Named):
    """A column of a relation with one row per person. `name` may be qualified, as `traits_rfm.last_order_on`."""

    relation: Relation
    person_key: str
    column: str
    kind: Kind
    is_personal: bool = True
    """Whether the value is masked where it is shown."""


@dataclass(frozen=True, kw_only=True)
class EventField(Named):
    """A column of an event."""

    column: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Event(Named):
    """Something that happens to a person at a time: one row per event."""

    relation: Relation
    person_key: str
    day: str
    """The column with the local day of the entity; windows are days."""
    moment: str | None = None
    """The column with the instant; it orders events of one day. None: of one day no event comes before another."""
    only: str | None = None
    """A boolean column that must be true for a row to count; None: every row counts."""
    fields: Mapping[str, EventField] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class People:
    """The relation that holds everybody who may be a member, one row per person."""

    relation: Relation
    person_key: str
    entity: str | None = None
    """The column with the person's brand and market; None: a consent condition names the entity itself."""
    channels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Channel → the column with the person's identifier on it."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything that definitions may name. Traits by every name they answer to."""

    people: People
    consents: Relation | None
    suppressions: Relation | None = None
    policy: ConsentPolicy = field(default_factory=ConsentPolicy)
    """Which rule decides on a consent, by entity and channel."""
    traits: Mapping[str, Trait]
    events: Mapping[str, Event]
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Names that a trait cannot be taken by → what to do about it."""
