"""A source that is only read (`state: local`): what a sync needs of it, brought into the file beside.

Each sync keeps a copy of its model's rows in the schema `cdp_copies`, in step with the warehouse. Of every row its key,
match key, identifier, the fields that are still written after a withdrawal, and a hash of all columns cross; the other
values only where that hash is new and the permission is there. Who loses it has them taken out of the copy by the next
plan. Consents and suppressions cross as far as they concern the sync, where their number or the sum of their hashes is
new. What was copied is told by views with the names that the warehouse has, so the engine reads, encodes and compares
it like an embedded warehouse's. The hash is no fingerprint of the ledger's: where the warehouse hashes otherwise one
day, values cross again and no row is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cdp_platform.domain.costs import Cost
from cdp_platform.domain.syncs import Consent, SyncSpec
from cdp_platform.errors import ConfigError
from cdp_platform.privacy.permission import COLUMNS, SUPPRESSION_COLUMNS
from cdp_platform.syncs.permissions import create_permissions, identifier_of, is_ended, is_not_found, permission_of
from cdp_platform.syncs.records import encoded_fields, missing_column
from cdp_platform.warehouse.base import Dialect, Reading, Session, Source, cost_of
from cdp_platform.warehouse.carrying import carry, pour
from cdp_platform.warehouse.duckdb_memory import bytes_of
from cdp_platform.warehouse.literals import literal, quoted

SCHEMA: Final = "cdp_copies"
_HASH: Final = "cdp_row_hash"
"""The copy's last column: the hash that its row had; null where only the narrow columns were read."""
_KEYS_AT_ONCE = 2_000
_LEAST_BYTES, _SHARE, _THREADS = 160_000_000, 6, 2
"""While the file is filled its session may take a sixth of its memory, or this; from there on it is on disk."""
_WHOLE_SHARE = 10
"""From one row in so many on, all rows are read once: by key, each question may read the whole table."""
_MOST_SHARE = 2
"""From one row in so many on, all rows that cross are written down before those that are wanted are picked out."""
_NUMBERS = ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_PLAIN = ("DOUBLE", "FLOAT")
"""Types without an exact text that are the same here as there; others come as the text that the warehouse gives."""


@dataclass(frozen=True, kw_only=True)
class _Copy:
    """What of a model is copied. SQL over the copy is DuckDB's, `read` is over the source's alias `model`."""

    sync: str
    relation: str
    key: str
    narrow: tuple[str, ...]
    """The columns that cross of every row; the key is the first."""
    columns: Mapping[str, str]
    """By column, its type here."""
    read: Mapping[str, str]
    """By column, the source's SQL of its value."""

    @property
    def table(self) -> str:
        return f"{SCHEMA}.{quoted(self.sync)}"

    @property
    def held(self) -> Mapping[str, str]:
        """The columns of the copy's table."""
        return {**self.columns, _HASH: "BIGINT"}

    def query(self, dialect: Dialect, columns: Sequence[str]) -> str:
        """The source's SQL of these columns of every row, and of the hash of all."""
        chosen = [f"{self.read[name]} as {dialect.quote(name)}" for name in columns]
        every = dialect.fingerprint([self.read[name] for name in sorted(self.read)])
        return f"select {', '.join(chosen)}, {every} as {_HASH} from {dialect.relation(self.relation)} as model"


def bring_in(session: Session, dialect: Dialect, source: Source, spec: SyncSpec) -> Cost | None:
    """Bring the sync's model and consents into `session`, which is outside of a transaction, under their own names.

    The answer is what reading them cost, where the warehouse tells. A row that crosses is as the warehouse has it in
    that statement. Raises ConfigError for a sync that cannot work this way and for a model or column that is not there,
    WarehouseError where the source cannot be read: then the copy stays as it was.
    """
    require_possible(spec)
    with _flat(session):
        with source.reading(f"read {spec.name}") as there:
            copy = _copy_of(there, source.dialect, spec)
            if spec.consent:
                _bring_consents(session, there, source.dialect, spec, spec.consent)
            is_same = session.columns(f"{SCHEMA}.{spec.name}") == copy.held
            _compare(session, dialect, there, source.dialect, spec, copy, is_same=is_same)
            _fetch(session, there, source.dialect, copy)
            cost = cost_of(there)
        _keep(session, copy, is_same=is_same)
        # Else the file would be brought up to date when it is closed, with all the memory of a plan.
        session.execute("checkpoint")
    return cost


def bring_consents(session: Session, source: Source, spec: SyncSpec) -> None:
    """Bring the sync's consents and suppressions alone, as they are now. Raises WarehouseError."""
    if spec.consent:
        with _flat(session), source.reading(f"permission {spec.name}") as there:
            _bring_consents(session, there, source.dialect, spec, spec.consent)


@contextmanager
def _flat(session: Session) -> Iterator[None]:
    """Hold the session to little memory, however many rows cross, whatever else the process takes for a plan."""
    names = ("memory_limit", "threads", "preserve_insertion_order")
    [told] = session.rows(f"select {', '.join(f'current_setting({literal(name)}) as {name}' for name in names)}")
    held = max(_LEAST_BYTES, bytes_of(told["memory_limit"]) // _SHARE)
    for name, value in zip(names, (f"{held}B", min(_THREADS, int(told["threads"])), False), strict=True):
        session.execute(f"set {name} = {literal(str(value))}")
    try:
        yield
    finally:
        for name in names:
            session.execute(f"set {name} = {literal(str(told[name]))}")


def require_possible(spec: SyncSpec) -> None:
    """Raise ConfigError, naming it, for what needs more of the warehouse than its model and its consents."""
    wrong = {
        "source_model": "an audience as its source" if spec.view else None,
        "read_back": "policies of fields" if spec.read_back else None,
        "key_moves": "keys that move with merges" if spec.key_moves else None,
    }
    for field, what in wrong.items():
        if what:
            raise ConfigError(
                f"the sync `{spec.name}` has {what}, and the warehouse's account says `state: local`.",
                remedy="Let the platform write into a schema of that warehouse, or leave this out.",
                place=spec.declared_in,
                field=field,
            )


def _copy_of(there: Reading, dialect: Dialect, spec: SyncSpec) -> _Copy:
    # It says what is missing, and which columns need a declared type.
    encoded_fields(there, dialect, spec)
    known = there.columns(spec.relation)
    if spec.consent and spec.consent.identifier_column not in known:
        raise missing_column(spec, spec.consent.identifier_column, known, "consent.identifier_column")
    narrow = [spec.primary_key, spec.match_key.column]
    if spec.consent:
        # Of who said no a field of opting out is still written.
        narrow += [spec.consent.identifier_column, *(entry.column for entry in spec.mapping if entry.after_withdrawal)]
    # One that is not there is told by whoever cuts.
    narrow += [name for name in _cut_columns(spec) if name in known]
    chosen = dict.fromkeys([*narrow, *(entry.column for entry in spec.mapping)])
    columns, read = {}, {}
    for name in chosen:
        # As text also what has a type of its own for it: blanks that fill a column up, identifiers in binary.
        is_text = known[name] in ("VARCHAR", "UUID") or dialect.field_type(known[name]) is None
        is_plain = known[name] in _PLAIN or not is_text
        value = f"model.{dialect.quote(name)}"
        columns[name] = known[name] if is_plain else "VARCHAR"
        read[name] = value if is_plain else f"cast({value} as varchar)"
    return _Copy(
        sync=spec.name,
        relation=spec.relation,
        key=spec.primary_key,
        narrow=tuple(dict.fromkeys(narrow)),
        columns=columns,
        read=read,
    )


def _bring_consents(session: Session, there: Reading, dialect: Dialect, spec: SyncSpec, consent: Consent) -> None:
    """Take what is said of the sync's channel and purpose, for every entity: another one's word may count, too."""
    channel = f"channel = {literal(consent.channel)}"
    concerning = f"{channel} and (purpose = {literal(consent.purpose)} or purpose is null)"
    said: list[tuple[str, tuple[str, ...], str]] = [(consent.relation, COLUMNS, concerning)]
    if consent.suppressions:
        said.append((consent.suppressions, SUPPRESSION_COLUMNS, channel))
    for number, (relation, columns, condition) in enumerate(said):
        name, types = f"{spec.name}__said_{number}", {**dict.fromkeys(columns, "VARCHAR"), _HASH: "BIGINT"}
        read = [f"cast({dialect.quote(column)} as varchar)" for column in columns]
        chosen = [f"{value} as {dialect.quote(column)}" for value, column in zip(read, columns, strict=True)]
        rows = f"from {dialect.relation(relation)} where {condition}"
        every = dialect.fingerprint(read)
        if not _is_known(session, there, f"{SCHEMA}.{name}", types, every, rows):
            carry(there, session, f"select {', '.join(chosen)}, {every} as {_HASH} {rows}", "brought_said", types)
            session.execute(f"create schema if not exists {SCHEMA}")
            session.execute(f"create or replace table {SCHEMA}.{quoted(name)} as select * from brought_said")
            session.execute("drop table brought_said")
        _show(session, relation, f"{SCHEMA}.{quoted(name)}")


def _is_known(session: Session, there: Reading, name: str, types: Mapping[str, str], every: str, rows: str) -> bool:
    """Whether a copy holds the very rows that the source has now, by their number and the sum of their hashes."""
    [told] = there.rows(
        f"select count(*) as row_count, coalesce(sum(cast({every} as decimal(29,0))), 0) as hashes {rows}"
    )
    if session.columns(name) != types:
        return False
    schema, table = name.split(".", 1)
    [held] = session.rows(
        f"select count(*) as row_count, coalesce(sum(cast({_HASH} as hugeint)), 0) as hashes"
        f" from {schema}.{quoted(table)}"
    )
    return all(int(told[column]) == int(held[column]) for column in ("row_count", "hashes"))


def _compare(
    session: Session,
    dialect: Dialect,
    there: Reading,
    source: Dialect,
    spec: SyncSpec,
    copy: _Copy,
    *,
    is_same: bool,
) -> None:
    """Fill the temporary tables `brought` (what the copy is to hold, but for values) and `stale` (its wrong keys)."""
    types = {**{name: copy.columns[name] for name in copy.narrow}, _HASH: "BIGINT"}
    carry(there, session, copy.query(source, copy.narrow), "brought_keys", types)
    key, narrow = quoted(copy.key), ", ".join(map(quoted, copy.narrow))
    held = copy.table if is_same else f"(select {narrow}, {_HASH} from brought_keys where false)"
    is_wanted, joined = "true", ""
    if spec.consent:
        create_permissions(session, dialect, spec.consent)
        identifier = identifier_of(dialect, f"brought_keys.{quoted(spec.consent.identifier_column)}")
        permission = permission_of(spec.consent, identifier)
        is_wanted = f"not ({is_not_found(permission)} or {is_ended(permission)})"
        joined = f"left join permissions on permissions.identifier = {identifier}"
    session.execute(
        f"""create or replace temporary table brought as
        select {", ".join(f"brought_keys.{quoted(name)}" for name in copy.narrow)},
            case when brought_keys.{key} is not null and {is_wanted} then brought_keys.{_HASH} end as {_HASH}
        from brought_keys {joined}"""
    )
    # A key's rows are the same where their number and the sum of their hashes are; `except all` takes twice the time.
    row = f"cast({dialect.fingerprint([*map(quoted, copy.narrow), _HASH])} as hugeint)"
    session.execute(
        f"""create or replace temporary table stale as
        select "key" from (
            select {key} as "key", 1 as side, {row} as hashed from brought
            union all select {key}, -1, -({row}) from {held}
        ) group by "key" having sum(side) <> 0 or sum(hashed) <> 0"""
    )


def _fetch(session: Session, there: Reading, dialect: Dialect, copy: _Copy) -> None:
    """Fill the temporary table `brought_rows` with the rows that are stale and whose values are wanted, or more."""
    session.execute(
        f"""create or replace temporary table wanted as
        select "key", row_number() over () - 1 as place from (
            select distinct {quoted(copy.key)} as "key" from brought
            where {_HASH} is not null and {quoted(copy.key)} in (select "key" from stale)
        )"""
    )
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in copy.held.items())
    session.execute(f"create or replace temporary table brought_rows ({columns})")
    [found] = session.rows("select (select count(*) from wanted) as wanted, (select count(*) from brought) as every")
    if not found["wanted"]:
        return
    query = copy.query(dialect, tuple(copy.columns))
    only = f'{quoted(copy.key)} in (select "key" from wanted)'
    is_few = found["wanted"] <= _KEYS_AT_ONCE or found["wanted"] * _WHOLE_SHARE <= found["every"]
    if not (is_few and copy.columns[copy.key] in ("VARCHAR", *_NUMBERS)):
        # To look each piece up among very many keys takes longer than to write some rows more.
        is_most = found["wanted"] * _MOST_SHARE >= found["every"]
        pour(there, session, query, "brought_rows", copy.held, only="true" if is_most else only)
        return
    for keys in _keys(session, copy, found["wanted"]):
        asked = f"{query} where model.{dialect.quote(copy.key)} in ({', '.join('?' * len(keys))})"
        pour(there, session, asked, "brought_rows", copy.held, parameters=keys, only=only)


def _keys(session: Session, copy: _Copy, count: int) -> Iterator[list[Any]]:
    """The keys in `wanted`, so many at once, as the source's SQL is told them."""
    for first in range(0, count, _KEYS_AT_ONCE):
        rows = session.rows(f'select "key" from wanted where place >= {first} and place < {first + _KEYS_AT_ONCE}')
        yield [row["key"] for row in rows]


def _keep(session: Session, copy: _Copy, *, is_same: bool) -> None:
    """Bring the copy to what was read, all of it or nothing, and show it under the model's name."""
    key, narrow = quoted(copy.key), ", ".join(map(quoted, copy.narrow))
    is_stale = 'exists (select 1 from stale where stale."key" is not distinct from {}.{})'
    held = ", ".join(f"{quoted(name)} {kind}" for name, kind in copy.held.items())
    [found] = session.rows("select (select count(*) from stale) as stale, (select count(*) from brought) as every")
    with session.transaction():
        session.execute(f"create schema if not exists {SCHEMA}")
        if is_same and found["stale"] * _WHOLE_SHARE <= found["every"]:
            session.execute(f"delete from {copy.table} as copy where {is_stale.format('copy', key)}")
        elif is_same:
            # What is deleted is remembered in memory until the transaction ends, row by row.
            kept = f"select * from {copy.table} as copy where not {is_stale.format('copy', key)}"
            session.execute(f"create or replace table {copy.table} as {kept}")
        else:
            session.execute(f"create or replace table {copy.table} ({held})")
        session.execute(
            f"insert into {copy.table} ({narrow}) select {narrow} from brought"
            f" where {_HASH} is null and {is_stale.format('brought', key)}"
            f' and ({key} is null or {key} not in (select "key" from wanted))'
        )
        session.execute(
            f'insert into {copy.table} select * from brought_rows where {key} in (select "key" from wanted)'
        )
        _show(session, copy.relation, copy.table)


def _show(session: Session, relation: str, table: str) -> None:
    """Let the engine read a copy under the name that the warehouse has for it."""
    session.execute(f"create schema if not exists {quoted(relation.split('.')[0])}")
    name = ".".join(map(quoted, relation.split(".")))
    session.execute(f"create or replace view {name} as select * exclude ({_HASH}) from {table}")


def _cut_columns(spec: SyncSpec) -> list[str]:
    cut = spec.partitioning
    return [column for column in (cut.day_column, cut.split_column) if column] if cut else []
