"""Read the books of the audiences: how large each was on a day, who entered and left, and why."""

import json
from datetime import date

from cdp_platform.reports.people import name_people
from cdp_platform.reports.values import AudienceDay, MembershipChange
from cdp_platform.warehouse.base import Session

SIZES, CHANGES = "audiences.audience_sizes", "audiences.audience_membership_changes"


def read_audiences(session: Session, day: date, limit: int) -> tuple[AudienceDay, ...] | None:
    """Read every audience that was computed for a day, by name; at most `limit` people are listed each way."""
    if not session.columns(SIZES):
        return None
    has_changes = bool(session.columns(CHANGES))
    rows = session.rows(
        f"select audience, member_count, entered_count, left_count, words from {SIZES} where as_of_on = ?"
        " order by audience",
        [day],
    )
    return tuple(
        AudienceDay(
            audience=row["audience"],
            words=json.loads(row["words"] or "{}"),
            member_count=row["member_count"],
            entered_count=row["entered_count"] or 0,
            left_count=row["left_count"] or 0,
            is_first=row["entered_count"] is None,
            entered=_changes(session, row["audience"], day, "entered", limit) if has_changes else (),
            left=_changes(session, row["audience"], day, "left", limit) if has_changes else (),
        )
        for row in rows
    )


def _changes(session: Session, audience: str, day: date, change: str, limit: int) -> tuple[MembershipChange, ...]:
    rows = session.rows(
        f"select person_id, reason, condition_number, value from {CHANGES}"
        f" where audience = ? and changed_on = ? and change = ?"
        f" order by reason, condition_number, person_id limit {limit}",
        [audience, day, change],
    )
    people = name_people(session, (row["person_id"] for row in rows))
    return tuple(
        MembershipChange(
            person=people[row["person_id"]],
            change=change,
            reason=row["reason"],
            condition=row["condition_number"],
            value=row["value"],
        )
        for row in rows
    )
