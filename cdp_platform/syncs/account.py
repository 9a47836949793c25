"""Which account a sync writes to, and the session that leads there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cdp_platform.connectors.protocol import Destination, Session
from cdp_platform.domain.home import Home
from cdp_platform.domain.plans import LedgerIdentity
from cdp_platform.domain.syncs import Connection, SyncSpec
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.base import Warehouse

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


def identity(spec: SyncSpec, account_id: str) -> LedgerIdentity:
    """Say what the ledger of this sync on that account belongs to."""
    return LedgerIdentity(
        environment=spec.connection.environment,
        sync=spec.name,
        destination=spec.connection.name,
        account_id=account_id,
        object=spec.object,
    )
