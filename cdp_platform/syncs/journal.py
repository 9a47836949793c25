"""The durable log of what this machine is about to send and has sent: SQLite, WAL, synchronous=FULL.

It is the write-ahead log to the ledger's checkpoint; settling empties it. One row is written per request and not per
record: a request's records are spans of ordinals of the plan that its digest names, so the journal holds no personal
data, hashed or not. It also keeps what a send must obey after a restart: plans with their verdicts, and leases.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cdp_platform.domain.home import Home
from cdp_platform.domain.plans import Plan, Verdict
from cdp_platform.errors import CdpError, LeaseLost
from cdp_platform.faultpoints import faultpoint

SCHEMA_VERSION = 1
_SCHEMA = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists switches (sync text primary key, is_enabled integer not null, changed_at text not null);
create table if not exists accounts (connection text primary key, account_id text not null, asked_at text not null);
create table if not exists pauses (
    scope text not null, name text not null, paused_by text not null, paused_at text not null,
    primary key (scope, name));
create table if not exists approvals (
    number integer primary key autoincrement, sync text not null, digest text not null, approved_by text not null,
    approved_at text not null, used_by_run text, used_at text);
create table if not exists plans (
    number integer primary key autoincrement, digest text not null, ledger_id text not null, sync text not null,
    run_id text not null, record text not null);
create index if not exists plans_of_sync on plans (sync, number);
create table if not exists leases (
    ledger_id text primary key, holder text not null, fence integer not null, expires_at real not null,
    boot text not null default '');
create table if not exists settlings (
    ledger_id text primary key, settle_id text, version integer not null, resend_reason text);
create table if not exists requests (
    number integer primary key autoincrement, ledger_id text not null, digest text not null, run_id text not null,
    fence integer not null, batch integer not null, attempt integer not null, status text not null,
    spans text not null, details text, request_id text, noted_at text not null);
create index if not exists requests_of_ledger on requests (ledger_id, digest, number);
"""


class Status(StrEnum):
    """What is known of a request, or of one row of it."""

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
class RowNote:
    """What is known of one row where it differs from its request."""

    status: Status
    code: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RequestNote:
    """One line of the journal: what is known of a request's rows at this moment."""

    ledger_id: str
    digest: str
    run_id: str
    fence: int
    batch: int
    attempt: int
    status: Status
    ordinals: Sequence[int]
    """The rows, in rising order."""
    code: str | None = None
    """The reason that holds for all rows, where there is one."""
    exceptions: Mapping[int, RowNote] = field(default_factory=dict)
    record_ids: Sequence[str | None] = ()
    """The destination's ids, one a row, or empty."""
    request_id: str | None = None


_NUMBERED = (None, *Status)
"""A status as one byte: its place here; 0 for rows that were never noted."""


class LastWord:
    """The newest note of each row of a plan, one byte a row, and what is special about single rows."""

    def __init__(self) -> None:
        self.number = 0
        """The newest line that was read; 0 for none."""
        self.statuses = bytearray()
        self.uncertain = bytearray()
        """1 for rows that a request without an answer may have changed, whatever a later refusal says of them."""
        self.reasons: dict[int, RowNote] = {}
        """By ordinal: rows that have a code."""
        self.record_ids: dict[int, str] = {}

    def count(self, status: Status) -> int:
        """How many rows have this status."""
        return self.statuses.count(_NUMBERED.index(status))

    def status(self, ordinal: int) -> Status | None:
        """The status of one row."""
        return _NUMBERED[self.statuses[ordinal]] if ordinal < len(self.statuses) else None

    def read(self, number: int, status: Status, spans: list[list[int]], details: dict[str, Any]) -> None:
        """Take in the next line of the journal."""
        self.number = number
        self._grow(spans[-1][1] + 1 if spans else 0)
        code, rows = details.get("code"), details.get("rows", {})
        was_uncertain = {int(ordinal): self.uncertain[int(ordinal)] for ordinal in rows}
        for first, last in spans:
            size = last + 1 - first
            self.statuses[first : last + 1] = bytes([_NUMBERED.index(status)]) * size
            if status in (Status.UNANSWERED, Status.DELIVERED):
                self.uncertain[first : last + 1] = bytes([status is Status.UNANSWERED]) * size
            if self.reasons or code:
                self._give_reason(range(first, last + 1), RowNote(status=status, code=code))
        for text, (row_status, row_code, parameters) in rows.items():
            ordinal, note = int(text), RowNote(status=Status(row_status), code=row_code, parameters=parameters)
            self.statuses[ordinal] = _NUMBERED.index(note.status)
            self.uncertain[ordinal] = note.status is Status.UNANSWERED or was_uncertain[ordinal]
            self.reasons[ordinal] = note
        if record_ids := details.get("ids"):
            ordinals = [ordinal for first, last in spans for ordinal in range(first, last + 1)]
            known = zip(ordinals, record_ids, strict=True)
            self.record_ids.update({ordinal: record_id for ordinal, record_id in known if record_id is not None})

    def _grow(self, rows: int) -> None:
        for column in (self.statuses, self.uncertain):
            column.extend(bytes(max(0, rows - len(column))))

    def _give_reason(self, ordinals: range, note: RowNote) -> None:
        for ordinal in ordinals:
            if note.code:
                self.reasons[ordinal] = note
            else:
                self.reasons.pop(ordinal, None)


class Journal:
    """The journal of one `CDP_HOME`. Every call is one durable transaction; it may be used by several threads."""

    def __init__(self, home: Home) -> None:
        home.root.mkdir(parents=True, exist_ok=True)
        self._path = home.journal
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with self.transaction() as connection:
            self._require_schema(connection)
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute("insert or ignore into meta values ('schema', ?)", [str(SCHEMA_VERSION)])
            if not connection.execute("select 1 from pragma_table_info('leases') where name = 'boot'").fetchone():
                connection.execute("alter table leases add column boot text not null default ''")

    def _require_schema(self, connection: sqlite3.Connection) -> None:
        """Raise CdpError, before anything is written, for a journal of another version."""
        if not connection.execute("select 1 from sqlite_master where name = 'meta'").fetchone():
            return
        found = connection.execute("select value from meta where name = 'schema'").fetchone()
        if found and found[0] != str(SCHEMA_VERSION):
            raise CdpError(
                f"the journal {self._path.name} has schema {found[0]}, this version reads {SCHEMA_VERSION}.",
                remedy="Use the version of cdp-platform that wrote it.",
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Work on the journal's file in one durable transaction. Raises CdpError where the file cannot be used."""
        with self._lock:
            try:
                connection = self._open()
                connection.execute("begin immediate")
                try:
                    yield connection
                    connection.execute("commit")
                except BaseException:
                    # SQLite has rolled back by itself where the disk is full.
                    if connection.in_transaction:
                        connection.execute("rollback")
                    raise
            except sqlite3.Error as error:
                raise CdpError(f"the journal {self._path} cannot be used ({error}).", remedy=_remedy(error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = full")
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def __del__(self) -> None:
        with suppress(sqlite3.Error, AttributeError):
            if self._connection is not None:
                self._connection.close()

    # plans

    def add_plan(self, plan: Plan) -> None:
        """Keep the record of a stored plan with its guards' verdict."""
        record = json.dumps(asdict(plan) | {"made_at": plan.made_at.isoformat()})
        with self.transaction() as connection:
            connection.execute(
                "insert into plans (digest, ledger_id, sync, run_id, record) values (?, ?, ?, ?, ?)",
                [plan.digest, plan.ledger_id, plan.sync, plan.run_id, record],
            )

    def plan(self, sync: str, *, digest: str | None = None, run_id: str | None = None) -> Plan | None:
        """The newest plan of a sync; with `digest` (or its beginning) or `run_id`, the newest such one."""
        with self.transaction() as connection:
            row = connection.execute(
                "select record from plans where sync = ? and digest like ? and run_id like ? order by number desc",
                [sync, f"{digest or ''}%", run_id or "%"],
            ).fetchone()
        return _plan(json.loads(row[0])) if row else None

    def syncs(self) -> list[str]:
        """Names of all syncs that were ever planned."""
        with self.transaction() as connection:
            return [name for (name,) in connection.execute("select distinct sync from plans order by sync")]

    # requests

    def write(self, note: RequestNote) -> None:
        """Append one line; raise LeaseLost, and write nothing, where another holder took the lease since `fence`."""
        details: dict[str, Any] = {}
        if note.code:
            details["code"] = note.code
        if note.exceptions:
            details["rows"] = {
                ordinal: [row.status, row.code, dict(row.parameters)] for ordinal, row in note.exceptions.items()
            }
        if note.record_ids:
            details["ids"] = list(note.record_ids)
        values = [
            *(note.ledger_id, note.digest, note.run_id, note.fence, note.batch, note.attempt, note.status),
            *(json.dumps(_spans(note.ordinals)), json.dumps(details) if details else None, note.request_id, now()),
        ]
        with self.transaction() as connection:
            self._require_fence(connection, note)
            connection.execute(
                "insert into requests (ledger_id, digest, run_id, fence, batch, attempt, status, spans, details,"
                " request_id, noted_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            if note.status is Status.INTENT:
                faultpoint("intent.uncommitted")
            else:
                faultpoint("outcome.uncommitted")

    def _require_fence(self, connection: sqlite3.Connection, note: RequestNote) -> None:
        held = connection.execute("select fence from leases where ledger_id = ?", [note.ledger_id]).fetchone()
        if held and held[0] != note.fence:
            raise LeaseLost(
                "another run took over this account's object while this one stood still.",
                remedy="Nothing more was sent from here; look at the other run.",
            )

    def open_digests(self, ledger_id: str) -> list[tuple[str, str]]:
        """(digest, run id) of every plan with requests that are not settled yet, oldest first."""
        with self.transaction() as connection:
            return connection.execute(
                "select digest, run_id from requests where ledger_id = ? group by digest, run_id order by min(number)",
                [ledger_id],
            ).fetchall()

    def last_word(self, ledger_id: str, digest: str) -> LastWord:
        """The newest note of each row under a plan."""
        word = LastWord()
        with self.transaction() as connection:
            lines = connection.execute(
                "select number, status, spans, details from requests"
                " where ledger_id = ? and digest = ? order by number",
                [ledger_id, digest],
            )
            try:
                for number, status, spans, details in lines:
                    word.read(number, Status(status), json.loads(spans), json.loads(details or "{}"))
            except (ValueError, TypeError, LookupError) as error:
                raise CdpError(
                    f"the journal {self._path} holds a line that cannot be read, after number {word.number}.",
                    remedy=_remedy(sqlite3.DatabaseError()),
                ) from error
        return word

    def forget(self, ledger_id: str, digest: str, up_to: int | None = None) -> None:
        """Empty the journal of a plan's requests, up to the line that was settled; None: of all."""
        with self.transaction() as connection:
            connection.execute(
                "delete from requests where ledger_id = ? and digest = ? and number <= coalesce(?, number)",
                [ledger_id, digest, up_to],
            )


def _remedy(error: sqlite3.Error) -> str:
    if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            "It is damaged: restore it from a backup, or move it away; then everything is sent again by the next runs,"
            " and switches, pauses and approvals are given anew."
        )
    return "Check the disk and the file's permissions; do not delete it, it knows what was sent."


def now() -> str:
    """The present time as the journal writes it."""
    return datetime.now(UTC).isoformat()


def _spans(ordinals: Sequence[int]) -> list[list[int]]:
    """Fold rising numbers into [first, last] spans."""
    if ordinals and ordinals[-1] - ordinals[0] == len(ordinals) - 1:
        return [[ordinals[0], ordinals[-1]]]
    spans: list[list[int]] = []
    for ordinal in ordinals:
        if spans and spans[-1][1] == ordinal - 1:
            spans[-1][1] = ordinal
        else:
            spans.append([ordinal, ordinal])
    return spans


def _plan(record: dict[str, Any]) -> Plan:
    verdicts = tuple(Verdict(**verdict) for verdict in record.pop("verdicts"))
    made_at = datetime.fromisoformat(record.pop("made_at"))
    return Plan(**record, made_at=made_at, verdicts=verdicts)
