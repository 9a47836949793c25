"""A demo that cannot run says why and how to go on; a demo that was killed is taken up."""

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.end_to_end.conftest import Demo


def test_a_port_in_use_is_one_clear_message(demo: Demo) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", demo.port))
        other.listen()
        ended = demo.cdp(*demo.demo_arguments("2017-12-25"))
    assert ended.returncode == 1
    assert str(demo.port) in ended.stderr
    assert "--sandbox-port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_demo_at_the_same_time_is_refused_naming_the_first(demo: Demo) -> None:
    home = demo.home / "cdp"
    home.mkdir()
    with open(home / "demo.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        ended = demo.cdp(*demo.demo_arguments("2017-12-25"))
    assert ended.returncode == 1
    assert "4711" in ended.stderr
    assert "CDP_HOME" in ended.stderr


def test_a_broken_definition_is_one_clear_message(demo: Demo) -> None:
    demo.environment["CDP_ENVIRONMENT"] = "cloud"
    ended = demo.cdp(*demo.demo_arguments("2017-12-25"))
    assert ended.returncode == 1
    assert "CDP_ENVIRONMENT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_report_without_a_warehouse_names_the_way(demo: Demo) -> None:
    ended = demo.cdp("report")
    assert ended.returncode == 1
    assert "cdp demo" in ended.stderr


def test_a_taken_port_of_the_ui_is_one_clear_message(demo: Demo) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ended = demo.cdp("ui", "--port", str(other.getsockname()[1]), "--sandbox-port", str(demo.port))
    assert ended.returncode == 1
    assert "--port" in ended.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_demo_killed_three_times_is_completed_by_the_next(demo: Demo) -> None:
    """Killed while the history is built, while a day is built, and while records are sent."""
    for sign in (raw_is_loaded, facts_are_built, contacts_are_sent):
        running = demo.start(*demo.demo_arguments("2017-12-25"))
        wait_for_sign(sign, demo.home / "cdp", running)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    ended = demo.cdp(*demo.demo_arguments("2017-12-25"))
    assert ended.returncode == 0, ended.stderr
    assert "0 records to send" in ended.stdout
    with DuckDbWarehouse(demo.home / "cdp" / "warehouse.duckdb").session("test") as session:
        [counts] = session.rows(
            "select count(*) as contacts, count(distinct cdp_person_id) as people from raw_hubspot.contacts"
        )
        assert counts["contacts"] == counts["people"] > 0
        [doubled] = session.rows("select count(*) - count(distinct order_line_id) as lines from marts.order_lines")
        assert doubled["lines"] == 0


def raw_is_loaded(home: Path) -> bool:
    return (home / "dlt" / "raw_retail_transactions").exists()


def facts_are_built(home: Path) -> bool:
    return (home / "dbt" / "build" / "run_results.json").exists()


def contacts_are_sent(home: Path) -> bool:
    return any((home / "plans").rglob("*.parquet"))


def wait_for_sign(sign: Callable[[Path], bool], home: Path, running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if sign(home):
            assert running.poll() is None
            return
        time.sleep(0.05)
    pytest.fail("the sign that was waited for did not come")
