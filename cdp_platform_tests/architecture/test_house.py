"""The house around the code: locks, the make targets, what CI runs, and the names that must agree."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from cdp_platform_tests.architecture.tree import ROOT

LOCKS = ("requirements.lock", "requirements-all.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def pinned(lock: str) -> set[str]:
    return {normalised(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]+\])?==", lock, re.MULTILINE)}


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_a_version_and_a_hash(name: str) -> None:
    lock = (ROOT / name).read_text(encoding="utf-8")
    blocks = [block for block in re.split(r"\n(?=[A-Za-z0-9])", lock) if not block.startswith("#")]
    assert len(blocks) > 100
    wrong = [block.split()[0] for block in blocks if "==" not in block.split()[0] or "--hash=sha256:" not in block]
    assert wrong == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_dependency_of_the_project_and_what_builds_it(name: str) -> None:
    groups = PROJECT["dependency-groups"]
    wanted = [
        *PROJECT["project"]["dependencies"],
        *groups["demo"],
        *groups["dev"],
        *PROJECT["build-system"]["requires"],
    ]
    missing = {normalised(requirement) for requirement in wanted} - pinned((ROOT / name).read_text(encoding="utf-8"))
    assert missing == set()


def test_the_warehouses_that_are_extras_stand_in_the_second_lock_only() -> None:
    extras = {"snowflake-connector-python", "dbt-bigquery"}
    small, whole = (pinned((ROOT / name).read_text(encoding="utf-8")) for name in LOCKS)
    assert extras & small == set()
    assert extras <= whole


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"make (\S+)", told)) >= set(phony.split())


def test_make_says_what_to_do_where_no_python_is_new_enough(tmp_path: Path) -> None:
    arguments = ["make", "install", f"VENV={tmp_path / 'venv'}", "PYTHON="]
    result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "Python 3.11 or newer was not found" in result.stderr


def test_what_ci_runs_is_a_valid_script_that_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_the_code_location_has_one_name_everywhere() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (location,) = [entry["python_module"] for entry in workspace["load_from"]]
    assert location["location_name"] == PROJECT["tool"]["dg"]["project"]["code_location_name"]
    assert location["module_name"] == f"{PROJECT['tool']['dg']['project']['root_module']}.definitions"
