"""What it costs, in CPU seconds, to load many definitions, and what a plan costs above a bare asset.

    python benchmarks/definitions.py WORKDIR [SYNCS] [AUDIENCES]

WORKDIR is emptied of what was there of an earlier run; the project's own dbt project is parsed into it once.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path
from shutil import copytree, rmtree

ROOT = Path(__file__).parents[1]
ROUNDS = 5


def generate(defs: Path, sync_count: int, audience_count: int) -> None:
    """Copy the shipped definitions, then one sync and one audience as often as asked, each under a name of its own."""
    copytree(ROOT / "cdp_platform" / "defs", defs)
    sync = (defs / "syncs" / "crm_contacts" / "defs.yaml").read_text(encoding="utf-8")
    sync = sync.replace("  key_moves: identity.identity_merges\n", "").replace("  removal: archive\n", "")
    audience = (defs / "audiences" / "coupon_lovers" / "defs.yaml").read_text(encoding="utf-8")
    for number in range(sync_count):
        text = sync.replace("name: crm_contacts", f"name: contacts_{number}")
        text = text.replace("HUBSPOT_TOKEN", f"TOKEN_{number}")
        text = text.replace("{name: hubspot,", f"{{name: hubspot, connection: crm_{number},")
        write(defs / "syncs" / f"contacts_{number}" / "defs.yaml", text)
    for number in range(audience_count):
        text = audience.replace("name: coupon_lovers", f"name: lovers_{number}")
        write(defs / "audiences" / f"lovers_{number}" / "defs.yaml", text)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")


def measured(program: str) -> float:
    """The median of the seconds that a program in a process of its own says it took."""
    found = []
    for _ in range(ROUNDS):
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
        found.append(float(ended.stdout.splitlines()[-1]))
    return statistics.median(found)


PROGRAM = """
import statistics, sys, time
from pathlib import Path
import dagster as dg
from cdp_platform.components.loading import load_definitions
from cdp_platform.components.resources import PLATFORM

project = Path(sys.argv[1])
with PLATFORM.warehouse.session("benchmark") as session:
    session.execute("create schema if not exists main")
    session.execute("create or replace table main.customers as select cast(i as varchar) as customer_id,"
                    " i || '@example.com' as email from range(2000) as t(i)")

@dg.asset
def bare() -> None: ...

found = dg.Definitions.merge(load_definitions(project / "defs", project), dg.Definitions(assets=[bare]))

def seconds(key, instance):
    job = found.resolve_implicit_global_asset_job_def()
    times = []
    for _ in range(6):
        start = time.process_time()
        assert job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(key)]).success
        times.append(time.process_time() - start)
    # The first run imports what only a run needs.
    return statistics.median(times[1:])

with dg.DagsterInstance.ephemeral() as instance:
    print(*(seconds(key, instance) for key in (["bare"], ["plans", "people"], ["hubspot", "people"])))
"""
SYNC = """\
type: cdp_platform.components.SyncComponent
attributes:
  name: people
  source_model: customers
  primary_key: customer_id
  destination: {name: hubspot, object: contacts, token_env: NO_TOKEN}
  purpose: none
  mapping:
    - {column: customer_id, field: cdp_customer_id, match_key: true}
    - {column: email, field: email}
  project: shop
"""

MODELS = """\
type: cdp_platform.components.ModelsComponent
attributes:
  project: shop
  days: {start: 2026-01-01}
"""


def overhead(workdir: Path) -> tuple[float, float]:
    """Seconds above a bare asset, in-process: a dry plan of 2,000 rows, and a destination that is switched off."""
    project = workdir / "project"
    rmtree(project, ignore_errors=True)
    write(project / "defs" / "people" / "defs.yaml", SYNC)
    write(project / "defs" / "models" / "defs.yaml", MODELS)
    write(project / "shop" / "dbt_project.yml", "name: shop\nversion: '1.0'\nprofile: shop\n")
    target = "{type: duckdb, path: \"{{ env_var('CDP_WAREHOUSE_PATH') }}\", schema: main}"
    (project / "shop" / "profiles.yml").write_text(f"shop: {{target: d, outputs: {{d: {target}}}}}\n", encoding="utf-8")
    write(project / "shop" / "models" / "customers.sql", "select 1 as customer_id, 'a@example.com' as email")
    os.environ["CDP_HOME"] = str(workdir / "project_home")
    line = [sys.executable, "-c", PROGRAM, str(project)]
    ended = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    bare, plan, send = map(float, ended.stdout.splitlines()[-1].split())
    return plan - bare, send - bare


def main(workdir: Path, sync_count: int = 200, audience_count: int = 100) -> None:
    """Generate, load, and print the medians."""
    rmtree(workdir / "defs", ignore_errors=True)
    workdir.mkdir(parents=True, exist_ok=True)
    os.environ["CDP_HOME"] = str(workdir / "home")
    os.environ["PYTHONPATH"] = str(ROOT)
    generate(workdir / "defs", sync_count, audience_count)
    loading = f"""
import time, dagster
from pathlib import Path
start = time.process_time()
from cdp_platform.components.loading import load_definitions
found = load_definitions(Path({str(workdir / "defs")!r}), Path({str(ROOT)!r}))
loaded = time.process_time()
assert len(list(found.resolve_all_asset_specs())) > {2 * sync_count + audience_count}
print(loaded - start)
"""
    subprocess.run([sys.executable, "-c", loading], capture_output=True, check=True, cwd=ROOT)
    print(f"{sync_count} syncs and {audience_count} audiences, above `import dagster`: {measured(loading):.2f} CPU s")
    plan, send = overhead(workdir)
    print(
        f"above a bare asset: a dry plan of 2,000 rows {plan:.3f} CPU s,"
        f" a destination with nothing to do {send:.3f} CPU s"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), *map(int, sys.argv[2:]))
