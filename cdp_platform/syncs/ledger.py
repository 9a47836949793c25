"""What the destination last accepted: the checkpoint that a plan is compared with.

Per ledger two tables in schema `cdp`: the diff table (key, fingerprint) that every plan reads whole, and the side table
(match value, record id, version) that is joined for changed rows only. Beside them, for all ledgers: the header
`cdp.ledgers`, `cdp.rejected_rows`, `cdp.unknown_rows`, `cdp.key_moves`, `cdp.sync_runs`, and the append-only sync log.
The log is two tables, a row per settle and a row per delivered row, which `cdp.sync_log` shows as one: what is the same
for a whole run stands once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cdp_platform.domain.plans import LedgerIdentity
from cdp_platform.domain.syncs import FieldKind, FieldType, SyncSpec
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.warehouse.base import Dialect, Session, Warehouse

SCHEMA = "cdp"
_INTEGER = FieldType(kind=FieldKind.INTEGER)
_TABLES = (
    "create schema if not exists cdp",
    """create table if not exists cdp.ledgers (
        ledger_id varchar, environment varchar, sync varchar, destination varchar, account_id varchar, object varchar,
        version bigint, mapping_version varchar, probe varchar, last_settle_id varchar,
        model_rows bigint, consent_rows bigint, created_at timestamptz, encoding varchar)""",
    "alter table cdp.ledgers add column if not exists encoding varchar",
    "alter table cdp.ledgers add column if not exists suppression_rows bigint",
    """create table if not exists cdp.settles (
        ledger_id varchar, version bigint, sync varchar, destination varchar, digest varchar, run_id varchar,
        "partition" varchar, delivered_at timestamptz)""",
    """create table if not exists cdp.delivered_rows (
        ledger_id varchar, version bigint, primary_key varchar, operation varchar, changed varchar, payload varchar,
        previous varchar, record_id varchar, request_id varchar)""",
    """create view if not exists cdp.sync_log as
        select rows.ledger_id, rows.version, settles.sync, settles.destination, rows.primary_key, rows.operation,
            rows.changed, rows.payload, rows.previous, settles.digest, settles.run_id, settles."partition",
            rows.record_id, rows.request_id, settles.delivered_at
        from cdp.delivered_rows as rows
        join cdp.settles as settles on settles.ledger_id = rows.ledger_id and settles.version = rows.version""",
    """create table if not exists cdp.rejected_rows (
        ledger_id varchar, sync varchar, primary_key varchar, operation varchar, fingerprint varchar, code varchar,
        parameters varchar, attempts bigint, first_at timestamptz, last_at timestamptz, next_at timestamptz,
        request_id varchar)""",
    "alter table cdp.rejected_rows add column if not exists request_id varchar",
    """create table if not exists cdp.unknown_rows (
        ledger_id varchar, sync varchar, primary_key varchar, operation varchar, fingerprint varchar, record_id varchar,
        changed varchar, payload varchar, previous varchar, "partition" varchar, digest varchar, run_id varchar,
        batch bigint, request_id varchar, code varchar, parameters varchar, first_at timestamptz, last_at timestamptz,
        retry_until timestamptz, resolved_as varchar, resolved_by varchar, resolved_at timestamptz)""",
    """create table if not exists cdp.key_moves (
        ledger_id varchar, version bigint, sync varchar, former_key varchar, "key" varchar, merged_at timestamptz,
        moved_at timestamptz)""",
    """create table if not exists cdp.sync_runs (
        run_id varchar, sync varchar, destination varchar, ledger_id varchar, "partition" varchar, digest varchar,
        planned bigint, delivered bigint, rejected bigint, unknown bigint, skipped bigint, pending bigint,
        unchanged bigint, model_rows bigint, operations varchar, skipped_reasons varchar, status varchar,
        started_at timestamptz, ended_at timestamptz)""",
)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The header of one ledger, as read.

    `model_rows`, `consent_rows`, `suppression_rows`, `mapping_version`, `probe` and `encoding` are those of the last
    complete run; before it the counts are 0 and `encoding` is empty. `mapping_version` is empty, too, where runs of
    another mapping have sent a part since.
    """

    ledger_id: str
    identity: LedgerIdentity
    version: int
    last_settle_id: str | None
    model_rows: int
    consent_rows: int
    suppression_rows: int
    mapping_version: str
    probe: str
    """What the warehouse's hash made of a fixed value: another one now means that no fingerprint can be compared."""
    encoding: Mapping[str, str]

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
                previous, record_id, null from cdp.sync_log_before"""
        )
        session.execute("drop table cdp.sync_log_before")


def open_ledger(
    session: Session, warehouse: Warehouse, identity: LedgerIdentity, *, key_type: str, mapping_version: str
) -> Ledger:
    """Read the header of the ledger, creating ledger and tables at the first use. `key_type` is the key's SQL type."""
    ensure_tables(session)
    name = ledger_id(identity)
    if not session.rows("select 1 as found from cdp.ledgers where ledger_id = ?", [name]):
        session.execute(
            "insert into cdp.ledgers select ?, ?, ?, ?, ?, ?, 0, ?, ?, null, 0, 0, current_timestamp, null, 0",
            [name, *asdict(identity).values(), mapping_version, probe_of(session, warehouse.dialect)],
        )
    ledger = read_header(session, name)
    session.execute(f'create table if not exists {ledger.diff_table} ("key" {key_type}, fingerprint ubigint)')
    session.execute(
        f'create table if not exists {ledger.side_table} ("key" {key_type}, match_value varchar, record_id varchar,'
        " version bigint)"
    )
    return ledger


def read_header(session: Session, identity_of: str) -> Ledger:
    """Read the header of a ledger by its id. Raises CdpError where the warehouse does not have it any more."""
    rows = session.rows("select * from cdp.ledgers where ledger_id = ?", [identity_of])
    if not rows:
        raise CdpError(
            f"the warehouse has no ledger {identity_of}.", remedy="Was it restored or emptied? Plan the sync again."
        )
    [row] = rows
    names = ("environment", "sync", "destination", "account_id", "object")
    same = ("version", "last_settle_id", "model_rows", "consent_rows", "mapping_version", "probe")
    return Ledger(
        ledger_id=identity_of,
        identity=LedgerIdentity(**{name: row[name] for name in names}),
        encoding=json.loads(row["encoding"] or "{}"),
        suppression_rows=row["suppression_rows"] or 0,
        **{name: row[name] for name in same},
    )


def probe_of(session: Session, dialect: Dialect) -> str:
    """Hash a fixed value of each encoded type: the answer changes where the warehouse's hash does."""
    value = dialect.fingerprint(["'probe'", "1", "cast(1 as hugeint)", "true", "cast(null as varchar)"])
    [found] = session.rows(f"select cast({value} as varchar) as probe")
    return str(found["probe"])


def follow_key_type(session: Session, dialect: Dialect, ledger: Ledger, spec: SyncSpec) -> None:
    """Let the keys of a settled ledger take the type of the model's where that loses nothing: numbers become text.

    Raises ConfigError for every other change: the texts 007 and 7 would be one number.
    """
    known = session.columns(ledger.diff_table)["key"]
    key_type = session.columns(spec.relation).get(spec.primary_key, known)
    was_number, is_number = (dialect.field_type(name) == _INTEGER for name in (known, key_type))
    if known == key_type or (was_number and is_number):
        return
    if not was_number or key_type != "VARCHAR":
        raise ConfigError(
            f"the primary key of sync {spec.name} was {known.lower()} and is {key_type.lower()} now;"
            " the keys that were delivered cannot be compared with it.",
            remedy=f"Cast the column to {known.lower()} in the source model, or begin anew: cdp reset {spec.name}.",
            place=spec.declared_in,
            field="primary_key",
        )
    for table in (ledger.diff_table, ledger.side_table):
        session.execute(f'alter table {table} alter "key" type varchar')
