"""Why somebody entered or left: the first condition that has turned since the run before, consents before the others.

A condition has turned where the newest run judged it otherwise than the one before, in the direction that makes a
member or ends it: below a `not` it is the other direction. Both runs' judgements are kept in `audience_conditions`.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, Final

from cdp_platform.audiences.compile import Compiled
from cdp_platform.audiences.definition import (
    All,
    AnyOf,
    ConsentCondition,
    Definition,
    EventCondition,
    Leaf,
    MembershipCondition,
    Not,
    SequenceCondition,
    Step,
    TraitCondition,
)
from cdp_platform.audiences.tables import CONDITIONS, HISTORY, SIZES
from cdp_platform.audiences.words import (
    comparison_words,
    condition_words,
    consent_parameters,
    occurrence_words,
    rule_words,
    sequence_words,
    times_words,
)
from cdp_platform.domain.permission import Permission
from cdp_platform.texts.catalogue import LANGUAGES, has_text, text
from cdp_platform.warehouse.base import Session

_VALUE: Final = "{value}"


class ChangeReason(StrEnum):
    """Why a membership began or ended."""

    CONDITION = "condition"
    """One of the conditions has turned."""
    NEW_PERSON = "new_person"
    """The run before did not know the person."""
    GONE = "gone"
    """There is no such person any more."""
    RANK = "rank"
    """The rule holds as before; among the first that are taken the person is now, or is no longer."""
    DEFINITION = "definition"
    """The definition is another than the one of the run before."""


def create_moved(session: Session, definition: Definition, compiled: Compiled, as_of: date) -> None:
    """Make the temporary table `moved` of who enters and leaves, from `judged` and who was a member before this day.

    Columns: person_id, change (entered, left), reason (null on the first day), condition_number and value (both null
    where no condition is the reason).
    """
    before = _run_before(session, definition.name, as_of)
    asked = {
        "audience": definition.name,
        "day": as_of,
        "before": before[0] if before else None,
        "is_first": before is None,
        "is_redefined": before is not None and before[1] != definition.version,
    }
    turned = {change: _turned(compiled.steps, change) for change in ("entered", "left")}
    place = f"case when judged.is_member then {turned['entered']} else {turned['left']} end"
    shown = " ".join(f"when {number} then cast(judged.value_{number} as varchar)" for number in _shown_places(compiled))
    session.execute(
        f"""
        create or replace temporary table moved as
        with standing as (
            select person_id from {HISTORY}
            where audience = $audience and entered_on <> $day and (left_on is null or left_on = $day)
        ),
        former as (select person_id, conditions from {CONDITIONS} where audience = $audience and as_of_on = $before),
        compared as (
            select coalesce(judged.person_id, standing.person_id) as person_id,
                case when judged.is_member then 'entered' else 'left' end as change,
                {place} as turned,
                judged.person_id is null as is_gone,
                former.person_id is null as is_new
            from judged
            full join standing on judged.person_id = standing.person_id
            left join former on judged.person_id = former.person_id
            where coalesce(judged.is_member, false) <> (standing.person_id is not null)
        ),
        told as (
            select person_id, change, turned,
                case when $is_first then null when $is_redefined then 'definition' when is_gone then 'gone'
                    when is_new then 'new_person' when turned is null then 'rank' else 'condition' end as reason
            from compared
        )
        select told.person_id, told.change, told.reason,
            case when told.reason = 'condition' then told.turned end as condition_number,
            {f"case when told.reason = 'condition' then case told.turned {shown} end end" if shown else "null"} as value
        from told left join judged on told.person_id = judged.person_id
        """,
        asked,
    )


def keep_conditions(session: Session, definition: Definition, compiled: Compiled, as_of: date) -> None:
    """Keep the judgements of this day and of the run before it, for the reasons of the next."""
    flags = ", ".join(f"case when condition_{step.number} then '1' else '0' end" for step in compiled.steps)
    before = _run_before(session, definition.name, as_of)
    session.execute(
        f"delete from {CONDITIONS} where audience = $audience and (as_of_on >= $day or as_of_on < $before)",
        {"audience": definition.name, "day": as_of, "before": before[0] if before else as_of},
    )
    session.execute(
        f"insert into {CONDITIONS} select $audience, person_id, $day, $version, concat({flags}) from judged",
        {"audience": definition.name, "day": as_of, "version": definition.version},
    )


def words_of(definition: Definition, compiled: Compiled) -> dict[str, Any]:
    """The definition as reports tell it, by language: `title`, `rule`, and for each condition, by its place, what is
    said where it is the reason for having `entered` or `left`; `{value}` in it stands for the person's value.
    `values` are sentences that go by the value, before the others.
    """
    return {
        language: {
            "title": definition.label(language),
            "rule": rule_words(definition, language),
            "conditions": {
                str(step.number): _leaf_words(leaf, is_turned_around, language)
                for step, leaf, is_turned_around in _leaves(compiled.steps)
            },
        }
        for language in LANGUAGES
    }


def _run_before(session: Session, audience: str, as_of: date) -> tuple[date, str] | None:
    """Day and version of the newest run of an earlier day."""
    rows = session.rows(
        f"select as_of_on, definition_version from {SIZES} where audience = $audience and as_of_on < $day"
        " order by as_of_on desc limit 1",
        {"audience": audience, "day": as_of},
    )
    return (rows[0]["as_of_on"], rows[0]["definition_version"]) if rows else None


def _turned(steps: tuple[Step, ...], change: str) -> str:
    """SQL of the place of the first condition that has turned towards a change; null where none has."""
    whens = []
    for step, _, is_turned_around in sorted(
        _leaves(steps), key=lambda leaf: (not isinstance(leaf[1], ConsentCondition), leaf[0].number)
    ):
        is_now = (change == "entered") is not is_turned_around
        flag = f"judged.condition_{step.number}"
        was = f"substr(former.conditions, {step.number + 1}, 1) = '{0 if is_now else 1}'"
        whens.append(f"when {flag if is_now else f'not {flag}'} and {was} then {step.number}")
    return f"case {' '.join(whens)} end"


def _leaves(steps: tuple[Step, ...]) -> Iterator[tuple[Step, Leaf, bool]]:
    """The leaves with whether an odd number of `not` stands above them."""
    turned: dict[int, bool] = {0: False}
    for step in steps:
        for child in step.children:
            turned[child] = turned[step.number] is not isinstance(step.condition, Not)
        if not isinstance(step.condition, All | AnyOf | Not):
            yield step, step.condition, turned[step.number]


def _shown_places(compiled: Compiled) -> Iterator[int]:
    """The places of conditions whose value may be told."""
    for step, leaf, _ in _leaves(compiled.steps):
        if step.number in compiled.valued and not (isinstance(leaf, TraitCondition) and leaf.trait.is_personal):
            yield step.number


def _leaf_words(leaf: Leaf, is_turned_around: bool, language: str) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        change: _changed_words(leaf, change, (change == "entered") is not is_turned_around, language)
        for change in ("entered", "left")
    }
    if isinstance(leaf, ConsentCondition):
        given = consent_parameters(leaf, language)
        told["values"] = {str(one): text(f"audience.reason.{one}", language, **given) for one in Permission}
    return told


def _changed_words(leaf: Leaf, change: str, holds: bool, language: str) -> str:
    match leaf:
        case TraitCondition():
            own = f"audience.change.{leaf.trait.name}.{leaf.comparison.operator}.{change}"
            if has_text(own) and not leaf.trait.is_personal:
                return text(own, language, value=_VALUE)
            if leaf.trait.is_personal:
                code = "audience.change.begins" if holds else "audience.change.ends"
                return text(code, language, rule=condition_words(leaf, language))
            asked = comparison_words(leaf.comparison, language)
            return text("audience.reason.value", language, what=leaf.trait.label(language), value=_VALUE, asked=asked)
        case EventCondition():
            what = occurrence_words(leaf.occurrence, language)
            return text("audience.reason.value", language, what=what, value=_VALUE, asked=times_words(leaf, language))
        case SequenceCondition():
            code = "audience.reason.sequence" if holds else "audience.reason.no_sequence"
            return text(code, language, sequence=sequence_words(leaf, language))
        case MembershipCondition():
            code = "audience.reason.member" if holds else "audience.reason.no_member"
            return text(code, language, audience=leaf.audience)
        case ConsentCondition():
            return condition_words(leaf, language)
