"""A shop with people, consents and a fake CRM: model rows in, one run, records out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.connectors.protocol import Capabilities, DestinationField
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import RunRecord
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Connection, Consent, FieldKind, FieldMapping, FieldType, Mode, SyncSpec
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.testing.fakes import FakeAccount, FakeDestination, FakeSession
from cdp_platform.warehouse.base import Session, Warehouse
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

Person = Mapping[str, Any]
ON_EVERY_WAREHOUSE = ("test_plan", "test_moves")
"""Modules whose examples run on PostgreSQL in the fast suite, too."""
ON_BOTH_JOURNALS = {
    "test_clocks": True,
    "test_unfinished": True,
    "test_at_most_once": False,
    "test_continuity": False,
    "test_jobs": False,
    "test_doubt": False,
    "test_operating": False,
    "test_resolve": False,
    "test_send": False,
}
"""Modules whose examples run with the journal in PostgreSQL, and whether they do so in the fast suite, too."""
FIELDS = ("cdp_person_id", "email", "email_permission", "segment", "lifetime_value")


def spec_of(**changes: Any) -> SyncSpec:
    """The sync that every test starts from."""
    spec = SyncSpec(
        name="crm_contacts",
        source_model="sync_contacts__crm",
        relation="activation.sync_contacts__crm",
        primary_key="person_id",
        connection=Connection(name="fake", vendor="fake", entity="shop"),
        object="contacts",
        mode=Mode.UPSERT,
        mapping=(
            FieldMapping(column="person_id", field="cdp_person_id", match_key=True, personal=False),
            FieldMapping(column="email", field="email"),
            FieldMapping(column="email_permission", field="email_permission", after_withdrawal=True, personal=False),
            FieldMapping(column="segment", field="segment", personal=False),
            FieldMapping(
                column="lifetime_value",
                field="lifetime_value",
                type=FieldType(kind=FieldKind.DECIMAL, precision=12, scale=2),
                personal=False,
            ),
        ),
        consent=Consent(
            entity="shop",
            purpose="email_marketing",
            channel="email",
            identifier_column="email",
            relation="marts.consents",
            suppressions="marts.suppressions",
        ),
        declared_in="defs/syncs/crm_contacts/defs.yaml:1",
    )
    return replace(spec, **changes)


class Shop:
    """The warehouse's models, the engine and the account at the other end."""

    def __init__(self, root: Path, warehouse: Warehouse | None = None, journal_address: str | None = None) -> None:
        """By default warehouse and journal are files under `root`."""
        self.home = Home(root=root, journal_address=journal_address)
        self.warehouse: Warehouse = warehouse or DuckDbWarehouse(self.home.warehouse, wait_seconds=5)
        self.account = FakeAccount(
            fields=[DestinationField(name=n, kind=FieldKind.TEXT, is_unique=n == "cdp_person_id") for n in FIELDS]
        )
        self.session = FakeSession(self.account)
        self.destination = FakeDestination(batch_rows=10)
        self.spec = spec_of()
        self.sleeps: list[float] = []
        self.runs = 0
        switch(Journal(self.home), self.spec.name, is_enabled=True)

    @property
    def engine(self) -> Engine:
        """A new engine, as a new process would make it."""
        return Engine(
            home=self.home,
            warehouse=self.warehouse,
            journal=Journal(self.home),
            destination=self.destination,
            open_session=lambda connection, destination, home, object_name: self._reopened(),
        )

    @property
    def capabilities(self) -> Capabilities:
        return self.destination.capabilities("contacts")

    def _reopened(self) -> FakeSession:
        self.session.is_closed = False
        return self.session

    def people(self, people: Sequence[Person]) -> None:
        """Replace the source model and the consents by these people; `permission` None means never asked."""
        with self.warehouse.session("test") as session:
            session.execute("create schema if not exists activation")
            session.execute("create schema if not exists marts")
            session.execute(
                "create or replace table activation.sync_contacts__crm (person_id varchar, email varchar,"
                " email_permission varchar, segment varchar, lifetime_value decimal(14,4))"
            )
            session.execute(
                "create or replace table marts.consents (identifier varchar, entity varchar, channel varchar,"
                " purpose varchar, status varchar)"
            )
            session.execute(
                "create table if not exists marts.suppressions (identifier varchar, channel varchar, entity varchar)"
            )
            rows = [person_of() | dict(person) for person in people]
            insert(
                session,
                "activation.sync_contacts__crm values (?, ?, ?, ?, cast(? as decimal(14,4)))",
                [
                    [row[name] for name in ("person_id", "email", "permission", "segment", "lifetime_value")]
                    for row in rows
                ],
            )
            insert(
                session,
                "marts.consents values (?, 'shop', 'email', 'email_marketing', ?)",
                [[row["email"] and row["email"].lower(), row["permission"]] for row in rows if row["permission"]],
            )

    def sql(self, sql: str) -> list[dict[str, Any]]:
        with self.warehouse.session("test") as session:
            return session.rows(sql)

    def plan(self) -> Plan:
        self.runs += 1
        return make_plan(self.engine, self.spec, run_id=f"run-{self.runs}", partition="2017-12-25")

    def send(self, plan: Plan) -> RunRecord:
        timing = Timing(sleep=self.sleeps.append, jitter=lambda: 1.0)
        return send_plan(self.engine, self.spec, plan, run_id=plan.run_id, timing=timing)

    def run(self) -> RunRecord:
        """Plan and send, as one run does."""
        return self.send(self.plan())

    def records(self, field: str) -> dict[str, Any]:
        """One field of every record at the destination, by person."""
        return {person: record.fields.get(field) for person, record in self.account.records.items()}

    def sent_rows(self) -> list[dict[str, Any]]:
        """Every row of every write that arrived, in order."""
        return [row for request in self.account.arrived for row in json.loads(json.dumps(request.body))["rows"]]


def insert(session: Session, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows by one statement, since each costs an emulator much; `into` ends with the places of one row."""
    table, places = into.split(" values ")
    if rows:
        values = ", ".join([places] * len(rows))
        session.execute(f"insert into {table} values {values}", [value for row in rows for value in row])


def person_of(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A person who said yes."""
    person = {
        "person_id": f"p-{number:03}",
        "email": f"Person{number}@example.com",
        "permission": "granted",
        "segment": "loyal",
        "lifetime_value": "10.00",
    }
    return person | changes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every example of the engine runs on each warehouse, what the journal is for on each of its stores, too.

    On PostgreSQL most of them run only in the slow suite, on emulators all of them.
    """
    module = metafunc.module.__name__.rsplit(".", 1)[-1]
    cases: list[tuple[str, str, list[pytest.MarkDecorator]]] = [("duckdb", "file", [])]
    if metafunc.definition.get_closest_marker("duckdb_only") is None and "empty_warehouse" in metafunc.fixturenames:
        cases.append(("postgres", "file", [] if module in ON_EVERY_WAREHOUSE else [pytest.mark.slow]))
        cases += [(engine, "file", [pytest.mark.slow]) for engine in ("snowflake", "bigquery")]
    if module in ON_BOTH_JOURNALS:
        cases.append(("duckdb", "postgres", [] if ON_BOTH_JOURNALS[module] else [pytest.mark.slow]))
    fixtures = [name for name in ("empty_warehouse", "journal_address") if name in metafunc.fixturenames]
    if fixtures:
        first = 0 if "empty_warehouse" in fixtures else 1
        chosen = [pytest.param(*case[first : first + len(fixtures)], marks=case[2]) for case in cases]
        metafunc.parametrize(fixtures, chosen, indirect=True)


@pytest.fixture
def empty_warehouse(request: pytest.FixtureRequest) -> Iterator[Warehouse | None]:
    """A warehouse for the shop; None for the DuckDB file in its home."""
    if request.param == "duckdb":
        yield None
        return
    if request.param in ("snowflake", "bigquery"):
        yield from on_fakesnow(request) if request.param == "snowflake" else on_crucible(request)
        return
    server = request.getfixturevalue("postgres")
    from cdp_platform.warehouse.postgres import PostgresWarehouse

    with closing(PostgresWarehouse(server.emptied(), wait_seconds=5)) as warehouse:
        yield warehouse


def on_fakesnow(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    """An empty account of the emulator of Snowflake."""
    server = request.getfixturevalue("fakesnow")
    from cdp_platform.warehouse.snowflake import SnowflakeWarehouse
    from cdp_platform_tests.warehouses.emulators import FAKESNOW_LACKS, NoSecrets

    if reason := FAKESNOW_LACKS.get(request.node.name) or FAKESNOW_LACKS.get(request.node.originalname):
        pytest.xfail(f"fakesnow: {reason}")
    with closing(SnowflakeWarehouse(server.new_account(), NoSecrets())) as warehouse:
        yield warehouse


def on_crucible(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    """An empty project of the emulator of BigQuery."""
    server = request.getfixturevalue("crucible")
    from cdp_platform.warehouse.bigquery import BigQueryWarehouse
    from cdp_platform_tests.warehouses.emulators import CRUCIBLE_LACKS, NoSecrets

    if reason := CRUCIBLE_LACKS.get(request.node.name) or CRUCIBLE_LACKS.get(request.node.originalname):
        pytest.xfail(f"crucible: {reason}")
    with closing(BigQueryWarehouse(server.new_account(), NoSecrets(), retry_seconds=5)) as warehouse:
        yield warehouse


@pytest.fixture
def journal_address(request: pytest.FixtureRequest) -> str | None:
    """Where the shop's journal is; None for the file in its home."""
    return None if request.param == "file" else str(request.getfixturevalue("postgres").emptied())


@pytest.fixture
def shop(tmp_path: Path, empty_warehouse: Warehouse | None, journal_address: str | None) -> Shop:
    return Shop(tmp_path / "home", empty_warehouse, journal_address)
