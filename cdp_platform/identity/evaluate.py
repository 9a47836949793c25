"""Judge rules on records whose people are known: pairwise precision and recall, what each rule finds, what is missed.

A pair is two records of one person. Pairs are counted after closure: a cluster of three is three pairs, whether or not
a rule joins each of them directly.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa

from cdp_platform.errors import ConfigError
from cdp_platform.identity.bounds import apply_bounds
from cdp_platform.identity.graph import connect_in_memory
from cdp_platform.identity.keys import Keys, stage_all
from cdp_platform.identity.labelled import TruthFile
from cdp_platform.identity.pairs import PairScore, score_pairs
from cdp_platform.identity.rules import Rules, bind
from cdp_platform.warehouse.base import Session, Warehouse

EXAMPLES = 5
_SIZES = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, None))


@dataclass(frozen=True, kw_only=True)
class RuleScore:
    """Pairs that a rule joins directly; `only_*` are those that no other rule joins."""

    name: str
    written: str
    true_pairs: int
    false_pairs: int
    only_true_pairs: int
    only_false_pairs: int


@dataclass(frozen=True, kw_only=True)
class FieldDoubt:
    """How a field stands in the true pairs that were missed: equal but for case, different, or empty on a side."""

    name: str
    equal: int
    different: int
    empty: int


@dataclass(frozen=True, kw_only=True)
class SharedValue:
    """A value that too many records hold to join anybody; `value` is masked."""

    rule: str
    value: str
    record_count: int


@dataclass(frozen=True, kw_only=True)
class Evaluation(PairScore):
    """What the rules are worth. Shares are 0 to 1; None where there is nothing to divide by."""

    record_count: int
    labelled_count: int
    is_pair_list: bool
    person_count: int
    cluster_count: int
    chained_false_pair_count: int
    """False pairs that no rule joins directly, only through others."""
    cluster_sizes: Mapping[str, int]
    largest_clusters: tuple[Mapping[str, int], ...]
    """Records, and true people in them."""
    shared_value_count: int
    shared_values: tuple[SharedValue, ...]
    quarantined_cluster_count: int
    cut_cluster_count: int
    rules: tuple[RuleScore, ...]
    left_out_rules: Mapping[str, str]
    """Rule → why it is not used."""
    columns: Mapping[str, tuple[str, ...]]
    """Field → the columns that it was read from."""
    missed_fields: tuple[FieldDoubt, ...]
    missed_examples: tuple[tuple[str, str], ...]
    false_examples: tuple[tuple[str, str], ...]


def evaluate(warehouse: Warehouse, rules: Rules, records: pa.Table, truth: TruthFile) -> Evaluation:
    """Resolve the records in a session of `warehouse`, which is left as it was, and compare with the truth.

    Raises ConfigError where rules or truth do not fit the records, GuardTripped where the rules would merge strangers.
    """
    keys = Keys.of(bind(rules, records.column_names))
    with warehouse.session("identity: evaluation") as session:
        session.register("labelled_records", records)
        stage_all(session, keys, "labelled_records", warehouse.dialect.quote)
        is_pair_list = _read_truth(session, truth)
        bounded = apply_bounds(session, keys, connect=connect_in_memory, counts=None)
        _judge(session)
        scores = _rule_scores(session, keys)
        counts = _counts(session)
        return Evaluation(
            record_count=counts["records"],
            labelled_count=counts["labelled"],
            is_pair_list=is_pair_list,
            person_count=counts["people"],
            cluster_count=counts["clusters"],
            **asdict(score_pairs(session, "work_judged")),
            chained_false_pair_count=counts["chained"],
            cluster_sizes=_sizes(session),
            largest_clusters=_largest(session),
            shared_value_count=bounded.shared_value_count,
            shared_values=_shared_values(session, keys),
            quarantined_cluster_count=bounded.quarantined_cluster_count,
            cut_cluster_count=bounded.cut_cluster_count,
            rules=scores,
            left_out_rules=keys.binding.left_out,
            columns=keys.binding.columns,
            missed_fields=_missed_fields(session, keys),
            missed_examples=_examples(session, "work_missed"),
            false_examples=_examples(session, "work_false"),
        )


def _read_truth(session: Session, truth: TruthFile) -> bool:
    """Make `work_truth` [labelled record] with node and person; say whether the file was a list of pairs."""
    session.register("truth_rows", pa.table({"record": truth.records, "other": truth.others}))
    [found] = session.rows(
        "select count(*) as rows_, count(distinct t.record) as once, count(r.node) as known, count(o.node) as others"
        " from truth_rows as t left join work_records as r on trim(r.record_key) = t.record"
        " left join work_records as o on trim(o.record_key) = t.other"
    )
    if not found["known"]:
        raise ConfigError(
            "no record of the truth file is among the records.", remedy="Look at the columns of both files."
        )
    [all_records] = session.rows("select count(*) as records from work_records")
    is_labelled = found["once"] == found["rows_"] and found["known"] >= all_records["records"]
    is_pair_list = found["others"] == found["rows_"] and not is_labelled and not truth.names_people
    if is_pair_list:
        _close_pairs(session)
        return True
    session.execute(
        "create or replace temporary table work_truth as select r.node, min(t.other) as person from truth_rows as t"
        " join work_records as r on trim(r.record_key) = t.record group by r.node"
    )
    [doubled] = session.rows(
        "select count(*) as records from (select record from truth_rows group by record"
        " having count(distinct other) > 1)"
    )
    if doubled["records"]:
        raise ConfigError(
            f"the truth file names two people for {doubled['records']:,} records.",
            remedy="Name one person for each record, or give a list of pairs of records.",
        )
    return False


def _close_pairs(session: Session) -> None:
    session.execute(
        "create or replace temporary table work_truth_links as select r.node as u, o.node as v from truth_rows as t"
        " join work_records as r on trim(r.record_key) = t.record"
        " join work_records as o on trim(o.record_key) = t.other"
    )
    connect_in_memory(session, "work_truth_links", "work_truth_labels")
    session.execute(
        "create or replace temporary table work_truth as select r.node, cast(coalesce(l.component, r.node) as string)"
        " as person from work_records as r left join work_truth_labels as l on l.node = r.node"
    )


def _judge(session: Session) -> None:
    """Make the labelled records with their cluster, and the pairs: joined directly, missed, and false."""
    session.execute(
        "create or replace temporary table work_judged as select n.node,"
        " case when n.is_quarantined then n.node else n.component end as component, t.person"
        " from work_nodes as n join work_truth as t on t.node = n.node"
    )
    session.execute(
        "create or replace temporary table work_direct as select distinct e.rule_no, e.node as one, f.node as other,"
        " j.person = k.person as is_true from work_edges as e"
        " join work_groups as g on g.rule_no = e.rule_no and g.value_hash = e.value_hash and not g.is_shared"
        " and not g.is_several"
        " join work_edges as f on f.rule_no = e.rule_no and f.value_hash = e.value_hash and f.node > e.node"
        " join work_judged as j on j.node = e.node join work_judged as k on k.node = f.node"
    )
    for name, same, other in (("missed", "person", "component"), ("false", "component", "person")):
        session.execute(
            f"create or replace temporary table work_{name} as select j.node as one, k.node as other"
            f" from work_judged as j join work_judged as k on k.{same} = j.{same} and k.node > j.node"
            f" where j.{other} <> k.{other}"
        )


def _counts(session: Session) -> dict[str, int]:
    [found] = session.rows(
        "select (select count(*) from work_records) as records, (select count(*) from work_judged) as labelled,"
        " (select count(distinct person) from work_judged) as people,"
        " (select count(distinct component) from work_judged) as clusters,"
        " (select count(*) from work_false as f left join (select distinct one, other from work_direct) as d"
        " on d.one = f.one and d.other = f.other where d.one is null) as chained"
    )
    return {name: int(count) for name, count in found.items()}


def _rule_scores(session: Session, keys: Keys) -> tuple[RuleScore, ...]:
    rows = session.rows(
        "select rule_no, count(*) filter (is_true) as true_pairs, count(*) filter (not is_true) as false_pairs,"
        " count(*) filter (is_true and ways = 1) as only_true, count(*) filter (not is_true and ways = 1) as only_false"
        " from (select rule_no, is_true, count(*) over (partition by one, other) as ways from work_direct) as counted"
        " group by rule_no"
    )
    found = {row["rule_no"]: row for row in rows}
    none = dict.fromkeys(("true_pairs", "false_pairs", "only_true", "only_false"), 0)
    return tuple(
        RuleScore(
            name=bound.rule.name,
            written=bound.rule.written,
            true_pairs=found.get(number, none)["true_pairs"],
            false_pairs=found.get(number, none)["false_pairs"],
            only_true_pairs=found.get(number, none)["only_true"],
            only_false_pairs=found.get(number, none)["only_false"],
        )
        for number, bound in enumerate(keys.binding.bound)
        if bound.rule.joins
    )


def _sizes(session: Session) -> dict[str, int]:
    rows = session.rows(
        "select records, count(*) as clusters from (select count(*) as records from work_judged group by component)"
        " as sized group by records"
    )
    return {
        _size_text(low, high): sum(
            row["clusters"] for row in rows if low <= row["records"] and (high is None or row["records"] <= high)
        )
        for low, high in _SIZES
    }


def _size_text(low: int, high: int | None) -> str:
    if high is None:
        return f"{low}+"
    return str(low) if low == high else f"{low}-{high}"


def _largest(session: Session) -> tuple[Mapping[str, int], ...]:
    return tuple(
        session.rows(
            "select count(*) as records, count(distinct person) as people from work_judged group by component"
            f" having count(*) > 1 order by records desc, people desc, min(node) limit {EXAMPLES}"
        )
    )


def _shared_values(session: Session, keys: Keys) -> tuple[SharedValue, ...]:
    rows = session.rows(
        "select rule_no, value_hash, record_count from work_groups where is_shared"
        f" order by record_count desc, rule_no, value_hash limit {EXAMPLES}"
    )
    return tuple(
        SharedValue(
            rule=keys.binding.bound[row["rule_no"]].rule.name,
            value=keys.value_text(session, row["rule_no"], row["value_hash"]),
            record_count=row["record_count"],
        )
        for row in rows
    )


def _missed_fields(session: Session, keys: Keys) -> tuple[FieldDoubt, ...]:
    """How the fields' first columns stand in missed pairs, the most different first."""
    found = []
    for name, columns in keys.binding.columns.items():
        alias = keys.aliases().get(columns[0])
        if alias is None:
            continue
        [row] = session.rows(
            f"select count(*) filter (a.{alias} is null or b.{alias} is null) as empty,"
            f" count(*) filter (lower(trim(a.{alias})) = lower(trim(b.{alias}))) as equal, count(*) as pairs"
            " from work_missed as m join work_records as a on a.node = m.one join work_records as b on b.node = m.other"
        )
        different = row["pairs"] - row["empty"] - row["equal"]
        found.append(FieldDoubt(name=name, equal=row["equal"], different=different, empty=row["empty"]))
    return tuple(sorted(found, key=lambda doubt: (-doubt.different, -doubt.empty, doubt.name)))


def _examples(session: Session, pairs: str) -> tuple[tuple[str, str], ...]:
    rows = session.rows(
        f"select a.record_key as one, b.record_key as other from {pairs} as p join work_records as a on a.node = p.one"
        f" join work_records as b on b.node = p.other order by a.record_key, b.record_key limit {EXAMPLES}"
    )
    return tuple((str(row["one"]).strip(), str(row["other"]).strip()) for row in rows)
