"""The real connector against answers in many pieces, as Snowflake gives them: what is held, and what is read."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cdp_platform.warehouse.accounts import Password, SnowflakeAccount
from cdp_platform.warehouse.snowflake import SnowflakeWarehouse
from cdp_platform_tests.warehouses.emulators import NoSecrets
from cdp_platform_tests.warehouses.streaming import people, serving
from cdp_platform_tests.warehouses.streaming_snowflake import Snowflake

GROUPS, GROUP_ROWS = 12, 50
ROWS = GROUPS * GROUP_ROWS
PEOPLE = people(ROWS)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SnowflakeWarehouse]:
    """An account of the server's, which has counted nothing yet and answers with a piece for each row group."""
    pq.write_table(PEOPLE, tmp_path / "people.parquet", row_group_size=GROUP_ROWS)
    told = {"file": tmp_path / "people.parquet", "megabytes": 0.000001}
    for name, value in {**told, "asked_chunks": 0, "loaded_files": 0, "loaded_rows": 0}.items():
        monkeypatch.setattr(Snowflake, name, value, raising=False)
    with serving(Snowflake) as port:
        account = SnowflakeAccount(
            type="snowflake",
            account="acme",
            user="CDP",
            warehouse="CDP_WH",
            database="CDP",
            authentication=Password(method="password", password_env="P"),
            api_endpoint=f"http://127.0.0.1:{port}",
        )
        with closing(SnowflakeWarehouse(account, NoSecrets())) as opened:
            yield opened


def test_of_a_long_answer_one_piece_is_fetched_ahead(warehouse: SnowflakeWarehouse) -> None:
    with warehouse.reading("read people") as session:
        for read, batch in enumerate(session.batches("select * from shop.people")):
            assert batch.num_rows == GROUP_ROWS
            assert Snowflake.asked_chunks <= read + 1
    assert Snowflake.asked_chunks == GROUPS - 1


def test_all_rows_come_in_their_order_with_all_their_digits(warehouse: SnowflakeWarehouse, tmp_path: Path) -> None:
    with warehouse.reading("read people") as session:
        read = pa.Table.from_batches(list(session.batches("select * from shop.people")))
        session.write_parquet("select * from shop.people", tmp_path / "written.parquet")
    assert read.to_pylist() == pq.read_table(tmp_path / "written.parquet").to_pylist() == PEOPLE.to_pylist()


def test_a_session_asks_for_the_smallest_pieces(warehouse: SnowflakeWarehouse) -> None:
    with warehouse.reading("read people") as session:
        assert session.rows("select 1 as done")
    assert Snowflake.asked_megabytes == 16


def test_a_long_file_goes_into_the_stage_in_several_with_all_its_rows(
    warehouse: SnowflakeWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.concat_tables([PEOPLE] * 100), tmp_path / "long.parquet")
    monkeypatch.setattr("cdp_platform.warehouse.snowflake_loading._FILE_BYTES", 800_000)
    with warehouse.session("load people") as session:
        session.parquet(tmp_path / "long.parquet")
    assert (Snowflake.loaded_files, Snowflake.loaded_rows) == (3, 100 * ROWS)
