"""The CSV of bulk jobs, read as strictly as the vendor's pages say, and written for the lists of results.

Read from developer.salesforce.com api_asynch datafiles_prepare_csv and datafiles_csv_rel_field_header_row (2026-11-22).
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cdp_platform.sandbox.salesforce.objects import OBJECTS, SObject
from cdp_platform.sandbox.salesforce.writes import Trouble

DELIMITERS: Final = {"COMMA": ",", "SEMICOLON": ";", "TAB": "\t", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
_ENDINGS: Final = {"LF": "\n", "CRLF": "\r\n"}
_CLEARED: Final = "#N/A"
_LONGEST_CELL: Final = 32_000
_LONGEST_LINE: Final = 400_000
csv.field_size_limit(10_000_000)


class BadFile(Exception):
    """The whole file is refused, and with it the job."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file that was read."""

    header: Sequence[str]
    lines: Sequence[Sequence[str]]

    def require_fields(self, kind: SObject) -> None:
        """Raise BadFile for a column that is no field of the object, nor `Relationship.Field` of a parent."""
        for name in self.header:
            relationship, dot, inner = name.partition(".")
            lookup = kind.relationship(relationship) if dot else None
            is_known = inner in OBJECTS[lookup.parent].fields if lookup else not dot and name in kind.fields
            if not is_known:
                raise BadFile(f"InvalidBatch : Field name not found : {name}")

    def row(self, cells: Sequence[str]) -> dict[str, Any] | Trouble:
        """Return a line's values by field: an empty cell is left out, #N/A is no value."""
        if len(cells) != len(self.header):
            return Trouble(code="INVALID_BATCH", message="The number of cells is not that of the columns")
        if sum(map(len, cells)) > _LONGEST_LINE or max(map(len, cells), default=0) > _LONGEST_CELL:
            return Trouble(code="STRING_TOO_LONG", message="The line or a cell of it is too long")
        values = dict[str, Any]()
        for name, cell in zip(self.header, cells, strict=True):
            relationship, dot, inner = name.partition(".")
            if cell and dot:
                values[relationship] = None if cell == _CLEARED else {inner: cell}
            elif cell:
                values[name] = None if cell == _CLEARED else cell
        return values


def read_table(content: bytes, details: Mapping[str, str]) -> Table:
    """Read a job's data; raise BadFile for what is not UTF-8, has no header, another line ending or a stray quote."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile("InvalidBatch : the data is not UTF-8") from None
    first_line = text.split("\n", 1)[0]
    if details["lineEnding"] == "LF" and first_line.endswith("\r"):
        raise BadFile("ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF")
    if details["lineEnding"] == "CRLF" and "\n" in text and not first_line.endswith("\r"):
        raise BadFile("ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[details["columnDelimiter"]], strict=True)
    try:
        header = next(reader, [])
        lines = [cells for cells in reader if cells]
    except csv.Error as error:
        raise BadFile(f"InvalidBatch : {error}") from None
    if not header or len(set(header)) < len(header) or not all(header):
        raise BadFile("InvalidBatch : the first line has to name each field once")
    return Table(header=header, lines=lines)


def write_table(header: Sequence[str], lines: Iterable[Sequence[str]], details: Mapping[str, str]) -> str:
    """Write a list of results."""
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=DELIMITERS[details["columnDelimiter"]],
        lineterminator=_ENDINGS[details["lineEnding"]],
        quoting=csv.QUOTE_ALL,
    )
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()
