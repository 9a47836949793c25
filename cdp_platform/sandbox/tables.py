"""Pieces of a vendor's page: cards, panels, tables, and a line that shows how a size changed."""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 160, 28


def cards(facts: Sequence[tuple[str, str]]) -> str:
    """Return labels with their values, side by side."""
    shown = (f'<div class="card"><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>' for label, value in facts)
    return f'<dl class="cards">{"".join(shown)}</dl>'


def panel(title: str, body: str) -> str:
    """Return a body, which is HTML already, under a heading."""
    return f'<section class="panel"><h2>{escape(title)}</h2>{body}</section>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str, numbers: Sequence[int] = ()) -> str:
    """Return a table; its cells are HTML already. `numbers` are the places of columns to be set to the right."""
    if not rows:
        return f'<p class="empty">{escape(empty)}</p>'
    head = "".join(f"<th{_side(place, numbers)}>{escape(name)}</th>" for place, name in enumerate(heads))
    body = "".join(
        f"<tr>{''.join(f'<td{_side(place, numbers)}>{cell}</td>' for place, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def size_line(sizes: Sequence[int]) -> str:
    """Return a small drawing of sizes in the order of time, between the least and the most of them.

    From 0 up, a large audience would look as if nothing ever happened to it. Its text tells the first and the last.
    """
    if not sizes:
        return "–"
    least, span, steps = min(sizes), max(max(sizes) - min(sizes), 1), max(len(sizes) - 1, 1)
    points = " ".join(
        f"{place * _WIDTH / steps:.1f},{_HEIGHT - 2 - (size - least) * (_HEIGHT - 4) / span:.1f}"
        for place, size in enumerate([*sizes, sizes[-1]] if len(sizes) == 1 else sizes)
    )
    label = f"{sizes[0]:,} → {sizes[-1]:,}"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f'<title>{label}</title><polyline points="{points}" fill="none" stroke="currentColor" stroke-width="2"/></svg>'
        f' <span class="soft">{label}</span>'
    )


def _side(place: int, numbers: Sequence[int]) -> str:
    return ' class="number"' if place in numbers else ""
