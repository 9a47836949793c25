"""What the destination last accepted: the checkpoint that a plan is compared with.

Per ledger two tables in schema `cdp`: the diff table (key, fingerprint) that every plan reads whole, and the side table
(match value, record id, version) that is joined for changed rows only. Beside them, for all ledgers: the header
`cdp.ledgers`, `cdp.rejected_rows`, `cdp.unknown_rows`, `cdp.sync_runs`, and the append-only sync log. The log is two
tables, a row per settle and a row per delivered row, which `cdp.sync_log` shows as one: what is the same for a whole
run stands once.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from cdp_platform.domain.plans import LedgerIdentity
from cdp_platform.warehouse.base import Session, Warehouse

SCHEMA = "cdp"
_TABLES = (
    "create schema if not exists cdp",
    """create table if not exists cdp.ledgers (
        ledger_id varchar, environment varchar, sync varchar, destination varchar, account_id varchar, object varchar,
        version bigint, mapping_version varchar, probe varchar, last_settle_id varchar,
        model_rows bigint, consent_rows bigint, created_at timestamptz)""",
    """create table if not exists cdp.settles (
        ledger_id varchar, version bigint, sync varchar, destination varchar, digest varchar, run_id varchar,
        "partition" varchar, delivered_at timestamptz)""",
    """create table if not exists cdp.delivered_rows (
        ledger_id varchar, version bigint, primary_key varchar, operation varchar, changed varchar, payload varchar,
        previous varchar, record_id varchar)""",
    """create view if not exists cdp.sync_log as
        select rows.ledger_id, rows.version, settles.sync, settles.destination, rows.primary_key, rows.operation,
            rows.changed, rows.payload, rows.previous, settles.digest, settles.run_id, settles."partition",
            rows.record_id, settles.delivered_at
        from cdp.delivered_rows as rows
        join cdp.settles as settles on settles.ledger_id = rows.ledger_id and settles.version = rows.version""",
    """create table if not exists cdp.rejected_rows (
        ledger_id varchar, sync varchar, primary_key varchar, operation varchar, fingerprint varchar, code varchar,
        parameters varchar, attempts bigint, first_at timestamptz, last_at timestamptz, next_at timestamptz)""",
    """create table if not exists cdp.unknown_rows (
        ledger_id varchar, sync varchar, primary_key varchar, operation varchar, fingerprint varchar, record_id varchar,
        changed varchar, payload varchar, previous varchar, "partition" varchar, digest varchar, run_id varchar,
        batch bigint, request_id varchar, code varchar, parameters varchar, first_at timestamptz, last_at timestamptz,
        retry_until timestamptz, resolved_as varchar, resolved_by varchar, resolved_at timestamptz)""",
    """create table if not exists cdp.sync_runs (
        run_id varchar, sync varchar, destination varchar, ledger_id varchar, "partition" varchar, digest varchar,
        planned bigint, delivered bigint, rejected bigint, unknown bigint, skipped bigint, pending bigint,
        unchanged bigint, model_rows bigint, operations varchar, skipped_reasons varchar, status varchar,
        started_at timestamptz, ended_at timestamptz)""",
)
_HEADER = ("version", "mapping_version", "last_settle_id", "model_rows", "consent_rows")


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The header of one ledger, as read. `model_rows` and `consent_rows` are of the last complete run, 0 before it."""

    ledger_id: str
    identity: LedgerIdentity
    version: int
    mapping_version: str
    """Of the last settle."""
    last_settle_id: str | None
    model_rows: int
    consent_rows: int

    @property
    def diff_table(self) -> str:
        """`schema.table` of (key, fingerprint); a null fingerprint means: may be there, content unknown."""
        return f"{SCHEMA}.ledger_{self.ledger_id}"

    @property
    def side_table(self) -> str:
        """`schema.table` of what is needed for changed rows only."""
        return f"{SCHEMA}.ledger_side_{self.ledger_id}"


def ledger_id(identity: LedgerIdentity) -> str:
    """Name a ledger: sixteen hexadecimal digits over everything that it belongs to."""
    return hashlib.sha256(json.dumps(asdict(identity), sort_keys=True).encode()).hexdigest()[:16]


def ensure_tables(session: Session) -> None:
    """Create the platform's own tables where they are missing; opens a transaction where an earlier form is found."""
    if "payload" in session.columns("cdp.sync_log") and not session.columns("cdp.delivered_rows"):
        _take_over_log(session)
    for statement in _TABLES:
        session.execute(statement)


def _take_over_log(session: Session) -> None:
    """Fold the sync log of an earlier version, one wide table, into the two of this one."""
    with session.transaction():
        session.execute("alter table cdp.sync_log rename to sync_log_before")
        for statement in _TABLES:
            session.execute(statement)
        session.execute(
            """insert into cdp.settles select ledger_id, version, any_value(sync), any_value(destination),
                any_value(digest), any_value(run_id), any_value("partition"), any_value(delivered_at)
            from cdp.sync_log_before group by ledger_id, version"""
        )
        session.execute(
            """insert into cdp.delivered_rows select ledger_id, version, primary_key, operation, changed, payload,
                previous, record_id from cdp.sync_log_before"""
        )
        session.execute("drop table cdp.sync_log_before")


def open_ledger(
    session: Session, warehouse: Warehouse, identity: LedgerIdentity, *, key_type: str, mapping_version: str
) -> Ledger:
    """Read the header of the ledger, creating ledger and tables at the first use. `key_type` is the key's SQL type."""
    ensure_tables(session)
    name = ledger_id(identity)
    found = session.rows(f"select {', '.join(_HEADER)} from cdp.ledgers where ledger_id = ?", [name])
    if not found:
        probe = warehouse.dialect.fingerprint(["'probe'", "1"])
        session.execute(
            "insert into cdp.ledgers select ?, ?, ?, ?, ?, ?, 0, ?,"
            f" cast({probe} as varchar), null, 0, 0, current_timestamp",
            [name, *asdict(identity).values(), mapping_version],
        )
        found = [dict(zip(_HEADER, (0, mapping_version, None, 0, 0), strict=True))]
    ledger = Ledger(ledger_id=name, identity=identity, **found[0])
    session.execute(f'create table if not exists {ledger.diff_table} ("key" {key_type}, fingerprint ubigint)')
    session.execute(
        f'create table if not exists {ledger.side_table} ("key" {key_type}, match_value varchar, record_id varchar,'
        " version bigint)"
    )
    return ledger


def read_header(session: Session, identity_of: str) -> Ledger:
    """Read the header of a ledger that exists, by its id."""
    row = session.rows("select * from cdp.ledgers where ledger_id = ?", [identity_of])[0]
    names = ("environment", "sync", "destination", "account_id", "object")
    return Ledger(
        ledger_id=identity_of,
        identity=LedgerIdentity(**{name: row[name] for name in names}),
        **{name: row[name] for name in _HEADER},
    )
