"""Files of sources that lie under the home: the rows of one person are taken out of them.

Columns are known by their names, from the person keys of the raw tables that are read from such files. Formats: JSON
lines, CSV with a header, SQLite, and Parquet with a column `record_id` and, where there is one, whose record it is.
"""

import csv
import io
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_platform.erasure.holdings import PersonKey
from cdp_platform.erasure.identifiers import Closure, normalised

_RECORD_ID = "record_id"
RowTest = Callable[[Mapping[str, Any]], bool]


def erase_from_files(folder: Path, person_keys: Iterable[PersonKey], closure: Closure) -> int:
    """Take the person's rows out of every file in a folder; returns how many they were. Raises OSError."""
    columns: dict[str, set[str]] = {_RECORD_ID: set(closure.values)}
    for person_key in person_keys:
        for column, kind in person_key.items():
            columns.setdefault(column, set()).add(kind)

    def is_of_person(row: Mapping[str, Any]) -> bool:
        return any(
            normalised(kind, str(row[column])) in closure.values.get(kind, ())
            for column, kinds in columns.items()
            if row.get(column) is not None
            for kind in kinds
        )

    ways = {".jsonl": _erase_lines, ".csv": _erase_csv, ".sqlite": _erase_sqlite, ".parquet": _erase_parquet}
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []
    return sum(ways[path.suffix](path, is_of_person) for path in files if path.suffix in ways)


def _erase_lines(path: Path, is_of_person: RowTest) -> int:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not is_of_person(_object(line))]
    if len(kept) < len(lines):
        _replace(path, "".join(kept).encode())
    return len(lines) - len(kept)


def _erase_csv(path: Path, is_of_person: RowTest) -> int:
    reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
    rows = list(reader)
    kept = [row for row in rows if not is_of_person(row)]
    if len(kept) < len(rows):
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, reader.fieldnames or (), lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
        _replace(path, written.getvalue().encode())
    return len(rows) - len(kept)


def _erase_sqlite(path: Path, is_of_person: RowTest) -> int:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [row["name"] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        gone = 0
        for table in tables:
            name = '"' + table.replace('"', '""') + '"'
            rows = connection.execute(f"select rowid as number_of_row, * from {name}").fetchall()
            wanted = [(row["number_of_row"],) for row in rows if is_of_person(dict(row))]
            connection.executemany(f"delete from {name} where rowid = ?", wanted)
            gone += len(wanted)
        if gone:
            connection.execute("vacuum")
    return gone


def _erase_parquet(path: Path, is_of_person: RowTest) -> int:
    table = pq.read_table(path)
    if _RECORD_ID not in table.column_names:
        return 0
    found = [is_of_person({_RECORD_ID: value}) for value in table[_RECORD_ID].to_pylist()]
    # A file of the truth knows of records that nobody could have linked.
    people = table["person_id"].to_pylist() if "person_id" in table.column_names else [None] * table.num_rows
    whose = {person for person, is_found in zip(people, found, strict=True) if is_found and person is not None}
    kept = [not is_found and person not in whose for person, is_found in zip(people, found, strict=True)]
    if all(kept):
        return 0
    draft = path.with_name(f"{path.name}-{os.getpid()}")
    pq.write_table(table.filter(pa.array(kept, pa.bool_())), draft)
    draft.replace(path)
    return kept.count(False)


def _object(line: str) -> Mapping[str, Any]:
    """A line that cannot be read is of nobody: the load tells of it."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}-{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
