"""Read declared files, JSON Lines or CSV: on this machine or at any URL that dlt's filesystem source can open."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final, NoReturn

from dlt.common.storages.fsspec_filesystem import FileItemDict
from dlt.sources.filesystem import filesystem

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import SourceUnreadable
from cdp_platform.ingest.declared import DAY_PLACE, DeclaredTable, RawRow, Reading, read_rows

_GLOB: Final = re.compile(r"[*?\[{]")
_DAY: Final = r"(\d{4}-\d{2}-\d{2})"


def read_files(table: DeclaredTable, days: tuple[date, date] | None = None) -> Reading:
    """Read the files of `days`, both inclusive, or all of them; columns as in `table.schema`, files by name.

    Where the location holds {day}, each day of the range must have its file: an empty file is an empty day, a missing
    one is a delivery that did not come. Raises SourceUnreadable for that, for no file at all, a column that a CSV
    file lacks, and too many rows that cannot be read.
    """
    return read_rows(table, _rows(table, _found(table, days)), days)


def _found(table: DeclaredTable, days: tuple[date, date] | None) -> list[tuple[FileItemDict, date | None]]:
    folder, pattern = _split(table.location)
    if DAY_PLACE not in table.location:
        files = _listed(table, folder, pattern)
        if not files:
            raise SourceUnreadable(
                f"{table.source}/{table.name}: there is no file {table.location}.",
                remedy="Deliver it, or correct the path in the YAML.",
            )
        return [(file, None) for file in files]
    is_one_day = days is not None and days[0] == days[1]
    searched = pattern.replace(DAY_PLACE, days[0].isoformat() if is_one_day and days else "*")
    dated = re.compile("(?s)" + re.escape(pattern).replace(re.escape(DAY_PLACE), _DAY).replace(r"\*", ".*") + "$")
    by_day = [
        (file, date.fromisoformat(found[1]))
        for file in _listed(table, folder, searched)
        if (found := dated.search(str(file["file_url"])))
    ]
    if days is not None:
        by_day = [(file, day) for file, day in by_day if days[0] <= day <= days[1]]
        _refuse_missing_days(table, {day for _, day in by_day}, days)
    return [(file, day) for file, day in by_day]


def _split(location: str) -> tuple[str, str]:
    """Split into the folder and the pattern of names below it."""
    first = _GLOB.search(location)
    end = location.rfind("/", 0, first.start() if first else len(location))
    return location[:end] or "/", location[end + 1 :]


def _listed(table: DeclaredTable, folder: str, pattern: str) -> list[FileItemDict]:
    try:
        found: list[FileItemDict] = list(filesystem(bucket_url=folder, file_glob=pattern))
    except Exception as error:  # noqa: BLE001 - each store has errors of its own, and all mean the same here
        _refuse(table, folder, error)
    return sorted(found, key=lambda file: str(file["file_url"]))


def _refuse(table: DeclaredTable, place: str, error: Exception) -> NoReturn:
    raise SourceUnreadable(
        f"{table.source}/{table.name}: {place} cannot be read: {type(error).__name__}.",
        remedy="See that it is there and that this process may read it.",
    ) from None


def _refuse_missing_days(table: DeclaredTable, there: set[date], days: tuple[date, date]) -> None:
    asked = (days[0] + timedelta(days=offset) for offset in range((days[1] - days[0]).days + 1))
    missing = [day for day in asked if day not in there]
    if missing:
        first = table.location.replace(DAY_PLACE, missing[0].isoformat())
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SourceUnreadable(
            f"{table.source}/{table.name}: there is no file {first}{more}.",
            remedy="Deliver it; a day on which nothing happened has an empty file.",
        )


def _rows(table: DeclaredTable, files: Iterable[tuple[FileItemDict, date | None]]) -> Iterator[RawRow]:
    read = _json_lines if table.format == "jsonl" else _csv_lines
    for file, day in files:
        try:
            opened = file.open("rb")
        except Exception as error:  # noqa: BLE001 - as above
            _refuse(table, str(file["file_name"]), error)
        # Bytes that are no UTF-8 become half surrogates here and are complained about in their column.
        with opened, io.TextIOWrapper(opened, "utf-8-sig", errors="surrogateescape", newline="") as text:
            for place, values, trouble in read(table, str(file["file_name"]), text):
                yield RawRow(place=place, values=values, trouble=trouble, file_day=day)


_Line = tuple[str, Mapping[str, Any], str]


def _json_lines(table: DeclaredTable, name: str, text: Iterable[str]) -> Iterator[_Line]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        place = f"{name} line {number}"
        try:
            row = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError):
            yield place, {}, "is no JSON"
            continue
        yield (place, row, "") if isinstance(row, dict) else (place, {}, "is no JSON object")


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _csv_lines(table: DeclaredTable, name: str, text: Iterable[str]) -> Iterator[_Line]:
    reader = csv.reader(text, strict=True)
    header = next(reader, None)
    if header is None:
        raise SourceUnreadable(
            f"{table.source}/{table.name}: {name} has no line with the names of its columns.",
            remedy="Deliver it with a header.",
        )
    _refuse_missing_columns(table, name, header)
    while True:
        number = reader.line_num + 1
        place = f"{name} line {number}"
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield place, {}, f"is no CSV ({error})"
            continue
        if not fields:
            continue
        if len(fields) != len(header):
            yield place, {}, f"has {len(fields)} fields instead of {len(header)}"
            continue
        yield place, dict(zip(header, fields, strict=True)), ""


def _refuse_missing_columns(table: DeclaredTable, name: str, there: Iterable[str]) -> None:
    columns = list(there)
    missing = [column for column in table.columns if column not in columns]
    if missing:
        raise SourceUnreadable(
            f"{table.source}/{table.name}: {name} has no column {missing[0]!r}.", remedy=nearest_of(missing[0], columns)
        )
