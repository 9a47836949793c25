"""A Salesforce organization in the sandbox, and a model of members that is synced to it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests

from cdp_platform.connectors.http import HttpSession, open_session
from cdp_platform.connectors.protocol import Batch, OutgoingRow
from cdp_platform.destinations.salesforce import Salesforce
from cdp_platform.destinations.salesforce_bulk import SalesforceBulk
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation, RunRecord
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Connection, FieldMapping, Limits, Mode, Removal, SyncSpec
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.testing.rows import outgoing_row
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

TOKEN = "secret-of-the-sandbox"
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("person_id", "last_name", "email", "segment")),
        ("lifetime_value", pa.decimal128(12, 2)),
        ("account_key", pa.string()),
    ]
)
DATA = "/services/data/v67.0"
Member = Mapping[str, Any]


def member_of(number: int, **changes: Any) -> Member:
    """A row of the model: one contact."""
    row = {
        "person_id": f"p-{number:06}",
        "last_name": f"Okafor {number}",
        "email": f"member{number}@example.com",
        "segment": "loyal",
        "lifetime_value": Decimal("12.50"),
        "account_key": None,
    }
    return row | changes


class Organization:
    """The far side, asked over HTTP by a client of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {TOKEN}"}

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(method, f"{self.url}{path}", headers=self.headers, timeout=30, **more)

    def query(self, soql: str) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        answer = self.ask("GET", f"{DATA}/query", params={"q": soql}).json()
        while True:
            records += answer["records"]
            if answer["done"]:
                return records
            answer = self.ask("GET", answer["nextRecordsUrl"]).json()

    def contacts(self) -> dict[str, dict[str, Any]]:
        names = "Id, CDP_Person_Id__c, LastName, Email, RFM_Segment__c, Account.Name"
        found = self.query(f"SELECT {names} FROM Contact WHERE CDP_Person_Id__c != null")
        return {record["CDP_Person_Id__c"]: record for record in found}

    def lock(self, person: str, times: int) -> None:
        body = {"object": "Contact", "field": "CDP_Person_Id__c", "value": person, "times": times}
        assert self.ask("PUT", "/sandbox/salesforce/locks", json=body).json() == {"locked": 1}

    def fault(self, *rules: dict[str, Any]) -> None:
        """Set rules; none takes all away."""
        assert self.ask("POST", "/sandbox/faults", json={"rules": rules}).ok

    def stats(self) -> dict[str, Any]:
        told: dict[str, Any] = self.ask("GET", "/sandbox/salesforce/stats").json()
        return told

    def jobs(self) -> dict[str, int]:
        told: dict[str, int] = self.stats()["jobs"]
        return told


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Organization]:
    """Serve a new organization."""
    with serve_sandbox(SandboxSettings(state_path=folder / "crm.sqlite", token=TOKEN, port=0, **settings)) as url:
        yield Organization(url)


class Members:
    """A warehouse with the model, and the engine that syncs it; `bulk_from_rows` chooses the way."""

    def __init__(self, root: Path, url: str, *, bulk_from_rows: int = 10_000, removal: Removal | None = None) -> None:
        self.home = Home(root=root)
        self.warehouse = DuckDbWarehouse(self.home.warehouse, wait_seconds=5)
        self.spec = members_spec(url, removal)
        self.sleeps: list[float] = []
        self.engine = Engine(
            home=self.home,
            warehouse=self.warehouse,
            journal=Journal(self.home),
            destination=Salesforce(bulk_from_rows=bulk_from_rows),
            open_session=open_session,
        )
        self.runs = 0
        switch(self.engine.journal, self.spec.name, is_enabled=True)

    def write(self, members: Sequence[Member]) -> None:
        """Replace the model."""
        table = pa.Table.from_pylist([dict(member) for member in members], schema=_SCHEMA)
        with self.warehouse.session("write") as session:
            session.execute("create schema if not exists activation")
            session.register("incoming", table)
            session.execute("create or replace table activation.members as select * from incoming")

    def plan(self) -> Plan:
        self.runs += 1
        return make_plan(self.engine, self.spec, run_id=f"run-{self.runs}")

    def send(self, plan: Plan, **more: Any) -> RunRecord:
        timing = Timing(sleep=self._sleep, jitter=lambda: 1.0)
        return send_plan(self.engine, self.spec, plan, run_id=plan.run_id, timing=timing, **more)

    def run(self) -> RunRecord:
        return self.send(self.plan())

    def sql(self, statement: str) -> list[dict[str, Any]]:
        with self.warehouse.session("look") as session:
            return list(session.rows(statement))

    def _sleep(self, seconds: float) -> None:

        self.sleeps.append(seconds)
        time.sleep(min(seconds, 0.02))


def members_spec(url: str, removal: Removal | None = None) -> SyncSpec:
    """The sync of the members."""
    return SyncSpec(
        name="members",
        source_model="members",
        relation="activation.members",
        primary_key="person_id",
        connection=connection_to(url),
        object="Contact",
        mode=Mode.MIRROR if removal else Mode.UPSERT,
        removal=removal or Removal.KEEP,
        mapping=(
            FieldMapping(column="person_id", field="CDP_Person_Id__c", match_key=True),
            FieldMapping(column="last_name", field="LastName"),
            FieldMapping(column="email", field="Email"),
            FieldMapping(column="segment", field="RFM_Segment__c"),
            FieldMapping(column="lifetime_value", field="Lifetime_Value__c"),
            FieldMapping(column="account_key", field="Account.CDP_Id__c"),
        ),
        limits=Limits(shrunk_share=1.0, removed_share=1.0),
    )


def connection_to(url: str) -> Connection:
    return Connection(name="salesforce", vendor="salesforce", token_env="SALESFORCE_TOKEN", base_url=url)


@contextmanager
def session_with(url: str, home: Path, destination: Salesforce | SalesforceBulk | None = None) -> Iterator[HttpSession]:
    opened = open_session(connection_to(url), destination or Salesforce(), Home(root=home), "Contact")
    try:
        yield opened
    finally:
        opened.close()


def row(ordinal: int, person: str, operation: Operation = Operation.CREATE, **fields: Any) -> OutgoingRow:
    return outgoing_row(ordinal=ordinal, operation=operation, match_value=person, record_id=None, fields=fields)


def batch(*rows: OutgoingRow) -> Batch:
    return Batch.of(rows)
