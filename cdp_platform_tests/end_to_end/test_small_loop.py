"""Two days of the loop on a slice of the data: the books of the CRM and of the warehouse agree."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.end_to_end.conftest import Demo

LAST_DAY = "2017-12-26"
MARKETING = {"rfm_segment", "lifetime_value", "favourite_department", "last_order_on"}


@pytest.fixture(scope="module")
def ended(shared_demo: Demo) -> "subprocess.CompletedProcess[str]":
    return shared_demo.cdp(*shared_demo.demo_arguments(LAST_DAY))


@pytest.fixture(scope="module")
def warehouse(shared_demo: Demo, ended: "subprocess.CompletedProcess[str]") -> DuckDbWarehouse:
    return DuckDbWarehouse(shared_demo.home / "cdp" / "warehouse.duckdb")


@pytest.fixture(scope="module")
def writes(shared_demo: Demo, ended: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    """The sandbox's own log of every change, which shares nothing with our books."""
    folder = shared_demo.home / "cdp" / "sandbox"
    token = (folder / "token").read_text(encoding="utf-8").strip()
    settings = SandboxSettings(state_path=folder / "crm.sqlite", token=token, port=0)
    with serve_sandbox(settings) as address, urllib.request.urlopen(f"{address}/sandbox/writes?limit=10000") as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())["results"]
    return found


def test_the_demo_ends_well_and_says_what_it_did(ended: "subprocess.CompletedProcess[str]") -> None:
    assert ended.returncode == 0, ended.stderr
    assert LAST_DAY in ended.stdout
    assert "not the effect of our sync" in ended.stdout
    assert "0 records to send" in ended.stdout
    assert len(ended.stdout.splitlines()) < 40


def test_the_contacts_are_exactly_the_people_ever_delivered(
    warehouse: DuckDbWarehouse, writes: list[dict[str, Any]]
) -> None:
    delivered = {row["primary_key"] for row in rows(warehouse, "select distinct primary_key from cdp.sync_log")}
    assert delivered
    assert {write["cdp_person_id"] for write in writes} == delivered
    assert len({write["contact_id"] for write in writes}) == len(delivered)


def test_every_day_was_ingested_described_and_read_back(warehouse: DuckDbWarehouse) -> None:
    days = rows(warehouse, "select distinct cast(feedback_day as varchar) as day from raw_hubspot.contacts order by 1")
    assert [row["day"] for row in days] == ["2017-12-25", LAST_DAY]
    [clock] = rows(warehouse, "select cast(as_of_on as varchar) as day from cdp.loop_clock")
    assert clock["day"] == LAST_DAY


def test_the_year_before_was_loaded_with_its_first_day(warehouse: DuckDbWarehouse) -> None:
    [found] = rows(
        warehouse,
        "select cast(min(transaction_day) as varchar) as first, count(distinct transaction_day) as days"
        " from raw_retail.transactions",
    )
    assert found["first"].startswith("2017-01-0")
    assert found["days"] > 300


def test_the_books_of_every_run_balance(warehouse: DuckDbWarehouse) -> None:
    found = rows(
        warehouse,
        "select planned, delivered + rejected + unknown + skipped + pending as accounted, unknown, pending"
        " from cdp.sync_runs",
    )
    assert len(found) >= 2
    assert all(row["planned"] == row["accounted"] and not row["unknown"] and not row["pending"] for row in found)


def test_nothing_marketing_is_written_after_a_withdrawal(writes: list[dict[str, Any]]) -> None:
    opted_out: set[str] = set()
    for write in sorted(writes, key=lambda write: write["seq"]):
        person = write["cdp_person_id"]
        if write["actor"] == "api" and person in opted_out:
            assert not MARKETING & set(write["properties"])
        if write["actor"] == "person" and "hs_email_optout" in write["properties"]:
            opted_out.add(person)


def test_a_second_demo_sends_nothing(shared_demo: Demo, warehouse: DuckDbWarehouse) -> None:
    before = rows(warehouse, "select count(*) as changes from cdp.sync_log")
    again = shared_demo.cdp(*shared_demo.demo_arguments(LAST_DAY))
    assert again.returncode == 0, again.stderr
    assert "nothing is run again" in again.stdout
    assert rows(warehouse, "select count(*) as changes from cdp.sync_log") == before


def test_status_speaks_json(shared_demo: Demo, warehouse: DuckDbWarehouse) -> None:
    [sync] = json.loads(shared_demo.cdp("status", "--json").stdout)["syncs"]
    assert sync["name"] == "crm_contacts"
    assert sync["pending"] == 0


def test_no_address_of_a_person_stands_in_dagsters_files(shared_demo: Demo, warehouse: DuckDbWarehouse) -> None:
    [person] = rows(warehouse, "select email from marts.profiles limit 1")
    files = [file for file in (shared_demo.home / "cdp" / "dagster").rglob("*") if file.is_file()]
    assert files
    assert [file.name for file in files if contains(file, person["email"])] == []


def rows(warehouse: DuckDbWarehouse, sql: str) -> list[dict[str, Any]]:
    with warehouse.session("test") as session:
        return session.rows(sql)


def contains(file: Path, text: str) -> bool:
    return text.encode() in file.read_bytes()
