"""The blocks of conditions that the YAML of an audience may hold: which fields they have, and what each field means."""

from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, StrictBool


class Block(BaseModel):
    """A block of fields in which no other field may stand."""

    model_config = ConfigDict(extra="forbid")


class Operators(Block):
    """What is asked of a value; exactly one of these. An unknown value meets none but `is_known: false`."""

    equals: Any = Field(default=None, description="It is this value.")
    not_equals: Any = Field(default=None, description="It is known and another value.")
    in_: list[Any] | None = Field(default=None, alias="in", min_length=1, description="It is one of these values.")
    not_in: list[Any] | None = Field(default=None, min_length=1, description="It is known and none of these values.")
    at_least: Any = Field(default=None, description="Numbers: it is this or more.")
    at_most: Any = Field(default=None, description="Numbers: it is this or less.")
    between: list[Any] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="Numbers and dates: from the first to the second, both in.",
    )
    is_known: StrictBool | None = Field(default=None, description="Whether there is a value at all.")
    before: Any = Field(default=None, description="Dates: earlier than this day.")
    after: Any = Field(default=None, description="Dates: later than this day.")
    within_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Dates: one of the last n days, the clock's day the last of them."
    )
    longer_ago_than_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Dates: before the last n days."
    )
    contains: str | None = Field(default=None, min_length=1, description="Text: this stands somewhere in it.")
    starts_with: str | None = Field(default=None, min_length=1, description="Text: it begins with this.")


class TraitBlock(Operators):
    """A trait of the person, and what is asked of it."""

    trait: str = Field(description="The trait's name, as `lifetime_value`; qualified, as `profiles.first_order_on`.")


class FieldBlock(Operators):
    """A field of the event, and what is asked of it."""

    field: str = Field(description="The field's name, as `department`.")


class TimesBlock(Block):
    """How often; exactly one of these."""

    at_least: int | None = Field(default=None, ge=0, description="This often or more.")
    at_most: int | None = Field(default=None, ge=0, description="This often or less; 0: never.")
    exactly: int | None = Field(default=None, ge=0, description="This often; 0: never.")


class ThenBlock(Block):
    """What came after the first event."""

    event: str = Field(description="The event that followed.")
    within_days: int = Field(ge=0, le=36_500, description="So many days later at most; 0: on the same day.")
    where: list[FieldBlock] = Field(default_factory=list, description="What its fields must be, every one.")


class EventBlock(Block):
    """Something that the person did, how often and when."""

    event: str = Field(description="The event's name, as `purchase`.")
    where: list[FieldBlock] = Field(default_factory=list, description="What its fields must be, every one.")
    within_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Of the last n days only; left out: at any time."
    )
    times: TimesBlock | None = Field(default=None, description="How often; left out: at least once.")
    then: ThenBlock | None = Field(default=None, description="What came after it, instead of how often.")


class AudienceBlock(Block):
    """Membership in another audience."""

    audience: str = Field(description="The other audience's name; its members that are held out count, too.")


class ConsentBlock(Block):
    """A granted consent of the person's identifier."""

    consent: str = Field(description="The purpose, as `email_marketing`.")
    channel: str = Field(default="email", description="The channel; it decides which identifier is asked for.")
    entity: str | None = Field(default=None, description="Brand and market; left out: the person's own.")


class TopBlock(dg.Model, dg.Resolvable):
    """Only the first of those for whom the rule holds."""

    n: int = Field(ge=1, description="How many people.")
    by: str = Field(description="The trait that orders them; unknown values come last, ties go by person.")
    order: str = Field(default="highest", pattern="^(highest|lowest)$", description="`highest` or `lowest` first.")


class SizeBlock(dg.Model, dg.Resolvable):
    """The expected size in people; outside of it a blocking check fails."""

    at_least: int | None = Field(default=None, ge=0, description="No fewer.")
    at_most: int | None = Field(default=None, ge=0, description="No more.")


LEAVES: dict[str, type[Block]] = {
    "trait": TraitBlock,
    "event": EventBlock,
    "audience": AudienceBlock,
    "consent": ConsentBlock,
}
"""By the word that makes it one."""
