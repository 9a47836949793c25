"""What identity says in words that no standard has: DuckDB's, which each warehouse's adapter translates.

Patterns keep to what RE2 and POSIX share: classes, groups, repetition, alternatives and anchors; a pattern is matched
as a whole, so it begins with `^` and ends with `$`.
"""

from datetime import UTC, datetime
from typing import Final

from cdp_platform.warehouse.literals import literal

MOMENT: Final = "timestamptz"
"""The type of a point in time."""


def replaced(text: str, pattern: str, new: str) -> str:
    """Replace every match of a pattern; `\\1` in `new` is its first group."""
    return f"regexp_replace({text}, {literal(pattern)}, {literal(new)}, 'g')"


def matches(text: str, pattern: str) -> str:
    """Say whether the whole text matches."""
    return f"regexp_matches({text}, {literal(pattern)})"


def hashed(text: str) -> str:
    """Hash text to 64 bits that do not change between versions of the warehouse."""
    return f"md5_number_lower({text})"


def sorted_words(text: str) -> str:
    """Put the words of a text in their order."""
    return f"array_to_string(list_sort(string_split({text}, ' ')), ' ')"


def at(moment: datetime) -> str:
    """Write a point in time."""
    return f"cast('{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00' as {MOMENT})"


def positions_to(last: int) -> str:
    """A relation `positions (position)` of whole numbers from 0 to `last`."""
    values = ", ".join(f"({position})" for position in range(last + 1))
    return f"(values {values}) as positions (position)"
