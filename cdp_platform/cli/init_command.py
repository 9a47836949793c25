"""`cdp init`: a first sync in a Dagster and a dbt project that are there already."""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cdp_platform.errors import ConfigError

if TYPE_CHECKING:
    from cdp_platform.cli.adoption import Projects
    from cdp_platform.components.dbt_manifest import DbtManifest, Node

app = typer.Typer()

Folder = Annotated[Path | None, typer.Option(help="dbt's project; left out: searched for.", metavar="FOLDER")]
File = Annotated[Path | None, typer.Option(help="The DuckDB file; left out: the one in dbt's profile.", metavar="FILE")]


@app.command(name="init")
def init_project(
    model: Annotated[str | None, typer.Option(help="The dbt model to bring to a destination.")] = None,
    destination: Annotated[str, typer.Option(help="The destination's name.")] = "hubspot",
    object_name: Annotated[str, typer.Option("--object", help="The object in it.")] = "contacts",
    name: Annotated[str | None, typer.Option(help="The sync's name; left out: <destination>_<model>.")] = None,
    key: Annotated[str | None, typer.Option(help="The model's primary key; left out: what dbt tests as one.")] = None,
    dbt: Folder = None,
    warehouse: File = None,
) -> None:
    """Set up this Dagster project: find its dbt project and warehouse, and write a first sync. Sends nothing."""
    from cdp_platform.cli import adoption

    projects = adoption.find_projects(Path.cwd(), dbt=dbt, warehouse=warehouse)
    with redirect_stdout(sys.stderr):
        manifest = adoption.parsed(projects)
    chosen = adoption.find_model(manifest, model or _asked(adoption.model_names(manifest)))
    sync = name or f"{destination}_{chosen['name']}"
    text = _sync_text(projects, manifest, chosen, sync, destination=destination, object_name=object_name, key=key)
    written = [adoption.write_sync(projects, sync, text), adoption.write_project_file(projects)]
    console = Console(highlight=False)
    for file in (file for file in written if file is not None):
        console.print(f"[green]written[/] {escape(os.path.relpath(file))}")
    console.print(
        f"\nThe sync [bold]{sync}[/] is switched off: it plans, and makes no request. Next:\n"
        f"  cdp plan {sync}      what it would send, without a token\n"
        f"  read {escape(os.path.relpath(written[0] or projects.defs))}: the mapping, and whose consent is needed\n"
        f"  cdp enable {sync}    when the plan is what you want; {destination.upper()}_TOKEN holds the token then",
        soft_wrap=True,
    )


def _asked(names: Sequence[str]) -> str:
    if not names:
        raise ConfigError("the dbt project has no model.", remedy="Write one first.")
    if not sys.stdin.isatty():
        raise ConfigError("no model was named.", remedy=f"Name one: --model NAME. There are: {', '.join(names)}.")
    return str(typer.prompt(f"Which model? ({', '.join(names)})"))


def _sync_text(
    projects: "Projects",
    manifest: "DbtManifest",
    model: "Node",
    sync: str,
    *,
    destination: str,
    object_name: str,
    key: str | None,
) -> str:
    from cdp_platform.cli import first_sync
    from cdp_platform.connectors.registry import find_destination

    find_destination(destination).capabilities(object_name)
    columns = first_sync.columns_of(model, _built_columns(projects.warehouse, f"{model['schema']}.{model['alias']}"))
    primary_key = key or first_sync.primary_key_of(manifest, model)
    if primary_key is None:
        raise ConfigError(
            f"nobody says what makes a row of {model['name']} unique.",
            remedy=f"Name the column: --key COLUMN. There are: {', '.join(columns)}.",
        )
    return first_sync.sync_text(
        name=sync,
        model=model,
        columns=columns,
        primary_key=primary_key,
        destination=destination,
        object_name=object_name,
        project=os.path.relpath(projects.dbt, projects.root),
    )


def _built_columns(warehouse: Path, relation: str) -> dict[str, str]:
    from cdp_platform.warehouse.duckdb import DuckDbWarehouse

    if not warehouse.is_file():
        return {}
    with DuckDbWarehouse(warehouse).session("cdp init") as session:
        return dict(session.columns(relation))
