"""Connected components: which records hang together through links, by FastSV in SQL or in memory by scipy.

Both read a relation of links (u, v) of whole numbers and make a table (node, component), one row for each node that has
a link; a component is named by its smallest node. A test holds both to a union-find.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.base import Session

MOST_PASSES: Final = 64
"""FastSV halves what is left with each pass, so that more than this is a fault and not a long chain."""

Connect = Callable[[Session, str, str], int]
"""(session, relation of links, table to make) → passes taken."""


def connect_in_memory(session: Session, links: str, table: str) -> int:
    """Find components with scipy; the links cross as Arrow columns, never as Python objects."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links_read = pa.Table.from_batches(
        session.batches(f"select cast(u as bigint) as u, cast(v as bigint) as v from {links}"),
        schema=pa.schema({"u": pa.int64(), "v": pa.int64()}),
    )
    u, v = (_numbers(links_read.column(name)) for name in ("u", "v"))
    nodes, places = np.unique(np.concatenate([u, v]), return_inverse=True)
    ones = np.ones(len(u), dtype=np.int8)
    matrix = coo_matrix((ones, (places[: len(u)], places[len(u) :])), shape=(len(nodes), len(nodes)))
    count, labels = connected_components(matrix, directed=False)
    smallest = np.empty(count, dtype=np.int64)
    # Written backwards, so that the first node of a component, which is the smallest, is written last.
    smallest[labels[::-1]] = nodes[::-1]
    session.register("work_labelled", pa.table({"node": _column(nodes), "component": _column(smallest[labels])}))
    session.execute(f"create or replace temporary table {table} as select node, component from work_labelled")
    return 1


def connect_in_sql(session: Session, links: str, table: str, most_passes: int = MOST_PASSES) -> int:
    """Find components by FastSV: hook each tree to the least grandparent around it, then shortcut, until nothing moves.

    Raises WarehouseError where it has not converged after `most_passes`: half-merged people are never handed out.
    """
    _make(session, "work_pairs", f"select u as node, v as other from {links} union all select v, u from {links}")
    _make(session, table, "select node, least(node, min(other)) as parent from work_pairs group by node")
    for made in range(1, most_passes + 1):
        _pass(session, table)
        [moved] = session.rows(
            f"select count(*) as nodes from work_next as n join {table} as p on p.node = n.node"
            " where n.parent <> p.parent"
        )
        if not moved["nodes"]:
            _make(session, "work_next", f"select node, parent as component from {table}")
            _make(session, table, "select node, component from work_next")
            return made
        _make(session, table, "select node, parent from work_next")
    raise WarehouseError(
        f"connected components have not converged after {most_passes} passes; nothing was merged.",
        remedy="Run it again; if it stays, the table of links is being changed by somebody else.",
    )


def _pass(session: Session, parents: str) -> None:
    # Each join is a table of its own: some DuckDB versions answer a union of self-joins silently wrong.
    _make(
        session,
        "work_grand",
        f"select p.node, p.parent, g.parent as grand from {parents} as p join {parents} as g on g.node = p.parent",
    )
    _make(
        session,
        "work_least",
        "select e.node, min(g.grand) as least from work_pairs as e join work_grand as g on g.node = e.other"
        " group by e.node",
    )
    _make(
        session,
        "work_hooks",
        "select g.parent as node, min(l.least) as least from work_least as l join work_grand as g on g.node = l.node"
        " group by g.parent",
    )
    _make(
        session,
        "work_next",
        "select node, min(parent) as parent from (select node, grand as parent from work_grand"
        " union all select node, least as parent from work_least"
        " union all select node, least as parent from work_hooks) as hooked group by node",
    )


def _make(session: Session, table: str, sql: str) -> None:
    session.execute(f"create or replace temporary table {table} as {sql}")


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A column without nulls as numpy; pyarrow's own way would import pandas, which takes a second."""
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype=np.int64, count=len(chunk), offset=chunk.offset * 8)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _column(numbers: NDArray[np.int64]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])
