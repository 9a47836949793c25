"""The durable log of what this machine is about to send and has sent: SQLite, WAL, synchronous=FULL.

It is the write-ahead log to the ledger's checkpoint. It holds keyed hashes and no personal data; settling empties it.
It also keeps what a send must obey after a restart: plan records with their verdicts, leases, switches, known accounts.
"""

import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cdp_platform.domain.home import Home
from cdp_platform.domain.plans import Plan, Verdict
from cdp_platform.errors import CdpError

SCHEMA_VERSION = 1
_SCHEMA = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists switches (sync text primary key, is_enabled integer not null, changed_at text not null);
create table if not exists accounts (connection text primary key, account_id text not null, asked_at text not null);
create table if not exists plans (
    number integer primary key autoincrement, digest text not null, ledger_id text not null, sync text not null,
    record text not null);
create index if not exists plans_of_sync on plans (sync, number);
create table if not exists leases (
    ledger_id text primary key, holder text not null, fence integer not null, expires_at real not null);
create table if not exists attempts (
    number integer primary key autoincrement, ledger_id text not null, digest text not null, ordinal integer not null,
    key_hash text not null, operation text not null, batch integer not null, attempt integer not null,
    fence integer not null, run_id text not null, status text not null, code text, parameters text, record_id text,
    request_id text, noted_at text not null);
create index if not exists attempts_of_ledger on attempts (ledger_id, digest, ordinal);
"""


class Status(StrEnum):
    """What is known of one attempt to send one row."""

    INTENT = "intent"
    """Durable before the request; alone, it means: nobody knows."""
    NOT_SENT = "not_sent"
    """The request never left, or was definitely refused as a whole."""
    DELIVERED = "delivered"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    UNANSWERED = "unanswered"
    """Sent, and no answer that can be believed."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One row of the journal. `noted_at` is the time of writing, set by the journal."""

    ledger_id: str
    digest: str
    ordinal: int
    key_hash: str
    operation: str
    batch: int
    attempt: int
    fence: int
    run_id: str
    status: Status
    code: str | None = None
    parameters: str | None = None
    record_id: str | None = None
    request_id: str | None = None


class Journal:
    """The journal of one `CDP_HOME`. Every method is one durable transaction."""

    def __init__(self, home: Home) -> None:
        home.root.mkdir(parents=True, exist_ok=True)
        self._path = home.journal
        self._key = _read_key(home.key)
        with self._open() as connection:
            connection.executescript(_SCHEMA)
            connection.execute("insert or ignore into meta values ('schema', ?)", [str(SCHEMA_VERSION)])
            (version,) = connection.execute("select value from meta where name = 'schema'").fetchone()
        if int(version) != SCHEMA_VERSION:
            raise CdpError(
                f"the journal {self._path.name} has schema {version}, this version reads {SCHEMA_VERSION}.",
                remedy="Use the version of cdp-platform that wrote it.",
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            try:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = full")
                connection.execute("begin immediate")
                yield connection
                if connection.in_transaction:
                    connection.execute("commit")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise CdpError(
                f"the journal {self._path.name} cannot be used ({error}).",
                remedy="Check the disk and the file's permissions; do not delete it, it knows what was sent.",
            ) from error

    def hashed(self, text: str) -> str:
        """Hash with this journal's key, so that equal texts meet and nobody can guess them from the file."""
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()[:32]

    # switches and accounts

    def is_enabled(self, sync: str) -> bool:
        """Whether the sync was switched on; a new sync is off."""
        with self._open() as connection:
            row = connection.execute("select is_enabled from switches where sync = ?", [sync]).fetchone()
        return bool(row and row[0])

    def switch(self, sync: str, *, is_enabled: bool) -> None:
        """Switch a sync on or off; a switched-off sync plans and sends nothing."""
        with self._open() as connection:
            connection.execute("insert or replace into switches values (?, ?, ?)", [sync, int(is_enabled), _now()])

    def known_account(self, connection_id: str) -> str | None:
        """The account that a connection led to when it was last asked."""
        with self._open() as connection:
            row = connection.execute("select account_id from accounts where connection = ?", [connection_id]).fetchone()
        return row[0] if row else None

    def remember_account(self, connection_id: str, account_id: str) -> None:
        """Keep the account that a connection leads to."""
        with self._open() as connection:
            connection.execute("insert or replace into accounts values (?, ?, ?)", [connection_id, account_id, _now()])

    # plans

    def add_plan(self, plan: Plan) -> None:
        """Keep the record of a stored plan with its guards' verdict."""
        record = json.dumps(asdict(plan) | {"made_at": plan.made_at.isoformat()})
        with self._open() as connection:
            connection.execute(
                "insert into plans (digest, ledger_id, sync, record) values (?, ?, ?, ?)",
                [plan.digest, plan.ledger_id, plan.sync, record],
            )

    def plan(self, sync: str, *, digest: str | None = None, run_id: str | None = None) -> Plan | None:
        """The newest plan of a sync; with `digest` or `run_id`, the newest such one."""
        with self._open() as connection:
            rows = connection.execute("select record from plans where sync = ? order by number desc", [sync])
            for (text,) in rows:
                plan = _plan(json.loads(text))
                if digest in (None, plan.digest) and run_id in (None, plan.run_id):
                    return plan
        return None

    def syncs(self) -> list[str]:
        """Names of all syncs that were ever planned."""
        with self._open() as connection:
            return [name for (name,) in connection.execute("select distinct sync from plans order by sync")]

    # attempts

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Append attempts in one durable transaction."""
        names = list(Attempt.__dataclass_fields__)
        marks = ", ".join("?" for _ in range(len(names) + 1))
        rows = [[*(getattr(attempt, name) for name in names), _now()] for attempt in attempts]
        with self._open() as connection:
            connection.executemany(f"insert into attempts ({', '.join(names)}, noted_at) values ({marks})", rows)

    def open_digests(self, ledger_id: str) -> list[tuple[str, str]]:
        """(digest, run id) of every plan with attempts that are not settled yet, oldest first."""
        with self._open() as connection:
            return connection.execute(
                "select digest, run_id from attempts where ledger_id = ? group by digest, run_id order by min(number)",
                [ledger_id],
            ).fetchall()

    def last_word(self, ledger_id: str, digest: str) -> tuple[int, list[Attempt]]:
        """The last attempt of each row under a plan, and the number of the newest attempt among them (0 for none)."""
        names = list(Attempt.__dataclass_fields__)
        with self._open() as connection:
            rows = connection.execute(
                f"select number, {', '.join(names)} from attempts where number in (select max(number) from attempts"
                " where ledger_id = ? and digest = ? group by ordinal) order by ordinal",
                [ledger_id, digest],
            ).fetchall()
        records = [dict(zip(names, row[1:], strict=True)) for row in rows]
        attempts = [Attempt(**record | {"status": Status(record["status"])}) for record in records]
        return max((row[0] for row in rows), default=0), attempts

    def forget(self, ledger_id: str, digest: str, up_to: int) -> None:
        """Empty the journal of attempts that are settled."""
        with self._open() as connection:
            connection.execute(
                "delete from attempts where ledger_id = ? and digest = ? and number <= ?", [ledger_id, digest, up_to]
            )

    # leases

    def take_lease(
        self, ledger_id: str, holder: str, *, now: float, seconds: float, is_dead: Callable[[str], bool]
    ) -> int | None:
        """Take or renew the lease on a ledger until `now + seconds`; None where another live holder has it.

        The answer is the fencing token: it grows with every change of holder.
        """
        with self._open() as connection:
            row = connection.execute(
                "select holder, fence, expires_at from leases where ledger_id = ?", [ledger_id]
            ).fetchone()
            if row and row[0] != holder and row[2] > now and not is_dead(row[0]):
                return None
            fence = 1 if row is None else row[1] + int(row[0] != holder)
            connection.execute(
                "insert or replace into leases values (?, ?, ?, ?)", [ledger_id, holder, fence, now + seconds]
            )
            return int(fence)

    def lease_holder(self, ledger_id: str) -> str | None:
        """Who has, or last had, the lease."""
        with self._open() as connection:
            row = connection.execute("select holder from leases where ledger_id = ?", [ledger_id]).fetchone()
        return row[0] if row else None

    def release_lease(self, ledger_id: str, holder: str) -> None:
        """Give the lease back; the fence stays, so that a late writer is still recognised."""
        with self._open() as connection:
            connection.execute(
                "update leases set expires_at = 0 where ledger_id = ? and holder = ?", [ledger_id, holder]
            )


def _plan(record: dict[str, object]) -> Plan:
    verdicts = tuple(Verdict(**verdict) for verdict in record.pop("verdicts"))  # type: ignore[attr-defined]
    made_at = datetime.fromisoformat(str(record.pop("made_at")))
    return Plan(**record, made_at=made_at, verdicts=verdicts)  # type: ignore[arg-type]


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _read_key(path: Path) -> bytes:
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    key = path.read_bytes()
    if len(key) != 32:
        raise CdpError(
            f"the journal's key {path.name} is damaged ({len(key)} bytes instead of 32).",
            remedy="Restore it from a backup; where the journal is empty, delete it and a new one is made.",
        )
    return key
