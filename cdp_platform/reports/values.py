"""What a daily report says, before it is written in any language."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Named:
    """A person by name; without a profile the name is the person's id."""

    person_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class MembershipChange:
    """Who `entered` or `left` an audience, and why."""

    person: Named
    change: str
    reason: str
    condition: int | None
    """The place of the condition that decided, where the reason is `condition`."""
    value: str | None
    """The person's value then; None where there was none, or it is personal."""


@dataclass(frozen=True, kw_only=True)
class AudienceDay:
    """One audience on one day. The lists are cut at the report's limit; the counts are not."""

    audience: str
    words: Mapping[str, Any]
    """The definition as it was told on that day, by language: title, rule, and what is said of each condition."""
    member_count: int
    entered_count: int
    left_count: int
    is_first: bool
    """Nothing was known of the audience before this day: its members have not entered, they were found."""
    entered: tuple[MembershipChange, ...]
    left: tuple[MembershipChange, ...]


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field of one record as the destination accepted it. Values are as JSON holds them."""

    person: Named
    operation: str
    field: str
    old: object
    new: object


@dataclass(frozen=True, kw_only=True)
class SyncDay:
    """One sync on one day: what was sent is summed over the day's runs, what stands is of its last run."""

    sync: str
    destination: str
    planned: int
    delivered: int
    rejected: int
    unknown: int
    skipped: int
    pending: int
    unchanged: int
    run_count: int
    operations: Mapping[str, int]
    """Records that the destination confirmed, by operation."""
    skipped_reasons: Mapping[str, int]
    created: tuple[Named, ...] = ()
    field_changes: tuple[FieldChange, ...] = ()
    records_not_shown: int = 0


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Rejected rows of a sync that share a reason and the field it concerns."""

    sync: str
    destination: str
    code: str
    parameters: Mapping[str, str]
    count: int
    people: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class EmailChange:
    """An e-mail address that a person changed in the CRM. `old` is None where we never read it before."""

    person: Named
    old: str | None
    new: str


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What one day's read-back of the CRM told that the day before's did not."""

    opt_out_count: int
    email_count: int
    opt_outs: tuple[Named, ...]
    emails: tuple[EmailChange, ...]


@dataclass(frozen=True, kw_only=True)
class DayReport:
    """One day. None: the tables of that section do not exist yet."""

    day: date
    audiences: tuple[AudienceDay, ...] | None
    syncs: tuple[SyncDay, ...] | None
    rejections: tuple[Rejection, ...] | None
    """Rejected rows as they stand now; filled for the newest day only."""
    feedback: Feedback | None
    is_newest: bool
    is_replay: bool
    """The day was first run long after it had passed."""
