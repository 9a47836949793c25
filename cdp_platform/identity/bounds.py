"""Where merging stops: shared values, clusters that are cut at their weakest rules, and clusters that are not believed.

`work_nodes` [record] with node, cluster (all that hangs together), component (what is merged) and is_quarantined comes
out; everything that was stopped stands in `work_stopped` [value or cluster].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdp_platform.errors import GuardTripped
from cdp_platform.identity.graph import Connect
from cdp_platform.identity.keys import Keys
from cdp_platform.identity.rules import BoundRule
from cdp_platform.warehouse.base import Session

MOST_STOPPED_SHARE: Final = 0.1
"""Of the records: where more stand in clusters that are too large, the rules are at fault and not the data."""
FEWEST_STOPPED: Final = 100


@dataclass(frozen=True, kw_only=True)
class Bounded:
    """What the bounds did, in values, clusters, records and passes of the search for components."""

    shared_value_count: int
    cut_cluster_count: int
    quarantined_cluster_count: int
    stopped_record_count: int
    passes: int


def apply_bounds(
    session: Session, keys: Keys, *, connect: Connect, counts: str | None, total: str = "work_records"
) -> Bounded:
    """Turn `work_edges` into `work_links`, and those into `work_nodes`.

    `counts` is a relation (rule_no, value_hash, record_count) over all records, where `work_edges` holds only some;
    `total` is the relation of all records.
    Raises GuardTripped, naming the value that joins most, where the rules would merge a tenth of all records.
    """
    bound, largest = keys.binding.bound, keys.binding.rules.largest_cluster
    if counts is None:
        read_anchored(session, keys.binding.anchors, "work_edges", key="node")
    _make_links(session, bound, counts)
    passes = connect(session, "work_links", "work_labels")
    session.execute("create or replace temporary table work_final as select node, component from work_labels")
    stopped = _large(session, "work_labels", largest)
    cut = _cut(session, bound, largest, connect) if stopped else 0
    _check_share(session, keys, stopped, total)
    quarantined = _large(session, "work_final", largest)
    _make_nodes(session, largest)
    [shared] = session.rows("select count(*) as shared from work_stopped where kind = 'shared_value'")
    return Bounded(
        shared_value_count=shared["shared"],
        cut_cluster_count=cut,
        quarantined_cluster_count=len(quarantined),
        stopped_record_count=sum(stopped.values()),
        passes=passes,
    )


def read_anchored(session: Session, anchors: Mapping[int, int], held: str, *, key: str) -> None:
    """Make `work_anchored` [value of a rule with `within_one`] with the number of values of the rule that it names.

    `held` (rule_no, value_hash, and `key`, which names a record) holds the edges of all records with such values.
    """
    named = (f"select {rule_no} as rule_no, {anchor} as anchor_no" for rule_no, anchor in anchors.items())
    pairs = " union all ".join(named) or "select 0 as rule_no, 0 as anchor_no from work_edges where 1 = 0"
    session.execute(
        "create or replace temporary table work_anchored as select h.rule_no, h.value_hash,"
        f" count(distinct a.value_hash) as anchor_count from {held} as h join ({pairs}) as p on p.rule_no = h.rule_no"
        f" join {held} as a on a.{key} = h.{key} and a.rule_no = p.anchor_no group by h.rule_no, h.value_hash"
    )


def _make_links(session: Session, bound: Sequence[BoundRule], counts: str | None) -> None:
    caps = " ".join(f"when {number} then {one.rule.cap}" for number, one in enumerate(bound))
    silent = ", ".join(str(number) for number, one in enumerate(bound) if not one.rule.joins) or "-1"
    counted = "count(*)"
    known = ""
    if counts is not None:
        counted = "min(c.record_count)"
        known = f" join {counts} as c on c.rule_no = e.rule_no and c.value_hash = e.value_hash"
    session.execute(
        "create or replace temporary table work_groups as select held.rule_no, held.value_hash, center, record_count,"
        f" record_count > case held.rule_no {caps} end as is_shared, coalesce(a.anchor_count, 0) > 1 as is_several"
        " from (select e.rule_no, e.value_hash,"
        f" min(e.node) as center, {counted} as record_count from work_edges as e{known}"
        f" where e.rule_no not in ({silent}) group by e.rule_no, e.value_hash having {counted} > 1) as held"
        " left join work_anchored as a on a.rule_no = held.rule_no and a.value_hash = held.value_hash"
    )
    session.execute(
        "create or replace temporary table work_links as select g.center as u, e.node as v, e.rule_no"
        " from work_edges as e join work_groups as g on g.rule_no = e.rule_no and g.value_hash = e.value_hash"
        " where not g.is_shared and not g.is_several and e.node <> g.center"
    )
    session.execute(
        "create or replace temporary table work_stopped as select 'shared_value' as kind, rule_no, value_hash,"
        " cast(null as bigint) as cluster, record_count from work_groups where is_shared"
    )


def _large(session: Session, labels: str, largest: int) -> dict[int, int]:
    rows = session.rows(
        f"select component, count(*) as records from {labels} group by component having count(*) > {largest}"
    )
    return {row["component"]: row["records"] for row in rows}


def _cut(session: Session, bound: Sequence[BoundRule], largest: int, connect: Connect) -> int:
    """Take the weakest rules out of clusters that are too large, one after the other, never the strongest."""
    session.execute(
        "create or replace temporary table work_suspects as select f.node, f.component as cluster from work_final as f"
        f" where f.component in (select component from work_labels group by component having count(*) > {largest})"
    )
    session.execute(
        "create or replace temporary table work_kept as select l.u, l.v, l.rule_no from work_links as l"
        " join work_suspects as s on s.node = l.u"
    )
    for rule_no in sorted(range(len(bound)), key=lambda number: -bound[number].rule.priority)[:-1]:
        if not _still_large(session, largest):
            break
        _take_out(session, rule_no, largest)
        connect(session, "work_kept", "work_relabelled")
        session.execute(
            "create or replace temporary table work_final as select f.node, case when s.node is null then f.component"
            " else coalesce(r.component, f.node) end as component from work_final as f"
            " left join work_suspects as s on s.node = f.node left join work_relabelled as r on r.node = f.node"
        )
    [cut] = session.rows("select count(distinct cluster) as clusters from work_stopped where kind = 'cut_cluster'")
    return int(cut["clusters"])


def _still_large(session: Session, largest: int) -> bool:
    return bool(_large(session, "work_final", largest))


def _take_out(session: Session, rule_no: int, largest: int) -> None:
    """Drop one rule's links in what is too large now, and log it with the cluster that it was cut from."""
    session.execute(
        "create or replace temporary table work_dropped as select l.u, l.v, l.rule_no, s.cluster from work_kept as l"
        " join work_suspects as s on s.node = l.u join work_final as f on f.node = l.u"
        f" where l.rule_no = {rule_no} and f.component in"
        f" (select component from work_final group by component having count(*) > {largest})"
    )
    session.execute(
        "insert into work_stopped select 'cut_cluster', d.rule_no, null, d.cluster, max(n.records)"
        " from work_dropped as d"
        " join (select cluster, count(*) as records from work_suspects group by cluster) as n on n.cluster = d.cluster"
        " group by d.rule_no, d.cluster"
    )
    session.execute(
        "create or replace temporary table work_rest as select k.u, k.v, k.rule_no from work_kept as k"
        " left join work_dropped as d on d.u = k.u and d.v = k.v and d.rule_no = k.rule_no where d.u is null"
    )
    session.execute("create or replace temporary table work_kept as select u, v, rule_no from work_rest")


def _make_nodes(session: Session, largest: int) -> None:
    session.execute(
        "create or replace temporary table work_quarantined as select component from work_final group by component"
        f" having count(*) > {largest}"
    )
    session.execute(
        "create or replace temporary table work_nodes as select r.node, coalesce(l.component, r.node) as cluster,"
        " coalesce(f.component, r.node) as component, q.component is not null as is_quarantined"
        " from work_records as r left join work_labels as l on l.node = r.node"
        " left join work_final as f on f.node = r.node left join work_quarantined as q on q.component = f.component"
    )
    session.execute(
        "insert into work_stopped select 'large_cluster', null, null, min(cluster), count(*) from work_nodes"
        " where is_quarantined group by component"
    )


def _check_share(session: Session, keys: Keys, stopped: dict[int, int], total: str) -> None:
    [all_records] = session.rows(f"select count(*) as records from {total}")
    stopped_count = sum(stopped.values())
    if stopped_count < FEWEST_STOPPED or stopped_count <= MOST_STOPPED_SHARE * all_records["records"]:
        return
    [worst] = session.rows(
        "select g.rule_no, g.value_hash, g.record_count from work_groups as g"
        " join work_labels as l on l.node = g.center"
        f" where not g.is_shared and not g.is_several and l.component in ({', '.join(map(str, stopped))})"
        " order by g.record_count desc, g.rule_no, g.value_hash limit 1"
    )
    rule = keys.binding.bound[worst["rule_no"]].rule
    value = keys.value_text(session, worst["rule_no"], worst["value_hash"])
    raise GuardTripped(
        f"the rules would merge strangers: {stopped_count:,} of {all_records['records']:,} records stand in clusters of"
        f" more than {keys.binding.rules.largest_cluster:,}. The value that joins most of them is {value!r} of rule"
        f" `{rule.name}`, in {worst['record_count']:,} records. Nothing was written.",
        remedy="Block the value, lower the rule's cap, or ask the rule for one field more.",
        counts={"stopped": stopped_count, "records": all_records["records"], "value": worst["record_count"]},
    )
