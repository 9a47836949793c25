"""Rows out of a warehouse and into it, by the adapter: how much memory the process takes above what it had.

    python benchmarks/fetch_and_load.py duckdb|postgres|snowflake|bigquery|local WORKDIR [ROWS] [OPTION]

A Parquet file of ROWS people (key, fingerprint, five columns more) is loaded, the table is fetched in batches, and
fetched into a Parquet file. `local` reads a table of PostgreSQL's for a plan under `state: local`, the first time and
again. Each in a process of its own. PostgreSQL is a server of the benchmark's; so are those that speak as Snowflake
and BigQuery do to their vendors' clients. A server's memory does not count. OPTION: of DuckDB the memory of a session,
as 256MB; of Snowflake the megabytes of its chunks.
"""

import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cdp_platform.domain.syncs import Connection, Consent, FieldMapping, Mode, SyncSpec
from cdp_platform.syncs.source import prepare_source
from cdp_platform.warehouse.accounts import BigQueryAccount, SnowflakeAccount
from cdp_platform.warehouse.base import Session, Warehouse, reading_of
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform.warehouse.local_state import LocalStateWarehouse
from cdp_platform_tests.warehouses.emulators import NoSecrets
from cdp_platform_tests.warehouses.streaming import running

ACCOUNTS = {
    "snowflake": {
        "type": "snowflake",
        "account": "bench",
        "user": "cdp",
        "warehouse": "cdp_wh",
        "database": "BENCH",
        "authentication": {"method": "password", "password_env": "SNOWFLAKE_PASSWORD"},
    },
    "bigquery": {
        "type": "bigquery",
        "project": "bench",
        "location": "EU",
        "authentication": {"method": "application_default"},
    },
}
ROWS_AT_ONCE = 20_480
TABLE = "bench.people"


def make_file(path: Path, rows: int) -> None:
    """Write the people, the same each time."""
    with pq.ParquetWriter(path, _people(0, 0).schema) as file:
        for first in range(0, rows, ROWS_AT_ONCE):
            file.write_batch(_people(first, min(first + ROWS_AT_ONCE, rows)))


def _people(first: int, end: int) -> pa.RecordBatch:
    numbers = pa.array(range(first, end), pa.int64())
    texts = pc.utf8_lpad(numbers.cast(pa.string()), 8, "0")
    columns = {
        "person_id": pc.binary_join_element_wise("p", texts, "-"),
        "fingerprint": pc.multiply(numbers, 922_337_203),
        "email": pc.binary_join_element_wise("person", texts, "@example.com", ""),
        "segment": pc.if_else(pc.equal(pc.bit_wise_and(numbers, 1), 0), "loyal", "new"),
        "lifetime_value": numbers.cast(pa.decimal128(23, 4)).cast(pa.decimal128(18, 4)),
        "is_active": pc.greater(numbers, 100),
        "updated_at": pc.add(pa.scalar(1_700_000_000_000_000), numbers).cast(pa.timestamp("us")),
    }
    return pa.RecordBatch.from_pydict(columns)


def load(session: Session, work: Path) -> None:
    """Make the table of the file."""
    session.execute("create schema if not exists bench")
    columns = "person_id, fingerprint, email, segment, is_active, updated_at"
    session.execute(
        f"create or replace table {TABLE} as select {columns}, cast(lifetime_value as decimal(18,4)) as lifetime_value"
        f" from {session.parquet(work / 'people.parquet')}"
    )
    check(session.rows(f"select count(*) as row_count from {TABLE}")[0]["row_count"], work)


def check(count: int, work: Path) -> None:
    """Raise RuntimeError where rows are missing."""
    if count != pq.read_metadata(work / "people.parquet").num_rows:
        raise RuntimeError(f"{count} rows are not all")


def fetch(session: Session, work: Path) -> None:
    """Look at every batch once."""
    check(sum(batch.num_rows for batch in session.batches(f"select * from {TABLE}")), work)


def fetch_to_file(session: Session, work: Path) -> None:
    """Write the table to a file, as a plan is."""
    session.write_parquet(f"select * from {TABLE}", work / "fetched.parquet")
    check(pq.read_metadata(work / "fetched.parquet").num_rows, work)


def bring(warehouse: Warehouse, work: Path) -> None:
    """Read the table for a plan of a sync whose consents are kept beside, each time anew where something changed."""
    fields = ("person_id", "email", "segment", "lifetime_value", "is_active", "updated_at")
    spec = SyncSpec(
        name="people",
        source_model="people",
        relation=TABLE,
        primary_key="person_id",
        connection=Connection(name="bench", vendor="bench"),
        object="people",
        mode=Mode.UPSERT,
        mapping=tuple(FieldMapping(column=name, field=name, match_key=name == "person_id") for name in fields),
        consent=Consent(
            entity="shop", purpose="news", channel="email", identifier_column="email", relation="bench.consents"
        ),
    )
    with warehouse.session("benchmark") as session:
        prepare_source(session, warehouse, spec)


def give_consents(session: Session, work: Path) -> None:
    """Let everybody have said yes."""
    session.execute(
        "create or replace table bench.consents as select email as identifier, 'shop' as entity, 'email' as channel,"
        f" 'news' as purpose, 'granted' as status from {TABLE}"
    )


def opened(kind: str, server: Any, work: Path) -> Warehouse:
    """The warehouse of a kind; `server` is what `serving` has told."""
    match kind:
        case "postgres":
            from cdp_platform.warehouse.postgres import PostgresWarehouse

            return PostgresWarehouse(server)
        case "local":
            from cdp_platform.warehouse.postgres import PostgresWarehouse

            state = DuckDbWarehouse(work / "state.duckdb")
            return LocalStateWarehouse(state=state, source=PostgresWarehouse(server))
        case "snowflake":
            from cdp_platform.warehouse.snowflake import SnowflakeWarehouse

            return SnowflakeWarehouse(SnowflakeAccount.model_validate(server), NoSecrets())
        case "bigquery":
            from cdp_platform.warehouse.bigquery import BigQueryWarehouse

            return BigQueryWarehouse(BigQueryAccount.model_validate(server), NoSecrets(), retry_seconds=600)
    return DuckDbWarehouse(work / "people.duckdb", memory=server)


@contextmanager
def serving(kind: str, work: Path, options: list[str]) -> Any:
    """Start what the kind needs; the answer is the address or account for `opened`."""
    if kind in ("postgres", "local"):
        from cdp_platform_tests.warehouses.postgres_server import running_server

        with running_server() as server:
            yield server.new_database()
    elif kind in ACCOUNTS:
        with running(f"streaming_{kind}", work / "people.parquet", *options) as port:
            yield ACCOUNTS[kind] | {"api_endpoint": f"http://127.0.0.1:{port}"}
    else:
        yield next(iter(options), None)


def in_session(step: Callable[[Session, Path], None], warehouse: Warehouse, work: Path) -> None:
    """Run a step in a session of its own."""
    with warehouse.session("benchmark") as session:
        step(session, work)


def measured(kind: str, server: Any, work: Path, name: str, step: Callable[[Warehouse, Path], None]) -> None:
    """Run a step after the warehouse has answered once, and print what it took."""
    warehouse = opened(kind, server, work)
    with closing(warehouse) if hasattr(warehouse, "close") else nullcontext():
        with warehouse.session("warm") as session:
            session.rows("select 1 as found")
        with reading_of(warehouse, "warm") as reading:
            reading.rows("select 1 as found")
        before, used, started = _forget_peak(), time.process_time(), time.monotonic()
        step(warehouse, work)
        took, cpu = time.monotonic() - started, time.process_time() - used
    print(
        f"{kind:10} {name:14} {_held('VmHWM') - before:5,} MB above {before} MB  {cpu:6.1f} CPU s  {took:6.1f} s",
        flush=True,
    )


def _forget_peak() -> int:
    """Begin to count this process's peak anew; the answer is what it holds now, in megabytes."""
    # getrusage would count what the process that started this one has held, too.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _held("VmRSS")


def _held(what: str) -> int:
    """Linux's word on this process's memory, in megabytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(lines[what].split()[0]) // 1024


STEPS: dict[str, Callable[[Session, Path], None]] = {"load": load, "fetch": fetch, "fetch to file": fetch_to_file}


def run(kind: str, server: Any, work: Path, name: str) -> None:
    """What a process of its own does."""
    if name in ("bring", "bring again"):
        measured(kind, server, work, name, bring)
    else:
        measured(kind, server, work, name, lambda warehouse, work: in_session(STEPS[name], warehouse, work))


def main() -> None:
    """Measure one kind of warehouse."""
    kind, work, rows = sys.argv[1], Path(sys.argv[2]).resolve(), int((sys.argv[3:] or ["1000000"])[0])
    work.mkdir(parents=True)
    start = multiprocessing.get_context("spawn").Process
    try:
        make_file(work / "people.parquet", rows)
        with serving(kind, work, sys.argv[4:]) as server:
            if kind == "local":
                for made in (load, give_consents):
                    in_session(made, opened("postgres", server, work), work)
            for name in ("bring", "bring again") if kind == "local" else tuple(STEPS):
                process = start(target=run, args=(kind, server, work, name))
                process.start()
                process.join()
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
