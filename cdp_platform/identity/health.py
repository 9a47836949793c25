"""How healthy identity is: sizes of people, what was stopped, what moved; counts only, nothing of a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cdp_platform.identity.tables import Names
from cdp_platform.warehouse.base import Session, Warehouse

LARGEST: Final = 20
SHARED: Final = 10
_RECENT_DAYS: Final = 14


@dataclass(frozen=True, kw_only=True)
class SharedValue:
    """A value that more records hold than its rule's cap; `value_hash` is hexadecimal."""

    rule: str
    value_hash: str
    record_count: int


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What the runs of one day moved."""

    day: str
    merge_count: int
    split_count: int


@dataclass(frozen=True, kw_only=True)
class Health:
    """The state after the newest run. Shares are 0 to 1, of all records or of all people."""

    resolved_at: datetime
    record_count: int
    person_count: int
    sizes: Mapping[int, int]
    """Records of a person → people."""
    largest: tuple[int, ...]
    """Records of the people with most of them."""
    sources: Mapping[str, int]
    merge_count: int
    """Ids that went up in another, in the newest run."""
    split_count: int
    recent_moves: tuple[Moves, ...]
    shared_value_counts: Mapping[str, int]
    """Rule → values that join nobody."""
    shared_record_count: int
    """Records that hold such a value."""
    shared_values: tuple[SharedValue, ...]
    cut_cluster_count: int
    quarantined_cluster_count: int
    quarantined_record_count: int

    @property
    def merge_share(self) -> float:
        """Merges of the newest run among the people that there were."""
        return self.merge_count / max(self.person_count + self.merge_count, 1)

    @property
    def largest_person(self) -> int:
        """Records of the person who has most."""
        return self.largest[0] if self.largest else 0

    @property
    def shared_share(self) -> float:
        """Records with a shared value."""
        return self.shared_record_count / max(self.record_count, 1)

    @property
    def quarantined_share(self) -> float:
        """Records in clusters that are not believed."""
        return self.quarantined_record_count / max(self.record_count, 1)


def measure(warehouse: Warehouse, schema: str) -> Health:
    """Measure what the newest run left in `schema`."""
    names = Names.of(schema, warehouse.dialect)
    with warehouse.session("identity: health") as session:
        [run] = session.rows(
            f"select resolved_at, merge_count, split_count from {names.runs} order by run_number desc limit 1"
        )
        sizes = _sizes(session, names)
        stopped = _stopped(session, names)
        return Health(
            resolved_at=run["resolved_at"],
            record_count=sum(size * people for size, people in sizes.items()),
            person_count=sum(sizes.values()),
            sizes=sizes,
            largest=_largest(sizes),
            sources=_sources(session, names),
            merge_count=run["merge_count"],
            split_count=run["split_count"],
            recent_moves=_recent_moves(session, names),
            shared_value_counts=_shared_value_counts(session, names),
            shared_record_count=_shared_record_count(session, names),
            shared_values=_shared_values(session, names),
            cut_cluster_count=stopped["cut"],
            quarantined_cluster_count=stopped["large"],
            quarantined_record_count=stopped["records"],
        )


def _sizes(session: Session, names: Names) -> dict[int, int]:
    rows = session.rows(
        f"select records, count(*) as people from (select count(*) as records from {names.clusters}"
        " group by person_id) as sized group by records order by records"
    )
    return {row["records"]: row["people"] for row in rows}


def _largest(sizes: Mapping[int, int]) -> tuple[int, ...]:
    each = (size for size in sorted(sizes, reverse=True) for _ in range(min(sizes[size], LARGEST)))
    return tuple(size for _, size in zip(range(LARGEST), each, strict=False))


def _sources(session: Session, names: Names) -> dict[str, int]:
    rows = session.rows(
        f"select source, count(distinct record_key) as records from {names.edges} group by source order by source"
    )
    return {str(row["source"]): row["records"] for row in rows}


def _recent_moves(session: Session, names: Names) -> tuple[Moves, ...]:
    rows = session.rows(
        "select cast(cast(resolved_at as date) as varchar) as day, sum(merge_count) as merges,"
        f" sum(split_count) as splits from {names.runs} group by 1 order by 1 desc limit {_RECENT_DAYS}"
    )
    return tuple(
        Moves(day=row["day"], merge_count=int(row["merges"]), split_count=int(row["splits"])) for row in reversed(rows)
    )


def _shared_value_counts(session: Session, names: Names) -> dict[str, int]:
    rows = session.rows(
        f"select identifier, count(*) as values_ from {names.quarantine} where kind = 'shared_value'"
        " group by identifier order by identifier"
    )
    return {row["identifier"]: row["values_"] for row in rows}


def _shared_record_count(session: Session, names: Names) -> int:
    [found] = session.rows(
        f"select count(distinct e.record_key) as records from {names.edges} as e join {names.quarantine} as q"
        " on q.identifier = e.identifier and q.value_hash = e.value_hash where q.kind = 'shared_value'"
    )
    return int(found["records"])


def _shared_values(session: Session, names: Names) -> tuple[SharedValue, ...]:
    rows = session.rows(
        f"select identifier, value_hash, record_count from {names.quarantine} where kind = 'shared_value'"
        f" order by record_count desc, identifier, value_hash limit {SHARED}"
    )
    return tuple(
        SharedValue(
            rule=row["identifier"],
            value_hash=f"{int(row['value_hash']) % 2**64:016x}",
            record_count=row["record_count"],
        )
        for row in rows
    )


def _stopped(session: Session, names: Names) -> dict[str, int]:
    [found] = session.rows(
        "select count(distinct case when kind = 'cut_cluster' then cluster_key end) as cut,"
        " count(case when kind = 'large_cluster' then 1 end) as large,"
        " coalesce(sum(case when kind = 'large_cluster' then record_count end), 0) as records"
        f" from {names.quarantine}"
    )
    return {name: int(count) for name, count in found.items()}
