"""Compare what the ledger says of a sync with what the destination was read back to hold: missing, extra, different.

Only the newest reading counts, and only rows that were delivered before it. A field is compared where we wrote a value:
as a number where both are one, else as text without blanks at its ends and without regard to case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cdp_platform.errors import ConfigError
from cdp_platform.syncs.ledger import ensure_tables, read_header
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A table with a row a record and reading. `columns` are fields of the sync → the columns that show them."""

    relation: str
    """As `schema.table`."""
    key: str
    """The column with the records' match values."""
    columns: Mapping[str, str] = field(default_factory=dict)
    read_at: str = "read_at"


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """What a reading and the ledger disagree about. All are records."""

    known: int
    """In the ledger, delivered before the reading."""
    there: int
    """In the reading, with a match value of ours."""
    missing: int
    extra: int
    """There with a match value, and nothing known of it."""
    different: int
    by_field: Mapping[str, int]
    """Field → records in which it is another than we wrote last."""
    read_at: datetime

    @property
    def different_share(self) -> float:
        """Records with another value, of those known: 0 to 1."""
        return self.different / self.known if self.known else 0.0


def reconcile(session: Session, dialect: Dialect, sync: str, reading: Reading) -> Reconciliation | None:
    """Compare the newest ledger of a sync with the newest reading; None where nothing was sent, or nothing read.

    Raises ConfigError for a reading that lacks a column.
    """
    ensure_tables(session)
    ledgers = session.rows(
        "select ledger_id from cdp.ledgers where sync = ? and version > 0 order by created_at desc limit 1", [sync]
    )
    columns = session.columns(reading.relation)
    if not ledgers or not columns:
        return None
    for name in (reading.key, reading.read_at, *reading.columns.values()):
        if name not in columns:
            raise ConfigError(
                f"the read-back {reading.relation} has no column {name!r}.", remedy=f"It has: {', '.join(columns)}."
            )
    _compare(session, dialect, ledgers[0]["ledger_id"], reading)
    names = {name: f"different_{number}" for number, name in enumerate(reading.columns)}
    by_field = ", ".join(f"count(*) filter (where {flag}) as {flag}" for flag in names.values())
    is_different = " or ".join(names.values()) or "false"
    [found] = session.rows(
        f"""select max(read_at) as read_at, count(*) filter (where is_known) as known,
            count(*) filter (where is_there) as there, count(*) filter (where is_known and not is_there) as missing,
            count(*) filter (where is_there and not is_ours) as extra,
            count(*) filter (where {is_different}) as different{", " + by_field if by_field else ""}
        from compared"""
    )
    if found["read_at"] is None:
        return None
    counts = {name: found[flag] for name, flag in names.items() if found[flag]}
    told = {name: found[name] for name in ("known", "there", "missing", "extra", "different", "read_at")}
    return Reconciliation(by_field=counts, **told)


def _compare(session: Session, dialect: Dialect, ledger_id: str, reading: Reading) -> None:
    """Fill `compared`. Grain: a match value of the ledger or of the reading."""
    ledger, relation = read_header(session, ledger_id), dialect.relation(reading.relation)
    moment = f"cast({dialect.quote(reading.read_at)} as timestamptz)"
    flags = "".join(
        f", is_known and is_there and {_differs(dialect, name, column)} as different_{number}"
        for number, (name, column) in enumerate(reading.columns.items())
    )
    session.execute(
        f"""create or replace temporary table compared as
        with newest as (select max({moment}) as read_at from {relation}),
        there as (
            select * from {relation} cross join (select read_at as newest_at from newest)
            where {moment} = newest_at and {dialect.quote(reading.key)} is not null
            qualify row_number() over (partition by cast({dialect.quote(reading.key)} as varchar) order by {moment}) = 1
        ),
        last_word as (
            select primary_key, max(version) as version from cdp.delivered_rows
            where ledger_id = {literal(ledger_id)} group by primary_key
        ),
        ours as (
            select side.match_value, rows.payload, settles.delivered_at
            from {ledger.side_table} as side
            join {ledger.diff_table} as known on known."key" = side."key" and known.fingerprint is not null
            left join last_word on last_word.primary_key = cast(side."key" as varchar)
            left join cdp.delivered_rows as rows on rows.ledger_id = {literal(ledger_id)}
                and rows.primary_key = last_word.primary_key and rows.version = last_word.version
            left join cdp.settles as settles on settles.ledger_id = rows.ledger_id and settles.version = rows.version
        ),
        joined as (
            select ours.payload, there.*, newest.read_at as reading_at, ours.match_value is not null as is_ours,
                ours.match_value is not null and coalesce(ours.delivered_at <= newest.read_at, true) as is_known,
                there.{dialect.quote(reading.key)} is not null as is_there
            from ours
            full outer join there on cast(there.{dialect.quote(reading.key)} as varchar) = ours.match_value
            cross join newest
        )
        select is_ours, is_known, is_there, reading_at as read_at{flags} from joined"""
    )


def _differs(dialect: Dialect, name: str, column: str) -> str:
    sent = dialect.json_text("payload", name)
    there = f"cast({dialect.quote(column)} as varchar)"
    as_text = f"lower(trim({sent})) is distinct from lower(trim({there}))"
    as_number = f"try_cast({sent} as double) is distinct from try_cast({there} as double)"
    return f"{sent} is not null and {as_text} and (try_cast({sent} as double) is null or {as_number})"
