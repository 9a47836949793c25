"""Bring identity up to date with a relation of records as of a day: only what differs from the last run is resolved.

`identity_fingerprints` [record] holds what each record looked like then. All records are resolved the first time, after
a change of the rules, and where so much has changed that looking at the rest costs no more.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from cdp_platform.errors import ConfigError
from cdp_platform.identity import tables
from cdp_platform.identity.graph import Connect, connect_in_memory
from cdp_platform.identity.keys import Keys
from cdp_platform.identity.resolve import Resolution, Run, resolve_all_in, resolve_changes_in
from cdp_platform.identity.rules import Binding, Rules, bind
from cdp_platform.identity.tables import Names
from cdp_platform.warehouse.base import Dialect, Session, Warehouse

WHOLE_FROM: Final = 0.2
"""Share of records that have changed from which on all are resolved: what they reach is nearly everything."""
_CLOSING: Final = time(23, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Update:
    """What one update did. `scope` is `all`, `changes`, or `none` where no record differed.

    Counts are records; `changed_count` holds the new ones, too. Without a change there is no resolution.
    """

    scope: str
    resolved_at: datetime
    record_count: int
    changed_count: int
    gone_count: int
    resolution: Resolution | None


def update(
    warehouse: Warehouse,
    rules: Rules,
    *,
    records: str,
    schema: str,
    as_of: date | None = None,
    day_column: str = "seen_on",
    most_merged_share: float | None = None,
    connect: Connect = connect_in_memory,
) -> Update:
    """Resolve the records of `records` (`schema.table`) whose `day_column` is not after `as_of`; None: all, as of now.

    Raises ConfigError where the rules or the day do not fit the columns, GuardTripped where the rules would merge
    strangers or more than `most_merged_share` of the people, or where a key is not unique. Nothing is written then.
    """
    with warehouse.session("identity: what has changed") as session:
        binding = bind(rules, list(session.columns(records)))
        names = Names.of(schema, warehouse.dialect)
        _read_present(session, warehouse.dialect, records, as_of, day_column)
        has_same_rules = tables.newest_digest(session, names) == rules.digest
        is_whole = not (has_same_rules and tables.has_fingerprints(session, names))
        counts = _compare(session, warehouse.dialect, binding, names, is_whole=is_whole)
        is_whole = is_whole or counts["changed"] + counts["gone"] > WHOLE_FROM * counts["records"]
        moment = _moment(session, names, as_of)
        run = Run(
            names=names,
            keys=Keys.of(binding),
            resolved_at=moment,
            connect=connect,
            most_merged_share=most_merged_share,
        )
        quote = warehouse.dialect.quote
        resolution, scope = None, "none"
        if is_whole:
            resolution, scope = resolve_all_in(session, run, "present_records", quote), "all"
        elif counts["changed"] or counts["gone"]:
            resolution, scope = (
                resolve_changes_in(session, run, "changed_records", quote, gone="gone_records"),
                "changes",
            )
        if resolution is not None:
            _remember(session, names)
        return Update(
            scope=scope,
            resolved_at=moment,
            record_count=counts["records"],
            changed_count=counts["changed"],
            gone_count=counts["gone"],
            resolution=resolution,
        )


def _read_present(session: Session, dialect: Dialect, records: str, as_of: date | None, day_column: str) -> None:
    """Make the view `present_records`: those that are known by the end of the day."""
    where = ""
    if as_of is not None:
        columns = session.columns(records)
        if day_column not in columns:
            raise ConfigError(
                f"the records of {records} have no column {day_column!r} with the day since which they are known.",
                remedy=f"Add it as a date; there are {', '.join(columns)}.",
            )
        where = f" where {dialect.quote(day_column)} <= date '{as_of.isoformat()}'"
    session.execute(
        f"create or replace temporary view present_records as select * from {dialect.relation(records)}{where}"
    )


def _compare(session: Session, dialect: Dialect, binding: Binding, names: Names, *, is_whole: bool) -> dict[str, int]:
    """Make `present_fingerprints`, `changed_records` and `gone_records`; count records, changed and gone ones."""
    needed = [binding.source, binding.seen_at, *(name for columns in binding.columns.values() for name in columns)]
    quoted = [f"cast({dialect.quote(name)} as varchar)" for name in dict.fromkeys(needed) if name]
    key = f"cast({dialect.quote(binding.key)} as varchar)"
    session.execute(
        f"create or replace temporary table present_fingerprints as select {key} as record_key,"
        f" cast({dialect.fingerprint(quoted)} as varchar) as fingerprint from present_records"
    )
    known = "(select '' as record_key, '' as fingerprint where 1 = 0)" if is_whole else names.fingerprints
    session.execute(
        "create or replace temporary table changed_keys as select p.record_key from present_fingerprints as p"
        f" left join {known} as k on k.record_key = p.record_key"
        " where k.record_key is null or k.fingerprint <> p.fingerprint"
    )
    session.execute(
        f"create or replace temporary view changed_records as select * from present_records"
        f" where {key} in (select record_key from changed_keys) or {key} is null"
    )
    session.execute(
        f"create or replace temporary table gone_records as select k.record_key from {known} as k"
        " left join present_fingerprints as p on p.record_key = k.record_key where p.record_key is null"
    )
    [counts] = session.rows(
        "select (select count(*) from present_fingerprints) as records, (select count(*) from changed_keys) as changed,"
        " (select count(*) from gone_records) as gone"
    )
    return {name: int(count) for name, count in counts.items()}


def _moment(session: Session, names: Names, as_of: date | None) -> datetime:
    """The evening of the day, or now; always after the run before, so that its merges can be told from these."""
    moment = datetime.combine(as_of, _CLOSING) if as_of else datetime.now(UTC)
    if not tables.has_tables(session, names):
        return moment
    [newest] = session.rows(f"select max(resolved_at) as resolved_at from {names.runs}")
    before: datetime | None = newest["resolved_at"]
    return moment if before is None or before < moment else before + timedelta(seconds=1)


def _remember(session: Session, names: Names) -> None:
    # After the run's own transaction: if this is lost, the next run finds the same changes, and the same people.
    session.execute(f"create or replace table {names.fingerprints} as select * from present_fingerprints")
