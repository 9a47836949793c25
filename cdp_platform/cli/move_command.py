"""`cdp move`: take what the platform knows from one warehouse to another, so that nothing is sent twice."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from cdp_platform.cli import declared_syncs
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.syncs.relocate import Relocation
from cdp_platform.warehouse.base import Session, Warehouse

app = typer.Typer()

_NEVER_FEWER: Final[Mapping[str, tuple[str, ...]]] = {
    "identity.identity_person_ids": ("person_id",),
    "audiences.audience_membership_history": ("audience", "person_id"),
}
"""Tables that only grow, with what names a row of them."""

From = Annotated[
    str | None, typer.Option("--from", help="The warehouse that the project leaves, as CDP_WAREHOUSE named it.")
]
OfJournal = Annotated[bool, typer.Option("--journal", help="Take the journal's file to the database of CDP_JOURNAL.")]


@app.command()
def move(left: From = None, is_journal: OfJournal = False) -> None:
    """Take identities, audiences and what every sync has delivered along from another warehouse; send nothing.

    The warehouse that is set now is the new one. Run it before the models are built there, for the identities, and
    again afterwards, for the syncs. With --journal the journal goes from its file to the database that hosts share.
    """
    home = cdp_home()
    if (left is None) is not is_journal:
        raise CdpError("say what is moved.", remedy="Give one of --from and --journal.")
    if left is None:
        _move_journal(home)
    else:
        _move_warehouse(home, left)


def _move_journal(home: Home) -> None:
    from cdp_platform.connectors.oauth import carry_token
    from cdp_platform.syncs.journal_moving import carry_allowances, move_journal

    oauths = {spec.connection.oauth: spec.connection for spec in declared_syncs.declared_syncs().values()}
    tokens = 0
    for oauth, connection in oauths.items():
        if oauth and home.journal_address:
            tokens += carry_token(connection, oauth, home, home.journal_address)
    moved = move_journal(home)
    if moved.was_here:
        print("The journal was moved before; nothing was done.")
        return
    hours = carry_allowances(home)
    for table, rows in moved.rows.items():
        print(f"  {table}: {rows:,} rows")
    print(f"  access tokens: {tokens}; hours of the day's allowances: {hours}; plan files shared: {moved.shared_plans}")
    if moved.lost_plans:
        print(f"  {moved.lost_plans} plan files are gone, or not as they were kept; their syncs plan anew.")
    print("The file is closed. Set CDP_JOURNAL on every host; what was paused is paused there, too.")


def _move_warehouse(home: Home, left: str) -> None:
    from cdp_platform.syncs.relocate import relocate
    from cdp_platform.warehouse.choice import open_warehouse

    if left == home.warehouse_kind:
        raise CdpError(
            f"the project is in the warehouse {left} now; there is nothing to move.",
            remedy="Set CDP_WAREHOUSE to the new one, and name the old one by --from.",
        )
    old, new = open_warehouse(replace(home, warehouse_kind=left)), open_warehouse(home)
    console = Console(soft_wrap=True)
    console.print(f"[bold]cdp move[/] · from {escape(left)} to {escape(home.warehouse_kind)}", highlight=False)
    for relation, said in _carry_tables(old, new):
        console.print(f"  {relation}: {said}", highlight=False)
    waiting, refused = 0, 0
    for engine, spec in declared_syncs.open_all():
        try:
            moved = relocate(replace(engine, warehouse=old), engine, spec)
        except ConfigError as error:
            waiting += 1
            said = f"[yellow]not yet[/]: {escape(str(error))}"
        except CdpError as error:
            refused += 1
            said = f"[red]not moved[/]: {escape(str(error))}"
        else:
            said = _never_ran(old, spec.name) if moved is None else _moved(moved)
        console.print(f"  sync {escape(spec.name)}: {said}", highlight=False)
    if refused:
        raise CdpError(
            f"{refused} of the syncs were not moved, for the reasons above.",
            remedy="Mend them, then run cdp move again; what was moved is moved anew, and nothing is sent.",
        )
    if waiting:
        raise CdpError(
            f"{waiting} of the syncs were not moved, because their models are not here yet.",
            remedy="Build the models in this warehouse, then run cdp move again; send nothing before.",
        )


def _moved(moved: Relocation) -> str:
    return f"{moved.rows:,} rows, {moved.proven:,} of them the same here"


def _never_ran(old: Warehouse, sync: str) -> str:
    """Say of a sync without a ledger on the account that is declared now whether it has one on another."""
    with old.session(f"move {sync}: look") as there:
        asked = "select 1 as found from cdp.ledgers where sync = ? and version > 0 limit 1"
        if there.columns("cdp.ledgers") and there.rows(asked, [sync]):
            return "[yellow]never ran on this account[/]; what went to another is left behind"
    return "never ran"


def _carry_tables(old: Warehouse, new: Warehouse) -> Iterator[tuple[str, str]]:
    """Copy what no build and no load could make again, and say of each table what became of it.

    The platform's own tables are left alone where they have rows here. Of what was read back day by day, the days
    come along that are not here. Raises CdpError where people or audiences here are not those of the old warehouse.
    """
    from cdp_platform.components.loading import load_unrepeatable
    from cdp_platform.erasure.holdings import OWN_TABLES
    from cdp_platform.warehouse.carrying import carry_days, carry_table

    daily = load_unrepeatable(*declared_syncs.declared_in())
    with old.session("cdp move away") as there, new.session("cdp move here") as here:
        for relation, columns in _NEVER_FEWER.items():
            _require_same(there, here, relation, columns)
        for relation in OWN_TABLES:
            if not there.columns(relation):
                continue
            if here.columns(relation) and here.rows(f"select 1 as found from {relation} limit 1"):
                yield relation, "is here already"
            else:
                yield relation, f"{carry_table(there, here, relation):,} rows"
        for relation, day_column in daily.items():
            if there.columns(relation):
                yield relation, f"{carry_days(there, here, relation, day_column):,} rows of days that were not here"


def _require_same(there: Session, here: Session, relation: str, columns: tuple[str, ...]) -> None:
    """Raise CdpError where a table has rows in the new warehouse, and lacks some that it has in the old one."""
    from cdp_platform.warehouse.carrying import carry

    known, found = there.columns(relation), here.columns(relation)
    if not known or not found or not here.rows(f"select 1 as found from {relation} limit 1"):
        return
    named = ", ".join(columns)
    carry(there, here, f"select distinct {named} from {relation}", "known_there", dict.fromkeys(columns, "VARCHAR"))
    [missing] = here.rows(
        f"select count(*) as row_count from known_there"
        f" where not exists (select 1 from {relation} as here where {_is_same(columns)})"
    )
    if missing["row_count"]:
        schema = relation.split(".")[0]
        raise CdpError(
            f"{relation} was made in the new warehouse without {missing['row_count']:,} of the rows of the old one.",
            remedy=f"Before models and audiences are built there, cdp move has to run: drop the schema {schema} in"
            " the new warehouse, and run it again.",
        )


def _is_same(columns: tuple[str, ...]) -> str:
    return " and ".join(f"here.{name} = known_there.{name}" for name in columns)
