"""Rows on their way from one warehouse to another, in Arrow and in pieces of bounded size."""

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from cdp_platform.warehouse.base import Parameters, Reading, Session
from cdp_platform.warehouse.literals import quoted

_PIECE_ROWS = 100_000
_PIECE = "carried_piece"


def carry(source: Reading, target: Session, query: str, name: str, columns: Mapping[str, str]) -> None:
    """Make the temporary table `name`, of these columns and types, in `target` of a query's answer in `source`.

    The query answers columns of the same names. Both sessions are outside of a transaction; raises as they do.
    """
    shape = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
    target.execute(f"create or replace temporary table {quoted(name)} ({shape})")
    pour(source, target, query, name, columns)


def pour(
    source: Reading,
    target: Session,
    query: str,
    name: str,
    columns: Mapping[str, str],
    *,
    parameters: Parameters = (),
    only: str = "true",
) -> None:
    """Add a query's answer to a table that `carry` has made; `only` is a condition over the rows of the answer."""
    chosen = ", ".join(f"cast({quoted(column)} as {kind})" for column, kind in columns.items())
    for piece in _pieces(source.batches(query, parameters)):
        target.register(_PIECE, piece)
        target.execute(f"insert into {quoted(name)} select {chosen} from {_PIECE} where {only}")


def carry_table(source: Session, target: Session, relation: str) -> int:
    """Make `schema.table` in `target` what it is in `source`, all of it or nothing; return the number of rows.

    Raises as the sessions do.
    """
    columns = source.columns(relation)
    schema, name = relation.split(".")
    carry(source, target, f"select * from {relation}", f"carried_{name}", columns)
    target.execute(f"create schema if not exists {quoted(schema)}")
    target.execute(f"create or replace table {relation} as select * from {quoted(f'carried_{name}')}")
    [found] = target.rows(f"select count(*) as row_count from {relation}")
    return int(found["row_count"])


def carry_days(source: Session, target: Session, relation: str, day_column: str) -> int:
    """Add the days of `schema.table` that `target` has no row of; return the number of rows that were added.

    Columns that the table has in one of the two alone are null, or left behind. Raises as the sessions do.
    """
    there, here = source.columns(relation), target.columns(relation)
    if not here:
        return carry_table(source, target, relation)
    shared = {name: kind for name, kind in here.items() if name in there}
    day = quoted(day_column)
    found = target.rows(f"select distinct {day} as day from {relation} where {day} is not null")
    known = "".join(f" and {day} <> date '{row['day']}'" for row in found)
    named, carried = ", ".join(map(quoted, shared)), quoted(f"carried_{relation.split('.')[1]}")
    carry(source, target, f"select {named} from {relation} where true{known}", carried.strip('"'), shared)
    with target.transaction():
        target.execute(f"insert into {relation} ({named}) select {named} from {carried}")
    [added] = target.rows(f"select count(*) as row_count from {carried}")
    return int(added["row_count"])


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Put batches together to pieces of about the same size."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _PIECE_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
