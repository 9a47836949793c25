"""The tables and views of all audiences, in the schema `audiences`, all written by one transaction a run.

audience_membership_history  audience, person_id, entered_on, left_on (null: still a member), entered_version,
                             left_version, and for both ways why: <way>_reason (null on the first day),
                             <way>_condition (the place of the condition that decided, null for other reasons) and
                             <way>_value (the person's value then; null where there is none, or it is personal)
audience_membership_changes  a view: audience, person_id, changed_on, change (entered, left), reason, condition_number,
                             value
audience_conditions          audience, person_id, as_of_on, definition_version, conditions (a 1 or a 0 for each place);
                             of the two newest days
audience_assignments         audience, person_id, arm (held_out, reached), holdout_share, assigned_on, ended_on
audience_sizes               audience, as_of_on, definition_version, definition (JSON), people_count, member_count,
                             held_out_count, entered_count, left_count (the last two null on the first day), words
                             (JSON: the definition as people read it), is_expected (whether the size is within bounds)
audience_members             a view: audience, person_id, entered_on, entered_version, is_held_out
<audience>                   a view: person_id, entered_on of the members that are not held out; what syncs read
"""

from typing import Final

from cdp_platform.errors import CdpError
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal

SCHEMA: Final = "audiences"
RESERVED: Final = "audience_"
"""No audience's name may begin like the names of these tables."""
HISTORY: Final = f"{SCHEMA}.audience_membership_history"
CONDITIONS: Final = f"{SCHEMA}.audience_conditions"
ASSIGNMENTS: Final = f"{SCHEMA}.audience_assignments"
SIZES: Final = f"{SCHEMA}.audience_sizes"
MEMBERS: Final = f"{SCHEMA}.audience_members"
CHANGES: Final = f"{SCHEMA}.audience_membership_changes"

_TABLES: Final = {
    HISTORY: "audience varchar not null, person_id varchar not null, entered_on date not null, left_on date,"
    " entered_version varchar not null, left_version varchar, entered_reason varchar, entered_condition integer,"
    " entered_value varchar, left_reason varchar, left_condition integer, left_value varchar",
    CONDITIONS: "audience varchar not null, person_id varchar not null, as_of_on date not null,"
    " definition_version varchar not null, conditions varchar not null",
    ASSIGNMENTS: "audience varchar not null, person_id varchar not null, arm varchar not null,"
    " holdout_share decimal(9,6) not null, assigned_on date not null, ended_on date",
    SIZES: "audience varchar not null, as_of_on date not null, definition_version varchar not null,"
    " definition varchar not null, people_count bigint not null, member_count bigint not null,"
    " held_out_count bigint not null, entered_count bigint, left_count bigint, words varchar, is_expected boolean",
}
_VIEWS: Final = {
    MEMBERS: f"""
        select history.audience, history.person_id, history.entered_on, history.entered_version,
            coalesce(assignments.arm = 'held_out', false) as is_held_out
        from {HISTORY} as history
        left join {ASSIGNMENTS} as assignments
            on assignments.audience = history.audience
            and assignments.person_id = history.person_id
            and assignments.ended_on is null
        where history.left_on is null
    """,
    CHANGES: f"""
        select audience, person_id, entered_on as changed_on, 'entered' as change, entered_reason as reason,
            entered_condition as condition_number, entered_value as value
        from {HISTORY} where entered_reason is not null
        union all
        select audience, person_id, left_on, 'left', left_reason, left_condition, left_value
        from {HISTORY} where left_on is not null
    """,
}


def create_tables(session: Session) -> None:
    """Make the tables and the views of all audiences, where they are not there yet, and the columns that they lack."""
    session.execute(f"create schema if not exists {SCHEMA}")
    for name, columns in _TABLES.items():
        session.execute(f"create table if not exists {name} ({columns})")
        known = session.columns(name)
        for column in columns.split(", "):
            if column.split()[0] not in known:
                session.execute(f"alter table {name} add column {column}")
    for name, select in _VIEWS.items():
        create_view(session, name, name, select)


def create_members_view(session: Session, dialect: Dialect, audience: str) -> None:
    """Make the view of one audience that syncs read: `person_id` and `entered_on` of who is not held out."""
    create_view(
        session,
        f"{SCHEMA}.{audience}",
        dialect.relation(f"{SCHEMA}.{audience}"),
        f"select person_id, entered_on from {MEMBERS} where audience = {literal(audience)} and not is_held_out",
    )


def create_view(session: Session, name: str, quoted: str, select: str) -> None:
    """Make a view anew; raises CdpError where a table that is not ours stands in its place."""
    schema, _, table = name.partition(".")
    found = session.rows(
        "select table_type from information_schema.tables where table_schema = $schema and table_name = $name",
        {"schema": schema, "name": table},
    )
    if any(row["table_type"] == "BASE TABLE" for row in found):
        raise CdpError(
            f"{name} is a table, and the platform makes a view of that name.",
            remedy=f"Give it another name, or drop it if nobody needs it: drop table {quoted}.",
        )
    session.execute(f"create or replace view {quoted} as {select}")
