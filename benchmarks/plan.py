"""A plan of a large table that is in DuckDB, beside the bare join that no plan can do without.

    python benchmarks/plan.py WORKDIR [ROWS] [RUNS]

Customers of twelve columns are synced to a destination in this process, which takes everything. Then, in turn: the bare
statement (`FULL JOIN` of key and fingerprint with the ledger), and plans of the table with nothing changed, with 0.1 %
of the rows changed, and with 1 % changed, 0.1 % gone and 0.1 % new. Each is run RUNS times; CPU seconds and their
medians are printed, and what each is of the bare statement. What is sent and settled does not count.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from peer import JsonSink, sync_of

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.domain.traffic import Traffic
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.records import encoded_fields
from cdp_platform.syncs.send import send_plan
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

_MODEL = """
    i as customer_id, 'user' || i || '@example' || (i % 97) || '.com' as email,
    'First' || (hash(i) % 5000) as first_name, 'Last' || (hash(i + 7) % 20000) as last_name,
    '+1' || lpad(cast(hash(i + 3) % 10000000000 as varchar), 10, '0') as phone,
    'City ' || (hash(i + 11) % 3000) as city, ['US', 'DE', 'FR', 'GB', 'IN', 'BR', 'JP'][1 + i % 7] as country,
    round((hash(i + 5) % 1000000) / 100.0, 2) as lifetime_value, cast(hash(i + 13) % 400 as integer) as orders_count,
    hash(i + 17) % 10 < 8 as is_active, ['gold', 'silver', 'bronze', 'new', null][1 + i % 5] as segment,
    timestamp '2026-01-01' + interval (i % 8000000) second as updated_at"""


class TakesAll:
    """A session to a destination that has nobody behind it."""

    def __init__(self) -> None:
        self.traffic = Traffic()

    def send(self, request: Request) -> Answer:
        return Answer(status=200, headers={}, body={"ok": True})

    def close(self) -> None:
        return None


def main() -> None:
    """Measure."""
    work = Path(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    home = Home(root=work / "cdp")
    engine = Engine(
        home=home,
        warehouse=DuckDbWarehouse(home.warehouse),
        journal=Journal(home),
        destination=JsonSink("/", 1_000, None),
        open_session=lambda *_, **__: TakesAll(),
    )
    spec = sync_of("shop.customers", "http://127.0.0.1")
    switch(engine.journal, spec.name, is_enabled=True)
    _fill(engine, rows)
    first = make_plan(engine, spec, run_id="first")
    if first.to_send:
        send_plan(engine, spec, first, run_id="first")
    ledger = f"cdp.ledger_{first.ledger_id}"
    sides: dict[str, Callable[[], object]] = {
        "bare join": lambda: _bare(engine, spec, ledger),
        "nothing changed": lambda: _planned(engine, spec, "first", 0),
        "0.1 % changed": lambda: _planned(engine, spec, "a_day", rows // 1000),
        "1.2 % changed, left or came": lambda: _planned(engine, spec, "a_fortnight", rows // 100 + 2 * (rows // 1000)),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            began = time.process_time()
            side()
            taken[name].append(time.process_time() - began)
    bare = statistics.median(taken["bare join"])
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        told = ", ".join(f"{one:.2f}" for one in seconds)
        print(f"{name:28} {median:6.2f} CPU s, {median / bare:.2f} x the bare join ({told})", flush=True)


def _fill(engine: Engine, rows: int) -> None:
    """Make the model, and two others: as it is after a day, and after a fortnight."""
    with engine.warehouse.session("fill") as session:
        session.execute("create schema if not exists shop")
        if not session.columns("shop.first"):
            session.execute(f"create table shop.first as {_model(1, rows)}")
        session.execute("create or replace view shop.customers as from shop.first")
        if session.columns("shop.a_fortnight"):
            return
        session.execute(f"create table shop.a_day as {_changed(1000)}")
        session.execute(
            f"""create table shop.a_fortnight as {_changed(100)} where customer_id % 1000 <> 501
            union all by name {_model(rows + 1, rows + rows // 1000)}"""
        )


def _bare(engine: Engine, spec: SyncSpec, ledger: str) -> None:
    """Hash what the plan hashes, and join it with the ledger: how many keys differ."""
    dialect = engine.warehouse.dialect
    with engine.warehouse.session("bare") as session:
        hashed = encoded_fields(session, dialect, spec).fingerprint(dialect, "'granted'")
        session.rows(
            f"""select count(*) as differing
            from (select customer_id as "key", {hashed} as fingerprint from {spec.relation} as model) as desired
            full join {ledger} as ledger on ledger."key" = desired."key"
            where desired.fingerprint is distinct from ledger.fingerprint"""
        )


def _planned(engine: Engine, spec: SyncSpec, table: str, expected: int) -> None:
    with engine.warehouse.session("model") as session:
        session.execute(f"create or replace view {spec.relation} as from shop.{table}")
    plan = make_plan(engine, spec, run_id=f"run-{time.time_ns()}")
    if plan.to_send != expected:
        raise SystemExit(f"the plan has {plan.to_send} rows, not {expected}")


def _model(first: int, last: int) -> str:
    return f"select {_MODEL} from range({first}, {last} + 1) as numbers (i)"


def _changed(every: int) -> str:
    """The first customers, of whom one in `every` has spent more."""
    more = f"lifetime_value + case when customer_id % {every} = 0 then 1.11 else 0 end"
    return f"select * replace (round({more}, 2) as lifetime_value) from shop.first"


if __name__ == "__main__":
    main()
