"""`cdp move`: take what the platform knows from one warehouse to another, so that nothing is sent twice."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cdp_platform.cli import declared_syncs
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.warehouse.base import Warehouse

app = typer.Typer()

From = Annotated[str, typer.Option("--from", help="The warehouse that the project leaves, as CDP_WAREHOUSE named it.")]


@app.command()
def move(left: From) -> None:
    """Take identities, audiences and what every sync has delivered along from another warehouse; send nothing.

    The warehouse that is set now is the new one. Run it before the models are built there, for the identities, and
    again afterwards, for the syncs.
    """
    from cdp_platform.syncs.relocate import relocate
    from cdp_platform.warehouse.choice import open_warehouse

    home = cdp_home()
    if left == home.warehouse_kind:
        raise CdpError(
            f"the project is in the warehouse {left} now; there is nothing to move.",
            remedy="Set CDP_WAREHOUSE to the new one, and name the old one by --from.",
        )
    old = open_warehouse(replace(home, warehouse_kind=left))
    console = Console(soft_wrap=True)
    console.print(f"[bold]cdp move[/] · from {escape(left)} to {escape(home.warehouse_kind)}", highlight=False)
    for relation, said in _carry_own(old, open_warehouse(home)):
        console.print(f"  {relation}: {said}", highlight=False)
    waiting = 0
    for engine, spec in declared_syncs.open_all():
        try:
            moved = relocate(replace(engine, warehouse=old), engine, spec)
        except ConfigError as error:
            waiting += 1
            said = f"[yellow]not yet[/]: {escape(str(error))}"
        else:
            said = "never ran" if moved is None else f"{moved.rows:,} rows, {moved.proven:,} of them the same here"
        console.print(f"  sync {escape(spec.name)}: {said}", highlight=False)
    if waiting:
        raise CdpError(
            f"{waiting} of the syncs were not moved, because their models are not here yet.",
            remedy="Build the models in this warehouse, then run cdp move again; send nothing before.",
        )


def _carry_own(old: Warehouse, new: Warehouse) -> list[tuple[str, str]]:
    """Copy the platform's own tables, those that no build could make again; leave alone what has rows here."""
    from cdp_platform.erasure.holdings import OWN_TABLES
    from cdp_platform.warehouse.carrying import carry_table

    told = []
    with old.session("cdp move away") as there, new.session("cdp move here") as here:
        for relation in OWN_TABLES:
            if not there.columns(relation):
                continue
            if here.columns(relation) and here.rows(f"select 1 as found from {relation} limit 1"):
                told.append((relation, "is here already"))
            else:
                told.append((relation, f"{carry_table(there, here, relation):,} rows"))
    return told
