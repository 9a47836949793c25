"""Resolve identity in the warehouse: records → edges → bounds → components → people, in full or for a day's changes.

Tables in the caller's schema: `identity_edges` [record × rule × value], `identity_clusters` [record] with its person,
`identity_merges` [move of records between people], `identity_quarantine` [shared value or cluster, as it is now] and
`identity_runs` [run]. Values stand there as 64-bit hashes; the words they came from stay in the records.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

from cdp_platform.errors import GuardTripped
from cdp_platform.identity import tables
from cdp_platform.identity.bounds import apply_bounds
from cdp_platform.identity.dialects import DUCKDB, Dialect
from cdp_platform.identity.graph import Connect, connect_in_memory
from cdp_platform.identity.keys import Keys, stage, stage_all
from cdp_platform.identity.persons import assign_persons, keep_quarantined_apart, log_moves
from cdp_platform.identity.region import read_region
from cdp_platform.identity.rules import Rules, bind
from cdp_platform.identity.tables import Names
from cdp_platform.warehouse.base import Session, Warehouse


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What one run found, of the records that it looked at: all, or those that the changes reach."""

    record_count: int
    person_count: int
    edge_count: int
    minted_count: int
    """People whose id is new."""
    merge_count: int
    """Ids that went up in another."""
    split_count: int
    """Moves of records away from an id that lives on, or to several."""
    shared_value_count: int
    cut_cluster_count: int
    quarantined_cluster_count: int
    passes: int


def resolve_all(
    warehouse: Warehouse,
    rules: Rules,
    *,
    records: str,
    schema: str,
    resolved_at: datetime,
    dialect: Dialect = DUCKDB,
    connect: Connect = connect_in_memory,
) -> Resolution:
    """Resolve every record of `records` (`schema.table`, one row per record) anew; people keep their ids.

    Records that are not there any more leave. Everything is written in one transaction. Raises ConfigError where the
    rules do not fit the columns, GuardTripped where they would merge strangers or a key is not unique.
    """
    with warehouse.session("identity: all records") as session:
        keys = Keys.of(bind(rules, list(session.columns(records))), dialect)
        names = Names.of(schema, warehouse.dialect)
        stage_all(session, keys, warehouse.dialect.relation(records), warehouse.dialect.quote)
        with session.transaction():
            tables.create_tables(session, names, keys)
            tables.read_rules(session, keys)
            tables.read_former(session, names)
            resolution = _resolve(session, keys, names, resolved_at, connect, counts=None)
            _write(session, keys, names, resolved_at, resolution, scope="all")
        return resolution


def resolve_changes(
    warehouse: Warehouse,
    rules: Rules,
    *,
    records: str,
    schema: str,
    resolved_at: datetime,
    gone: str | None = None,
    dialect: Dialect = DUCKDB,
    connect: Connect = connect_in_memory,
) -> Resolution:
    """Resolve new and changed records (`records`), and those that are `gone` (a relation with record_key).

    Only clusters that these records reach are looked at; people are those that `resolve_all` would find. Raises
    GuardTripped where nothing was resolved before or the rules were others then, and as `resolve_all` does.
    """
    with warehouse.session("identity: changed records") as session:
        names = Names.of(schema, warehouse.dialect)
        _require_same_rules(session, names, rules)
        keys = Keys.of(bind(rules, list(session.columns(records))), dialect)
        stage(session, keys, warehouse.dialect.relation(records), warehouse.dialect.quote)
        with session.transaction():
            tables.read_rules(session, keys)
            read_region(session, names, warehouse.dialect.relation(gone) if gone else None)
            tables.read_former(session, names)
            resolution = _resolve(session, keys, names, resolved_at, connect, counts="work_counts")
            _write(session, keys, names, resolved_at, resolution, scope="changes")
        return resolution


def _resolve(
    session: Session, keys: Keys, names: Names, resolved_at: datetime, connect: Connect, *, counts: str | None
) -> Resolution:
    total = "work_records" if counts is None else names.clusters
    bounded = apply_bounds(session, keys, connect=connect, counts=counts, total=total)
    keep_quarantined_apart(session, keys.binding.rules.largest_cluster)
    assign_persons(session, keys.dialect, resolved_at, taken=names.clusters)
    log_moves(session)
    [found] = session.rows(
        "select (select count(*) from work_records) as records, (select count(*) from work_persons) as people,"
        " (select count(*) from work_edges) as edges,"
        " (select count(*) from work_persons as p left join work_wishes as w on w.component = p.component"
        " and w.former_id = p.person_id where w.component is null) as minted,"
        " (select count(*) from work_moves where kind = 'merge') as merges,"
        " (select count(*) from work_moves where kind = 'split') as splits"
    )
    return Resolution(
        record_count=found["records"],
        person_count=found["people"],
        edge_count=found["edges"],
        minted_count=found["minted"],
        merge_count=found["merges"],
        split_count=found["splits"],
        shared_value_count=bounded.shared_value_count,
        cut_cluster_count=bounded.cut_cluster_count,
        quarantined_cluster_count=bounded.quarantined_cluster_count,
        passes=bounded.passes,
    )


def _write(
    session: Session, keys: Keys, names: Names, resolved_at: datetime, resolution: Resolution, *, scope: str
) -> None:
    moment, is_whole = keys.dialect.at(resolved_at), scope == "all"
    tables.write_edges(session, names, moment, is_whole=is_whole)
    tables.write_people(session, names, moment, is_whole=is_whole)
    tables.write_quarantine(session, names, moment, is_whole=is_whole)
    digest = keys.binding.rules.digest
    tables.write_run(session, names, scope=scope, digest=digest, counts=asdict(resolution), resolved_at=moment)


def _require_same_rules(session: Session, names: Names, rules: Rules) -> None:
    before = tables.newest_digest(session, names)
    if before == rules.digest:
        return
    what = "nothing was resolved before" if before is None else "the rules are others than those of the last run"
    raise GuardTripped(f"{what}: changed records alone cannot be resolved.", remedy="Resolve all records first.")
