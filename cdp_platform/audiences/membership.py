"""Members as of the clock, who entered and who left and why, kept so that a day that is run again gives the same.

What is kept where stands in `tables`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from time import monotonic

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.compile import Compiled, compile_audience
from cdp_platform.audiences.definition import Definition, audiences_of
from cdp_platform.audiences.reasons import create_moved, keep_conditions, words_of
from cdp_platform.audiences.sizes import Sizes, measure_rows
from cdp_platform.audiences.tables import ASSIGNMENTS, HISTORY, MEMBERS, SIZES, create_members_view, create_tables
from cdp_platform.errors import CdpError
from cdp_platform.warehouse.base import Dialect, Session

_SHOWN_DAYS = 60


@dataclass(frozen=True, kw_only=True)
class Change:
    """What another definition would do, or did, on one and the same day's data."""

    gained: int
    lost: int
    gained_keys: tuple[str, ...] = ()
    lost_keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a run made of an audience, in people."""

    as_of: date
    sizes: Sizes
    held_out: int
    entered: int | None
    """Since the run before; None on the first day, which is the baseline."""
    left: int | None
    change: Change | None
    """By the definition alone; None where it is the one of the run before."""
    overlaps: Mapping[str, int]
    """Other audience → members of both."""
    history: tuple[tuple[date, int], ...]
    """Day and size, oldest first."""
    compile_seconds: float
    """What it took to write the select."""


def take_over(
    session: Session,
    dialect: Dialect,
    definition: Definition,
    catalogue: Catalogue,
    *,
    as_of: date,
    before: Definition | None = None,
    clock: Callable[[], float] = monotonic,
) -> Taken:
    """Compute an audience as of a day and keep it; `before` is the definition of the newest run, if it was another.

    Raises CdpError where a later day stands already, or an audience that it asks for was not computed for this day.
    """
    create_tables(session)
    _require_order(session, definition.name, as_of)
    require_asked(session, definition, as_of)
    began = clock()
    compiled = compile_audience(definition, catalogue, as_of=as_of)
    compile_seconds = clock() - began
    session.execute(f"create or replace temporary table judged as {compiled.sql}", compiled.parameters)
    change = None
    if before is not None:
        old = compile_audience(before, catalogue, as_of=as_of)
        change = _changes(session, old, "judged", {}, examples=0)
    sizes = measure_rows(session, compiled.steps, "judged")
    create_members_view(session, dialect, definition.name)
    with session.transaction():
        _keep(session, dialect, definition, compiled, as_of, sizes)
    return replace(_taken(session, definition.name, as_of, sizes, change), compile_seconds=compile_seconds)


def require_asked(session: Session, definition: Definition, as_of: date) -> None:
    """Raise CdpError unless every audience that a definition asks for was computed for this day.

    One that was not looks like one without members, and `not` of it like everybody.
    """
    for asked in audiences_of(definition):
        newest = _newest_day(session, asked)
        if newest != as_of:
            raise CdpError(
                f"the audience {definition.name} asks for {asked}, which stands as of {newest or 'no day'}"
                f" and not as of {as_of}.",
                remedy=f"Materialize audiences/{asked} first.",
            )


def stored_definition(session: Session, audience: str) -> tuple[str, str] | None:
    """The version and the document that the newest run has taken over; None where there was none."""
    if not session.columns(SIZES):
        return None
    rows = session.rows(
        f"select definition_version, definition from {SIZES} where audience = $audience order by as_of_on desc limit 1",
        {"audience": audience},
    )
    return (rows[0]["definition_version"], rows[0]["definition"]) if rows else None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the newest run of an audience left, in people."""

    as_of: date
    version: str
    members: int
    held_out: int


def standings(session: Session) -> dict[str, Standing]:
    """The newest run of every audience, by name."""
    if not session.columns(SIZES):
        return {}
    rows = session.rows(
        f"""
        select audience, as_of_on, definition_version, member_count, held_out_count
        from {SIZES}
        qualify row_number() over (partition by audience order by as_of_on desc) = 1
        """
    )
    return {
        row["audience"]: Standing(
            as_of=row["as_of_on"],
            version=row["definition_version"],
            members=row["member_count"],
            held_out=row["held_out_count"],
        )
        for row in rows
    }


def compare(session: Session, new: Compiled, old: Compiled, *, examples: int) -> Change:
    """Compare two definitions on the same data; `old` is compiled `after` the values of `new`."""
    return _changes(session, old, f"({new.sql})", new.parameters, examples=examples)


def _changes(session: Session, old: Compiled, rows: str, parameters: Mapping[str, object], *, examples: int) -> Change:
    both = f"""
        select coalesce(present.person_id, former.person_id) as person_id,
            coalesce(present.is_member, false) as is_now, coalesce(former.is_member, false) as was_before
        from {rows} as present full join ({old.sql}) as former on present.person_id = former.person_id
    """
    bound = {**parameters, **old.parameters}
    gained, lost = "is_now and not was_before", "was_before and not is_now"
    [row] = session.rows(
        f"select count(case when {gained} then 1 end) as gained, count(case when {lost} then 1 end) as lost"
        f" from ({both}) as compared",
        bound,
    )

    def keys(condition: str) -> tuple[str, ...]:
        sql = f"select person_id from ({both}) as compared where {condition} order by person_id limit {int(examples)}"
        return tuple(one["person_id"] for one in session.rows(sql, bound)) if examples else ()

    return Change(gained=row["gained"], lost=row["lost"], gained_keys=keys(gained), lost_keys=keys(lost))


def _require_order(session: Session, audience: str, as_of: date) -> None:
    newest = _newest_day(session, audience)
    if newest is not None and newest > as_of:
        raise CdpError(
            f"the audience {audience} stands as of {newest} already; its history is not written anew as of {as_of}.",
            remedy="Set the loop's clock to that day or later.",
        )


def _newest_day(session: Session, audience: str) -> date | None:
    if not session.columns(SIZES):
        return None
    [row] = session.rows(
        f"select max(as_of_on) as as_of_on from {SIZES} where audience = $audience",
        {"audience": audience},
    )
    day: date | None = row["as_of_on"]
    return day


def _keep(
    session: Session, dialect: Dialect, definition: Definition, compiled: Compiled, as_of: date, sizes: Sizes
) -> None:
    """Undo what an earlier run of this day wrote, then write who entered and who left since the day before it."""
    bound = {"audience": definition.name, "day": as_of}
    # All that makes a relation comes before the first row is written: some warehouses commit when one is made.
    create_moved(session, definition, compiled, as_of)
    session.execute(f"delete from {HISTORY} where audience = $audience and entered_on = $day", bound)
    session.execute(
        f"""
        update {HISTORY}
        set left_on = null, left_version = null, left_reason = null, left_condition = null, left_value = null
        where audience = $audience and left_on = $day
        """,
        bound,
    )
    session.execute(f"delete from {SIZES} where audience = $audience and as_of_on = $day", bound)
    _write_changes(session, {**bound, "version": definition.version})
    keep_conditions(session, definition, compiled, as_of)
    _assign(session, dialect, definition, as_of)
    _write_sizes(session, definition, compiled, as_of, sizes)


def _write_changes(session: Session, bound: Mapping[str, object]) -> None:
    session.execute(
        f"""
        update {HISTORY} set left_on = $day, left_version = $version, left_reason = moved.reason,
            left_condition = moved.condition_number, left_value = moved.value
        from moved
        where audience = $audience and left_on is null
            and {HISTORY}.person_id = moved.person_id and moved.change = 'left'
        """,
        bound,
    )
    session.execute(
        f"""
        insert into {HISTORY} (
            audience, person_id, entered_on, entered_version, entered_reason, entered_condition, entered_value
        )
        select $audience, person_id, $day, $version, reason, condition_number, value
        from moved where change = 'entered'
        """,
        bound,
    )


def _assign(session: Session, dialect: Dialect, definition: Definition, as_of: date) -> None:
    """Log an arm for each member without one. Whoever has one keeps it, whatever the share becomes."""
    table = ASSIGNMENTS
    if definition.holdout_share is None:
        sql = f"update {table} set ended_on = $day where audience = $audience and ended_on is null"
        session.execute(sql, {"audience": definition.name, "day": as_of})
        return
    # The first 32 bits as eight hexadecimal digits: compared as text, they are the same on every warehouse.
    bucket = "SUBSTRING(MD5(concat($audience, ':', person_id)), 1, 8)"
    session.execute(
        f"""
        insert into {table}
        select $audience, person_id, case when {bucket} < $threshold then 'held_out' else 'reached' end,
            $share, $day, null
        from judged
        where is_member and person_id not in (
            select person_id from {table} where audience = $audience and ended_on is null
        )
        """,
        {
            "audience": definition.name,
            "threshold": f"{int(definition.holdout_share * 2**32):08x}",
            "share": Decimal(str(definition.holdout_share)),
            "day": as_of,
        },
    )


def _write_sizes(session: Session, definition: Definition, compiled: Compiled, as_of: date, sizes: Sizes) -> None:
    session.execute(
        f"""
        insert into {SIZES} (
            audience, as_of_on, definition_version, definition, people_count, member_count, held_out_count,
            entered_count, left_count, words, is_expected
        )
        select $audience, $day, $version, $definition, $people, $members,
            (select count(*) from {MEMBERS} where audience = $audience and is_held_out),
            case when earlier.day_count > 0
                then (select count(*) from {HISTORY} where audience = $audience and entered_on = $day) end,
            case when earlier.day_count > 0
                then (select count(*) from {HISTORY} where audience = $audience and left_on = $day) end,
            $words, $is_expected
        from (select count(*) as day_count from {SIZES} where audience = $audience) as earlier
        """,
        {
            "audience": definition.name,
            "day": as_of,
            "version": definition.version,
            "definition": definition.document,
            "people": sizes.people,
            "members": sizes.members,
            "words": json.dumps(words_of(definition, compiled), ensure_ascii=False),
            "is_expected": definition.size.holds(sizes.members),
        },
    )


def _taken(session: Session, audience: str, as_of: date, sizes: Sizes, change: Change | None) -> Taken:
    days = session.rows(
        "select as_of_on, member_count, held_out_count, entered_count, left_count"
        f" from {SIZES} where audience = $audience order by as_of_on desc limit {_SHOWN_DAYS}",
        {"audience": audience},
    )
    overlaps = session.rows(
        f"""
        select other.audience, count(*) as both_count
        from {MEMBERS} as mine
        inner join {MEMBERS} as other on mine.person_id = other.person_id
        where mine.audience = $audience and other.audience <> $audience
        group by other.audience order by other.audience
        """,
        {"audience": audience},
    )
    return Taken(
        as_of=as_of,
        sizes=sizes,
        held_out=days[0]["held_out_count"],
        entered=days[0]["entered_count"],
        left=days[0]["left_count"],
        change=change,
        overlaps={row["audience"]: row["both_count"] for row in overlaps},
        history=tuple((row["as_of_on"], row["member_count"]) for row in reversed(days)),
        compile_seconds=0.0,
    )
