"""Why a person is a member, or is not: the conditions that decide it, each with the person's value, in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    Value,
)
from cdp_platform.audiences.words import (
    comparison_words,
    consent_parameters,
    occurrence_words,
    sequence_words,
    times_words,
    value_words,
)
from cdp_platform.privacy.masking import masked
from cdp_platform.texts.catalogue import text
from cdp_platform.warehouse.base import Session


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A condition that decides, whether it holds, and the person's value; None: unknown, or there is none to tell."""

    leaf: Leaf
    number: int
    holds: bool
    value: Value | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What is known of one person and one audience."""

    person_id: str
    is_known: bool
    """Whether there is such a person."""
    is_member: bool
    meets_rule: bool
    """Whether the rule holds; whoever meets it and is no member is not among the first that are taken."""
    is_held_out: bool
    reasons: tuple[Reason, ...]


def explain(session: Session, definition: Definition, compiled: Compiled, person_id: str) -> Explanation:
    """Ask the definition's own select about one person."""
    rows = session.rows(
        f"select * from ({compiled.sql}) as judged where person_id = $person",
        {**compiled.parameters, "person": person_id},
    )
    if not rows:
        return Explanation(
            person_id=person_id, is_known=False, is_member=False, meets_rule=False, is_held_out=False, reasons=()
        )
    [row] = rows
    steps = {step.number: step for step in compiled.steps}
    return Explanation(
        person_id=person_id,
        is_known=True,
        is_member=row["is_member"],
        meets_rule=row["condition_0"],
        is_held_out=row["is_member"] and _is_held_out(session, definition.name, person_id),
        reasons=tuple(_reason(steps[number], row) for number in _deciding(steps, row, 0)),
    )


def sentence(definition: Definition, known: Explanation, language: str, *, is_shown: bool = False) -> str:
    """Tell it in one sentence; personal values are masked unless `is_shown`."""
    name = {"person": known.person_id, "audience": definition.label(language)}
    if not known.is_known:
        return text("audience.explain.no_person", language, **name)
    told = [reason_words(reason, language, is_shown=is_shown) for reason in known.reasons]
    because = text("audience.because", language).join(told)
    if known.is_member:
        code = "audience.explain.held_out" if known.is_held_out else "audience.explain.member"
        return text(code, language, **name, because=because)
    if known.meets_rule and definition.top:
        trait, count = definition.top.by.label(language), definition.top.count
        return text("audience.explain.not_among_first", language, **name, trait=trait, count=count)
    return text("audience.explain.no_member", language, **name, because=because)


def reason_words(reason: Reason, language: str, *, is_shown: bool = False) -> str:
    """Tell one condition with the person's value and what is asked of it."""
    leaf = reason.leaf
    match leaf:
        case TraitCondition():
            value = _shown(reason, language, is_shown=is_shown)
            asked = comparison_words(leaf.comparison, language)
            return text("audience.reason.value", language, what=leaf.trait.label(language), value=value, asked=asked)
        case EventCondition():
            return text(
                "audience.reason.value",
                language,
                what=occurrence_words(leaf.occurrence, language),
                value=value_words(reason.value, language),
                asked=times_words(leaf, language),
            )
        case SequenceCondition():
            code = "audience.reason.sequence" if reason.holds else "audience.reason.no_sequence"
            return text(code, language, sequence=sequence_words(leaf, language))
        case ConsentCondition():
            return text(f"audience.reason.{reason.value}", language, **consent_parameters(leaf, language))
        case MembershipCondition():
            code = "audience.reason.member" if reason.holds else "audience.reason.no_member"
            return text(code, language, audience=leaf.audience)


def _deciding(steps: Mapping[int, Step], row: Mapping[str, Any], number: int) -> list[int]:
    """The leaves that make a condition hold or fail: of an `any` that holds the first that does, of an `all` that
    fails those that fail; otherwise every part."""
    step = steps[number]
    holds = row[f"condition_{number}"]
    match step.condition:
        case AnyOf() if holds:
            parts = tuple(child for child in step.children if row[f"condition_{child}"])[:1]
        case All() if not holds:
            parts = tuple(child for child in step.children if not row[f"condition_{child}"])
        case All() | AnyOf() | Not():
            parts = step.children
        case _:
            return [number]
    return [leaf for part in parts for leaf in _deciding(steps, row, part)]


def _reason(step: Step, row: Mapping[str, Any]) -> Reason:
    assert not isinstance(step.condition, All | AnyOf | Not)  # noqa: S101
    return Reason(
        leaf=step.condition,
        number=step.number,
        holds=row[f"condition_{step.number}"],
        value=row.get(f"value_{step.number}"),
    )


def _shown(reason: Reason, language: str, *, is_shown: bool) -> str:
    leaf = reason.leaf
    if reason.value is None or is_shown or not (isinstance(leaf, TraitCondition) and leaf.trait.is_personal):
        return value_words(reason.value, language)
    return masked(str(reason.value))


def _is_held_out(session: Session, audience: str, person_id: str) -> bool:
    if not session.columns("audiences.audience_members"):
        return False
    sql = "select is_held_out from audiences.audience_members where audience = $audience and person_id = $person"
    return any(row["is_held_out"] for row in session.rows(sql, {"audience": audience, "person": person_id}))
