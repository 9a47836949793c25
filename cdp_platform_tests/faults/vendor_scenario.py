"""People on two days, mirrored to vendors that take many rows as jobs, or keep what a changed person no longer has.

Requests are small here, so that each way has several of them: fifteen rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import Destination
from cdp_platform.connectors.registry import destination_of
from cdp_platform.destinations import google_audiences, meta_audiences, salesforce_bulk
from cdp_platform.destinations.salesforce import Salesforce
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection, FieldMapping, Limits, Mode, Removal, SyncSpec
from cdp_platform.sandbox.google.account import ACCOUNT_ID as GOOGLE_ACCOUNT
from cdp_platform.sandbox.google.account import USER_LISTS
from cdp_platform.sandbox.meta.account import ACCOUNT_ID as META_ACCOUNT
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.faults.scenario import TOKEN_ENV

SYNC = "people__vendor"
BATCH_ROWS = 15
Person = tuple[str, str, str]
"""person_id, email, last name."""


@dataclass(frozen=True, kw_only=True)
class _Vendor:
    object: str
    fields: Mapping[str, str]
    """By column; the match key is the first."""
    path: str = ""
    options: Mapping[str, str] | None = None


_DECLARED = {
    "salesforce": _Vendor(
        object="Contact", fields={"person_id": "CDP_Person_Id__c", "email": "Email", "last_name": "LastName"}
    ),
    "meta_audiences": _Vendor(
        object="audience",
        fields={"person_id": "EXTERN_ID", "email": "EMAIL"},
        path="/v26.0",
        options={"ad_account_id": META_ACCOUNT, "audience": "Loyal people"},
    ),
    "google_audiences": _Vendor(
        object="audience",
        fields={"email": "emailAddress"},
        options={
            "account_id": GOOGLE_ACCOUNT,
            "user_list_id": next(iter(USER_LISTS)),
            "customer_match_terms": "accepted",
        },
    ),
}
VENDORS = tuple(_DECLARED)


def engine_of(root: Path, vendor: str, base_url: str) -> tuple[Engine, SyncSpec]:
    """A new engine on the home at `root`, as a new process would make it, with the sync of the vendor switched on."""
    home, spec = Home(root=root), _spec_of(vendor, base_url)
    journal = Journal(home)
    switch(journal, SYNC, is_enabled=True)
    engine = Engine(
        home=home,
        warehouse=DuckDbWarehouse(home.warehouse, wait_seconds=20),
        journal=journal,
        destination=_destination(spec.connection),
        open_session=open_session,
    )
    return engine, spec


def _destination(connection: Connection) -> Destination:
    salesforce_bulk._BULK = replace(salesforce_bulk._BULK, batch_rows=BATCH_ROWS)
    meta_audiences._AUDIENCE = replace(meta_audiences._AUDIENCE, batch_rows=BATCH_ROWS)
    google_audiences._AUDIENCE = replace(google_audiences._AUDIENCE, batch_rows=BATCH_ROWS)
    return Salesforce(bulk_from_rows=1) if connection.vendor == "salesforce" else destination_of(connection)


def _spec_of(vendor: str, base_url: str) -> SyncSpec:
    declared = _DECLARED[vendor]
    match = next(iter(declared.fields))
    return SyncSpec(
        name=SYNC,
        source_model="people",
        relation="activation.people",
        primary_key="person_id",
        connection=Connection(
            name=vendor,
            vendor=vendor,
            token_env=TOKEN_ENV,
            base_url=base_url + declared.path,
            options=declared.options or {},
        ),
        object=declared.object,
        mode=Mode.MIRROR,
        removal=Removal.DELETE,
        mapping=tuple(
            FieldMapping(column=column, field=field, match_key=column == match)
            for column, field in declared.fields.items()
        ),
        limits=Limits(removed_share=1.0, shrunk_share=1.0),
    )


def first_day() -> list[Person]:
    """60 people."""
    return [_person(number) for number in range(60)]


def second_day() -> list[Person]:
    """15 of them are gone, 25 have another address, 20 are as before, and 40 are new."""
    changed = [_person(number, address=f"moved{number}@example.com") for number in range(15, 40)]
    return [*changed, *(_person(number) for number in range(40, 100))]


def write_people(root: Path, people: Sequence[Person]) -> None:
    """Replace the source model in the warehouse of the home at `root`."""
    root.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(Home(root=root).warehouse)) as connection:
        connection.execute("create schema if not exists activation")
        connection.execute(
            "create or replace table activation.people (person_id varchar, email varchar, last_name varchar)"
        )
        connection.executemany("insert into activation.people values (?, ?, ?)", people)


def _person(number: int, *, address: str | None = None) -> Person:
    return (f"p-{number:04}", address or f"person{number}@example.com", f"Lindqvist {number}")
