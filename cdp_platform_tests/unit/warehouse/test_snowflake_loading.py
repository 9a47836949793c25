"""Rows into and out of Snowflake: files and batches of bounded size, whatever the connector hands over."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cdp_platform.warehouse import snowflake_loading
from cdp_platform.warehouse.snowflake_arrow import bounded
from cdp_platform.warehouse.snowflake_loading import load

SCHEMA = pa.schema([pa.field("n", pa.int64())])


def test_a_long_table_is_loaded_in_files_of_which_one_is_there_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snowflake_loading, "_FILE_BYTES", 40_000)
    files: list[int] = []

    def run(sql: str) -> None:
        if sql.startswith("put "):
            path = Path(sql.split("'")[1].removeprefix("file://"))
            files.append(len(list(path.parent.iterdir())))

    load(run, "numbers", SCHEMA, _batches(20), stage="cdp_temporary.cdp_load")
    assert files == [1] * 4


def test_a_chunk_of_an_answer_is_handed_on_in_batches_of_bounded_size() -> None:
    taken: list[int] = []

    def chunks() -> Iterator[pa.Table]:
        for number in range(3):
            taken.append(number)
            yield pa.Table.from_batches(_batches(2))

    sizes = []
    for batch in bounded(chunks(), SCHEMA, 500):
        sizes.append(batch.num_rows)
        # The next chunk is not asked for before this one is used up.
        assert len(taken) == (len(sizes) + 3) // 4
    assert sizes == [500] * 12


def _batches(count: int) -> Iterator[pa.RecordBatch]:
    for first in range(count):
        values = pa.array(range(first * 1_000, (first + 1) * 1_000), pa.int64())
        yield pa.RecordBatch.from_arrays([values], schema=SCHEMA)
