"""Files of one's own: typed by their declaration, by day, and what cannot be read is named and left out."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.errors import ConfigError, SourceUnreadable
from cdp_platform.ingest.declared import DeclaredTable, arrow_type
from cdp_platform.ingest.files import read_files

FIRST, SECOND = date(2024, 3, 1), date(2024, 3, 2)
COLUMNS = {"visit_id": "text", "visited_at": "instant", "pages": "integer"}


def table(location: Path, *, form: str = "jsonl", **changes: Any) -> DeclaredTable:
    settings = {"columns": COLUMNS, "required": frozenset({"visit_id"}), **changes}
    return DeclaredTable(source="shop", name="visits", location=str(location), format=form, **settings)


def write_lines(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def visit(number: int, at_time: str = "2024-03-01T12:00:00Z") -> dict[str, Any]:
    return {"visit_id": f"v{number}", "visited_at": at_time, "pages": number}


def ids(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["visit_id"] for row in rows]


def test_json_lines_become_typed_columns(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "v.jsonl", {**visit(1), "not_declared": [1]}, {"visit_id": 7}, "")
    reading = read_files(table(path))

    assert reading.rows.schema == table(path).schema
    assert reading.rows.to_pylist() == [
        {"visit_id": "v1", "visited_at": datetime(2024, 3, 1, 12, tzinfo=UTC), "pages": 1},
        {"visit_id": "7", "visited_at": None, "pages": None},
    ]
    assert (reading.bad_count, list(reading.bad_rows)) == (0, [])


def test_csv_becomes_typed_columns_with_empty_fields_null(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text('\ufeffpages,visit_id,other,visited_at\n3,"a, ""b""\n c",x,2024-03-01T12:00:00+08:00\n,d,,\n\n')

    rows = read_files(table(path, form="csv")).rows.to_pylist()

    assert rows == [
        {"visit_id": 'a, "b"\n c', "visited_at": datetime(2024, 3, 1, 4, tzinfo=UTC), "pages": 3},
        {"visit_id": "d", "visited_at": None, "pages": None},
    ]


def test_money_and_yes_or_no_and_dates_keep_their_values(tmp_path: Path) -> None:
    columns = {"visit_id": "text", "paid": "decimal(12,2)", "is_new": "boolean", "born_on": "date", "share": "number"}
    path = tmp_path / "v.csv"
    path.write_text("visit_id,paid,is_new,born_on,share\na,0.10,true,1999-12-31,0.5\nb,7,0,,\n")

    first, second = read_files(table(path, form="csv", columns=columns)).rows.to_pylist()

    assert first == {
        "visit_id": "a", "paid": Decimal("0.10"), "is_new": True, "born_on": date(1999, 12, 31), "share": 0.5,
    }  # fmt: skip
    assert (second["paid"], second["is_new"]) == (Decimal("7.00"), False)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"visit_id": "x", "pages": NaN}', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ({"pages": 1}, "`visit_id` is empty"),
        ({"visit_id": "x", "pages": "many"}, "`pages` holds 'm•••', which is no integer"),
        ({"visit_id": "x", "pages": 1.5}, "`pages` holds '1•••'"),
        ({"visit_id": "x", "pages": True}, "`pages` holds 'T•••'"),
        ({"visit_id": "x", "pages": 2**63}, "`pages` holds '9•••'"),
        ({"visit_id": "x", "visited_at": "2024-03-01T12:00:00"}, "`visited_at` holds '2•••', which is no instant"),
        ({"visit_id": "x", "visited_at": "9999-99-99"}, "which is no instant"),
        ({"visit_id": {"a": 1}}, "`visit_id` holds"),
        ({"visit_id": "\udc80"}, "`visit_id` holds"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_by_its_line_and_left_out(tmp_path: Path, line: object, why: str) -> None:
    reading = read_files(table(write_lines(tmp_path / "v.jsonl", visit(1), line, visit(2))))

    assert ids(reading.rows.to_pylist()) == ["v1", "v2"]
    [bad] = reading.bad_rows
    assert reading.bad_count == 1
    assert bad.startswith("v.jsonl line 2: ")
    assert why in bad


def test_bytes_of_another_encoding_are_a_row_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_bytes(b"visit_id,visited_at,pages\ncaf\xe9,,1\nok,,2\n")
    reading = read_files(table(path, form="csv"))
    assert ids(reading.rows.to_pylist()) == ["ok"]
    assert "v.csv line 2" in reading.bad_rows[0]
    assert "caf" not in reading.bad_rows[0]


@pytest.mark.parametrize("line", ["a,b,c,d", "a", '"a"b,,'], ids=["too many", "too few", "a stray quote"])
def test_a_csv_line_of_another_shape_is_named_and_the_next_is_read(tmp_path: Path, line: str) -> None:
    path = write_lines(tmp_path / "v.csv", "visit_id,visited_at,pages", "one,,1", line, "two,,2")
    reading = read_files(table(path, form="csv"))
    assert ids(reading.rows.to_pylist()) == ["one", "two"]
    assert reading.bad_rows[0].startswith("v.csv line 3: ")


def test_too_many_unreadable_rows_stop_the_load(tmp_path: Path) -> None:
    good = [visit(number) for number in range(100)]
    path = write_lines(tmp_path / "v.jsonl", *good, *["secret@example.com"] * 11)
    with pytest.raises(SourceUnreadable, match=r"shop/visits: 11 of 111 rows .* v\.jsonl line 101: is no JSON") as told:
        read_files(table(path))
    assert "secret" not in str(told.value)


def test_one_in_a_hundred_is_borne_and_the_first_twenty_are_named(tmp_path: Path) -> None:
    lines: list[object] = [visit(number) for number in range(3_000)]
    lines[100:130] = ["?"] * 30
    reading = read_files(table(write_lines(tmp_path / "v.jsonl", *lines)))
    assert (reading.rows.num_rows, reading.bad_count, len(reading.bad_rows)) == (2_970, 30, 20)


def test_a_csv_file_without_a_declared_column_names_it_and_the_nearest(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "v.csv", "visit_id,visitd_at,pages", "a,,1")
    with pytest.raises(SourceUnreadable, match=r"v\.csv has no column 'visited_at'\. Did you mean `visitd_at`"):
        read_files(table(path, form="csv"))


def test_an_empty_csv_file_lacks_its_header(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="has no line with the names"):
        read_files(table(write_lines(tmp_path / "v.csv"), form="csv"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"shop/visits: there is no file .*nothing\.jsonl"):
        read_files(table(tmp_path / "nothing.jsonl"))


def test_a_glob_reads_all_its_files_by_name(tmp_path: Path) -> None:
    for number in (2, 1):
        write_lines(tmp_path / f"part-{number}.jsonl", visit(number))
    assert ids(read_files(table(tmp_path / "part-*.jsonl")).rows.to_pylist()) == ["v1", "v2"]


def test_files_by_day_are_read_by_the_day_in_their_name(tmp_path: Path) -> None:
    write_lines(tmp_path / "v-2024-03-01.jsonl", visit(1))
    write_lines(tmp_path / "v-2024-03-02.jsonl", visit(2), visit(3))
    write_lines(tmp_path / "v-2024-03-03.jsonl", "not to be read")
    write_lines(tmp_path / "v-latest.jsonl", "not to be read")
    by_day = table(tmp_path / "v-{day}.jsonl")

    assert read_files(by_day, (FIRST, FIRST)).rows.to_pylist() == [
        {**read_files(by_day, (FIRST, SECOND)).rows.to_pylist()[0], "file_day": FIRST}
    ]
    days = read_files(by_day, (FIRST, SECOND)).rows["file_day"].to_pylist()
    assert days == [FIRST, SECOND, SECOND]
    assert by_day.day_column == "file_day"


def test_a_day_in_a_folder_of_the_path_is_found_too(tmp_path: Path) -> None:
    for day in (FIRST, SECOND):
        (tmp_path / str(day)).mkdir()
        write_lines(tmp_path / str(day) / "a.jsonl", visit(day.day))
        write_lines(tmp_path / str(day) / "b.jsonl", visit(10 + day.day))
    by_day = table(tmp_path / "{day}" / "*.jsonl")
    assert ids(read_files(by_day, (FIRST, SECOND)).rows.to_pylist()) == ["v1", "v11", "v2", "v12"]
    assert ids(read_files(by_day, (SECOND, SECOND)).rows.to_pylist()) == ["v2", "v12"]


def test_an_empty_file_is_an_empty_day_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    write_lines(tmp_path / "v-2024-03-01.jsonl")
    by_day = table(tmp_path / "v-{day}.jsonl")
    assert read_files(by_day, (FIRST, FIRST)).rows.schema == by_day.schema
    assert read_files(by_day, (FIRST, FIRST)).rows.num_rows == 0
    with pytest.raises(SourceUnreadable, match=r"v-2024-03-02\.jsonl\. .* empty file"):
        read_files(by_day, (FIRST, SECOND))
    with pytest.raises(SourceUnreadable, match=r"v-2024-03-02\.jsonl and 1 more"):
        read_files(by_day, (FIRST, date(2024, 3, 3)))


def test_rows_of_a_day_are_chosen_by_the_instant_in_the_entity_s_time_zone(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "v.jsonl", visit(1, "2024-03-02T04:59:59Z"), visit(2, "2024-03-02T05:00:00Z"))
    declared = table(path, day="visited_at", time_zone="America/New_York")

    assert declared.day_column == "visited_at_day"
    assert ids(read_files(declared, (FIRST, FIRST)).rows.to_pylist()) == ["v1"]
    assert ids(read_files(declared, (SECOND, SECOND)).rows.to_pylist()) == ["v2"]


def test_rows_of_a_day_are_chosen_by_a_date(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "v.csv", "visit_id,visited_on", "a,2024-03-01", "b,2024-03-02", "c,")
    declared = table(path, form="csv", columns={"visited_on": "date", "visit_id": "text"}, day="visited_on")
    reading = read_files(declared, (SECOND, SECOND))
    assert (declared.day_column, ids(reading.rows.to_pylist())) == ("visited_on", ["b"])
    assert reading.bad_rows == ["v.csv line 4: `visited_on` is empty"]


def test_more_rows_than_a_batch_holds_stay_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("visit_id,visited_at,pages\n" + "".join(f"v{number},,{number}\n" for number in range(120_000)))
    rows = read_files(table(path, form="csv")).rows
    assert rows["pages"].to_pylist() == list(range(120_000))


@pytest.mark.parametrize("kind", ["string", "decimal", "decimal(2,3)", "decimal(39,2)"])
def test_an_unknown_type_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="no column type"):
        arrow_type(kind)
