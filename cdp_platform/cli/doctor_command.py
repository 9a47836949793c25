"""`cdp doctor`: is everything in order, before a run finds out."""

import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from cdp_platform.cli import declared_syncs
from cdp_platform.connectors.credentials import cdp_home, credential_of, resolve_base_url
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import AuthenticationFailed, CdpError
from cdp_platform.syncs.checkup import (
    Finding,
    State,
    examine_home,
    examine_journal,
    examine_sync,
    examine_warehouse,
)

_PACKAGE: Final = "cdp-platform"
_MARKS: Final = {State.FINE: "[green]✓[/]", State.WARNING: "[yellow]![/]", State.WRONG: "[red]✗[/]"}

app = typer.Typer()


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Look at versions, state, disk, clock, warehouse, journal, and ask each destination who we are. Sends no row.

    Exit code 1 where something is wrong.
    """
    findings = list(_findings())
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2, ensure_ascii=False))
    else:
        _show(findings)
    if any(finding.state is State.WRONG for finding in findings):
        raise typer.Exit(1)


def _findings() -> Iterator[Finding]:
    yield from examine_versions()
    yield from examine_home(cdp_home())
    yield from examine_journal(cdp_home())
    try:
        syncs = declared_syncs.open_all()
    except CdpError as error:
        yield Finding(subject="definitions", state=State.WRONG, told=error.what, remedy=error.remedy)
        return
    yield Finding(subject="definitions", state=State.FINE, told=f"{len(syncs)} syncs can be loaded")
    if not syncs:
        return
    relations = [relation for _, spec in syncs for relation in _relations(spec)]
    yield from examine_warehouse(cdp_home(), syncs[0][0].warehouse, relations)
    for engine, spec in syncs:
        yield from examine_sync(engine, spec)
    yield from examine_sandbox(cdp_home(), [spec for _, spec in syncs])


def examine_sandbox(home: Home, specs: Sequence[SyncSpec]) -> Iterator[Finding]:
    """After a demo: do the syncs that lead to this machine find their variables in this shell."""
    from cdp_platform.cli.sandbox_process import token_file

    lost = [spec.name for spec in specs if _is_here(spec) and not _has_credential(spec)]
    if lost and token_file(home).is_file():
        told = f"{len(lost)} syncs lead to this machine, and this shell has not the variables of the sandbox"
        remedy = 'Take them with eval "$(cdp sandbox --env)", and have it run: cdp sandbox, or make ui.'
        yield Finding(subject="sandbox", state=State.WARNING, told=told, remedy=remedy)


def _is_here(spec: SyncSpec) -> bool:
    return urlsplit(resolve_base_url(spec.connection, "")).hostname == "127.0.0.1"


def _has_credential(spec: SyncSpec) -> bool:
    try:
        return credential_of(spec.connection) is not None
    except AuthenticationFailed:
        return False


def _relations(spec: SyncSpec) -> Iterator[str]:
    """What a sync reads in the warehouse, of what others make there."""
    yield spec.relation
    if spec.consent:
        yield from filter(None, (spec.consent.relation, spec.consent.suppressions))


def examine_versions() -> Iterator[Finding]:
    """Compare what is installed with what this version of the platform asks for."""
    asked = [Requirement(line) for line in metadata.requires(_PACKAGE) or []]
    wrong = [finding for finding in map(_version, asked) if finding is not None]
    yield from wrong
    if not wrong:
        ours = metadata.version(_PACKAGE)
        told = f"Python {platform.python_version()}, {_PACKAGE} {ours}; every package has a version that it asks for"
        yield Finding(subject="versions", state=State.FINE, told=told)


def _version(asked: Requirement) -> Finding | None:
    """None where the package fits, or is asked for by an extra that was not chosen."""
    if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
        return None
    remedy = "Install the versions of requirements.lock, or the platform into an environment of its own."
    try:
        found = metadata.version(asked.name)
    except metadata.PackageNotFoundError:
        return Finding(subject="versions", state=State.WRONG, told=f"{asked.name} is not installed", remedy=remedy)
    if asked.specifier.contains(found, prereleases=True):
        return None
    told = f"{asked.name} {found} is installed; {asked.name}{asked.specifier} is asked for"
    return Finding(subject="versions", state=State.WRONG, told=told, remedy=remedy)


def _show(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{_MARKS[finding.state]} [bold]{escape(finding.subject)}[/]  {escape(finding.told)}")
        if finding.remedy:
            console.print(f"    {escape(finding.remedy)}", style="dim")
    counts = {state: sum(finding.state is state for finding in findings) for state in State}
    wrong, warned = counts[State.WRONG], counts[State.WARNING]
    ends = "Everything is in order." if not wrong + warned else f"{wrong} wrong, {warned} to be looked at."
    console.print(f"\n{ends} No row was sent.")
