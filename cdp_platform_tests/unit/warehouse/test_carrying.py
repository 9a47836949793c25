"""Rows from one warehouse to another: never more of them in memory than a piece has."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from cdp_platform.warehouse.base import Parameters, Row
from cdp_platform.warehouse.carrying import carry
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

BATCH_ROWS = 20_000


class CountingReading:
    """An answer of so many batches, that looks before each how many of them are still held."""

    def __init__(self, batches: int) -> None:
        self.most_alive = 0
        self._batches = batches
        self._alive: list[weakref.ref[object]] = []

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        for number in range(self._batches):
            gc.collect()
            self.most_alive = max(self.most_alive, sum(one() is not None for one in self._alive))
            values = pa.array(range(number * BATCH_ROWS, (number + 1) * BATCH_ROWS))
            batch = pa.RecordBatch.from_arrays([values], names=["n"])
            self._alive.append(weakref.ref(batch))
            yield batch
            del batch, values

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        raise AssertionError("nothing is asked row by row")

    def columns(self, relation: str) -> dict[str, str]:
        return {"n": "BIGINT"}


def test_however_long_an_answer_is_no_more_than_a_piece_of_it_is_held(tmp_path: Path) -> None:
    source = CountingReading(batches=20)
    with DuckDbWarehouse(tmp_path / "there.duckdb").session("test") as session:
        carry(source, session, "select n", "numbers", {"n": "BIGINT"})
        [found] = session.rows("select count(*) as rows, count(distinct n) as different from numbers")
    assert found == {"rows": 400_000, "different": 400_000}
    assert 1 < source.most_alive <= 6


def test_duckdb_answers_in_batches_of_bounded_size(tmp_path: Path) -> None:
    with DuckDbWarehouse(tmp_path / "there.duckdb").session("test") as session:
        sizes = [batch.num_rows for batch in session.batches("select n from range(250000) as numbers (n)")]
    assert sum(sizes) == 250_000
    assert len(sizes) > 1
    assert max(sizes) <= 122_880
