"""Why an audience is as small as it is: how many people meet each condition, alone, step by step, and all but it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from cdp_platform.audiences.compile import Compiled
from cdp_platform.audiences.definition import All, ConsentCondition, Step
from cdp_platform.domain.permission import ENDED, NOT_FOUND
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.literals import literal

_LEFT_OUT = (*NOT_FOUND, *ENDED)


@dataclass(frozen=True, kw_only=True)
class ConditionSize:
    """People who meet one condition. The last two are told of the parts of an outermost `all` only, else None."""

    step: Step
    met: int
    still: int | None = None
    """Who meet it and every part before it."""
    without: int | None = None
    """Who would be left if this part were dropped."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Of a consent: who do not meet it, by the reason that a permission has; reasons that nobody has are absent."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """An audience's size and the sizes of its conditions, in people."""

    people: int
    members: int
    conditions: tuple[ConditionSize, ...]


def measure(session: Session, compiled: Compiled) -> Sizes:
    """Measure a definition without taking it over."""
    return measure_rows(session, compiled.steps, f"({compiled.sql}) as judged", compiled.parameters)


def measure_rows(
    session: Session, steps: Sequence[Step], rows: str, parameters: Mapping[str, object] | None = None
) -> Sizes:
    """Measure what a select of `compile_audience`, or a table made of it, says of everybody."""
    parts = _parts(steps)
    asked = {"people": "count(*)", "members": _count(["is_member"])}
    for step in steps:
        asked[f"met_{step.number}"] = _count([_flag(step.number)])
    for place, number in enumerate(parts):
        asked[f"still_{number}"] = _count([_flag(part) for part in parts[: place + 1]])
        asked[f"without_{number}"] = _count([_flag(part) for part in parts if part != number])
    for step in steps:
        asked |= _reasons(step)
    columns = ", ".join(f"{expression} as {name}" for name, expression in asked.items())
    [row] = session.rows(f"select {columns} from {rows}", parameters or {})
    sizes = tuple(
        ConditionSize(
            step=step,
            met=row[f"met_{step.number}"],
            still=row.get(f"still_{step.number}"),
            without=row.get(f"without_{step.number}"),
            left_out={str(reason): row[name] for reason in _LEFT_OUT if row.get(name := f"{reason}_{step.number}")},
        )
        for step in steps
    )
    return Sizes(people=row["people"], members=row["members"], conditions=sizes)


def sparkline(sizes: Sequence[tuple[date, int]]) -> str:
    """Draw sizes over time with eight heights, the smallest of them the lowest."""
    counts = [count for _, count in sizes]
    low, high = min(counts, default=0), max(counts, default=0)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(bars[(count - low) * (len(bars) - 1) // max(high - low, 1)] for count in counts)


def _parts(steps: Sequence[Step]) -> tuple[int, ...]:
    return steps[0].children if isinstance(steps[0].condition, All) else ()


def _reasons(step: Step) -> dict[str, str]:
    """SQL that counts those whom a consent leaves out, by the name of its column."""
    if not isinstance(step.condition, ConsentCondition):
        return {}
    value = f"value_{step.number}"
    return {
        f"{reason}_{step.number}": f"count(case when {value} = {literal(reason)} then 1 end)" for reason in _LEFT_OUT
    }


def _flag(number: int) -> str:
    return f"condition_{number}"


def _count(flags: Sequence[str]) -> str:
    return f"count(case when {' and '.join(flags)} then 1 end)" if flags else "count(*)"
