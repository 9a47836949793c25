"""The durable log of what is about to be sent and was sent: a SQLite file, or PostgreSQL where hosts share it.

It is the write-ahead log to the ledger's checkpoint; settling empties it. One row is written per request and not per
record: a request's records are spans of ordinals of the plan that its digest names, so the journal holds no personal
data, hashed or not. It also keeps what a send must obey after a restart: plans with their verdicts, and leases.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cdp_platform.connectors.state_server import Statements, StateServer
from cdp_platform.domain.costs import Cost
from cdp_platform.domain.home import Home
from cdp_platform.domain.plans import Plan, Verdict
from cdp_platform.domain.syncs import FieldKind
from cdp_platform.domain.value_rules import ValueRule
from cdp_platform.errors import CdpError, LeaseLost
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs.journal_file import JournalFile
from cdp_platform.syncs.notes import LastWord, RequestNote, Status

READ_LINES = 5_000
"""Lines that are read at a time."""
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
create table if not exists alerts (
    kind text not null, subject text not null, condition text not null, is_over integer not null, told text not null,
    primary key (kind, subject));
"""


class Journal:
    """The journal of one `CDP_HOME`, or of the hosts that share its database. It may be used by several threads."""

    def __init__(self, home: Home, *, may_have_moved: bool = False) -> None:
        """Raises CdpError for a journal that cannot be used, or that another version wrote.

        `may_have_moved` reads a file that was closed because its lines go to a database.
        """
        home.root.mkdir(parents=True, exist_ok=True)
        self.server: StateServer | None = None
        """The database, where hosts share it: leases are told by its clock."""
        if home.journal_address:
            self.server = StateServer(home.journal_address, scope="journal", schema=_SCHEMA)
        self._store = self.server or JournalFile(home.journal, _SCHEMA, may_have_moved=may_have_moved)

    def transaction(self, about: str = "") -> AbstractContextManager[Statements]:
        """Work on the journal in one durable transaction; what is read in it stays true until it ends.

        With `about`, a ledger's id, nothing but that ledger's leases and requests may be touched: hosts that work on
        others do not wait. Raises CdpError where the journal cannot be used.
        """
        return self._store.transaction(about)

    def shred(self) -> None:
        """Leave nothing on the disk that was deleted. Raises CdpError where that cannot be."""
        self._store.shred()

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
        if note.job_id:
            details["job"] = note.job_id
        values = [
            *(note.ledger_id, note.digest, note.run_id, note.fence, note.batch, note.attempt, note.status),
            *(json.dumps(_spans(note.ordinals)), json.dumps(details) if details else None, note.request_id, now()),
        ]
        with self.transaction(note.ledger_id) as connection:
            # One statement, since each is a way to the server and back where the journal is shared.
            written = connection.execute(
                "insert into requests (ledger_id, digest, run_id, fence, batch, attempt, status, spans, details,"
                " request_id, noted_at) select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
                " where not exists (select 1 from leases where ledger_id = ? and fence <> ?)",
                [*values, note.ledger_id, note.fence],
            )
            if not written.rowcount:
                raise LeaseLost(
                    "another run took over this account's object while this one stood still.",
                    remedy="Nothing more was sent from here; look at the other run.",
                )
            if note.status is Status.INTENT:
                faultpoint("intent.uncommitted")
            else:
                faultpoint("outcome.uncommitted")

    def open_digests(self, ledger_id: str) -> list[tuple[str, str]]:
        """(digest, run id) of every plan with requests that are not settled yet, oldest first."""
        with self.transaction(ledger_id) as connection:
            return connection.execute(
                "select digest, run_id from requests where ledger_id = ? group by digest, run_id order by min(number)",
                [ledger_id],
            ).fetchall()

    def last_word(self, ledger_id: str, digest: str) -> LastWord:
        """The newest note of each row under a plan."""
        word = LastWord()
        while lines := self._lines(ledger_id, digest, word.number):
            try:
                for number, status, spans, details, request_id in lines:
                    word.read(number, Status(status), json.loads(spans), json.loads(details or "{}"), request_id)
            except (ValueError, TypeError, LookupError) as error:
                raise CdpError(
                    f"the journal {self._store.told} holds a line that cannot be read, after number {word.number}.",
                    remedy=self._store.remedy,
                ) from error
        return word

    def _lines(self, ledger_id: str, digest: str, after: int) -> list[Any]:
        """The next lines of a plan, few enough for the memory, and for a lock that others wait for."""
        with self.transaction(ledger_id) as connection:
            return connection.execute(
                "select number, status, spans, details, request_id from requests"
                " where ledger_id = ? and digest = ? and number > ? order by number limit ?",
                [ledger_id, digest, after, READ_LINES],
            ).fetchall()

    def forget(self, ledger_id: str, digest: str, up_to: int | None = None) -> None:
        """Empty the journal of a plan's requests, up to the line that was settled; None: of all."""
        with self.transaction(ledger_id) as connection:
            connection.execute(
                "delete from requests where ledger_id = ? and digest = ? and number <= coalesce(?, number)",
                [ledger_id, digest, up_to],
            )


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
    rules = tuple(_value_rule(rule) for rule in record.pop("value_rules", []))
    cost = record.pop("cost", None)
    told = Cost(**cost) if cost else None
    return Plan(**record, made_at=made_at, verdicts=verdicts, value_rules=rules, cost=told)


def _value_rule(record: dict[str, Any]) -> ValueRule:
    kind = record.pop("kind")
    return ValueRule(**record | {"options": tuple(record["options"])}, kind=FieldKind(kind) if kind else None)
