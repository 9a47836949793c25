"""What people are told without looking: a condition that holds, since when, and whom it concerns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AlertKind(StrEnum):
    """What may be wrong; the word is the code of its texts."""

    RUN_FAILED = "run_failed"
    STALE = "stale"
    """An asset is older than its freshness policy allows."""
    STOPPED = "stopped"
    """Guards stopped a sync's plan; a person has to look."""
    DEFERRED = "deferred"
    """A sync's run was ended by the destination or the network; its rows are pending."""
    REJECTED = "rejected"
    UNKNOWN_ROWS = "unknown_rows"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Something is wrong now. Two conditions of one kind and subject are the same one."""

    kind: AlertKind
    subject: str
    """The sync, the asset key or the job that it is about."""
    owner: str = ""
    """Who answers for the subject; empty where nobody is named."""
    since: datetime
    """Aware, UTC."""
    count: int = 0
    """Rows, or what else the kind counts."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What the texts of the kind need besides; never a value of a person."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it one and the same through time."""
        return self.kind.value, self.subject


@dataclass(frozen=True, kw_only=True)
class Change:
    """A condition that began, or one that is over; each is told once to every channel."""

    condition: Condition
    is_over: bool
    told: frozenset[str]
    """The channels that have heard of it."""
