"""Components by scipy and by FastSV are those of a union-find, and a search that has not ended says so."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_platform.errors import WarehouseError
from cdp_platform.identity.graph import Connect, connect_in_memory, connect_in_sql
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

Links = list[tuple[int, int]]
LINKS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    path: Path = tmp_path_factory.mktemp("graph") / "graph.duckdb"
    with DuckDbWarehouse(path).session("test") as opened:
        yield opened


def components(session: Session, links: Links, connect: Connect) -> tuple[dict[int, int], int]:
    u, v = ([pair[place] for pair in links] for place in (0, 1))
    session.register("links", pa.table({"u": pa.array(u, pa.int64()), "v": pa.array(v, pa.int64())}))
    passes = connect(session, "links", "found")
    return {row["node"]: row["component"] for row in session.rows("select * from found")}, passes


def by_union_find(links: Links) -> dict[int, int]:
    parent = {node: node for pair in links for node in pair}

    def root(node: int) -> int:
        while parent[node] != node:
            node = parent[node]
        return node

    for u, v in links:
        low, high = sorted((root(u), root(v)))
        parent[high] = low
    return {node: root(node) for node in parent}


@given(links=LINKS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_find_the_components_of_a_union_find(session: Session, links: Links) -> None:
    expected = by_union_find(links)
    assert components(session, links, connect_in_memory)[0] == expected
    assert components(session, links, connect_in_sql)[0] == expected


@pytest.mark.parametrize("order", ["forth", "back", "mixed"])
def test_a_chain_of_a_thousand_takes_few_passes(session: Session, order: str) -> None:
    nodes = list(range(1, 1002))
    if order != "forth":
        nodes = nodes[::-1] if order == "back" else [1 + node * 389 % 1001 for node in range(1001)]
    found, passes = components(session, list(pairwise(nodes)), connect_in_sql)
    assert set(found.values()) == {1}
    assert len(found) == 1001
    assert passes <= 15


def test_a_search_that_has_not_converged_fails(session: Session) -> None:
    chain = [(node, node + 1) for node in range(1, 1001)]
    with pytest.raises(WarehouseError, match="have not converged after 4 passes"):
        components(session, chain, lambda s, links, table: connect_in_sql(s, links, table, most_passes=4))


def test_no_link_is_no_component(session: Session) -> None:
    for connect in (connect_in_memory, connect_in_sql):
        assert components(session, [], connect)[0] == {}
