"""What a day's changes reach: the changed records, who shares a value with them, and what hangs together with those.

A value that was and stays shared joins nobody and leads nowhere. Everything that is made here is small: the edges are
read four times, each time against a handful of keys.
"""

from collections.abc import Mapping

from cdp_platform.identity.bounds import read_anchored
from cdp_platform.identity.tables import Names
from cdp_platform.warehouse.base import Session


def read_region(session: Session, names: Names, gone: str | None, anchors: Mapping[int, int]) -> None:
    """Make `work_records`, `work_edges` and `work_counts` of the region, from `work_changed` and `work_changed_edges`.

    Of `work_counts` [value] the counts are over all records, after the change.
    """
    _make(session, "work_keys", _changed_keys(gone))
    _read_touched(session, names)
    _read_reached(session, names)
    _make(
        session,
        "work_records",
        "select row_number() over (order by record_key) as node, record_key from"
        f" (select c.record_key from {names.clusters} as c"
        " where c.cluster_key in (select cluster_key from work_reached_clusters)"
        " and c.record_key not in (select record_key from work_keys)"
        " union all select record_key from work_changed) as region",
    )
    _make(
        session,
        "work_edges",
        f"select r.node, u.rule_no, e.value_hash from {names.edges} as e"
        " join work_records as r on r.record_key = e.record_key join work_rules as u on u.identifier = e.identifier"
        " where e.record_key not in (select record_key from work_keys)"
        " union all select r.node, e.rule_no, e.value_hash from work_changed_edges as e"
        " join work_changed as c on c.node = e.node join work_records as r on r.record_key = c.record_key",
    )
    _count(session, names)
    _read_held(session, names, anchors)
    read_anchored(session, anchors, "work_held", key="record_key")


def _changed_keys(gone: str | None) -> str:
    sql = "select record_key from work_changed"
    return sql if gone is None else f"{sql} union select cast(record_key as string) from {gone}"


def _read_touched(session: Session, names: Names) -> None:
    """Make `work_touched` [value of a changed record, old or new] with its count before and after, and its cap."""
    _make(
        session,
        "work_old",
        f"select u.rule_no, e.value_hash from {names.edges} as e join work_rules as u on u.identifier = e.identifier"
        " where e.record_key in (select record_key from work_keys)",
    )
    _make(
        session,
        "work_values",
        "select rule_no, value_hash, sum(was) as was, sum(is_now) as is_now from"
        " (select rule_no, value_hash, 1 as was, 0 as is_now from work_old"
        " union all select rule_no, value_hash, 0 as was, 1 as is_now from work_changed_edges) as held"
        " group by rule_no, value_hash",
    )
    _make(
        session,
        "work_holders",
        f"select e.record_key, v.rule_no, v.value_hash from {names.edges} as e"
        " join work_rules as u on u.identifier = e.identifier"
        " join work_values as v on v.value_hash = e.value_hash and v.rule_no = u.rule_no"
        " where e.record_key not in (select record_key from work_keys)",
    )
    _make(
        session,
        "work_touched",
        "select v.rule_no, v.value_hash, u.cap, v.was + coalesce(h.others, 0) as count_before,"
        " v.is_now + coalesce(h.others, 0) as count_after from work_values as v"
        " join work_rules as u on u.rule_no = v.rule_no left join (select rule_no, value_hash, count(*) as others"
        " from work_holders group by rule_no, value_hash) as h"
        " on h.rule_no = v.rule_no and h.value_hash = v.value_hash",
    )


def _read_reached(session: Session, names: Names) -> None:
    """Make `work_reached_clusters` [cluster that holds a changed record or one that it may be joined to]."""
    _make(
        session,
        "work_reached",
        "select record_key from work_keys union select h.record_key from work_holders as h join work_touched as t"
        " on t.rule_no = h.rule_no and t.value_hash = h.value_hash"
        " where t.count_before between 2 and t.cap or t.count_after between 2 and t.cap",
    )
    _make(
        session,
        "work_reached_clusters",
        f"select distinct cluster_key from {names.clusters} where record_key in (select record_key from work_reached)",
    )


def _count(session: Session, names: Names) -> None:
    _make(
        session,
        "work_asked",
        "select rule_no, value_hash, count(*) as here from work_edges group by rule_no, value_hash",
    )
    _make(
        session,
        "work_counts",
        "select rule_no, value_hash, count(*) as record_count from"
        f" (select u.rule_no, e.value_hash from {names.edges} as e join work_rules as u on u.identifier = e.identifier"
        " join work_asked as a on a.value_hash = e.value_hash and a.rule_no = u.rule_no"
        " where e.record_key not in (select record_key from work_keys)"
        " union all select rule_no, value_hash from work_changed_edges) as held group by rule_no, value_hash",
    )


def _read_held(session: Session, names: Names, anchors: Mapping[int, int]) -> None:
    """Make `work_held` [edge of a record with an asked value of a rule with `within_one`], over all records."""
    wanted = ", ".join(map(str, {*anchors, *anchors.values()})) or "-1"
    _make(
        session,
        "work_all",
        f"select e.record_key, u.rule_no, e.value_hash from {names.edges} as e"
        f" join work_rules as u on u.identifier = e.identifier where u.rule_no in ({wanted})"
        " and e.record_key not in (select record_key from work_keys)"
        " union all select c.record_key, e.rule_no, e.value_hash from work_changed_edges as e"
        f" join work_changed as c on c.node = e.node where e.rule_no in ({wanted})",
    )
    _make(
        session,
        "work_held",
        "select a.record_key, a.rule_no, a.value_hash from work_all as a where a.record_key in"
        " (select h.record_key from work_all as h join work_asked as q on q.rule_no = h.rule_no"
        " and q.value_hash = h.value_hash)",
    )


def _make(session: Session, table: str, sql: str) -> None:
    session.execute(f"create or replace temporary table {table} as {sql}")
