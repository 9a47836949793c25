"""What the YAML of computed traits may say, and how it becomes a set of them, each name checked."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field, StrictBool

from cdp_platform.audiences.catalogue import Catalogue, EventField
from cdp_platform.audiences.computed import AGGREGATES, Aggregate, ComputedTrait, TraitSet
from cdp_platform.components.audience_blocks import Block, FieldBlock
from cdp_platform.components.audience_definition import read_block, read_occurrence, unknown_name
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.texts.catalogue import LANGUAGES

_NAME: Final = r"^[a-z][a-z0-9_]{0,59}$"
_RESERVED: Final = ("person_id", "as_of_on")
_MOST_TRAITS: Final = 100


class ComputedTraitBlock(Block):
    """One value per person, made of the events that match."""

    name: str = Field(pattern=_NAME, description="The trait's name, as product_views_28d; audiences say it.")
    label: dict[str, str] = Field(default_factory=dict, description="What people call it, by language: en, zh-Hant.")
    event: str = Field(description="The event that it is made of, as `purchase`.")
    aggregate: str = Field(description=f"What is made of them: {', '.join(Aggregate)}.")
    field: str | None = Field(default=None, description="The event's field; left out for a count only.")
    where: list[FieldBlock] = Field(default_factory=list, description="What its fields must be, every one.")
    within_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Of the last n days only; left out: at any time."
    )
    personal: StrictBool = Field(default=True, description="Whether the value is masked where it is shown.")


def make_traits(name: str, said: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> TraitSet:
    """Make a set of traits. Raises ConfigError, naming the field, for what cannot be."""
    if not 0 < len(said) <= _MOST_TRAITS:
        raise ConfigError(f"a set has 1 to {_MOST_TRAITS} traits.", field="traits")
    found: dict[str, ComputedTrait] = {}
    for number, one in enumerate(said):
        place = f"traits.{number}"
        block = read_block(ComputedTraitBlock, one, place)
        _refuse_taken_name(block.name, {*found, *_RESERVED}, catalogue, f"{place}.name")
        found[block.name] = _trait(block, catalogue, place)
    return TraitSet(name=name, traits=tuple(found.values()))


def _refuse_taken_name(name: str, taken: set[str], catalogue: Catalogue, field: str) -> None:
    if name in taken or name in catalogue.traits or name in catalogue.unusable:
        raise ConfigError(f"there is a trait {name!r} already.", field=field, remedy="Choose another name.")


def _trait(block: ComputedTraitBlock, catalogue: Catalogue, place: str) -> ComputedTrait:
    for language in block.label:
        if language not in LANGUAGES:
            raise ConfigError(
                f"there are labels in {' and '.join(LANGUAGES)}, not in {language!r}.", field=f"{place}.label"
            )
    occurrence = read_occurrence(block.event, block.where, block.within_days, catalogue, place)
    if block.aggregate not in tuple(Aggregate):
        raise ConfigError(
            f"there is no aggregate {block.aggregate[:40]!r}.",
            field=f"{place}.aggregate",
            remedy=nearest_of(block.aggregate, tuple(Aggregate)),
        )
    aggregate = Aggregate(block.aggregate)
    return ComputedTrait(
        name=block.name,
        labels=block.label,
        occurrence=occurrence,
        aggregate=aggregate,
        field=_field(block.field, aggregate, occurrence.event.fields, occurrence.event.name, f"{place}.field"),
        is_personal=block.personal,
    )


def _field(
    name: str | None, aggregate: Aggregate, fields: Mapping[str, EventField], event: str, place: str
) -> EventField | None:
    able = AGGREGATES[aggregate]
    if not able and name is not None:
        raise ConfigError(
            f"`{aggregate}` counts events and takes no field.", field=place, remedy="Leave it out, or ask in `where`."
        )
    if not able:
        return None
    if name is None:
        raise ConfigError(f"`{aggregate}` needs a field of {event}.", field=place, remedy=nearest_of("", fields))
    if name not in fields:
        raise unknown_name(f"field of {event}", name, fields, place)
    if fields[name].kind not in able:
        possible = ", ".join(one for one, kinds in AGGREGATES.items() if fields[name].kind in kinds)
        raise ConfigError(
            f"`{aggregate}` cannot be made of a {fields[name].kind}.",
            field=place,
            remedy=f"Of {name} there can be {possible}.",
        )
    return fields[name]
