"""The engine in a side-by-side benchmark: sync the table `customers` of a DuckDB file to an HTTP sink, as a mirror.

usage: peer.py SRC_DB SINK_URL WORKDIR BATCH [REQUESTS_PER_SECOND]

Upserts go as a JSON array of the table's 12 columns, removals as {"deletes": [keys]}. All state (ledger, journal, plan
files) stays in WORKDIR, with the durability of production: journal on, synchronous=FULL.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import (
    ALL_DELIVERED,
    AllDelivered,
    Answer,
    Batch,
    Capabilities,
    DestinationField,
    Request,
    Session,
)
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.syncs import Connection, FieldKind, FieldMapping, FieldType, Limits, Mode, Removal, SyncSpec
from cdp_platform.errors import ContractBroken
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

COLUMNS = (
    "customer_id", "email", "first_name", "last_name", "phone", "city", "country", "lifetime_value", "orders_count",
    "is_active", "segment", "updated_at",
)  # fmt: skip
_UNPACED = 1_000_000.0


class JsonSink:
    """A destination that takes JSON arrays of rows and answers per batch."""

    name: ClassVar[str] = "sink"
    default_base_url: ClassVar[str] = "http://127.0.0.1:8765"

    def __init__(self, path: str, batch_rows: int, requests_per_second: float | None) -> None:
        self._path = path
        self._capabilities = Capabilities(
            modes=frozenset({Mode.UPSERT, Mode.MIRROR}),
            removals=frozenset({Removal.KEEP, Removal.DELETE}),
            batch_rows=batch_rows,
            writes_changed_fields_only=False,
            requests_per_second=requests_per_second or _UNPACED,
            burst_requests=int(requests_per_second or _UNPACED),
            requests_at_once=8 if requests_per_second else 2,
        )

    def capabilities(self, object_name: str) -> Capabilities:
        return self._capabilities

    def account_id(self, session: Session) -> str:
        return "sink"

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        return [DestinationField(name=name, kind=None, is_unique=name == "customer_id") for name in COLUMNS]

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        if rows.operations[0] is Operation.REMOVE:
            body = '{"deletes":[' + ",".join(rows.match_values) + "]}"
        else:
            body = "[" + ",".join(rows.documents) + "]"
        return Request(method="POST", path=self._path, body=body.encode())

    def read(self, rows: Batch, answer: Answer) -> AllDelivered:
        if answer.body != {"ok": True}:
            raise ContractBroken("The sink did not say that it took the batch.")
        return ALL_DELIVERED


def main() -> None:
    """Plan and send once, and say what it took."""
    source, url, work, batch_rows = sys.argv[1:5]
    rate = float(sys.argv[5]) if len(sys.argv) > 5 else None
    parts = urlsplit(url)
    home = Home(root=Path(work) / "cdp")
    sink = JsonSink(parts.path, int(batch_rows), rate)
    spec = sync_of("src.main.customers", f"{parts.scheme}://{parts.netloc}")
    engine = Engine(
        home=home,
        warehouse=DuckDbWarehouse(home.warehouse, attached={"src": Path(source)}),
        journal=Journal(home),
        destination=sink,
        open_session=open_session,
    )
    switch(engine.journal, spec.name, is_enabled=True)
    started = time.perf_counter(), time.process_time()
    plan = make_plan(engine, spec, run_id=f"run-{time.time_ns()}")
    planned = time.perf_counter(), time.process_time()
    record = send_plan(engine, spec, plan, run_id=plan.run_id)
    ended = time.perf_counter(), time.process_time()
    print(
        f"plan {planned[0] - started[0]:.2f} s ({planned[1] - started[1]:.2f} CPU), "
        f"send and settle {ended[0] - planned[0]:.2f} s ({ended[1] - planned[1]:.2f} CPU), {record.counts}"
    )


def sync_of(relation: str, base_url: str) -> SyncSpec:
    """A mirror of customers, by their id, to a sink."""
    return SyncSpec(
        name="customers",
        source_model="customers",
        relation=relation,
        primary_key="customer_id",
        connection=Connection(name="sink", vendor="sink", base_url=base_url),
        object="customers",
        mode=Mode.MIRROR,
        removal=Removal.DELETE,
        mapping=tuple(
            FieldMapping(column=name, field=name, match_key=name == "customer_id", type=_type(name))
            for name in COLUMNS
        ),
        limits=Limits(removed_share=0.5),
    )


def _type(column: str) -> FieldType | None:
    """A double has no exact text; money is a decimal."""
    return FieldType(kind=FieldKind.DECIMAL, precision=12, scale=2) if column == "lifetime_value" else None


if __name__ == "__main__":
    main()
