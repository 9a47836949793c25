"""The embedded warehouse: one writer at a time, short sessions, exact encodings."""

import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from cdp_platform.domain.syncs import FieldType
from cdp_platform.errors import WarehouseError, WarehouseLocked
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse
from cdp_platform.warehouse.duckdb_memory import bytes_of, threads_within


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDbWarehouse:
    return DuckDbWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=0.3)


def hold(tmp_path: Path, how: str) -> "subprocess.Popen[str]":
    """Start a process that holds the warehouse and says so."""
    code = f"""
        import sys, pathlib
        path = pathlib.Path({str(tmp_path / "warehouse.duckdb")!r})
        {how}
        print("held", flush=True)
        sys.stdin.readline()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_duckdb_joins_a_union_of_self_joins_right() -> None:
    """The canary of DuckDB 2.0.0 and 1.5.1 to 1.5.5, which answer this silently wrong; identity needs the shape."""
    connection = duckdb.connect()
    connection.execute("create table de as select * from (values (1, 2), (3, 4)) t(u, v)")
    connection.execute("create table g as select id, id * 10 as x from (values (1), (2), (3), (4)) t(id)")
    rows = connection.execute(
        """select a.id, b.x from de join g a on a.id = de.u join g b on b.id = de.v
        union all
        select b.id, a.x from de join g a on a.id = de.u join g b on b.id = de.v"""
    ).fetchall()
    assert sorted(rows) == [(1, 20), (2, 10), (3, 40), (4, 30)]


def test_another_of_our_processes_is_waited_for_and_then_named(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    how = (
        "from cdp_platform.warehouse.duckdb import DuckDbWarehouse; "
        "held = DuckDbWarehouse(path).exclusive('dbt build'); held.__enter__()"
    )
    process = hold(tmp_path, how)
    with pytest.raises(WarehouseLocked, match=rf"process {process.pid} \(dbt build\)"), warehouse.session("test"):
        pytest.fail("the session must not open")
    process.communicate("go\n")
    with warehouse.session("test") as session:
        assert session.rows("select 1 as one") == [{"one": 1}]


def test_a_foreign_program_that_holds_the_file_is_named(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    process = hold(tmp_path, "import duckdb; held = duckdb.connect(str(path))")
    with pytest.raises(WarehouseLocked, match=f"process {process.pid}") as failure, warehouse.session("test"):
        pytest.fail("the session must not open")
    assert "Close that program" in str(failure.value)
    process.communicate("go\n")


def test_a_killed_holder_leaves_no_lock_behind(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    how = (
        "from cdp_platform.warehouse.duckdb import DuckDbWarehouse; "
        "held = DuckDbWarehouse(path).session('send'); held.__enter__()"
    )
    process = hold(tmp_path, how)
    process.kill()
    process.wait()
    with warehouse.session("test") as session:
        assert session.rows("select 1 as one") == [{"one": 1}]


def test_a_file_that_is_no_database_is_named_with_a_way_out(warehouse: DuckDbWarehouse) -> None:
    warehouse.path.write_bytes(b"this is not a database, and long enough to be looked at" * 100)
    with pytest.raises(WarehouseError, match=r"warehouse\.duckdb cannot be opened.*backup"), warehouse.session("test"):
        pytest.fail("the session must not open")


def insert_and_fail(session: DuckDbSession) -> None:
    with session.transaction():
        session.execute("insert into kept values (1)")
        raise ZeroDivisionError


def test_a_failed_transaction_leaves_nothing(warehouse: DuckDbWarehouse) -> None:
    with warehouse.session("test") as session:
        session.execute("create table kept (n integer)")
        with pytest.raises(ZeroDivisionError):
            insert_and_fail(session)
        assert session.rows("select * from kept") == []


def test_a_session_that_is_short_of_memory_says_which_setting_gives_it_more(tmp_path: Path) -> None:
    small = DuckDbWarehouse(tmp_path / "small.duckdb", memory="32MB")
    with small.session("test") as session:
        assert session.rows("select list(n) as told from range(3) as t(n)") == [{"told": [0, 1, 2]}]
        with pytest.raises(WarehouseError, match="CDP_DUCKDB_MEMORY=2GB"):
            session.rows("select list(n) as told from range(20_000_000) as t(n)")


@pytest.mark.parametrize(
    ("memory", "available", "threads"), [("128MB", 2, 1), ("256 MiB", 64, 2), ("1GB", 4, 4), ("1GB", 64, 10)]
)
def test_no_more_threads_share_the_memory_than_can_work_in_it(memory: str, available: int, threads: int) -> None:
    assert threads_within(bytes_of(memory), available) == threads


def test_a_session_of_little_memory_has_one_thread(tmp_path: Path) -> None:
    with DuckDbWarehouse(tmp_path / "small.duckdb", memory="128MB").session("test") as session:
        assert session.rows("select current_setting('threads') as told") == [{"told": 1}]


def test_an_error_of_the_warehouse_shows_no_value(warehouse: DuckDbWarehouse) -> None:
    with warehouse.session("test") as session, pytest.raises(WarehouseError) as failure:
        session.rows("select cast('canary@example.com' as integer)")
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize(
    ("expression", "declared", "encoded"),
    [
        ("'e\u0301'", "text", "\u00e9"),
        ("10::decimal(20,4)", "decimal(12,2)", "10.00"),
        ("date '2017-12-31'", "date", "2017-12-31"),
        (
            "timestamptz '2017-12-31 20:00:00.5-05'",
            "timestamp",
            "2018-01-01T01:00:00.500000Z",
        ),
        ("9007199254740993", "integer", 9007199254740993),
        ("1", "boolean", True),
        ("null::date", "date", None),
    ],
)
def test_values_are_encoded_by_their_declared_type(
    warehouse: DuckDbWarehouse, expression: str, declared: str, encoded: object
) -> None:
    dialect, field_type = warehouse.dialect, FieldType.parse(declared)
    sql = dialect.encoded(dialect.exact(expression, "VARCHAR", field_type), field_type)
    with warehouse.session("test") as session:
        assert session.rows(f"select {sql} as encoded") == [{"encoded": encoded}]


def test_types_of_columns_are_translated_and_floats_are_not_exact(warehouse: DuckDbWarehouse) -> None:
    found = {name: warehouse.dialect.field_type(name) for name in ("VARCHAR", "BIGINT", "DECIMAL(12,2)", "DOUBLE")}
    assert {name: str(kind) for name, kind in found.items()} == {
        "VARCHAR": "text",
        "BIGINT": "integer",
        "DECIMAL(12,2)": "decimal(12,2)",
        "DOUBLE": "None",
    }


def test_names_are_quoted(warehouse: DuckDbWarehouse) -> None:
    hostile = 'a"; drop table x; --'
    with warehouse.session("test") as session:
        session.execute(f"create table {warehouse.dialect.quote(hostile)} (n integer)")
        assert session.columns(f"main.{hostile}") == {"n": "INTEGER"}


def test_arrow_tables_go_in_and_out(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    with warehouse.session("test") as session:
        session.register("given", pa.table({"n": [1, 2]}))
        [batch] = session.batches("select n from given order by n desc")
        assert batch.to_pylist() == [{"n": 2}, {"n": 1}]
        session.write_parquet("select n from given order by n desc", tmp_path / "out.parquet")
        assert session.rows(f"select n from {session.parquet(tmp_path / 'out.parquet')}") == [{"n": 2}, {"n": 1}]


def test_a_table_registered_anew_is_read_anew(warehouse: DuckDbWarehouse) -> None:
    with warehouse.session("test") as session:
        for size in (1, 500, 3):
            session.register("given", pa.table({"n": list(range(size))}))
            assert session.rows("select count(*) as rows, max(n) as last from given") == [
                {"rows": size, "last": size - 1}
            ]
