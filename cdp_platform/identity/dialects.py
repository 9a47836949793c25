"""The words of DuckDB in which identity says what no standard has; each warehouse's adapter translates them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a literal, a regular expression, a hash and a sorted list are said.

    Templates take `{text}`, `{pattern}`, `{new}` as SQL. Patterns keep to what RE2 and POSIX share: classes, groups,
    repetition, alternatives and anchors; a pattern is matched as a whole, so it begins with `^` and ends with `$`.
    """

    replaced: str
    matched: str
    hashed: str
    """64 bits that do not change between versions of the warehouse."""
    digest: str
    """MD5 as hexadecimal text."""
    composed: str
    """Unicode NFC."""
    moment: str
    """The type of a point in time."""
    sorted_words: str
    positions: str
    """A relation `positions (position)` of whole numbers from 0; takes `{values}`."""

    def literal(self, text: str) -> str:
        """Write text as a literal."""
        return "'" + text.replace("'", "''") + "'"

    def replace(self, text: str, pattern: str, new: str) -> str:
        """Replace every match of a pattern; `\\1` in `new` is its first group."""
        return self.replaced.format(text=text, pattern=self.literal(pattern), new=self.literal(new))

    def matches(self, text: str, pattern: str) -> str:
        """Say whether the whole text matches."""
        return self.matched.format(text=text, pattern=self.literal(pattern))

    def hash(self, text: str) -> str:
        """Hash text to 64 bits."""
        return self.hashed.format(text=text)

    def at(self, moment: datetime) -> str:
        """Write a point in time."""
        return f"cast('{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00' as {self.moment})"

    def positions_to(self, last: int) -> str:
        """A relation `positions (position)` from 0 to `last`."""
        return self.positions.format(values=", ".join(f"({position})" for position in range(last + 1)))


DUCKDB: Final = Dialect(
    replaced="regexp_replace({text}, {pattern}, {new}, 'g')",
    matched="regexp_matches({text}, {pattern})",
    hashed="md5_number_lower({text})",
    digest="md5({text})",
    composed="nfc_normalize({text})",
    moment="timestamptz",
    sorted_words="array_to_string(list_sort(string_split({text}, ' ')), ' ')",
    positions="(values {values}) as positions (position)",
)
