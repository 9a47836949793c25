"""Whose word is needed before somebody is contacted, what may be known of it, and what follows for a record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ConsentRule(StrEnum):
    """What a market asks for before somebody may be contacted."""

    OPT_IN = "opt_in"
    """Only who said yes."""
    DOUBLE_OPT_IN = "double_opt_in"
    """Only who said yes and has confirmed it."""
    OPT_OUT = "opt_out"
    """Everybody but who said no."""


class Permission(StrEnum):
    """What is known of an identifier, for one entity, channel and purpose; also the reason why a row is left out."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    SUPPRESSED = "suppressed"
    """Must never be contacted, whatever was said."""
    NOT_CONFIRMED = "not_confirmed"
    OTHER_BRAND = "other_brand"
    """There is a yes, for another entity."""
    NEVER_ASKED = "never_asked"


ENDED = (Permission.WITHDRAWN, Permission.SUPPRESSED)
"""Somebody said so: it takes effect in the next run, past the brake."""
NOT_FOUND = (Permission.NEVER_ASKED, Permission.OTHER_BRAND, Permission.NOT_CONFIRMED)
"""Nobody said so: the row is not sent, and what that would remove is held by the brake."""
STATUSES = ("granted", "confirmed", "withdrawn")
"""What a row of the consents may say; anything else counts as not said."""


class ObjectKind(StrEnum):
    """What a row of a destination's object is to a person: it decides what a withdrawal does."""

    RECORD = "record"
    """It stays, gets its opt-out, and no marketing field any more."""
    MEMBERSHIP = "membership"
    """It is removed."""
    MESSAGE = "message"
    """It is not sent."""


@dataclass(frozen=True, kw_only=True)
class ConsentPolicy:
    """The rule of each market by channel, as it was declared. Without any declaration everything is opt-in."""

    rules: Mapping[str, Mapping[str, ConsentRule]] = field(default_factory=dict)
    """Entity → channel → rule."""

    def rule(self, entity: str, channel: str) -> ConsentRule:
        """The rule of an entity on a channel; the strictest one for what the policy does not name."""
        return self.rules.get(entity, {}).get(channel, self.otherwise)

    @property
    def otherwise(self) -> ConsentRule:
        """The rule of whatever the policy does not name."""
        return ConsentRule.DOUBLE_OPT_IN if self.rules else ConsentRule.OPT_IN
