"""A table of a SQLite file: read only, whole or by day, and a file that is held or broken is said to be."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.errors import SourceUnreadable
from cdp_platform.ingest import sqlite
from cdp_platform.ingest.declared import DeclaredTable
from cdp_platform.ingest.sqlite import read_sqlite

COLUMNS = {"ticket_id": "text", "opened_at": "instant", "rating": "integer"}
ROWS = [("t1", "2024-03-01T12:00:00Z", 5), ("t2", "2024-03-02T12:00:00+00:00", None)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "service desk.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table tickets (ticket_id text, opened_at text, rating integer, note text)")
        connection.executemany("insert into tickets values (?, ?, ?, 'x')", ROWS)
    return path


def table(path: Path, **changes: Any) -> DeclaredTable:
    settings = {"columns": COLUMNS, "required": frozenset({"ticket_id"}), "database_table": "tickets", **changes}
    return DeclaredTable(source="support", name="tickets", location=str(path), format="sqlite", **settings)


def write(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_table_becomes_typed_columns(path: Path) -> None:
    assert read_sqlite(table(path)).rows.to_pylist() == [
        {"ticket_id": "t1", "opened_at": datetime(2024, 3, 1, 12, tzinfo=UTC), "rating": 5},
        {"ticket_id": "t2", "opened_at": datetime(2024, 3, 2, 12, tzinfo=UTC), "rating": None},
    ]


def test_rows_are_chosen_by_their_day(path: Path) -> None:
    day = date(2024, 3, 2)
    reading = read_sqlite(table(path, day="opened_at"), (day, day))
    assert reading.rows.to_pylist() == [
        {"ticket_id": "t2", "opened_at": datetime(2024, 3, 2, 12, tzinfo=UTC), "rating": None, "opened_at_day": day}
    ]


def test_an_empty_table_has_its_columns(path: Path) -> None:
    write(path, "delete from tickets")
    assert read_sqlite(table(path)).rows.schema == table(path).schema


def test_a_row_that_cannot_be_read_is_named_by_its_number(path: Path) -> None:
    write(path, "insert into tickets values ('t3', 'yesterday', 1, 'x')")
    reading = read_sqlite(table(path))
    assert reading.rows.num_rows == 2
    assert reading.bad_rows == ["service desk.sqlite row 3: `opened_at` holds 'y•••', which is no instant"]


def test_a_missing_column_names_the_nearest(path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"no column 'ratings' in its table\. Did you mean `rating`"):
        read_sqlite(table(path, columns={"ratings": "integer"}, required=frozenset()))


def test_a_missing_table_and_a_missing_file_are_named(path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="has no table 'ticket'"):
        read_sqlite(table(path, database_table="ticket"))
    with pytest.raises(SourceUnreadable, match=r"there is no file .*other\.sqlite"):
        read_sqlite(table(path.with_name("other.sqlite")))
    assert not path.with_name("other.sqlite").exists()


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" * 400)
    with pytest.raises(SourceUnreadable, match="cannot be read as a SQLite database"):
        read_sqlite(table(path))


def test_a_locked_database_says_so_and_is_read_once_it_is_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        holder.execute("insert into tickets values ('t3', null, 1, 'x')")
        with pytest.raises(SourceUnreadable, match="locked by another process"):
            read_sqlite(table(path))
        holder.execute("commit")
    assert read_sqlite(table(path)).rows.num_rows == 3


def test_the_file_is_not_written(path: Path) -> None:
    path.chmod(0o400)
    before = path.read_bytes()
    assert read_sqlite(table(path)).rows.num_rows == 2
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]
