"""Events that may be sent once, a destination that takes them, and the sync that appends them: 150 of them, two bad.

Objects: `events` without a key, `keyed_events` with an idempotency key for a day, `event_jobs` as jobs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import duckdb

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import (
    STILL_RUNNING,
    Answer,
    Batch,
    Capabilities,
    DestinationField,
    Job,
    Json,
    Request,
    Session,
    StillRunning,
)
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Outcome, RowOutcome
from cdp_platform.domain.syncs import Connection, FieldKind, FieldMapping, Mode, SyncSpec
from cdp_platform.errors import ConfigError, ContractBroken
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

SYNC = "events__vendor"
OBJECTS = ("events", "keyed_events", "event_jobs")
POISON = "poison"
BAD = "bad"
BATCH_ROWS = 25
EVENTS = 150
POISONED, REFUSED = "e-0040", "e-0090"


class Events:
    """Speaks the words of EventLog."""

    name: ClassVar[str] = "vendor"
    default_base_url: ClassVar[str] = "http://127.0.0.1:9"

    def capabilities(self, object_name: str) -> Capabilities:
        if object_name not in OBJECTS:
            raise ConfigError(f"There is no object {object_name!r}.")
        return Capabilities(
            modes=frozenset({Mode.APPEND}),
            at_most_once=frozenset({Mode.APPEND}),
            idempotency_seconds=86_400 if object_name == "keyed_events" else 0,
            batch_rows=BATCH_ROWS,
            writes_changed_fields_only=False,
            requests_per_second=1000.0,
            burst_requests=1000,
            requests_at_once=2,
        )

    def account_id(self, session: Session) -> str:
        return str(session.send(Request(method="GET", path="/account")).body["account_id"])

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        return [
            DestinationField(name="event_id", kind=FieldKind.TEXT, is_unique=True),
            DestinationField(name="kind", kind=FieldKind.TEXT),
        ]

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        body = [
            {"ordinal": row.ordinal, "id": row.match_value, "fields": dict(row.fields), "key": row.idempotency_key}
            for row in rows
        ]
        path = "/jobs" if object_name == "event_jobs" else "/events"
        return Request(method="POST", path=path, body={"rows": body}, is_repeatable=False)

    def read(self, rows: Batch, answer: Answer) -> Sequence[RowOutcome] | Job:
        if answer.status == 202:
            return Job(id=str(answer.body["job"]))
        return _outcomes(answer)

    def poll(self, session: Session, object_name: str, job: Job, rows: Batch) -> Sequence[RowOutcome] | StillRunning:
        answer = session.send(Request(method="GET", path=f"/jobs/{job.id}"))
        return STILL_RUNNING if answer.body["state"] == "running" else _outcomes(answer)


def _outcomes(answer: Answer) -> list[RowOutcome]:
    results = answer.body.get("results") if isinstance(answer.body, Mapping) else None
    if not isinstance(results, list) or not all(isinstance(one, Mapping) and "ordinal" in one for one in results):
        raise ContractBroken("The answer has no results.", status=answer.status)
    return [_outcome(result) for result in results]


def _outcome(result: Mapping[str, Json]) -> RowOutcome:
    if code := result.get("code"):
        return RowOutcome(ordinal=result["ordinal"], outcome=Outcome.REJECTED, code=code)
    return RowOutcome(ordinal=result["ordinal"], outcome=Outcome.DELIVERED, record_id=result["id"])


def spec_of(base_url: str, object_name: str) -> SyncSpec:
    """The sync, with its connection leading to `base_url`."""
    return SyncSpec(
        name=SYNC,
        source_model="events",
        relation="activation.events",
        primary_key="event_id",
        connection=Connection(name="vendor", vendor="vendor", base_url=base_url),
        object=object_name,
        mode=Mode.APPEND,
        mapping=(
            FieldMapping(column="event_id", field="event_id", match_key=True, personal=False),
            FieldMapping(column="kind", field="kind", personal=False),
        ),
    )


def engine_of(root: Path) -> Engine:
    """A new engine on the home at `root`, as a new process would make it, with the sync switched on."""
    home = Home(root=root)
    journal = Journal(home)
    switch(journal, SYNC, is_enabled=True)
    return Engine(
        home=home,
        warehouse=DuckDbWarehouse(home.warehouse, wait_seconds=20),
        journal=journal,
        destination=Events(),
        open_session=open_session,
    )


def write_events(root: Path, count: int = EVENTS, *, first: int = 0, is_clean: bool = False) -> None:
    """Replace the source model by `count` events from number `first` on."""
    root.mkdir(parents=True, exist_ok=True)
    kinds = {} if is_clean else {POISONED: POISON, REFUSED: BAD}
    names = [f"e-{number:04}" for number in range(first, first + count)]
    with duckdb.connect(str(Home(root=root).warehouse)) as connection:
        connection.execute("create schema if not exists activation")
        connection.execute("create or replace table activation.events (event_id varchar, kind varchar)")
        connection.executemany(
            "insert into activation.events values (?, ?)", [(name, kinds.get(name, "bought")) for name in names]
        )
