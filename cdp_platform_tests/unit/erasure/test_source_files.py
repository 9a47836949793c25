"""Rows of one person are taken out of the files of sources, whatever their format; everything else stays as it was."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_platform.erasure.identifiers import Closure
from cdp_platform.erasure.source_files import erase_from_files

KEYS = [
    {"anonymous_id": "anonymous_id", "customer_number": "customer_number"},
    {"ticket_id": "ticket_id", "email": "email", "phone": "phone"},
]
ADA = Closure(
    values={
        "customer_number": frozenset({"7"}),
        "email": frozenset({"ada@example.com"}),
        "phone": frozenset({"125550107"}),
        "anonymous_id": frozenset({"browser-7"}),
    }
)


def test_lines_of_json(tmp_path: Path) -> None:
    rows = [{"anonymous_id": "browser-7"}, {"anonymous_id": "b", "customer_number": 7}, {"anonymous_id": "b-77"}, ["7"]]
    path = tmp_path / "web" / "events.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n", encoding="utf-8")
    assert erase_from_files(tmp_path, KEYS, ADA) == 2
    assert path.read_text(encoding="utf-8") == '{"anonymous_id": "b-77"}\n["7"]\nno json\n'
    assert erase_from_files(tmp_path, KEYS, ADA) == 0


def test_csv_with_quoted_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "cards.csv"
    path.write_text('email,note\nADA@Example.com ,x\nb@example.com,"two\nlines"\n', encoding="utf-8")
    assert erase_from_files(tmp_path, KEYS, ADA) == 1
    assert path.read_text(encoding="utf-8") == 'email,note\nb@example.com,"two\nlines"\n'


def test_sqlite_to_the_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "tickets.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table tickets (ticket_id text primary key, phone text, note text)")
        rows = [("t-1", "(212) 555-0107", "unmistakable"), ("t-2", "+1 212 555 0108", "stays")]
        connection.executemany("insert into tickets values (?, ?, ?)", rows)
    assert erase_from_files(tmp_path, KEYS, ADA) == 1
    assert b"unmistakable" not in path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select ticket_id from tickets").fetchall() == [("t-2",)]


def test_the_truth_with_records_that_nobody_could_have_linked(tmp_path: Path) -> None:
    path = tmp_path / "truth.parquet"
    pq.write_table(pa.table({"record_id": ["7", "77", "browser-7", "card"], "person_id": ["a", "b", None, "a"]}), path)
    pq.write_table(pa.table({"customer_number": [7]}), tmp_path / "other.parquet")
    assert erase_from_files(tmp_path, KEYS, ADA) == 3
    assert pq.read_table(path)["record_id"].to_pylist() == ["77"]


def test_a_folder_that_is_not_there_holds_nobody(tmp_path: Path) -> None:
    assert erase_from_files(tmp_path / "none", KEYS, ADA) == 0
