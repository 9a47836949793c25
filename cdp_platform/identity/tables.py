"""The tables of identity in the caller's schema: read what was known, write what was found.

All are read and written inside one session; a caller's transaction makes the writes one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cdp_platform.identity.expressions import MOMENT
from cdp_platform.identity.keys import Keys
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal


@dataclass(frozen=True, kw_only=True)
class Names:
    """The quoted names of the tables; `schema` is the schema's, unquoted."""

    schema: str
    is_replaced: bool
    """Whether a table can be made anew in the transaction that writes the others; else its rows are replaced."""
    edges: str
    clusters: str
    merges: str
    quarantine: str
    runs: str
    person_ids: str
    fingerprints: str

    @classmethod
    def of(cls, schema: str, dialect: Dialect) -> "Names":
        """Name the tables of a schema."""
        tables = ("edges", "clusters", "merges", "quarantine", "runs", "person_ids", "fingerprints")
        quoted = {name: dialect.relation(f"{schema}.identity_{name}") for name in tables}
        return cls(schema=schema, is_replaced=dialect.defines_in_transactions, **quoted)


def has_tables(session: Session, names: Names) -> bool:
    """Whether identity was resolved into this schema before."""
    return bool(session.columns(f"{names.schema}.identity_runs"))


def has_fingerprints(session: Session, names: Names) -> bool:
    """Whether it is known what the records looked like that were resolved last."""
    return bool(session.columns(f"{names.schema}.identity_fingerprints"))


def newest_digest(session: Session, names: Names) -> str | None:
    """The digest of the rules of the newest run; None where there was none."""
    if not has_tables(session, names):
        return None
    rows = session.rows(f"select rules_digest from {names.runs} order by resolved_at desc, run_number desc limit 1")
    return str(rows[0]["rules_digest"]) if rows else None


def create_tables(session: Session, names: Names) -> None:
    """Make what is not there yet."""
    value_hash = _type_of(session, "work_edges", "value_hash")
    columns = {
        names.edges: f"record_key string, identifier string, value_hash {value_hash}, source string,"
        f" first_seen_at {MOMENT}, last_seen_at {MOMENT}",
        names.clusters: f"record_key string, person_id string, cluster_key string, person_since {MOMENT},"
        f" resolved_at {MOMENT}",
        names.merges: f"resolved_at {MOMENT}, former_person_id string, person_id string, kind string,"
        " record_count bigint",
        names.quarantine: f"kind string, identifier string, value_hash {value_hash}, cluster_key string,"
        f" record_count bigint, resolved_at {MOMENT}",
        names.person_ids: "person_id string, present_person_id string",
        names.runs: f"run_number bigint, resolved_at {MOMENT}, scope string, rules_digest string, record_count bigint,"
        " person_count bigint, minted_count bigint, merge_count bigint, split_count bigint, shared_value_count bigint,"
        " quarantined_cluster_count bigint",
    }
    session.execute(f"create schema if not exists {_schema_of(names)}")
    for table, definition in columns.items():
        session.execute(f"create table if not exists {table} ({definition})")


def read_former(session: Session, names: Names) -> None:
    """Make `work_former` [record of this run that was known] with node, person_id and person_since."""
    session.execute(
        "create or replace temporary table work_former as select r.node, c.person_id, c.person_since"
        f" from {names.clusters} as c join work_records as r on r.record_key = c.record_key"
    )


def read_rules(session: Session, keys: Keys) -> None:
    """Make `work_rules` [rule] with rule_no, identifier and cap; 0 for a rule that joins nobody."""
    rows = " union all ".join(
        f"select {number} as rule_no, {literal(bound.rule.name)} as identifier,"
        f" {bound.rule.cap if bound.rule.joins else 0} as cap"
        for number, bound in enumerate(keys.binding.bound)
    )
    session.execute(f"create or replace temporary table work_rules as {rows}")


def stage_edges(session: Session, names: Names, resolved_at: str, *, is_whole: bool) -> list[str]:
    """Replace all edges, or those of `work_keys`; an edge that was there keeps the time when it was first seen.

    Like its neighbours it makes tables of the session only; the answer are the statements that write what they hold.
    """
    found = (
        "select c.record_key, u.identifier, e.value_hash, c.source,"
        f" coalesce(o.first_seen_at, c.seen_at, {resolved_at}) as first_seen_at,"
        f" coalesce(c.seen_at, {resolved_at}) as last_seen_at"
        " from work_changed_edges as e join work_changed as c on c.node = e.node"
        " join work_rules as u on u.rule_no = e.rule_no"
        f" left join {names.edges} as o on o.record_key = c.record_key and o.identifier = u.identifier"
        " and o.value_hash = e.value_hash"
    )
    return _staged(session, names, "edges", found, stale=None if is_whole else "select record_key from work_keys")


def stage_people(session: Session, names: Names, resolved_at: str, *, is_whole: bool) -> list[str]:
    """Replace the people of all records, or of those of this run, and log who merged and who split."""
    found = (
        "select r.record_key, p.person_id, k.record_key as cluster_key,"
        f" p.person_since, {resolved_at} as resolved_at from work_settled as s"
        " join work_records as r on r.node = s.node join work_records as k on k.node = s.cluster"
        " join work_persons as p on p.component = s.component"
    )
    stale = "select record_key from work_records union all select record_key from work_keys"
    return [
        *_staged(session, names, "clusters", found, stale=None if is_whole else stale),
        f"insert into {names.merges} select {resolved_at}, former_id, person_id, kind, records from work_moves",
    ]


def stage_person_ids(session: Session, names: Names) -> list[str]:
    """Keep every id that a person ever had, with the id of that person now: merges and splits of this run are followed.

    Of several people among whom an id was split up, the one with most of its records is followed.
    """
    session.execute(
        "create or replace temporary table work_followed as select former_id, person_id from"
        " (select former_id, person_id, row_number() over (partition by former_id order by records desc, person_id)"
        " as choice from work_moves where former_id not in (select person_id from work_persons)) as ranked"
        " where choice = 1"
    )
    found = (
        "select i.person_id, case when p.person_id is not null then"
        " i.person_id else coalesce(f.person_id, i.present_person_id) end as present_person_id"
        f" from {names.person_ids} as i left join work_persons as p on p.person_id = i.person_id"
        " left join work_followed as f on f.former_id = i.present_person_id"
        " union all select p.person_id, p.person_id from work_persons as p"
        f" left join {names.person_ids} as i on i.person_id = p.person_id where i.person_id is null"
    )
    return _staged(session, names, "person_ids", found, stale=None)


def _staged(session: Session, names: Names, name: str, found: str, *, stale: str | None) -> list[str]:
    """Put in what was found for the stale record keys, or for all; the table may be read by `found`."""
    table: str = getattr(names, name)
    if stale is None and names.is_replaced:
        return [f"create or replace table {table} as {found}"]
    work = f"work_found_{name}"
    session.execute(f"create or replace temporary table {work} as {found}")
    where = f" where record_key in ({stale})" if stale else ""
    return [f"delete from {table}{where}", f"insert into {table} select * from {work}"]


def write_quarantine(session: Session, names: Names, resolved_at: str, *, is_whole: bool) -> None:
    """Replace what is stopped now: all of it, or what concerns the values and clusters of this run."""
    values = (
        "select u.identifier from work_touched as t join work_rules as u on u.rule_no = t.rule_no"
        f" where t.value_hash = {names.quarantine}.value_hash and u.identifier = {names.quarantine}.identifier"
    )
    clusters = (
        "cluster_key in (select cluster_key from work_reached_clusters union all select record_key from work_records)"
    )
    where = "" if is_whole else f" where {clusters} or (kind = 'shared_value' and exists ({values}))"
    session.execute(f"delete from {names.quarantine}{where}")
    session.execute(
        f"insert into {names.quarantine} select s.kind, u.identifier, s.value_hash, r.record_key, s.record_count,"
        f" {resolved_at} from work_stopped as s left join work_rules as u on u.rule_no = s.rule_no"
        " left join work_records as r on r.node = s.cluster"
        + (
            ""
            if is_whole
            else " left join work_touched as t on t.rule_no = s.rule_no and t.value_hash = s.value_hash"
            " where s.kind <> 'shared_value' or t.rule_no is not null"
        )
    )


def write_run(
    session: Session, names: Names, *, scope: str, digest: str, counts: Mapping[str, int], resolved_at: str
) -> None:
    """Add the run to the book of runs."""
    told = ("record", "person", "minted", "merge", "split", "shared_value", "quarantined_cluster")
    values = ", ".join(str(counts[f"{name}_count"]) for name in told)
    session.execute(
        f"insert into {names.runs} select coalesce(max(run_number), 0) + 1, {resolved_at}, '{scope}', '{digest}',"
        f" {values} from {names.runs}"
    )


def _type_of(session: Session, table: str, column: str) -> str:
    return session.columns(table)[column]


def _schema_of(names: Names) -> str:
    return names.edges.rpartition(".")[0]
