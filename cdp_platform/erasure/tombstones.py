"""Who was forgotten stays forgotten: keyed hashes of the identifiers, and the rows that are dropped for them on load.

`cdp.forgotten` [kind × hash] holds no personal data. It is asked at the one place that every row passes on its way in,
the load of the raw tables, so that a replay, a backfill or a rebuild cannot bring anybody back.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from cdp_platform.erasure.identifiers import normalised, tombstone
from cdp_platform.warehouse.base import Session, text_column

_TABLE = "create table if not exists cdp.forgotten (kind varchar, hash varchar, forgotten_at timestamptz)"


def remember(session: Session, key: bytes, values: Mapping[str, Iterable[str]]) -> None:
    """Keep the hashes of normalised values, by kind; those that are kept already stay as they are."""
    session.execute("create schema if not exists cdp")
    session.execute(_TABLE)
    hashes = [(kind, tombstone(key, kind, value)) for kind, found in sorted(values.items()) for value in sorted(found)]
    kinds, made = text_column(kind for kind, _ in hashes), text_column(value for _, value in hashes)
    session.register("made", pa.Table.from_arrays([kinds, made], names=["kind", "hash"]))
    session.execute(
        "insert into cdp.forgotten select kind, hash, current_timestamp from made"
        " where hash not in (select hash from cdp.forgotten)"
    )


def read_hashes(session: Session) -> frozenset[str]:
    """The hashes of everybody who was forgotten; none where nobody was."""
    if not session.columns("cdp.forgotten"):
        return frozenset()
    return frozenset(str(row["hash"]) for row in session.rows("select hash from cdp.forgotten"))


def without_forgotten(
    rows: pa.Table, person_key: Mapping[str, str], hashes: frozenset[str], key: bytes
) -> tuple[pa.Table, int]:
    """The rows of which no identifier was forgotten, and how many were dropped."""
    kept = [True] * rows.num_rows
    for column, kind in person_key.items():
        if column not in rows.column_names:
            continue
        is_known: dict[object, bool] = {None: False}
        for place, value in enumerate(rows[column].to_pylist()):
            if value not in is_known:
                is_known[value] = tombstone(key, kind, normalised(kind, str(value))) in hashes
            if is_known[value]:
                kept[place] = False
    dropped = kept.count(False)
    return (rows.filter(pa.array(kept, pa.bool_())), dropped) if dropped else (rows, 0)
