"""dbt's parse in a process of its own, followed by what the columns of each model are made of: `column_lineage.json`.

Started as `python -m cdp_platform.components.dbt_parsing parse …` with dbt's own arguments. The models are compiled
against an empty DuckDB file in which the sources stand without rows, whatever the warehouse is: it is not opened, and
may be held by a run.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml
from dbt.cli.main import dbtRunner
from dbt.flags import get_flags
from sqlglot.expressions import to_table

from cdp_platform.components.column_lineage import LINEAGE_FILE, ColumnLineage
from cdp_platform.components.column_tracing import NO_COLUMN, STAR, trace
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

_ADAPTER: Final = "duckdb"
_OTHER_FILES: Final = ("attach", "extensions", "plugins", "secrets", "is_ducklake", "remote")
_TRACED_ADAPTERS: Final = (_ADAPTER, "postgres", "snowflake", "bigquery")
_TRACED: Final = ("model", "snapshot")


def main(arguments: Sequence[str]) -> int:
    """Parse, then trace; return dbt's exit code. A project that parses and cannot be traced has an empty lineage."""
    parsed = dbtRunner().invoke(list(arguments))
    if not parsed.success:
        return 2
    flags = get_flags()  # type: ignore[no-untyped-call]
    target = Path(flags.TARGET_PATH)
    content = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    traced = traced_project(content, parsed.result, Path(flags.PROJECT_DIR), Path(flags.PROFILES_DIR))
    traced.write(target / LINEAGE_FILE)
    return 0


def traced_project(content: Mapping[str, Any], parsed: Any, project: Path, profiles: Path) -> ColumnLineage:
    """Compile the models of a parsed project and follow their columns; none of an engine that is not known here."""
    nodes = {key: node for key, node in content["nodes"].items() if node["resource_type"] != "test"}
    everything = {**nodes, **content["sources"]}
    relations = {key: node["relation_name"] for key, node in everything.items() if node.get("relation_name")}
    models = [key for key in _in_order(nodes) if nodes[key]["resource_type"] in _TRACED and key in relations]
    adapter = str(content["metadata"].get("adapter_type"))
    if adapter not in _TRACED_ADAPTERS:
        return ColumnLineage(columns={key: {} for key in models}, unresolved={key: [STAR] for key in models})
    # Macros of DuckDB's adapter are no part of another's manifest: they are parsed with the project once more.
    shared = parsed if adapter == _ADAPTER else None
    with TemporaryDirectory(prefix="cdp-lineage-") as scratch:
        compiled = _compiled(content, shared, project, profiles, Path(scratch))
    # The models are compiled to DuckDB's SQL, so all names are written as it writes them.
    named = {key: to_table(name, dialect=adapter).sql(_ADAPTER, identify=True) for key, name in relations.items()}
    return trace(named, {key: compiled.get(key, "") for key in models})


def _compiled(content: Mapping[str, Any], parsed: Any, project: Path, profiles: Path, scratch: Path) -> dict[str, str]:
    """The SQL of each model by unique id; without those that do not compile on an empty warehouse."""
    database = next((str(node["database"]) for node in content["nodes"].values() if node.get("database")), "warehouse")
    file = scratch / f"{database}.duckdb"
    _stand_ins(file, [source for source in content["sources"].values() if source["database"] == database])
    adapter = str(content["metadata"].get("adapter_type"))
    _write_profiles(profiles / "profiles.yml", scratch / "profiles.yml", file, adapter)
    options = {"--project-dir": project, "--profiles-dir": scratch, "--target-path": scratch / "target"}
    line = ["--quiet", "--no-version-check", "compile", "--select", *(f"resource_type:{kind}" for kind in _TRACED)]
    for option, value in options.items():
        line += [option, str(value)]
    ended = dbtRunner(manifest=parsed).invoke(line)
    results = getattr(ended.result, "results", None) or ()
    return {done.node.unique_id: done.node.compiled_code for done in results if done.node.compiled_code}


def _stand_ins(file: Path, sources: Sequence[Mapping[str, Any]]) -> None:
    """Make the sources without rows: models may ask whether a source is there."""
    warehouse = DuckDbWarehouse(file)
    with warehouse.session("stand-ins for the sources of a lineage") as session:
        for source in sources:
            names = list(source.get("columns", {})) or [NO_COLUMN]
            columns = ", ".join(f"{warehouse.dialect.quote(name)} varchar" for name in names)
            # A database may have the name of one of its schemas.
            schema = ".".join(map(warehouse.dialect.quote, (file.stem, source["schema"])))
            relation = f"{schema}.{warehouse.dialect.quote(source['identifier'])}"
            session.execute(f"create schema if not exists {schema}")
            session.execute(f"create table if not exists {relation} ({columns})")


def _write_profiles(profiles: Path, into: Path, file: Path, adapter: str) -> None:
    """Copy the profiles with every output of the adapter leading to one DuckDB file, and without what opens others."""
    content = yaml.safe_load(profiles.read_text(encoding="utf-8"))
    for profile in content.values():
        outputs = profile.get("outputs", {}) if isinstance(profile, dict) else {}
        for name, output in outputs.items():
            if output.get("type") == adapter == _ADAPTER:
                output["path"] = str(file)
                for other in _OTHER_FILES:
                    output.pop(other, None)
            elif output.get("type") == adapter:
                outputs[name] = {"type": _ADAPTER, "path": str(file), "schema": output.get("schema", "main")}
    into.write_text(yaml.safe_dump(content), encoding="utf-8")


def _in_order(nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Unique ids, each after what it reads."""
    ordered: dict[str, None] = {}

    def visit(key: str) -> None:
        if key in nodes and key not in ordered:
            for parent in sorted(nodes[key].get("depends_on", {}).get("nodes", [])):
                visit(parent)
            ordered[key] = None

    for key in sorted(nodes):
        visit(key)
    return list(ordered)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
