"""`cdp status`, `cdp enable`, `cdp disable`: the syncs, for people who live in a terminal."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.syncs import controls
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.status import SyncStatus, read_status
from cdp_platform.texts.catalogue import text
from cdp_platform.warehouse.choice import open_warehouse

app = typer.Typer()

SyncName = Annotated[str, typer.Argument(help="The sync's name, as crm_contacts.", metavar="SYNC")]


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Show the state of every sync: its last run, or the plan that waits to be sent."""
    home = cdp_home()
    journal = Journal(home)
    found = read_status(journal, open_warehouse(home))
    pauses = controls.pauses(journal)
    if as_json:
        syncs = [_document(journal, sync) for sync in found]
        document = {"syncs": syncs, "paused": [asdict(held) for held in pauses]}
        print(json.dumps(document, default=_json, indent=2))
        return
    console = Console(highlight=False)
    for held in pauses:
        console.print(f"[yellow]{escape(controls.pause_text(held, 'en'))}[/]")
    if not found:
        print("No sync was planned yet. Start with: cdp demo")
    for sync in found:
        _show(console, journal, sync)


@app.command()
def enable(sync: SyncName) -> None:
    """Switch a sync on; from then on its runs write to the destination."""
    controls.switch(Journal(cdp_home()), sync, is_enabled=True)
    print(f"{sync} is switched on: its next run sends what its plan says.")


@app.command()
def disable(sync: SyncName) -> None:
    """Switch a sync off; it goes on planning, and makes no request to the destination."""
    controls.switch(Journal(cdp_home()), sync, is_enabled=False)
    print(f"{sync} is switched off: it plans, and makes no request to the destination.")


def _document(journal: Journal, sync: SyncStatus) -> dict[str, Any]:
    held = controls.pause_of(journal, sync.name, sync.destination)
    is_enabled = controls.is_enabled(journal, sync.name)
    return asdict(sync) | {"is_enabled": is_enabled, "paused": asdict(held) if held else None}


def _show(console: Console, journal: Journal, sync: SyncStatus) -> None:
    is_paused = controls.pause_of(journal, sync.name, sync.destination) is not None
    state = f"switched {'on' if controls.is_enabled(journal, sync.name) else 'off'}{', paused' if is_paused else ''}"
    ended = f"ended {sync.ended_at:%Y-%m-%d %H:%M} UTC" if sync.ended_at else "planned, not sent"
    console.print(f"[bold]{sync.name}[/] → {sync.destination}, {state}")
    console.print(f"  day {sync.partition or '–'}, plan {sync.digest[:12]}, {ended}")
    console.print(
        f"  planned {sync.planned:,} = delivered {sync.delivered:,} + rejected {sync.rejected:,}"
        f" + unknown {sync.unknown:,} + skipped {sync.skipped:,} + pending {sync.pending:,}"
    )
    if sync.unresolved:
        told = text("unknown_rows.failed", "en", count=sync.unresolved)
        remedy = text("unknown_rows.remedy", "en", sync=sync.name)
        console.print(f"  [yellow]{escape(told)}[/]\n  {escape(remedy)}")


def _json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
