"""`cdp.yaml`: where a project of one's own has its definitions and its warehouse. Written by `cdp init`.

It stands beside the project's pyproject.toml; everything the platform does in that folder, or below it, goes by it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cdp_platform.errors import ConfigError
from cdp_platform.yaml_file import YamlFile

NAME: Final = "cdp.yaml"


class ProjectFile(BaseModel):
    """The fields of `cdp.yaml`; paths are relative to its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    defs: str = Field(description="The folder with the `defs.yaml` files.")
    warehouse: str | None = Field(
        default=None,
        description="The DuckDB file that dbt builds into, `postgres` for the server that CDP_POSTGRES names, or an"
        " account's name in `warehouses.yaml`; left out: a file among the platform's state.",
    )
    state: str = Field(default=".cdp", description="The folder of the platform's state; not for version control.")
    environment: Literal["embedded", "local", "cluster"] = Field(
        default="embedded",
        description="Steps in the run's own process (`embedded`), in one process each (`local`), or done by workers on"
        " several hosts (`cluster`).",
    )


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project that uses the platform. All paths are absolute."""

    root: Path
    defs: Path
    warehouse: Path | None
    """The DuckDB file; None: the embedded default, under `state`."""
    engine: str
    """The warehouse's engine, `duckdb` or another that the file names in place of a path."""
    state: Path
    environment: str = "embedded"


def find_project(start: Path) -> Project | None:
    """Find the nearest `cdp.yaml` in `start` or above it; None: there is none. Raises ConfigError for a wrong one."""
    for folder in (start, *start.parents):
        file = folder / NAME
        if file.is_file():
            return _read(file, file.stat().st_mtime_ns)
    return None


@lru_cache(maxsize=8)
def _read(file: Path, changed_at: int) -> Project:
    document = YamlFile.read(file)
    try:
        told = ProjectFile.model_validate(document.content)
    except ValidationError as error:
        raise document.explained(error, ProjectFile) from error
    root = file.parent
    defs = (root / told.defs).resolve()
    if not defs.is_dir():
        raise ConfigError("there is no such folder.", place=f"{file}:{document.line_of('defs')}", field="defs")
    # A name alone, without a folder or an ending, is an engine's; who opens it judges it.
    is_file = told.warehouse is None or "/" in told.warehouse or "." in told.warehouse
    return Project(
        root=root,
        defs=defs,
        warehouse=(root / told.warehouse).resolve() if told.warehouse and is_file else None,
        engine="duckdb" if told.warehouse is None or is_file else told.warehouse,
        state=(root / told.state).resolve(),
        environment=told.environment,
    )
