"""Fields that are not simply overwritten: what a plan holds back because of what the destination was seen to hold.

`fill_empty` writes only where the destination has nothing. `respect_edits` leaves alone what somebody changed there
since we wrote it. Both are judged by a read-back: a table with the records' match values, their fields, and the time at
which each was read.

A field that is held back keeps, in the comparison, the value that was delivered last: it does not differ, so that it is
neither sent nor forgotten. All of it is one temporary table beside the source model; without policies there is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cdp_platform.domain.plans import Verdict
from cdp_platform.domain.syncs import FieldKind, FieldMapping, FieldPolicy, ReadBack, SyncSpec
from cdp_platform.errors import ConfigError
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.reading_age import newest_reading_hours
from cdp_platform.syncs.records import Fields, encoded_fields, type_of
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal

_TABLE = "temp.policied_model"
"""The source model with two columns more for each field that has a policy."""


@dataclass(frozen=True, kw_only=True)
class Policies:
    """What a plan has to do with the policies of its sync."""

    source: SyncSpec
    """The sync as it reads its model: fields that are held back have the value that was delivered last.

    A baseline reads the model itself: what the destination holds instead of it is an edit from then on.
    """
    held: Mapping[str, int] = field(default_factory=dict)
    """Rows in which a field was held back although the model has another value, by field."""
    verdicts: Sequence[Verdict] = ()
    """Whether the read-back is there and young enough; empty for a sync without policies."""


def apply_policies(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> Policies:
    """Hold back what the policies say. Raises ConfigError for a read-back that lacks a column.

    Where the read-back is missing or too old nothing is held back, and the verdict says that the plan must not be sent.
    """
    entries = [entry for entry in spec.mapping if entry.policy is not FieldPolicy.OVERWRITE]
    if not entries or spec.read_back is None:
        return Policies(source=spec)
    verdict = _judge(session, dialect, spec, spec.read_back, ledger, entries)
    if not verdict.passed or not session.columns(spec.read_back.relation):
        return Policies(source=spec, verdicts=[verdict])
    _create_policied_model(session, dialect, spec, spec.read_back, ledger, entries)
    counts = ", ".join(
        f"count(*) filter (where {dialect.quote(_held(entry))}) as {dialect.quote(entry.field)}" for entry in entries
    )
    [held] = session.rows(f"select {counts} from {_TABLE}")
    return Policies(
        source=_reading(spec, entries), held={name: rows for name, rows in held.items() if rows}, verdicts=[verdict]
    )


def held_fields(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger, key: str) -> frozenset[str]:
    """Name the fields of one row that the policies hold back now."""
    told = apply_policies(session, dialect, spec, ledger)
    if not told.held:
        return frozenset()
    names = ", ".join(dialect.quote(_held(entry)) for entry in spec.mapping if entry.field in told.held)
    rows = session.rows(
        f"select {names} from {_TABLE} where cast({dialect.quote(spec.primary_key)} as varchar) = ?", [key]
    )
    return frozenset(name for name in told.held if any(row[f"{name} is held"] for row in rows))


def _judge(
    session: Session,
    dialect: Dialect,
    spec: SyncSpec,
    read_back: ReadBack,
    ledger: Ledger,
    entries: Sequence[FieldMapping],
) -> Verdict:
    columns = session.columns(read_back.relation)
    rows, hours = 0, None
    if columns:
        needed = [read_back.key, read_back.read_at, *(read_back.column_of(entry.field) for entry in entries)]
        for name in needed:
            if name not in columns:
                raise ConfigError(
                    f"the read-back {read_back.relation} has no column `{name}`.",
                    remedy=f"Its columns are: {', '.join(columns)}. Name another one under `read_back`.",
                    place=spec.declared_in,
                    field="read_back",
                )
        newest = f"max(cast({dialect.quote(read_back.read_at)} as timestamptz))"
        [found] = session.rows(
            f"""select count(*) as row_count, date_diff('minute', {newest}, current_timestamp) as minutes
            from {dialect.relation(read_back.relation)}"""
        )
        rows, hours = found["row_count"], None if found["minutes"] is None else found["minutes"] / 60
        hours = newest_reading_hours(session, dialect, read_back.relation, hours)
    # Before anything was written there are no edits to be respected; what is empty there nobody knows without asking.
    is_needless = ledger.version == 0 and all(entry.policy is FieldPolicy.RESPECT_EDITS for entry in entries)
    is_fresh = rows > 0 and hours is not None and hours <= read_back.max_age_hours
    return Verdict(
        code="read_back_fresh",
        passed=is_fresh or is_needless,
        parameters={
            "relation": read_back.relation,
            "rows": rows,
            "hours": "–" if hours is None else round(hours),
            "limit": read_back.max_age_hours,
        },
    )


def _create_policied_model(
    session: Session,
    dialect: Dialect,
    spec: SyncSpec,
    read_back: ReadBack,
    ledger: Ledger,
    entries: Sequence[FieldMapping],
) -> None:
    """Fill the table. Grain: a row of the source model, with `<field> is held` (boolean) and `<field> kept` (the value
    to compare with) for each field that has a policy."""
    fields = encoded_fields(session, dialect, spec)
    added = _added_columns(session, dialect, spec, read_back, fields, entries)
    # What was deleted there and made anew has two records with one key.
    is_gone = "coalesce(is_deleted, false)" if "is_deleted" in session.columns(read_back.relation) else "false"
    key, moment = dialect.quote(read_back.key), f"cast({dialect.quote(read_back.read_at)} as timestamptz)"
    session.execute(
        f"""create or replace temporary table policied_model as
        with seen as (
            select *, {moment} as "seen at", {is_gone} as "is gone" from {dialect.relation(read_back.relation)}
            where {key} is not null
            qualify row_number() over (partition by cast({key} as varchar) order by {moment} desc, {is_gone}) = 1
        ),
        newest as (
            select primary_key, max(version) as version from cdp.delivered_rows
            where ledger_id = {literal(ledger.ledger_id)} group by primary_key
        ),
        sent as (
            select rows.primary_key, rows.payload, settles.delivered_at
            from newest
            join cdp.delivered_rows as rows on rows.ledger_id = {literal(ledger.ledger_id)}
                and rows.primary_key = newest.primary_key and rows.version = newest.version
            join cdp.settles as settles on settles.ledger_id = rows.ledger_id and settles.version = rows.version
            -- What may or may not have arrived is no measure of what somebody changed.
            join {ledger.diff_table} as known on cast(known."key" as varchar) = rows.primary_key
                and known.fingerprint is not null
        )
        select model.*, {", ".join(added)}
        from {dialect.relation(spec.relation)} as model
        left join seen as there on cast(there.{key} as varchar) = {fields.match_value} and not there."is gone"
        left join sent on sent.primary_key = cast(model.{dialect.quote(spec.primary_key)} as varchar)"""
    )


def _added_columns(
    session: Session,
    dialect: Dialect,
    spec: SyncSpec,
    read_back: ReadBack,
    fields: Fields,
    entries: Sequence[FieldMapping],
) -> list[str]:
    """SQL of the columns that the table has beside the model's, over the aliases `model`, `there` and `sent`."""
    columns, there_columns = session.columns(spec.relation), session.columns(read_back.relation)
    held, kept = [], []
    for entry in entries:
        field_type = type_of(spec, entry, columns, dialect)
        there_column = read_back.column_of(entry.field)
        there = dialect.exact(f"there.{dialect.quote(there_column)}", there_columns[there_column], field_type)
        if field_type.kind is FieldKind.TEXT:
            there = f"nullif(trim({there}), '')"
        told = dialect.json_text("sent.payload", entry.field)
        sent = dialect.exact(told, "VARCHAR", field_type)
        ours = fields.exact[entry.field]
        condition = f"coalesce({_condition(entry.policy, there, sent, ours)}, false)"
        held.append(f"{condition} and {ours} is distinct from {there} as {dialect.quote(_held(entry))}")
        own = f"model.{dialect.quote(entry.column)}"
        kept.append(
            f"case when {condition} then try_cast({told} as {columns[entry.column]}) else {own} end"
            f" as {dialect.quote(_kept(entry))}"
        )
    return [*held, *kept]


def _condition(policy: FieldPolicy, there: str, sent: str, ours: str) -> str:
    """SQL of whether a field is held back. `there`, `sent` and `ours` are its values, null where there is none.

    A record that was read before our last delivery says nothing of what became of it.
    """
    is_seen_since = 'there."seen at" > sent.delivered_at'
    if policy is FieldPolicy.RESPECT_EDITS:
        return f"{is_seen_since} and {there} is distinct from {sent} and {there} is distinct from {ours}"
    return f"case when not {is_seen_since} then {sent} is not null else {there} is not null end"


def _reading(spec: SyncSpec, entries: Sequence[FieldMapping]) -> SyncSpec:
    """The sync, reading the table in place of its model."""
    fields = {entry.field for entry in entries}
    mapping = [replace(entry, column=_kept(entry)) if entry.field in fields else entry for entry in spec.mapping]
    return replace(spec, relation=_TABLE, mapping=tuple(mapping))


def _held(entry: FieldMapping) -> str:
    return f"{entry.field} is held"


def _kept(entry: FieldMapping) -> str:
    return f"{entry.field} kept"
