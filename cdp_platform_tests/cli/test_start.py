"""`cdp --help` and every command are there at once: what is slow to import waits until a command needs it."""

import subprocess
import sys

import pytest

SLOW = ("dagster", "dbt", "dlt", "pandas", "starlette", "snowflake.connector", "google.cloud.bigquery", "psycopg2")


@pytest.fixture(scope="module")
def imported() -> set[str]:
    asked = "import sys, cdp_platform.cli; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return set(told.stdout.split())


@pytest.mark.parametrize("module", SLOW)
def test_the_command_line_starts_without(imported: set[str], module: str) -> None:
    assert "cdp_platform.cli" in imported
    assert module not in imported
