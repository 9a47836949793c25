"""Resolve identity in the warehouse: records → edges → bounds → components → people, in full or for a day's changes.

Tables in the caller's schema: `identity_edges` [record × rule × value], `identity_clusters` [record] with its person,
`identity_merges` [move of records between people], `identity_quarantine` [shared value or cluster, as it is now] and
`identity_runs` [run]. Values stand there as 64-bit hashes; the words they came from stay in the records.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from cdp_platform.errors import GuardTripped
from cdp_platform.identity import tables
from cdp_platform.identity.bounds import Bounded, apply_bounds
from cdp_platform.identity.expressions import at
from cdp_platform.identity.graph import Connect, connect_in_memory
from cdp_platform.identity.keys import Keys, Quote, stage, stage_all
from cdp_platform.identity.persons import assign_persons, keep_quarantined_apart, log_moves
from cdp_platform.identity.region import read_region
from cdp_platform.identity.rules import Rules, bind
from cdp_platform.identity.tables import Names
from cdp_platform.warehouse.base import Session, Warehouse

FEWEST_MERGED: Final = 100
"""So many people may merge in a run whatever the share: among few people a share says nothing."""


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


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run works with. `most_merged_share` stops a run that would merge more of the known people than that,
    and more than 100; None: nothing is too much."""

    names: Names
    keys: Keys
    resolved_at: datetime
    connect: Connect = connect_in_memory
    most_merged_share: float | None = None


def resolve_all(
    warehouse: Warehouse,
    rules: Rules,
    *,
    records: str,
    schema: str,
    resolved_at: datetime,
    connect: Connect = connect_in_memory,
) -> Resolution:
    """Resolve every record of `records` (`schema.table`, one row per record) anew; people keep their ids.

    Records that are not there any more leave. Everything is written in one transaction. Raises ConfigError where the
    rules do not fit the columns, GuardTripped where they would merge strangers or a key is not unique.
    """
    with warehouse.session("identity: all records") as session:
        keys = Keys.of(bind(rules, list(session.columns(records))))
        run = Run(names=Names.of(schema, warehouse.dialect), keys=keys, resolved_at=resolved_at, connect=connect)
        return resolve_all_in(session, run, warehouse.dialect.relation(records), warehouse.dialect.quote)


def resolve_changes(
    warehouse: Warehouse,
    rules: Rules,
    *,
    records: str,
    schema: str,
    resolved_at: datetime,
    gone: str | None = None,
    connect: Connect = connect_in_memory,
) -> Resolution:
    """Resolve new and changed records (`records`), and those that are `gone` (a relation with record_key).

    Only clusters that these records reach are looked at; people are those that `resolve_all` would find. Raises
    GuardTripped where nothing was resolved before or the rules were others then, and as `resolve_all` does.
    """
    with warehouse.session("identity: changed records") as session:
        names = Names.of(schema, warehouse.dialect)
        _require_same_rules(session, names, rules)
        keys = Keys.of(bind(rules, list(session.columns(records))))
        run = Run(names=names, keys=keys, resolved_at=resolved_at, connect=connect)
        missing = warehouse.dialect.relation(gone) if gone else None
        return resolve_changes_in(
            session, run, warehouse.dialect.relation(records), warehouse.dialect.quote, gone=missing
        )


def resolve_all_in(session: Session, run: Run, records: str, quote: Quote) -> Resolution:
    """As `resolve_all`, in a session of the caller; `records` is quoted, and may be temporary."""
    stage_all(session, run.keys, records, quote)
    with session.transaction():
        tables.create_tables(session, run.names)
        tables.read_rules(session, run.keys)
        tables.read_former(session, run.names)
        return _resolve(session, run, scope="all")


def resolve_changes_in(session: Session, run: Run, records: str, quote: Quote, *, gone: str | None) -> Resolution:
    """As `resolve_changes`, in a session of the caller who has seen that the rules are those of the last run."""
    stage(session, run.keys, records, quote)
    with session.transaction():
        tables.read_rules(session, run.keys)
        read_region(session, run.names, gone, run.keys.binding.anchors)
        tables.read_former(session, run.names)
        return _resolve(session, run, scope="changes")


def _resolve(session: Session, run: Run, *, scope: str) -> Resolution:
    keys, names, is_whole = run.keys, run.names, scope == "all"
    counts, total = (None, "work_records") if is_whole else ("work_counts", names.clusters)
    bounded = apply_bounds(session, keys, connect=run.connect, counts=counts, total=total)
    keep_quarantined_apart(session, keys.binding.rules.largest_cluster)
    assign_persons(session, run.resolved_at, taken=names.clusters)
    log_moves(session)
    resolution = _found(session, bounded)
    _check_merges(session, run, resolution.merge_count)
    _write(session, run, resolution, scope=scope)
    return resolution


def _found(session: Session, bounded: Bounded) -> Resolution:
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


def _check_merges(session: Session, run: Run, merge_count: int) -> None:
    if run.most_merged_share is None or merge_count <= FEWEST_MERGED:
        return
    [known] = session.rows(f"select count(distinct person_id) as people from {run.names.clusters}")
    if merge_count <= run.most_merged_share * known["people"]:
        return
    [worst] = session.rows(
        "select u.identifier, count(*) as links from work_links as l join work_rules as u on u.rule_no = l.rule_no"
        " join work_settled as s on s.node = l.u where s.component in (select component from work_settled"
        " group by component having count(distinct former_id) > 1)"
        " group by u.identifier order by links desc, u.identifier limit 1"
    )
    raise GuardTripped(
        f"the run would merge {merge_count:,} of {known['people']:,} people into others, more than"
        f" {run.most_merged_share:.1%}. The rule that joins most of them is `{worst['identifier']}`, by"
        f" {worst['links']:,} links. Nothing was written.",
        remedy="Look at the rule; where the merges are right, raise the share for this run.",
        counts={"merged": merge_count, "people": known["people"], "links": worst["links"]},
    )


def _write(session: Session, run: Run, resolution: Resolution, *, scope: str) -> None:
    keys, names, moment, is_whole = run.keys, run.names, at(run.resolved_at), scope == "all"
    # All that makes a table comes before the first row is written: some warehouses commit when one is made.
    writes = [
        *tables.stage_edges(session, names, moment, is_whole=is_whole),
        *tables.stage_people(session, names, moment, is_whole=is_whole),
        *tables.stage_person_ids(session, names),
    ]
    for statement in writes:
        session.execute(statement)
    tables.write_quarantine(session, names, moment, is_whole=is_whole)
    digest = keys.binding.rules.digest
    tables.write_run(session, names, scope=scope, digest=digest, counts=asdict(resolution), resolved_at=moment)


def _require_same_rules(session: Session, names: Names, rules: Rules) -> None:
    before = tables.newest_digest(session, names)
    if before == rules.digest:
        return
    what = "nothing was resolved before" if before is None else "the rules are others than those of the last run"
    raise GuardTripped(f"{what}: changed records alone cannot be resolved.", remedy="Resolve all records first.")
