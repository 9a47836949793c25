"""What Dagster shows of an audience: its size and why, who came and went, a plot over time; never a person."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from cdp_platform.audiences.definition import Definition
from cdp_platform.audiences.membership import Taken
from cdp_platform.audiences.sizes import ConditionSize, sparkline
from cdp_platform.audiences.words import condition_words, ending_words, reason_words
from cdp_platform.components.markdown import table

_LISTED_DAYS = 14
_WIDTH, _HEIGHT, _MARGIN = 640, 160, 24


def audience_metadata(definition: Definition, taken: Taken) -> dict[str, Any]:
    """Describe a run: counts, the funnel of conditions, overlaps, sizes over time, what a changed definition did."""
    return {
        "as_of": taken.as_of.isoformat(),
        "dagster/row_count": taken.sizes.members,
        "people": taken.sizes.people,
        "members": taken.sizes.members,
        "held_out": taken.held_out,
        "entered": "–" if taken.entered is None else taken.entered,
        "left": "–" if taken.left is None else taken.left,
        "definition_version": definition.version,
        "changed_definition": _effect(taken),
        "compile_milliseconds": round(taken.compile_seconds * 1000, 1),
        "conditions": dg.MetadataValue.md(_funnel(definition, taken.sizes.conditions)),
        "overlaps": dg.MetadataValue.md(table(("audience", "members of both"), taken.overlaps.items())),
        "size_over_time": dg.MetadataValue.md(_over_time(taken.history)),
    }


def check_results(key: dg.AssetKey, definition: Definition, taken: Taken) -> list[dg.AssetCheckResult]:
    """Judge the size."""
    members, size = taken.sizes.members, definition.size
    results = [
        dg.AssetCheckResult(
            asset_key=key, check_name="not_empty", passed=members > 0, severity=dg.AssetCheckSeverity.WARN
        )
    ]
    if size.at_least is not None or size.at_most is not None:
        bounds: Mapping[str, Any] = {
            name: bound for name, bound in (("at_least", size.at_least), ("at_most", size.at_most)) if bound is not None
        }
        results.append(
            dg.AssetCheckResult(
                asset_key=key,
                check_name="size_within_bounds",
                passed=size.holds(members),
                metadata={"members": members, **bounds},
            )
        )
    return results


def condition_lines(definition: Definition, language: str, conditions: Sequence[ConditionSize]) -> list[str]:
    """The conditions in words, the parts of each block below it and further in."""
    return ["\u2003" * one.step.depth + condition_words(one.step.condition, language) for one in conditions]


def _funnel(definition: Definition, conditions: Sequence[ConditionSize]) -> str:
    words = condition_lines(definition, "en", conditions)
    rows: list[tuple[str, str, str, str]] = []
    for said, one in zip(words, conditions, strict=True):
        rows.append((said, f"{one.met:,}", _or_dash(one.still), _or_dash(one.without)))
        inset = "\u2003" * (one.step.depth + 1)
        rows += [
            (f"{inset}{reason_words(reason, 'en')}", f"{count:,}", "", "") for reason, count in one.left_out.items()
        ]
    head = ("condition", "meet it", "all so far", "without it")
    return "\n\n".join([table(head, rows), *(f"{said}." for said in ending_words(definition, "en"))])


def _effect(taken: Taken) -> str:
    if taken.change is None:
        return "no"
    return f"yes: {taken.change.gained:,} members gained by it alone, {taken.change.lost:,} lost"


def _over_time(history: Sequence[tuple[date, int]]) -> str:
    newest = history[-_LISTED_DAYS:]
    rows = [(day.isoformat(), f"{count:,}") for day, count in reversed(newest)]
    picture = b64encode(plot(history).encode()).decode()
    image = f"![{sparkline(history)}](data:image/svg+xml;base64,{picture})"
    return f"{image}\n\n{table(('day', 'members'), rows)}"


def plot(history: Sequence[tuple[date, int]]) -> str:
    """Draw sizes over time as an SVG image; its axis begins at 0."""
    highest = max((count for _, count in history), default=0) or 1
    step = (_WIDTH - 2 * _MARGIN) / max(len(history) - 1, 1)
    points = [
        (_MARGIN + step * place, _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * count / highest)
        for place, (_, count) in enumerate(history)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#4f43dd"/>' for x, y in points)
    first, last = (history[0][0], history[-1][0]) if history else ("", "")
    base = _HEIGHT - _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif"'
        ' font-size="11" fill="#555">'
        f'<line x1="{_MARGIN}" y1="{base}" x2="{_WIDTH - _MARGIN}" y2="{base}" stroke="#bbb"/>'
        f'<polyline points="{line}" fill="none" stroke="#4f43dd" stroke-width="2"/>{dots}'
        f'<text x="{_MARGIN}" y="{_MARGIN - 8}">{highest:,}</text>'
        f'<text x="{_MARGIN}" y="{_HEIGHT - 6}">{first}</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 6}" text-anchor="end">{last}</text></svg>'
    )


def _or_dash(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
