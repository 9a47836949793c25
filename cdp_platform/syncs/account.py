"""Which account a sync writes to, and the session that leads there."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cdp_platform.connectors.abilities import ChoosesWay, SendsByMode
from cdp_platform.connectors.credentials import credential_of, resolve_base_url
from cdp_platform.connectors.protocol import Destination, Session
from cdp_platform.domain.home import Home
from cdp_platform.domain.permission import ObjectKind
from cdp_platform.domain.plans import LedgerIdentity, Plan
from cdp_platform.domain.syncs import Connection, Mode, SyncSpec
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.base import Warehouse

NOT_ASKED = "not-asked"
"""The account of a sync that was never switched on: it is not asked who it is, and its plan is never sent."""

OpenSession = Callable[[Connection, Destination, Home, str], Session]
"""Opens an authenticated, paced session: connection, destination, home, object."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What a sync needs besides its spec: where state lives, the warehouse, the destination, the way to it."""

    home: Home
    warehouse: Warehouse
    journal: Journal
    destination: Destination
    open_session: OpenSession


@contextmanager
def session_to(engine: Engine, spec: SyncSpec) -> Iterator[Session]:
    """Open a session to the sync's account and close it afterwards."""
    session = engine.open_session(spec.connection, engine.destination, engine.home, spec.object)
    try:
        yield session
    finally:
        session.close()


def on_its_way(engine: Engine, spec: SyncSpec, plan: Plan) -> Engine:
    """The engine with the destination as it takes as many rows as the plan sends, in the sync's mode."""
    destination = engine.destination
    if isinstance(destination, SendsByMode):
        destination = destination.in_mode(spec.mode)
    if isinstance(destination, ChoosesWay):
        destination = destination.way_for(spec.object, plan.to_send)
    return replace(engine, destination=destination)


def connection_id(engine: Engine, spec: SyncSpec) -> str:
    """Name where a connection leads to, by name, address and credential, without telling the credential.

    It stays the same when a token is renewed. Raises AuthenticationFailed for a credential that is not there.
    """
    connection = spec.connection
    credential = credential_of(connection)
    address = resolve_base_url(connection, engine.destination.default_base_url)
    return hashlib.sha256(
        "\n".join([connection.name, address, credential.reveal() if credential else ""]).encode()
    ).hexdigest()[:16]


def is_at_most_once(engine: Engine, spec: SyncSpec) -> bool:
    """Whether sending a row of this sync twice does harm at its destination."""
    return spec.mode in engine.destination.capabilities(spec.object).at_most_once


def kind_of(engine: Engine, spec: SyncSpec) -> ObjectKind:
    """What a row of this sync is to a person; what is appended is a message, whatever object it goes to."""
    return kind_at(engine.destination, spec)


def kind_at(destination: Destination, spec: SyncSpec) -> ObjectKind:
    """What a row of a sync to this destination is to a person."""
    if spec.mode is Mode.APPEND:
        return ObjectKind.MESSAGE
    is_membership = destination.capabilities(spec.object).is_membership
    return ObjectKind.MEMBERSHIP if is_membership else ObjectKind.RECORD


def sends_once(engine: Engine, spec: SyncSpec) -> bool:
    """Whether this sync sends a row no more than once, be it that a second time does harm or that its mode says so."""
    return spec.mode is Mode.APPEND or is_at_most_once(engine, spec)


def identity(spec: SyncSpec, account_id: str) -> LedgerIdentity:
    """Say what the ledger of this sync on that account belongs to."""
    return LedgerIdentity(
        environment=spec.connection.environment,
        sync=spec.name,
        destination=spec.connection.name,
        account_id=account_id,
        object=spec.object,
    )
