"""A shop whose audience syncs lead to the sandbox: model rows in, one run, members as its stand-in has them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import RunRecord
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Connection, Consent, FieldMapping, Limits, Mode, Removal, SyncSpec
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

TOKEN_ENV = "AUDIENCE_SANDBOX_TOKEN"
TOKEN = "secret"
_COLUMNS = ("person_id", "email", "phone", "first_name", "last_name")


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class AudienceShop:
    """One audience sync in a mirror."""

    def __init__(
        self,
        root: Path,
        address: str,
        *,
        vendor: str,
        object_name: str,
        options: Mapping[str, str],
        fields: Mapping[str, str],
        match_field: str,
        base_path: str = "",
    ) -> None:
        self.home = Home(root=root)
        self.address = address
        self.warehouse = DuckDbWarehouse(self.home.warehouse, wait_seconds=5)
        self.sleeps: list[float] = []
        self.runs = 0
        self.spec = SyncSpec(
            name="loyal_people",
            source_model="members",
            relation="activation.members",
            primary_key="person_id",
            connection=Connection(
                name=vendor, vendor=vendor, token_env=TOKEN_ENV, base_url=address + base_path, options=options
            ),
            object=object_name,
            mode=Mode.MIRROR,
            removal=Removal.DELETE,
            mapping=tuple(
                FieldMapping(column=column, field=field, match_key=field == match_field)
                for column, field in fields.items()
            ),
            consent=Consent(
                entity="default",
                purpose="advertising",
                channel="email",
                identifier_column="email",
                relation="marts.consents",
            ),
            limits=Limits(shrunk_share=1.0, removed_share=1.0),
        )
        switch(Journal(self.home), self.spec.name, is_enabled=True)

    @property
    def engine(self) -> Engine:
        """A new engine, as a new process would make it."""
        return Engine(
            home=self.home,
            warehouse=self.warehouse,
            journal=Journal(self.home),
            destination=destination_of(self.spec.connection),
            open_session=open_session,
        )

    def people(self, people: Sequence[Mapping[str, Any]], *, withdrawn: Sequence[str] = ()) -> None:
        """Replace the model; everybody has said yes but the e-mails of `withdrawn`."""
        with self.warehouse.session("test") as session:
            for schema in ("activation", "marts"):
                session.execute(f"create schema if not exists {schema}")
            columns = ", ".join(f"{name} varchar" for name in _COLUMNS)
            session.execute(f"create or replace table activation.members ({columns})")
            session.execute(
                "create or replace table marts.consents (identifier varchar, entity varchar, channel varchar,"
                " purpose varchar, status varchar)"
            )
            for person in people:
                session.execute(
                    f"insert into activation.members values ({', '.join('?' * len(_COLUMNS))})",
                    [person.get(name) for name in _COLUMNS],
                )
                status = "withdrawn" if person["email"] in withdrawn else "granted"
                session.execute(
                    "insert into marts.consents values (lower(trim(?)), 'default', 'email', 'advertising', ?)",
                    [person["email"], status],
                )

    def plan(self) -> Plan:
        self.runs += 1
        return make_plan(self.engine, self.spec, run_id=f"run-{self.runs}")

    def send(self, plan: Plan) -> RunRecord:
        timing = Timing(sleep=self.sleeps.append, jitter=lambda: 1.0)
        return send_plan(self.engine, self.spec, plan, run_id=plan.run_id, timing=timing)

    def run(self) -> RunRecord:
        return self.send(self.plan())

    def rejected(self) -> dict[str, str]:
        """Reason by primary key."""
        with self.warehouse.session("test") as session:
            rows = session.rows("select primary_key, code from cdp.rejected_rows")
        return {row["primary_key"]: row["code"] for row in rows}

    def use(self, **changes: Any) -> None:
        """Change the sync's declaration."""
        self.spec = replace(self.spec, **changes)

    def state(self, path: str) -> Any:
        """What the sandbox tells under its own path."""
        return requests.get(f"{self.address}{path}", timeout=5).json()

    def files_hold(self, text: str) -> list[str]:
        """The files of bookkeeping, beside the warehouse and the plans, that hold a text."""
        kept = [path for path in self.home.root.rglob("*") if path.is_file() and "warehouse" not in path.name]
        return [path.name for path in kept if "plans" not in path.parts and text.encode() in path.read_bytes()]


def person(number: int, **changes: Any) -> dict[str, Any]:
    """A person with an address and a telephone number of a range for fiction."""
    return {
        "person_id": f"p-{number:04}",
        "email": f"person{number}@example.com",
        "phone": f"(650) 555-{100 + number:04}",
        "first_name": "Ada",
        "last_name": f"Lindqvist {number}",
    } | changes


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
