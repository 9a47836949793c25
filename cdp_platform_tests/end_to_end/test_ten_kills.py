"""A demo killed ten times at random moments ends where an undisturbed one ends. Takes some minutes."""

import json
import os
import random
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.end_to_end.conftest import Demo, make_demo

KILLS = 10
LAST_DAY = "2017-12-26"
PROPERTIES = (
    "cdp_person_id,email,firstname,lastname,phone,email_permission,email_permission_changed_on,lapsed_loyalist,"
    "lapsed_loyalist_since,high_value_at_risk,coupon_lover,new_department_explorer,big_basket_family,rfm_segment,lifetime_value,last_order_on,favourite_department,hs_email_optout"
)


def contacts(demo: Demo) -> dict[str, dict[str, str | None]]:
    """Every contact's properties at the sandbox, by person, without the record's own id and times."""
    folder = demo.home / "cdp" / "sandbox"
    token = (folder / "token").read_text(encoding="utf-8").strip()
    found: dict[str, dict[str, str | None]] = {}
    with serve_sandbox(SandboxSettings(state_path=folder / "crm.sqlite", token=token, port=0)) as address:
        after: str | None = "0"
        while after is not None:
            request = urllib.request.Request(
                f"{address}/crm/v3/objects/contacts?limit=100&properties={PROPERTIES}&after={after}",
                headers={"Authorization": f"Bearer {token}"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                page = json.loads(answer.read())
            for contact in page["results"]:
                own = ("hs_object_id", "createdate", "lastmodifieddate")
                kept = {name: value for name, value in contact["properties"].items() if name not in own}
                assert kept["cdp_person_id"] not in found, "a person stands there twice"
                found[kept["cdp_person_id"]] = kept
            after = page.get("paging", {}).get("next", {}).get("after")
    return found


def facts(demo: Demo) -> list[dict[str, object]]:
    with DuckDbWarehouse(demo.home / "cdp" / "warehouse.duckdb").session("test") as session:
        return session.rows(
            """select 'order_lines' as what, count(*) as row_count, count(distinct order_line_id) as keys
            from marts.order_lines
            union all select 'orders', count(*), count(distinct order_id) from marts.orders
            union all select 'profiles', count(*), count(distinct person_id) from marts.profiles
            union all select 'consents', count(*), count(distinct identifier) from marts.consents
            union all select 'read back', count(*), count(distinct (feedback_day, contact_id)) from raw_hubspot.contacts
            order by 1"""
        )


def kill_at_random(demo: Demo, seed: int) -> int:
    """Kill the demo again and again; the number of kills that met it alive."""
    chance, kills = random.Random(seed), 0
    for _ in range(KILLS):
        running = demo.start(*demo.demo_arguments(LAST_DAY))
        time.sleep(chance.uniform(2.0, 25.0))
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
            kills += 1
        running.wait()
    return kills


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_demo_killed_ten_times_ends_where_an_undisturbed_one_ends(slice_of_retail: Path, tmp_path: Path) -> None:
    seed = random.SystemRandom().randint(1, 1_000_000)
    print(f"seed {seed}")
    (tmp_path / "killed").mkdir()
    (tmp_path / "calm").mkdir()
    killed = make_demo(slice_of_retail, tmp_path / "killed")
    calm = make_demo(slice_of_retail, tmp_path / "calm")
    kills = kill_at_random(killed, seed)
    assert kills >= 3, f"the demo was met alive only {kills} times (seed {seed})"
    for demo in (killed, calm):
        ended: subprocess.CompletedProcess[str] = demo.cdp(*demo.demo_arguments(LAST_DAY))
        assert ended.returncode == 0, f"seed {seed}: {ended.stderr}"
    assert contacts(calm)
    assert contacts(killed) == contacts(calm), f"seed {seed}"
    assert facts(killed) == facts(calm), f"seed {seed}"
