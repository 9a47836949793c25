"""A day of the demo on a slice of the data, on DuckDB and on Snowflake's emulator: the same books at its end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")
pytest.importorskip("dbt.adapters.snowflake", reason="dbt's adapter for Snowflake is not installed: it was NOT tested")

from cdp_platform.domain.home import Home
from cdp_platform_tests.end_to_end.conftest import make_demo
from cdp_platform_tests.end_to_end.test_the_loop_on_postgres import BOOKS, Ended, ended
from cdp_platform_tests.warehouses.emulators import Fakesnow, home_on

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
LAST_DAY = "2017-12-25"


@pytest.fixture(scope="module")
def embedded(slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    demo = make_demo(slice_of_retail, tmp_path_factory.mktemp("embedded"))
    return ended(demo, Home(root=demo.home / "cdp"), LAST_DAY)


@pytest.fixture(scope="module")
def emulated(slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory, fakesnow: Fakesnow) -> Iterator[Ended]:
    made = make_demo(slice_of_retail, tmp_path_factory.mktemp("emulated"))
    home = home_on(fakesnow.new_account(), made.home / "cdp")
    settings = {
        "CDP_WAREHOUSE": "snow",
        "CDP_WAREHOUSES": str(home.warehouse_accounts),
        "SNOWFLAKE_PASSWORD": "not looked at",
    }
    found = ended(replace(made, environment={**made.environment, **settings}), home, LAST_DAY)
    yield found
    found.warehouse.close()  # type: ignore[attr-defined]


def test_the_demo_says_the_same_of_its_day_and_its_syncs(embedded: Ended, emulated: Ended) -> None:
    assert len(emulated.table) > 8
    assert emulated.table == embedded.table
    assert not (emulated.demo.home / "cdp" / "warehouse.duckdb").exists()


@pytest.mark.parametrize("relation", BOOKS)
def test_the_books_of_the_warehouse_are_the_same(embedded: Ended, emulated: Ended, relation: str) -> None:
    found = embedded.book(relation)
    assert found and emulated.book(relation) == found


def test_the_commands_of_every_day_answer_there(emulated: Ended) -> None:
    for line in (["status"], ["audience", "list"], ["audience", "show", "coupon_lovers"], ["report"]):
        done = emulated.demo.cdp(*line)
        assert done.returncode == 0, done.stderr[-500:]


def test_who_is_forgotten_stands_in_no_table_any_more(emulated: Ended) -> None:
    with emulated.warehouse.session("test") as session:
        [one] = session.rows("select customer_number, email from marts.profiles order by person_id limit 1")
    done = emulated.demo.cdp("forget", f"customer_number:{one['customer_number']}", "--yes")
    assert "warehouse: done" in done.stdout, done.stdout + done.stderr
    for relation in ("marts.profiles", "marts.profile_identifiers", "staging.stg_retail__people", "cdp.delivered_rows"):
        assert one["email"] not in str(emulated.book(relation)), relation
