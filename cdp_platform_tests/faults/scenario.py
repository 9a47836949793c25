"""A shop on two days, and the sync that brings it to HubSpot: some rows new, some changed, some withdrawn, some bad."""

import os
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from cdp_platform.connectors.http import open_session
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import (
    Connection,
    Consent,
    FieldKind,
    FieldMapping,
    FieldType,
    Grant,
    Mode,
    OAuth,
    SyncSpec,
)
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

SYNC = "contacts__hubspot"
TOKEN_ENV = "CDP_FAULTS_TOKEN"
TOKEN = "a-token-of-the-fault-tests"
POISON = "poison"
MERGES = "identity.identity_merges"
"""The log of merged persons; there is none before somebody was merged."""
BATCH_ROWS = 100
FIELDS = ("cdp_person_id", "email", "email_permission", "rfm_segment", "lifetime_value", "last_order_on")
Person = tuple[str, str, str | None, str | None, Decimal | None, date | None]
"""person_id, email, permission (None: never asked), segment, lifetime value, day of the last order."""


def spec_of(base_url: str, token_url: str = "") -> SyncSpec:
    """The sync, with its connection leading to `base_url`; with a `token_url` its token comes from there."""
    credential: dict[str, Any] = {"oauth": _oauth(token_url)} if token_url else {"token_env": TOKEN_ENV}
    return SyncSpec(
        name=SYNC,
        source_model="people",
        relation="activation.people",
        primary_key="person_id",
        connection=Connection(name="hubspot", vendor="hubspot", base_url=base_url, entity="shop", **credential),
        object="contacts",
        mode=Mode.UPSERT,
        mapping=(
            FieldMapping(column="person_id", field="cdp_person_id", match_key=True, personal=False),
            FieldMapping(column="email", field="email"),
            FieldMapping(column="email_permission", field="email_permission", after_withdrawal=True, personal=False),
            FieldMapping(column="rfm_segment", field="rfm_segment", personal=False),
            FieldMapping(
                column="lifetime_value",
                field="lifetime_value",
                type=FieldType(kind=FieldKind.DECIMAL, precision=12, scale=2),
                personal=False,
            ),
            FieldMapping(column="last_order_on", field="last_order_on", personal=False),
        ),
        consent=Consent(
            entity="shop",
            purpose="email_marketing",
            channel="email",
            identifier_column="email",
            relation="marts.consents",
        ),
        key_moves=MERGES,
    )


def _oauth(token_url: str) -> OAuth:
    return OAuth(
        token_url=token_url, grant=Grant.CLIENT_CREDENTIALS, client_id_env=TOKEN_ENV, client_secret_env=TOKEN_ENV
    )


def engine_of(root: Path) -> Engine:
    """A new engine on the home at `root`, as a new process would make it, with the sync switched on.

    The journal is a file there, or where CDP_JOURNAL says.
    """
    home = Home(root=root, journal_address=os.environ.get("CDP_JOURNAL") or None)
    journal = Journal(home)
    switch(journal, SYNC, is_enabled=True)
    return Engine(
        home=home,
        warehouse=DuckDbWarehouse(home.warehouse, wait_seconds=20),
        journal=journal,
        destination=HubSpot(),
        open_session=open_session,
    )


def write_people(root: Path, people: list[Person]) -> None:
    """Replace the source model and the consents in the warehouse of the home at `root`."""
    root.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(Home(root=root).warehouse)) as connection:
        connection.execute("create schema if not exists activation; create schema if not exists marts")
        connection.execute(
            "create or replace table activation.people (person_id varchar, email varchar, email_permission varchar,"
            " rfm_segment varchar, lifetime_value decimal(14,4), last_order_on date)"
        )
        connection.execute(
            "create or replace table marts.consents (identifier varchar, entity varchar, channel varchar,"
            " purpose varchar, status varchar)"
        )
        connection.executemany("insert into activation.people values (?, ?, ?, ?, ?, ?)", people)
        connection.execute(
            "insert into marts.consents select lower(email), 'shop', 'email', 'email_marketing', email_permission"
            " from activation.people where email_permission is not null"
        )


def write_merges(root: Path, merges: Mapping[str, str]) -> None:
    """Log that persons went up in others, former id → id, as identity does."""
    with duckdb.connect(str(Home(root=root).warehouse)) as connection:
        connection.execute("create schema if not exists identity")
        connection.execute(
            f"create or replace table {MERGES} (resolved_at timestamptz, former_person_id varchar, person_id varchar,"
            " kind varchar, record_count bigint)"
        )
        connection.executemany(
            f"insert into {MERGES} values ('2017-12-27 06:00:00+00', ?, ?, 'merge', 1)", list(merges.items())
        )


def merging_day() -> tuple[list[Person], dict[str, str]]:
    """The people of the first day, 120 of them under another id, and which: former id → id."""
    people = first_day()
    merges = {person[0]: f"q-{person[0][2:]}" for person in people[:120]}
    return [(merges.get(person[0], person[0]), *person[1:]) for person in people], merges


def first_day() -> list[Person]:
    """150 people who said yes."""
    return [_person(number) for number in range(150)]


def second_day() -> list[Person]:
    """250 people: 20 withdrawn, 20 as before, 110 changed, 97 new; of these two poison a batch, three are refused."""
    return list(_second_day())


def _second_day() -> Iterator[Person]:
    for number in range(250):
        if number < 20:
            yield _person(number, permission="withdrawn", segment="lapsed")
        elif number in (60, 170):
            yield _person(number, segment=POISON)
        elif number in (70, 180, 181):
            yield _person(number, email=f"not an address {number}")
        elif number in (190, 191):
            yield _person(number, permission=None)
        elif number == 192:
            yield _person(number, permission="withdrawn")
        else:
            yield _person(number, segment="loyal" if number < 40 else "champion")


def _person(
    number: int, *, permission: str | None = "granted", segment: str = "loyal", email: str | None = None
) -> Person:
    last_order = date(2017, 1, 1) + timedelta(days=number)
    value = Decimal(number) / 4
    return (f"p-{number:04}", email or f"Person{number}@example.com", permission, segment, value, last_order)
