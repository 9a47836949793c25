"""The words of SQL in which identity differs between warehouses; everything else is written once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one warehouse says a literal, a regular expression, a hash and a sorted list. `name` is sqlglot's, too.

    Templates take `{text}`, `{pattern}`, `{new}` as SQL. Patterns keep to what RE2 and POSIX share: classes, groups,
    repetition, alternatives and anchors; a pattern is matched as a whole, so it begins with `^` and ends with `$`.
    """

    name: str
    escapes: bool
    """Whether a backslash in a literal has to be doubled."""
    replaced: str
    matched: str
    hashed: str
    """64 bits that do not change between versions of the warehouse."""
    digest: str
    """MD5 as hexadecimal text."""
    composed: str
    """Unicode NFC; Snowflake has none, so that a letter with a mark of its own stays as it is there."""
    moment: str
    """The type of a point in time."""
    sorted_words: str
    positions: str
    """A relation `positions (position)` of whole numbers from 0; takes `{values}`."""

    def literal(self, text: str) -> str:
        """Write text as a literal."""
        escaped = text.replace("\\", "\\\\").replace("'", "\\'") if self.escapes else text.replace("'", "''")
        return f"'{escaped}'"

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
        if self.name == "bigquery":
            values = ", ".join(str(position) for position in range(last + 1))
        else:
            values = ", ".join(f"({position})" for position in range(last + 1))
        return self.positions.format(values=values)


DUCKDB: Final = Dialect(
    name="duckdb",
    escapes=False,
    replaced="regexp_replace({text}, {pattern}, {new}, 'g')",
    matched="regexp_matches({text}, {pattern})",
    hashed="md5_number_lower({text})",
    digest="md5({text})",
    composed="nfc_normalize({text})",
    moment="timestamptz",
    sorted_words="array_to_string(list_sort(string_split({text}, ' ')), ' ')",
    positions="(values {values}) as positions (position)",
)
SNOWFLAKE: Final = Dialect(
    name="snowflake",
    escapes=True,
    replaced="regexp_replace({text}, {pattern}, {new})",
    matched="regexp_like({text}, {pattern})",
    hashed="md5_number_lower64({text})",
    digest="md5({text})",
    composed="{text}",
    moment="timestamp_tz",
    sorted_words="array_to_string(array_sort(split({text}, ' ')), ' ')",
    positions="(values {values}) as positions (position)",
)
BIGQUERY: Final = Dialect(
    name="bigquery",
    escapes=True,
    replaced="regexp_replace({text}, {pattern}, {new})",
    matched="regexp_contains({text}, {pattern})",
    hashed="farm_fingerprint({text})",
    digest="to_hex(md5({text}))",
    composed="normalize({text}, NFC)",
    moment="timestamp",
    sorted_words="(select string_agg(word, ' ' order by word) from unnest(split({text}, ' ')) as word)",
    positions="unnest([{values}]) as position",
)
DIALECTS: Final = {dialect.name: dialect for dialect in (DUCKDB, SNOWFLAKE, BIGQUERY)}
