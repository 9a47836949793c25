"""Rows of a Parquet file, in batches that are counted on."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_platform.warehouse.parquet_rows import numbered

ROWS = 200_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of two columns and 200,000 rows, in groups of 10,000."""
    numbers = pa.array(range(ROWS), pa.int64())
    table = pa.table({"n": numbers, "email": [f"person{n:08}@example.com" for n in range(ROWS)]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=10_000, use_dictionary=False, compression="none")
    return tmp_path / "rows.parquet"


def test_rows_are_counted_from_0_across_batches(file: Path) -> None:
    with numbered(file) as rows:
        assert rows.schema.names == ["ordinal", "n", "email"]
        table = rows.read_all()
    assert table["ordinal"].to_pylist() == table["n"].to_pylist() == list(range(ROWS))


def test_what_was_read_of_a_long_file_is_not_kept(file: Path) -> None:
    before, held = pa.total_allocated_bytes(), []
    with numbered(file) as rows:
        for batch in rows:
            assert batch.num_rows > 0
            held.append(pa.total_allocated_bytes() - before)
    assert held[0] > 0
    assert max(held) < file.stat().st_size / 4


def test_a_file_without_rows_has_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), tmp_path / "none.parquet")
    with numbered(tmp_path / "none.parquet") as rows:
        table = rows.read_all()
    assert (table.num_rows, table.column_names) == (0, ["ordinal", "n"])
