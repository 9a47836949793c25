"""Rows of one person in the warehouse: which keys they have in the syncs, and their deletion in every table."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.erasure.holdings import Holding
from cdp_platform.erasure.identifiers import EXCLUSIVE, Closure, normalised_sql
from cdp_platform.syncs.ledger import ensure_tables
from cdp_platform.warehouse.base import Dialect, Session, text_column

SHORTEST_TEXT = 6
"""A shorter text, found inside a document, would tell nothing."""
_LOGS = ("cdp.delivered_rows", "cdp.unknown_rows")
_HOLDS_TEXT = "exists (select 1 from telling where contains(lower({document}), telling.text))"


def register_closure(session: Session, closure: Closure) -> None:
    """Let SQL read `known` (kind, value) and `telling` (text, in lower case)."""
    pairs = [(kind, value) for kind, values in sorted(closure.values.items()) for value in sorted(values)]
    columns = [text_column(kind for kind, _ in pairs), text_column(value for _, value in pairs)]
    session.register("known", pa.Table.from_arrays(columns, names=["kind", "value"]))
    texts = sorted({text.lower() for text in closure.texts if len(text) >= SHORTEST_TEXT})
    session.register("telling", pa.Table.from_arrays([text_column(texts)], names=["text"]))


def belongs(holding: Holding, dialect: Dialect) -> str:
    """SQL of whether a row is one of the registered person's."""
    return " or ".join(
        f"coalesce({normalised_sql(kind, dialect.quote(column))} in (select value from known where kind = '{kind}'),"
        " false)"
        for column, kind in holding.person_key.items()
    )


def keys_in_syncs(
    session: Session, dialect: Dialect, specs: Sequence[SyncSpec], holdings: Sequence[Holding], closure: Closure
) -> dict[str, tuple[str, ...]]:
    """The primary keys of the person's rows by sync: in its source model, by what was sent, and before they moved."""
    ensure_tables(session)
    register_closure(session, closure)
    held = {holding.relation: holding for holding in holdings}
    return {spec.name: _keys_of(session, dialect, spec, held.get(spec.relation), closure) for spec in specs}


def _keys_of(
    session: Session, dialect: Dialect, spec: SyncSpec, holding: Holding | None, closure: Closure
) -> tuple[str, ...]:
    keys: set[str] = set()
    if holding is not None:
        keys |= closure.values.get(holding.person_key.get(spec.primary_key, ""), frozenset())
        column = f"cast({dialect.quote(spec.primary_key)} as varchar)"
        found = session.rows(
            f"select distinct {column} as key from {dialect.relation(spec.relation)} where {belongs(holding, dialect)}"
        )
        keys |= {row["key"] for row in found if row["key"] is not None}
        keys |= _keys_that_carried(session, dialect, spec, holding)
    for log in _LOGS:
        rows = session.rows(
            f"""select distinct primary_key from {log}
            where ledger_id in (select ledger_id from cdp.ledgers where sync = ?)
                and ({_HOLDS_TEXT.format(document="payload")} or {_HOLDS_TEXT.format(document="previous")})""",
            [spec.name],
        )
        keys |= {row["primary_key"] for row in rows}
    moves = session.rows('select former_key, "key" from cdp.key_moves where sync = ?', [spec.name])
    while more := {row["former_key"] for row in moves if row["key"] in keys} - keys:
        keys |= more
    return tuple(sorted(keys))


def _keys_that_carried(session: Session, dialect: Dialect, spec: SyncSpec, holding: Holding) -> set[str]:
    """The keys of rows that were sent with an id of the person in a field, as an event is that has left its model."""
    keys: set[str] = set()
    for entry in spec.mapping:
        kind = holding.person_key.get(entry.column)
        if kind not in EXCLUSIVE:
            continue
        for log in _LOGS:
            rows = session.rows(
                f"""select distinct primary_key from {log}
                where ledger_id in (select ledger_id from cdp.ledgers where sync = ?)
                    and {dialect.json_text("payload", entry.field)} in (select value from known where kind = ?)""",
                [spec.name, kind],
            )
            keys |= {row["primary_key"] for row in rows}
    return keys


def count_rows(session: Session, dialect: Dialect, holdings: Sequence[Holding], closure: Closure) -> Mapping[str, int]:
    """How many rows of each table are the person's; tables without any are left out."""
    register_closure(session, closure)
    counts = {}
    for holding in holdings:
        if holding.is_table:
            [found] = session.rows(
                f"select count(*) as row_count from {dialect.relation(holding.relation)}"
                f" where {belongs(holding, dialect)}"
            )
            counts[holding.relation] = int(found["row_count"])
    return {relation: count for relation, count in counts.items() if count}


def delete_rows(session: Session, dialect: Dialect, holdings: Sequence[Holding], closure: Closure) -> int:
    """Delete the person's rows in every table, in one transaction; returns how many they were."""
    counts = count_rows(session, dialect, holdings, closure)
    with session.transaction():
        for holding in holdings:
            if holding.relation in counts:
                session.execute(f"delete from {dialect.relation(holding.relation)} where {belongs(holding, dialect)}")
    return sum(counts.values())
