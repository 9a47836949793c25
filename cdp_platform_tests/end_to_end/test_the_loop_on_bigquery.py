"""A day of the demo on a slice of the data, on DuckDB and on BigQuery's emulator: the same books at the end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")
pytest.importorskip("dbt.adapters.bigquery", reason="dbt-bigquery is not installed: the loop there was NOT tested")

from cdp_platform.domain.home import Home
from cdp_platform_tests.end_to_end.conftest import make_demo
from cdp_platform_tests.end_to_end.test_the_loop_on_postgres import BOOKS, Ended, ended
from cdp_platform_tests.warehouses.bigquery_server import Crucible

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5000)]
DAY = "2017-12-25"
MOST_SECONDS = 3600.0


@pytest.fixture(scope="module")
def embedded(slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    demo = make_demo(slice_of_retail, tmp_path_factory.mktemp("embedded"))
    return ended(demo, Home(root=demo.home / "cdp"), DAY)


@pytest.fixture(scope="module")
def server(slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory, crucible: Crucible) -> Iterator[Ended]:
    made = make_demo(slice_of_retail, tmp_path_factory.mktemp("server"))
    home = crucible.new_home(made.home)
    settings = {"CDP_WAREHOUSE": home.warehouse_kind, "CDP_WAREHOUSES": str(home.warehouse_accounts)}
    found = ended(replace(made, environment={**made.environment, **settings}), home, DAY, MOST_SECONDS)
    yield found
    found.warehouse.close()  # type: ignore[attr-defined]


def test_the_demo_says_the_same_of_its_day_and_syncs(embedded: Ended, server: Ended) -> None:
    assert len(server.table) > 10
    assert server.table == embedded.table
    assert not (server.demo.home / "cdp" / "warehouse.duckdb").exists()


@pytest.mark.parametrize("relation", BOOKS)
def test_the_books_of_the_warehouse_are_the_same(embedded: Ended, server: Ended, relation: str) -> None:
    found = embedded.book(relation)
    assert found and server.book(relation) == found


def test_the_commands_of_every_day_answer_there(server: Ended) -> None:
    for line in (["status"], ["audience", "list"], ["audience", "show", "coupon_lovers"], ["report"]):
        done = server.demo.cdp(*line)
        assert done.returncode == 0, done.stderr[-500:]
