"""Google's own client against answers in many pages, as BigQuery gives them: what is asked for, and what is read."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from cdp_platform.warehouse.accounts import ApplicationDefault, BigQueryAccount
from cdp_platform.warehouse.bigquery import BigQueryWarehouse
from cdp_platform_tests.warehouses.emulators import NoSecrets
from cdp_platform_tests.warehouses.streaming import people, serving
from cdp_platform_tests.warehouses.streaming_bigquery import BigQuery

PAGES, PAGE_ROWS = 6, 50
ROWS = PAGES * PAGE_ROWS
PEOPLE = people(ROWS)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryWarehouse]:
    """A project of the server's, which has counted nothing yet, with a platform that asks for pages of 50 rows."""
    monkeypatch.setattr("cdp_platform.warehouse.bigquery_jobs._PAGE_ROWS", PAGE_ROWS)
    pq.write_table(PEOPLE, tmp_path / "people.parquet", row_group_size=PAGE_ROWS)
    told = {"file": tmp_path / "people.parquet", "asked_pages": [], "loaded_files": 0, "loaded_rows": 0}
    for name, value in told.items():
        monkeypatch.setattr(BigQuery, name, value, raising=False)
    with serving(BigQuery) as port:
        account = BigQueryAccount(
            type="bigquery",
            project="acme",
            location="EU",
            authentication=ApplicationDefault(method="application_default"),
            api_endpoint=f"http://127.0.0.1:{port}",
        )
        with closing(BigQueryWarehouse(account, NoSecrets())) as opened:
            yield opened


def test_a_page_is_asked_for_when_the_one_before_it_was_read(warehouse: BigQueryWarehouse) -> None:
    with warehouse.reading("read people") as session:
        for read, batch in enumerate(session.batches("select * from shop.people"), start=1):
            assert batch.num_rows == PAGE_ROWS
            assert BigQuery.asked_pages == [PAGE_ROWS] * read
    assert len(BigQuery.asked_pages) == PAGES


def test_all_rows_come_in_their_order_with_all_their_digits(warehouse: BigQueryWarehouse, tmp_path: Path) -> None:
    with warehouse.reading("read people") as session:
        read = pa.Table.from_batches(list(session.batches("select * from shop.people")))
        session.write_parquet("select * from shop.people", tmp_path / "written.parquet")
    assert read.to_pylist() == pq.read_table(tmp_path / "written.parquet").to_pylist() == PEOPLE.to_pylist()


def test_a_long_file_is_loaded_by_several_jobs_with_all_its_rows(
    warehouse: BigQueryWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.concat_tables([PEOPLE] * 200), tmp_path / "long.parquet")
    monkeypatch.setattr("cdp_platform.warehouse.bigquery_arrow._FILE_BYTES", 1)
    with warehouse.session("load people") as session:
        session.parquet(tmp_path / "long.parquet")
    assert (BigQuery.loaded_files, BigQuery.loaded_rows) == (3, 200 * ROWS)
