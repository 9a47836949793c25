"""`cdp smoke`: try a real account with ten marked records, before a sync writes to it."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from cdp_platform.cli import declared_syncs
from cdp_platform.connectors.abilities import MarksTests
from cdp_platform.connectors.credentials import cdp_home, is_unattended, resolve_base_url
from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import Destination
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs.smoke import Result, Smoke, Step
from cdp_platform.syncs.smoke_rows import ROWS, STAMP, new_stamp

_LOCAL = ("127.0.0.1", "localhost", "::1")
_COLOURS = {Result.DONE: "green", Result.CANNOT: "yellow", Result.FAILED: "red"}

app = typer.Typer()


@app.command()
def smoke(
    target: Annotated[
        str, typer.Argument(metavar="SYNC", help="A sync's name, or the defs.yaml of one; its destination is tried.")
    ],
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    left: Annotated[
        str | None, typer.Option("--clean", metavar="STAMP", help="Only remove what the trial of this stamp left.")
    ] = None,
    test_code: Annotated[
        str | None, typer.Option(help="For events: the code that the vendor shows for test events.")
    ] = None,
) -> None:
    """Try a destination for real: write ten marked records, find them, change them, remove them. Never in CI."""
    spec = _spec_of(target)
    destination = _marked(destination_of(spec.connection), test_code)
    if left is not None and not STAMP.fullmatch(left):
        raise CdpError(f"{left[:40]!r} is no stamp.", remedy="It is the twelve digits that the trial has told.")
    address = resolve_base_url(spec.connection, destination.default_base_url)
    if is_unattended() and urlsplit(address).hostname not in _LOCAL:
        raise CdpError("A real account is not tried on a build server (the variable CI is set).")
    stamp, console = left or new_stamp(datetime.now(UTC)), Console(highlight=False)
    session = open_session(spec.connection, destination, cdp_home(), spec.object)
    try:
        account = destination.account_id(session)
        what = f"{spec.connection.vendor} {spec.object}, account {account}, at {address}"
        console.print(f"{what}\nstamp {stamp}: records are called cdp-smoke-{stamp}-0 to -{ROWS - 1}")
        if not is_sure:
            does = "Remove the marked records" if left else f"Write {ROWS} marked records there, and remove them again"
            typer.confirm(f"{does}?", abort=True)
        trial = Smoke(destination=destination, session=session, spec=spec, stamp=stamp, sleep=time.sleep)
        steps = _steps(console, trial, is_cleaning=left is not None)
    finally:
        session.close()
    if any(step.result is Result.FAILED for step in steps):
        raise typer.Exit(1)


def _steps(console: Console, trial: Smoke, *, is_cleaning: bool) -> list[Step]:
    """Take the steps and show them, also where one breaks off."""
    steps = list[Step]()
    try:
        if is_cleaning:
            steps.append(trial.clean())
        else:
            trial.run(steps.append)
    finally:
        console.print(_table(steps))
        if any(step.name == "remove" and step.result is Result.FAILED for step in steps):
            console.print(f"Something may be left there. Once that is mended: cdp smoke … --clean {trial.stamp}")
    return steps


def _table(steps: list[Step]) -> Table:
    table = Table("step", "result", "records", "note")
    for step in steps:
        table.add_row(step.name, f"[{_COLOURS[step.result]}]{step.result}[/]", str(step.rows), step.note)
    return table


def _marked(destination: Destination, test_code: str | None) -> Destination:
    if isinstance(destination, MarksTests):
        if not test_code:
            raise CdpError(
                f"{destination.name} takes no event back: a trial needs the vendor's code of a test.",
                remedy="Give it: --test-code CODE; Meta shows it in Events Manager under Test Events.",
            )
        return destination.as_test(test_code)
    if test_code:
        raise CdpError(f"{destination.name} has no test events.", remedy="Leave --test-code out.")
    return destination


def _spec_of(target: str) -> SyncSpec:
    """The sync of a name, or of a file."""
    path = Path(target)
    if path.suffix not in (".yaml", ".yml"):
        return declared_syncs.open_sync(target)[1]
    from cdp_platform.components.sync_file import spec_of_file

    return spec_of_file(path)
