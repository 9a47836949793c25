"""A plan of one partition: which rows of the source model it reads, and what it must leave to the other partitions.

All partitions of a sync share its ledger, which is keyed by key. So an old day never overwrites a newer one, and a key
is removed only where no row of the model has it, by the partition that delivered it last: whoever moved from one market
to another stays. The settling that last touched a row tells its partition.
"""

from collections.abc import Sequence
from dataclasses import replace

from cdp_platform.domain.partitions import Partition, Partitioning
from cdp_platform.domain.plans import Verdict
from cdp_platform.domain.syncs import Mode, SyncSpec
from cdp_platform.errors import ConfigError
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.records import Fields
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal

OLDER_DAY = "older_day"
"""The reason of rows that are left out because a newer day's was delivered."""
_TABLE = "partition_rows"
_SIZES = ("model_not_empty", "model_not_shrunk")
# Whoever delivered a row without naming a day described it as it was then.
_OLDER = """update operations set skipped = $reason
    where skipped is null and operation in ('create', 'update') and "key" in (
        select side."key" from {side} as side
        join cdp.settles as settles on settles.ledger_id = $ledger and settles.version = side.version
        where coalesce(try_cast(left(settles."partition", 10) as date), cast(settles.delivered_at as date))
            > $day)"""
_KEYS = """create or replace temporary table partition_keys as
    select {key} as "key" from {rows} where {key} is not null
    union all
    select ledger."key" from {diff} as ledger
    left join {side} as side on side."key" = ledger."key"
    left join cdp.settles as settles on settles.ledger_id = $ledger and settles.version = side.version
    where ledger."key" not in (select {key} from {model} where {key} is not null)
        and (settles."partition" = $own or coalesce(settles."partition", '') not in ({declared}))"""


def read_partition(session: Session, dialect: Dialect, spec: SyncSpec, partition: Partition | None) -> SyncSpec:
    """Copy the partition's rows into a temporary table, and return the sync as it reads them in place of its model.

    Without a partition the model is read as it is; where it has a row per key and day, the newest row of each key.
    Raises ConfigError for a column that is not there or holds no day.
    """
    cut = spec.partitioning
    if cut is None or not session.columns(spec.relation):
        return spec
    if partition is None:
        if cut.day_column is None or spec.mode is Mode.APPEND:
            return spec
        key, day = dialect.quote(spec.primary_key), _day(session, dialect, spec, cut)
        # Rows without a key are kept for the guard that looks for them.
        narrowed = f"qualify {key} is null or dense_rank() over (partition by {key} order by {day} desc) = 1"
    else:
        narrowed = f"where {_condition(session, dialect, spec, cut, partition)}"
    session.execute(
        f"create or replace temporary table {_TABLE} as"
        f" select model.* from {dialect.relation(spec.relation)} as model {narrowed}"
    )
    return replace(spec, relation=_TABLE)


def keys_of(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger, partition: Partition | None) -> str:
    """A condition over "key" of the rows that a plan may speak of: for a mirror its own rows, and those it may remove.

    Needs the table of `read_partition`.
    """
    if partition is None or spec.mode is not Mode.MIRROR or spec.partitioning is None:
        return "true"
    names = {
        "key": dialect.quote(spec.primary_key),
        "rows": _TABLE,
        "diff": ledger.diff_table,
        "side": ledger.side_table,
        "model": dialect.relation(spec.relation),
        "declared": ", ".join(map(literal, spec.partitioning.split_values)),
    }
    session.execute(_KEYS.format(**names), {"ledger": ledger.ledger_id, "own": partition.label})
    return '"key" in (select "key" from partition_keys)'


def hold_older(session: Session, spec: SyncSpec, ledger: Ledger, partition: Partition | None) -> None:
    """Leave out of `operations` what a newer day has delivered already (G9)."""
    if partition is None or partition.day is None or spec.mode is Mode.APPEND:
        return
    values = {"reason": OLDER_DAY, "ledger": ledger.ledger_id, "day": partition.day}
    session.execute(_OLDER.format(side=ledger.side_table), values)


def rows_before(session: Session, ledger: Ledger, partition: Partition | None) -> int:
    """Rows that the last complete run saw: of this partition, or of the whole model without one."""
    if partition is None:
        return ledger.model_rows
    found = session.rows(
        """select model_rows from cdp.sync_runs where ledger_id = ? and "partition" = ? and pending = 0
        order by ended_at desc limit 1""",
        [ledger.ledger_id, partition.label],
    )
    return int(found[0]["model_rows"]) if found else 0


def judged(
    session: Session,
    dialect: Dialect,
    spec: SyncSpec,
    fields: Fields,
    verdicts: Sequence[Verdict],
    partition: Partition | None,
    before: int,
) -> list[Verdict]:
    """The verdicts on a model as they hold of one partition.

    A day without rows is no failed load. A value that never had any may have none, as long as the model has some. A key
    or match key that two values share would be written by both in turn.
    """
    cut = spec.partitioning
    if partition is None or cut is None:
        return list(verdicts)
    kept = [verdict for verdict in verdicts if partition.day is None or verdict.code not in _SIZES]
    if partition.value is None:
        return kept
    shared = {
        "keys_unique": _shared(session, dialect, spec, partition, f"model.{dialect.quote(spec.primary_key)}"),
        "match_keys_unique": _shared(session, dialect, spec, partition, fields.match_value),
    }
    return [_of_value(session, dialect, spec, verdict, shared, before) for verdict in kept]


def outside_count(session: Session, dialect: Dialect, spec: SyncSpec, partition: Partition | None) -> int:
    """Count the rows of the model, of the partition's day where it has one, whose value has no partition."""
    cut = spec.partitioning
    if partition is None or cut is None or cut.split_column is None:
        return 0
    declared = ", ".join(map(literal, cut.split_values))
    value = f"cast(model.{dialect.quote(cut.split_column)} as varchar)"
    whole = _of_day(session, dialect, spec, partition)
    return _count(session, f"{whole} and coalesce({value} not in ({declared}), true)")


def _of_value(
    session: Session, dialect: Dialect, spec: SyncSpec, verdict: Verdict, shared: dict[str, int], before: int
) -> Verdict:
    if verdict.code == "model_not_empty" and before == 0:
        return replace(verdict, passed=_count(session, dialect.relation(spec.relation)) > 0)
    if not shared.get(verdict.code):
        return verdict
    rows = max(int(verdict.parameters["rows"]), shared[verdict.code])
    return replace(verdict, passed=False, parameters={**verdict.parameters, "rows": rows})


def _shared(session: Session, dialect: Dialect, spec: SyncSpec, partition: Partition, value: str) -> int:
    """Count values of the partition's rows that the model has more than once, in whatever partition of the day."""
    own = f"(select distinct {value} as value from {_TABLE} as model)"
    every = f"(select {value} as value from {_of_day(session, dialect, spec, partition)})"
    return _count(
        session, f"(select value from {every} join {own} as own using (value) group by value having count(*) > 1)"
    )


def _of_day(session: Session, dialect: Dialect, spec: SyncSpec, partition: Partition) -> str:
    """SQL after `from`: the model's rows of the partition's day, as `model`."""
    cut, relation = spec.partitioning, dialect.relation(spec.relation)
    if cut is None or partition.day is None:
        return f"{relation} as model where true"
    return f"{relation} as model where {_condition(session, dialect, spec, cut, Partition(day=partition.day))}"


def _condition(session: Session, dialect: Dialect, spec: SyncSpec, cut: Partitioning, partition: Partition) -> str:
    conditions = []
    if partition.day is not None:
        conditions.append(f"{_day(session, dialect, spec, cut)} = date {literal(partition.day.isoformat())}")
    if partition.value is not None:
        column = _column(session, dialect, spec, cut.split_column or "", "split.column")
        conditions.append(f"cast({column} as varchar) = {literal(partition.value)}")
    return " and ".join(conditions) or "true"


def _day(session: Session, dialect: Dialect, spec: SyncSpec, cut: Partitioning) -> str:
    """SQL of a row's local day."""
    name = cut.day_column or ""
    column, kind = _column(session, dialect, spec, name, "days.column"), session.columns(spec.relation)[name]
    if kind == "DATE":
        return column
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"cast(timezone({literal(cut.time_zone)}, {column}) as date)"
    if kind.startswith("TIMESTAMP"):
        return f"cast({column} as date)"
    raise ConfigError(
        f"column `{name}` of `{spec.source_model}` is {kind.lower()}: it does not tell a row's day.",
        remedy="Name a column that is a date or a timestamp.",
        place=spec.declared_in,
        field="days.column",
    )


def _column(session: Session, dialect: Dialect, spec: SyncSpec, name: str, field: str) -> str:
    columns = session.columns(spec.relation)
    if name not in columns:
        raise ConfigError(
            f"the source model `{spec.source_model}` has no column `{name}`.",
            remedy=f"Its columns are: {', '.join(columns)}.",
            place=spec.declared_in,
            field=field,
        )
    return f"model.{dialect.quote(name)}"


def _count(session: Session, relation: str) -> int:
    [found] = session.rows(f"select count(*) as row_count from {relation}")
    return int(found["row_count"])
