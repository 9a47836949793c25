"""One run at a time per account and object: a lease in the journal with a fencing token (G10).

Time is counted by the clock of the running kernel, which nobody sets and all its processes share; the wall clock may
jump. The lease names the boot that its clock belongs to: of another boot's clock nothing can be said. Where hosts share
the journal's database, its clock counts for all of them.
"""

import hashlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cdp_platform.errors import LeaseLost
from cdp_platform.syncs.journal import Journal

LEASE_SECONDS = 180.0
"""Longer than one request may take with its own deadline and its wait for the pace (110 s)."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")
_DATABASE = "database"
"""What stands for the boot where the clock is the database's."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Seconds that only grow, and the boot since which they are counted."""

    seconds: Callable[[], float] = time.monotonic
    boot: str = ""

    @classmethod
    def of_this_kernel(cls) -> "Clock":
        """The clock that all processes of the running kernel share; the wall clock where a kernel has no boot id."""
        boot = _boot_id()
        return cls(boot=boot) if boot else cls(seconds=time.time)

    @classmethod
    def of(cls, journal: Journal) -> "Clock":
        """The clock that all who use the journal share: its database's, or that of the one host."""
        return cls(seconds=journal.server.seconds, boot=_DATABASE) if journal.server else cls.of_this_kernel()


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease that is held; `fence` grows with every change of holder."""

    ledger_id: str
    holder: str
    fence: int
    journal: Journal
    clock: Clock
    renewed_at: list[float]
    """A time just before it was last renewed; one number, shared by the run's threads."""

    def renew_if_due(self) -> None:
        """Renew the lease when a third of it has passed."""
        if not 0 <= self.clock.seconds() - self.renewed_at[0] <= LEASE_SECONDS / 3:
            self.renew()

    def renew(self) -> None:
        """Hold on for another term; raise LeaseLost where somebody else took over."""
        began_at = self.clock.seconds()
        fence = take_lease(self.journal, self.ledger_id, self.holder, self.clock)
        self.renewed_at[0] = began_at
        if fence != self.fence:
            raise LeaseLost(
                "another run took over this account's object while this one stood still.",
                remedy="Nothing more was sent from here; look at the other run.",
            )


@contextmanager
def held_lease(journal: Journal, ledger_id: str, *, clock: Clock | None = None) -> Iterator[Lease]:
    """Hold the lease for the block; raise LeaseLost at once where another live run has it."""
    clock = clock or Clock.of(journal)
    host = _exact_host() if journal.server else socket.gethostname()
    holder = f"{host}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
    began_at = clock.seconds()
    fence = take_lease(journal, ledger_id, holder, clock)
    if fence is None:
        raise LeaseLost(
            f"another run is at work on this account's object ({lease_holder(journal, ledger_id)}).",
            remedy="Wait until it has ended; its result holds for this run too.",
        )
    try:
        yield Lease(
            ledger_id=ledger_id, holder=holder, fence=fence, journal=journal, clock=clock, renewed_at=[began_at]
        )
    finally:
        _release(journal, ledger_id, holder)


def take_lease(journal: Journal, ledger_id: str, holder: str, clock: Clock) -> int | None:
    """Take or renew the lease on a ledger for one term; None where another holder has it that may be alive.

    The answer is the fencing token: it grows with every change of holder. Who held it under another boot's clock gets
    one more term from now, which a live holder prolongs and a dead one does not.
    """
    with journal.transaction(ledger_id) as connection:
        now = clock.seconds()
        row = connection.execute(
            "select holder, fence, expires_at, boot from leases where ledger_id = ?", [ledger_id]
        ).fetchone()
        if row and row[0] != holder and row[2] > 0 and not is_dead(row[0]):
            if row[3] != clock.boot or row[2] > now + LEASE_SECONDS:
                connection.execute(
                    "update leases set expires_at = ?, boot = ? where ledger_id = ?",
                    [now + LEASE_SECONDS, clock.boot, ledger_id],
                )
                return None
            if row[2] > now:
                return None
        fence = 1 if row is None else row[1] + int(row[0] != holder)
        connection.execute(
            "insert into leases values (?, ?, ?, ?, ?) on conflict (ledger_id) do update set"
            " holder = excluded.holder, fence = excluded.fence, expires_at = excluded.expires_at, boot = excluded.boot",
            [ledger_id, holder, fence, now + LEASE_SECONDS, clock.boot],
        )
        return int(fence)


def lease_holder(journal: Journal, ledger_id: str) -> str | None:
    """Who has, or last had, the lease."""
    with journal.transaction(ledger_id) as connection:
        row = connection.execute("select holder from leases where ledger_id = ?", [ledger_id]).fetchone()
    return row[0] if row else None


def is_dead(holder: str) -> bool:
    """Whether the holder is a process of this host that is gone. Of other hosts nothing is known: False."""
    host, process, _ = holder.split("/")
    if host not in (socket.gethostname(), _exact_host()):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _release(journal: Journal, ledger_id: str, holder: str) -> None:
    """Give the lease back; the fence stays, so that a late writer is still recognised."""
    with journal.transaction(ledger_id) as connection:
        connection.execute("update leases set expires_at = 0 where ledger_id = ? and holder = ?", [ledger_id, holder])


@cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@cache
def _exact_host() -> str:
    """Name the host so that no other has its name: containers may share a host's name and not its processes."""
    try:
        processes = str(_PROCESSES.readlink())
    except OSError:
        processes = uuid.uuid4().hex
    exact = hashlib.sha256(f"{_boot_id()}\0{processes}".encode()).hexdigest()[:8]
    return f"{socket.gethostname()}~{exact}"
