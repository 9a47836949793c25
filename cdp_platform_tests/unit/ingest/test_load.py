"""Loading replaces exactly what it says, also after a crash, and lets go of the file."""

import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pytest

from cdp_platform.errors import ConfigError, WarehouseError
from cdp_platform.ingest.load import LoadResult, load_table

DAY = date(2017, 5, 1)
NEXT_DAY = DAY + timedelta(days=1)
SCHEMA = pa.schema({"visit_id": pa.int64(), "visit_day": pa.date32(), "spent": pa.float64()})


def visits(day: date, *visit_ids: int) -> pa.Table:
    return pa.Table.from_pylist(
        [{"visit_id": visit_id, "visit_day": day, "spent": 1.5} for visit_id in visit_ids], schema=SCHEMA
    )


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def load(self, table: pa.Table, first: date | None = None, last: date | None = None) -> LoadResult:
        return load_table(
            table,
            name="visits",
            dataset="raw_shop",
            destination=dlt.destinations.duckdb(str(self.path)),
            pipelines_dir=self.folder / "pipelines",
            replaced_days=("visit_day", first, last or first) if first else None,
        )

    def rows(self, query: str = "select visit_id, visit_day from raw_shop.visits order by 1") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(folder=tmp_path)


def test_the_same_day_twice_is_the_same_day(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1, 2), DAY)
    result = warehouse.load(visits(DAY, 1, 2), DAY)

    assert result == LoadResult(table="raw_shop.visits", row_count=2, deleted_row_count=2)
    assert warehouse.rows() == [(1, DAY), (2, DAY)]


def test_a_day_is_replaced_exactly_and_no_other_is_touched(warehouse: Warehouse) -> None:
    warehouse.load(pa.concat_tables([visits(DAY, 1, 2), visits(NEXT_DAY, 3)]), DAY, NEXT_DAY)
    warehouse.load(visits(DAY, 4), DAY)

    assert warehouse.rows() == [(3, NEXT_DAY), (4, DAY)]


def test_no_rows_make_an_empty_day(warehouse: Warehouse) -> None:
    warehouse.load(pa.concat_tables([visits(DAY, 1, 2), visits(NEXT_DAY, 3)]), DAY, NEXT_DAY)
    result = warehouse.load(visits(DAY), DAY)

    assert (result.row_count, result.deleted_row_count) == (0, 2)
    assert warehouse.rows() == [(3, NEXT_DAY)]


def test_a_day_inside_the_range_that_has_no_rows_any_more_is_emptied(warehouse: Warehouse) -> None:
    warehouse.load(pa.concat_tables([visits(DAY, 1, 2), visits(NEXT_DAY, 3)]), DAY, NEXT_DAY)
    warehouse.load(visits(NEXT_DAY, 5), DAY, NEXT_DAY)

    assert warehouse.rows() == [(5, NEXT_DAY)]


@pytest.mark.parametrize("day", [DAY, None], ids=["by day", "whole"])
def test_a_first_load_of_no_rows_makes_the_table_with_its_columns(warehouse: Warehouse, day: date | None) -> None:
    assert warehouse.load(visits(DAY), day).row_count == 0

    columns = warehouse.rows(
        "select column_name, data_type from information_schema.columns where table_name = 'visits'"
    )
    assert columns == [("visit_id", "BIGINT"), ("visit_day", "DATE"), ("spent", "DOUBLE")]


def test_a_table_without_days_is_replaced_whole(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1, 2))
    warehouse.load(visits(DAY, 3))
    assert warehouse.rows() == [(3, DAY)]

    warehouse.load(visits(DAY))
    assert warehouse.rows() == []


def test_a_new_column_is_added_and_older_rows_have_none(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1), DAY)
    warehouse.load(visits(NEXT_DAY, 2).append_column("store", pa.array(["north"])), NEXT_DAY)

    assert warehouse.rows("select visit_id, store from raw_shop.visits order by 1") == [(1, None), (2, "north")]


def test_a_changed_type_is_refused_before_anything_is_deleted(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1), DAY)
    changed = visits(DAY, 7).set_column(2, "spent", pa.array(["a secret value"]))

    with pytest.raises(WarehouseError) as refused:
        warehouse.load(changed, DAY)

    assert "raw_shop.visits" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert warehouse.rows() == [(1, DAY)]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (visits(NEXT_DAY, 1), "outside"),
        (pa.Table.from_pylist([{"visit_id": 1}], schema=SCHEMA), "None"),
        (visits(DAY, 1).drop_columns("visit_day"), "date32"),
    ],
    ids=["another day", "no day", "no column"],
)
def test_rows_that_are_not_of_the_replaced_days_are_refused(warehouse: Warehouse, table: pa.Table, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        warehouse.load(table, DAY)
    assert not warehouse.path.exists()


def test_another_process_can_write_the_file_as_soon_as_the_load_has_returned(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1), DAY)
    script = f"import duckdb; duckdb.connect({str(warehouse.path)!r}).execute('create table mine as select 1 as one')"

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

    assert warehouse.rows("select one from mine") == [(1,)]


def test_a_file_that_another_process_holds_is_an_error_that_says_so(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1), DAY)
    script = f"import duckdb; c = duckdb.connect({str(warehouse.path)!r}); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseError, match="no other process holds the warehouse"):
            warehouse.load(visits(DAY, 2), DAY)
        holder.communicate("\n")

    assert warehouse.rows() == [(1, DAY)]


KILLED_LOAD = """
import os, signal, sys
from datetime import date
from pathlib import Path
import dlt
from cdp_platform_tests.unit.ingest.test_load import Warehouse, visits, DAY

def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(dlt.Pipeline, sys.argv[2], die)
Warehouse(folder=Path(sys.argv[1])).load(visits(DAY, 1, 2, 8), DAY)
"""


@pytest.mark.parametrize(
    ("step", "left_in_the_day"),
    [("normalize", [(1, DAY), (2, DAY)]), ("load", []), ("sql_client", [(1, DAY), (2, DAY)])],
    ids=["before the rows are ready", "between delete and insert", "before the delete"],
)
def test_a_load_killed_on_the_way_is_repaired_by_the_next_and_not_doubled(
    warehouse: Warehouse, step: str, left_in_the_day: list[tuple[int, date]]
) -> None:
    warehouse.load(visits(DAY, 1, 2), DAY)
    warehouse.load(visits(NEXT_DAY, 3), NEXT_DAY)

    killed = subprocess.run([sys.executable, "-c", KILLED_LOAD, str(warehouse.folder), step], check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert list((warehouse.folder / "pipelines").iterdir()) != []
    assert warehouse.rows() == [*left_in_the_day, (3, NEXT_DAY)]

    warehouse.load(visits(DAY, 1, 2, 8), DAY)
    assert warehouse.rows() == [(1, DAY), (2, DAY), (3, NEXT_DAY), (8, DAY)]


def test_a_killed_load_of_one_day_does_not_leak_into_the_load_of_another(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1, 2), DAY)
    subprocess.run([sys.executable, "-c", KILLED_LOAD, str(warehouse.folder), "load"], check=False, timeout=60)

    warehouse.load(visits(NEXT_DAY, 3), NEXT_DAY)

    assert warehouse.rows() == [(3, NEXT_DAY)]


LOAD_WITHOUT_NETWORK = """
import os, socket, sys
from pathlib import Path

def refuse(*arguments, **options):
    os._exit(3)

socket.getaddrinfo = socket.socket.connect = refuse
from cdp_platform_tests.unit.ingest.test_load import Warehouse, visits, DAY
Warehouse(folder=Path(sys.argv[1])).load(visits(DAY, 1), DAY)
"""


def test_a_load_reports_to_nobody_and_needs_no_network(warehouse: Warehouse) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_NETWORK, str(warehouse.folder)], check=False, timeout=60
    )

    assert loaded.returncode == 0
    assert warehouse.rows() == [(1, DAY)]


def test_nothing_of_the_load_stays_in_the_working_folder(warehouse: Warehouse) -> None:
    warehouse.load(visits(DAY, 1), DAY)
    assert list((warehouse.folder / "pipelines").iterdir()) == []
