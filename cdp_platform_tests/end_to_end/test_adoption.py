"""The platform in somebody else's project: the built wheel, `create-dagster`, a foreign dbt project, dg's loader."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MODEL = """\
{{ config(schema='marts') }}
select i as customer_id, i || '@example.com' as email, date '2024-01-01' + cast(i as integer) as last_order_on
from range(1, 51) t(i)
"""
TESTS = """\
version: 2
models:
  - name: customers
    columns: [{name: customer_id, data_tests: [unique, not_null]}]
"""
PROFILE = "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb, threads: 1}}}\n"


def run(line: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    ended = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


def installed_wheel(folder: Path) -> Path:
    """Build the wheel and unpack it, with its metadata, into a folder to import from."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT, os.environ)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def make_dbt_project(folder: Path) -> None:
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop_dbt\nversion: '1.0'\nprofile: shop\n", encoding="utf-8")
    (folder / "profiles.yml").write_text(PROFILE, encoding="utf-8")
    (folder / "models" / "customers.sql").write_text(MODEL, encoding="utf-8")
    (folder / "models" / "models.yml").write_text(TESTS, encoding="utf-8")


def test_a_foreign_project_plans_its_own_model_by_the_guide_and_dagster_draws_the_edge(tmp_path: Path) -> None:
    site = installed_wheel(tmp_path / "wheel")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUBSPOT_", "CDP_", "DAGSTER_"))}
    project = tmp_path / "shop"
    environment = {
        **kept,
        "PATH": f"{BIN}:{kept['PATH']}",
        "PYTHONPATH": f"{site}:{project / 'src'}",
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    cdp = [sys.executable, "-W", "ignore", "-m", "cdp_platform.cli"]
    run([str(BIN / "create-dagster"), "project", "shop", "--no-uv-sync"], tmp_path, environment)
    make_dbt_project(tmp_path / "shop_dbt")
    theirs = project / "src" / "shop" / "defs" / "warehouse"
    theirs.mkdir()
    component = 'type: dagster_dbt.DbtProjectComponent\nattributes: {project: "{{ project_root }}/../shop_dbt"}\n'
    (theirs / "defs.yaml").write_text(component, encoding="utf-8")
    run([str(BIN / "dbt"), "build", "--quiet"], tmp_path / "shop_dbt", environment)
    imported = run([sys.executable, "-c", "import cdp_platform; print(cdp_platform.__file__)"], project, environment)
    assert imported.startswith(str(site))

    run([*cdp, "init", "--model", "customers"], project, environment)
    plan = json.loads(run([*cdp, "plan", "hubspot_customers", "--json"], project, environment))
    assert plan["operations"] == {"create": 50}

    assets = json.loads(run([str(BIN / "dg"), "list", "defs", "--json"], project, environment))["assets"]
    edges = {asset["asset_key"]: asset["dependency_keys"] for asset in assets}
    assert edges["plans/hubspot_customers"] == ["marts/customers"]
    assert edges["hubspot/hubspot_customers"] == ["plans/hubspot_customers"]
    materialize = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "shop.definitions"]
    run([*materialize, "--select", "plans/hubspot_customers"], project, environment)
    status = json.loads(run([*cdp, "status", "--json"], project, environment))["syncs"]
    assert [(sync["name"], sync["is_enabled"]) for sync in status] == [("hubspot_customers", False)]
