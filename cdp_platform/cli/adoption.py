"""`cdp init`: what a Dagster and a dbt project that are there already need, to have a first sync planned.

It finds both projects and the DuckDB file, and writes two files: `cdp.yaml`, and one `defs.yaml` with a sync of one
model. Nothing that is there is changed, but a line is added to `.gitignore`.
"""

import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from cdp_platform.components.dbt_manifest import DbtManifest, Node
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.domain.home import Home
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.project_file import NAME

_STATE: Final = ".cdp"
_PASSED_OVER: Final = {"target", "dbt_packages", "node_modules", "site-packages", "venv"}
_DEPTH: Final = 3


@dataclass(frozen=True, kw_only=True)
class Projects:
    """What was found. All paths are absolute."""

    root: Path
    """The Dagster project: the folder of its pyproject.toml."""
    defs: Path
    dbt: Path
    warehouse: Path
    """The DuckDB file that dbt builds into; it need not exist yet."""


def find_projects(start: Path, *, dbt: Path | None = None, warehouse: Path | None = None) -> Projects:
    """Find the Dagster project around `start`, the dbt project in or beside it, and the warehouse of its profile.

    Raises ConfigError, saying what to name by hand, where one is not found or more than one could be meant.
    """
    root, module = _dagster_project(start)
    folder = dbt.resolve() if dbt else _dbt_project(root)
    if not (folder / "dbt_project.yml").is_file():
        raise ConfigError(f"there is no dbt project in {folder}.", remedy="Name its folder: --dbt FOLDER.")
    found = warehouse.resolve() if warehouse else _warehouse(folder)
    return Projects(root=root, defs=_defs_folder(root, module), dbt=folder, warehouse=found)


def parsed(projects: Projects) -> DbtManifest:
    """Have dbt parse its project; raise ConfigError where it cannot."""
    home = Home(root=projects.root / _STATE, warehouse_file=projects.warehouse)
    return DbtProject(folder=projects.dbt, home=home).manifest()


def find_model(manifest: DbtManifest, name: str) -> Node:
    """Find a model by name; raise ConfigError with the nearest one."""
    found = manifest.find(name)
    if found is None:
        names = [node["name"] for node in manifest.models.values()]
        raise ConfigError(f"the dbt project has no model {name!r}.", remedy=nearest_of(name, names))
    return found


def model_names(manifest: DbtManifest) -> Sequence[str]:
    """The models by name, in order, without seeds."""
    return sorted(node["name"] for node in manifest.models.values() if node["resource_type"] == "model")


def write_project_file(projects: Projects) -> Path | None:
    """Write `cdp.yaml` and keep the platform's state out of version control; None where `cdp.yaml` stands already."""
    file = projects.root / NAME
    ignore = projects.root / ".gitignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    if f"{_STATE}/" not in lines:
        ignore.write_text("\n".join([*lines, f"{_STATE}/", ""]), encoding="utf-8")
    if file.exists():
        return None
    content = {
        "defs": _relative(projects.defs, projects.root),
        "warehouse": _relative(projects.warehouse, projects.root),
        "state": _STATE,
    }
    text = "# Where the customer data platform finds this project. Paths are relative to this file.\n"
    file.write_text(text + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return file


def write_sync(projects: Projects, name: str, text: str) -> Path:
    """Write the sync's `defs.yaml`; raise ConfigError where there is one already."""
    file = projects.defs / name / "defs.yaml"
    if file.exists():
        raise ConfigError("this file is there already.", place=str(file), remedy="Choose another name: --name NAME.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def _dagster_project(start: Path) -> tuple[Path, str]:
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                told = tomllib.loads(file.read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as error:
                raise ConfigError(f"this is not TOML: {error}.", place=str(file)) from error
            module = told.get("tool", {}).get("dg", {}).get("project", {}).get("root_module")
            if isinstance(module, str):
                return folder, module
    raise ConfigError(
        f"there is no Dagster project in {start} or above it.",
        remedy="Go into one, or make one: create-dagster project my_project.",
    )


def _defs_folder(root: Path, module: str) -> Path:
    parts = module.split(".")
    for folder in (root.joinpath("src", *parts, "defs"), root.joinpath(*parts, "defs")):
        if folder.is_dir():
            return folder
    raise ConfigError(f"the Dagster project {root} has no folder `defs` in its module {module}.")


def _dbt_project(root: Path) -> Path:
    found = list(_dbt_projects(root, _DEPTH)) or list(_dbt_projects(root.parent, 2))
    if len(found) == 1:
        return found[0]
    listed = ", ".join(str(folder) for folder in found)
    what = (
        f"more than one dbt project is near: {listed}." if found else f"no dbt project was found in or beside {root}."
    )
    raise ConfigError(what, remedy="Name its folder: --dbt FOLDER.")


def _dbt_projects(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / "dbt_project.yml").is_file():
        yield folder
        return
    if depth > 0:
        for inner in sorted(folder.iterdir()):
            if _is_looked_into(inner):
                yield from _dbt_projects(inner, depth - 1)


def _is_looked_into(folder: Path) -> bool:
    # Hidden folders hold copies of projects: Dagster keeps one of each that it loads.
    is_hidden = folder.name.startswith(".")
    return folder.is_dir() and not is_hidden and folder.name not in _PASSED_OVER and not folder.is_symlink()


def _warehouse(dbt: Path) -> Path:
    project = _document(dbt / "dbt_project.yml")
    name = str(project.get("profile", ""))
    for file in (dbt / "profiles.yml", Path.home() / ".dbt" / "profiles.yml"):
        profile = _document(file).get(name) if file.is_file() else None
        if isinstance(profile, dict):
            return _duckdb_file(file, profile, dbt)
    raise ConfigError(
        f"dbt's profile {name!r} was not found in {dbt} or in ~/.dbt.", remedy="Name the DuckDB file: --warehouse FILE."
    )


def _duckdb_file(file: Path, profile: dict[str, Any], dbt: Path) -> Path:
    outputs = profile.get("outputs") or {}
    output: dict[str, Any] = outputs.get(profile.get("target")) or next(iter(outputs.values()), {})
    path, kind = str(output.get("path", "")), output.get("type")
    if kind != "duckdb":
        raise ConfigError(f"the profile's warehouse is {kind}; `cdp init` knows duckdb only.", place=str(file))
    if not path or "{{" in path or ":" in path:
        raise ConfigError(
            "the profile does not say which file it is.", place=str(file), remedy="Name it: --warehouse FILE."
        )
    return (dbt / path).resolve()


def _document(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError("this is not YAML.", place=str(file)) from error
    return content if isinstance(content, dict) else {}


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)
