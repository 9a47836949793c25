"""One run at a time per account and object: a lease in the journal with a fencing token (G10)."""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cdp_platform.errors import LeaseLost
from cdp_platform.syncs.journal import Journal

LEASE_SECONDS = 180.0
"""Longer than one request may take with its own deadline and its wait for the pace (110 s)."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease that is held; `fence` grows with every change of holder."""

    ledger_id: str
    holder: str
    fence: int
    journal: Journal
    clock: Callable[[], float]
    renewed_at: list[float]
    """When it was last renewed; one number, shared by the run's threads."""

    def renew_if_due(self) -> None:
        """Renew the lease when a third of it has passed."""
        if self.clock() - self.renewed_at[0] > LEASE_SECONDS / 3:
            self.renew()

    def renew(self) -> None:
        """Hold on for another term; raise LeaseLost where somebody else took over."""
        fence = self.journal.take_lease(
            self.ledger_id, self.holder, now=self.clock(), seconds=LEASE_SECONDS, is_dead=is_dead
        )
        self.renewed_at[0] = self.clock()
        if fence != self.fence:
            raise LeaseLost(
                "another run took over this account's object while this one stood still.",
                remedy="Nothing more was sent from here; look at the other run.",
            )


@contextmanager
def held_lease(journal: Journal, ledger_id: str, *, clock: Callable[[], float] = time.time) -> Iterator[Lease]:
    """Hold the lease for the block; raise LeaseLost at once where another live run has it."""
    holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
    fence = journal.take_lease(ledger_id, holder, now=clock(), seconds=LEASE_SECONDS, is_dead=is_dead)
    if fence is None:
        raise LeaseLost(
            f"another run is at work on this account's object ({journal.lease_holder(ledger_id)}).",
            remedy="Wait until it has ended; its result holds for this run too.",
        )
    try:
        yield Lease(ledger_id=ledger_id, holder=holder, fence=fence, journal=journal, clock=clock, renewed_at=[clock()])
    finally:
        journal.release_lease(ledger_id, holder)


def is_dead(holder: str) -> bool:
    """Whether the holder is a process of this host that is gone. Of other hosts nothing is known: False."""
    host, process, _ = holder.split("/")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
