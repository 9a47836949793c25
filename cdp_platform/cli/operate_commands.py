"""`cdp pause`, `resume`, `rejected`, `replay`, `resolve`, `explain`, `resync`, `reset`, `baseline`: to mend a sync."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cdp_platform.cli import declared_syncs
from cdp_platform.cli.column_story import column_documents, show_columns
from cdp_platform.cli.explanation import attempt_line, explanation_document, show_explanation
from cdp_platform.cli.person_story import person_document, show_person
from cdp_platform.cli.sync_commands import SyncName
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.errors import CdpError
from cdp_platform.identity.story import tell_person
from cdp_platform.syncs import controls
from cdp_platform.syncs.explain import explain as explain_key
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.rejected import RejectedRow, read_rejected
from cdp_platform.syncs.rejected import replay as replay_rows
from cdp_platform.syncs.reset import adopt
from cdp_platform.syncs.reset import reset as reset_ledger
from cdp_platform.syncs.reset import resync as resync_ledger
from cdp_platform.syncs.resolve import resolve as resolve_rows
from cdp_platform.syncs.unknown import UnknownRow, read_unknown
from cdp_platform.texts.catalogue import rejected_text

app = typer.Typer()

OptionalSync = Annotated[str | None, typer.Argument(help="The sync's name.", metavar="SYNC")]
ConnectionName = Annotated[str | None, typer.Option("--connection", help="Every sync of this connection.")]
Everything = Annotated[bool, typer.Option("--all", help="Every sync.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
OneKey = Annotated[str | None, typer.Option("--key", help="This row only.")]
Key = Annotated[str, typer.Argument(help="The row's primary key.", metavar="KEY")]


class Said(StrEnum):
    """What a person says of rows whose outcome nobody knew."""

    DELIVERED = "delivered"
    NOT_DELIVERED = "not-delivered"


@app.command()
def pause(sync: OptionalSync = None, connection: ConnectionName = None, is_all: Everything = False) -> None:
    """Stop sending, at once and until `cdp resume`; a send that is under way ends after its requests in flight."""
    journal = Journal(cdp_home())
    scope, name = _scope(sync, connection, is_all=is_all)
    _require_known(journal, scope, name)
    controls.pause(journal, scope, name, paused_by=declared_syncs.person())
    print(f"Paused: {_words(scope, name)}. Nothing is lost; lift it with `cdp resume`.")


@app.command()
def resume(sync: OptionalSync = None, connection: ConnectionName = None, is_all: Everything = False) -> None:
    """Lift a pause; what was not sent is planned again by the next run."""
    journal = Journal(cdp_home())
    scope, name = _scope(sync, connection, is_all=is_all)
    if not controls.resume(journal, scope, name):
        holding = ", ".join(_words(held.scope, held.name) for held in controls.pauses(journal))
        raise CdpError(f"{_words(scope, name)} is not paused.", remedy=f"Paused: {holding or 'nothing'}.")
    print(f"Resumed: {_words(scope, name)}.")
    for held in controls.pauses(journal):
        print(f"Still paused: {_words(held.scope, held.name)}.")


@app.command()
def rejected(sync: SyncName, as_json: AsJson = False) -> None:
    """List the rows that the destination rejected: why, which field, how often, and when they are tried again."""
    engine, spec = declared_syncs.open_sync(sync)
    rows = read_rejected(engine.warehouse, spec)
    if as_json:
        document = [asdict(row) | {"field": row.field, "reason": _reason(row, spec.connection.name)} for row in rows]
        print(json.dumps({"sync": sync, "rejected": document}, default=str, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for row in rows:
        again = f"tried again from {row.next_at:%Y-%m-%d %H:%M} UTC" if row.next_at else "by hand only: cdp replay"
        value = f", {row.field} = {row.value}" if row.value else ""
        console.print(f"[bold]{escape(row.key)}[/] ({row.operation}{escape(value)}): attempt {row.attempts}, {again}")
        console.print("  " + escape(_reason(row, spec.connection.name).replace("\n", "\n  ")))
    if not rows:
        print(f"No row of {sync} is rejected.")


@app.command()
def replay(sync: SyncName, key: OneKey = None) -> None:
    """Let the next run try rejected rows again, with the values that they have then."""
    engine, _ = declared_syncs.open_sync(sync)
    count = replay_rows(engine.warehouse, sync, key=key)
    print(f"{count} rejected row(s) of {sync} will be tried by the next run.")


@app.command()
def resolve(
    sync: SyncName,
    said: Annotated[Said | None, typer.Option("--unknown", help="What became of them; left out: list them.")] = None,
    key: OneKey = None,
    by: Annotated[str | None, typer.Option(help="Who says so; left out: the user of this machine.")] = None,
    is_sure: Yes = False,
    as_json: AsJson = False,
) -> None:
    """List the rows of which nobody knows whether they arrived, or say it: --unknown delivered or not-delivered."""
    engine, spec = declared_syncs.open_sync(sync)
    rows = read_unknown(engine.warehouse, spec, key=key)
    if said is None:
        _tell_unknown(sync, rows, as_json=as_json)
        return
    then = "stand as delivered" if said is Said.DELIVERED else "may be sent again"
    if not is_sure:
        typer.confirm(f"{len(rows):,} row(s) of {sync} were {said.replace('-', ' ')} and {then}?", abort=True)
    who = (by or "").strip() or declared_syncs.person()
    count = resolve_rows(engine, spec, is_delivered=said is Said.DELIVERED, resolved_by=who, key=key)
    print(f"{count:,} row(s) of {sync} {then}, as {who} says.")


@app.command()
def explain(
    sync: SyncName,
    key: Key,
    field: Annotated[str | None, typer.Option(help="This field only.")] = None,
    is_shown: Annotated[bool, typer.Option("--show", help="Do not mask personal values.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what the destination was sent for a key, when, by which plan and run, from which column, and why not.

    Of a person also which records are this person by which rules, and which record each field of the profile is from.
    With --field also the columns that it is made of, up to the sources, with the files of their SQL.
    """
    engine, spec = declared_syncs.open_sync(sync)
    fields = {entry.field: entry for entry in spec.mapping}
    if field is not None and field not in fields:
        raise declared_syncs.unknown("field", field, fields)
    known = explain_key(engine.warehouse, spec, key)
    document: dict[str, Any] = explanation_document(spec, known, field=field, is_shown=is_shown)
    story = tell_person(engine.warehouse, key, schema=(spec.key_moves or "identity.").rpartition(".")[0])
    if story is not None:
        document["person"] = person_document(story, is_shown=is_shown)
    trees = column_documents(engine.home, spec)
    for told in document["fields"]:
        told["made_of"] = trees.get(told["field"])
    if as_json:
        print(json.dumps(document, default=str, indent=2, ensure_ascii=False))
        return
    show_explanation(Console(highlight=False), spec, document)
    if field is not None and field in trees:
        show_columns(Console(highlight=False), field, trees[field])
    if story is not None:
        show_person(Console(highlight=False), document["person"])
    if not controls.is_enabled(engine.journal, sync):
        print(f"The sync is switched off: nothing is sent. Switch it on: cdp enable {sync}")


@app.command()
def resync(sync: SyncName, is_sure: Yes = False) -> None:
    """Send every row again with the next run, as if nothing were known of what the records hold."""
    engine, spec = declared_syncs.open_sync(sync)
    if not is_sure:
        typer.confirm(f"Send every row of {sync} to {spec.connection.name} again with the next run?", abort=True)
    print(f"{resync_ledger(engine, spec):,} rows of {sync} will be sent again by its next run.")


@app.command()
def reset(sync: SyncName, is_sure: Yes = False) -> None:
    """Forget what the destination has accepted: the sync is as new, switched off, with its first run before it."""
    engine, spec = declared_syncs.open_sync(sync)
    if not is_sure:
        typer.confirm(f"Forget everything that {spec.connection.name} has accepted from {sync}?", abort=True)
    print(f"{reset_ledger(engine, spec):,} rows of {sync} are forgotten; the sync log keeps what was sent.")
    choice = f"its next run is a first run (first_run: {spec.first_run})"
    print(f"{sync} is switched off; {choice}. Choose in its defs.yaml, then: cdp enable {sync}.")


@app.command()
def baseline(sync: SyncName, is_sure: Yes = False) -> None:
    """Take the model's present rows for what a new account holds already: nothing is sent, later changes are."""
    engine, spec = declared_syncs.open_sync(sync)
    if not is_sure:
        typer.confirm(f"Take the present rows of {sync} as delivered to {spec.connection.name}?", abort=True)
    print(f"{adopt(engine, spec):,} rows of {sync} count as delivered; its next run sends what changes from now on.")


def _scope(sync: str | None, connection: str | None, *, is_all: bool) -> tuple[str, str]:
    chosen = [("sync", sync), ("connection", connection), (controls.ALL, controls.ALL if is_all else None)]
    given = [(scope, name) for scope, name in chosen if name]
    if len(given) != 1:
        raise CdpError("say what is meant.", remedy="Give one of SYNC, --connection NAME or --all.")
    return given[0]


def _require_known(journal: Journal, scope: str, name: str) -> None:
    """Raise CdpError for a name that nothing carries; what was planned before is known without the definitions."""
    planned = {sync: journal.plan(sync) for sync in journal.syncs()}
    connections = {plan.destination: plan for plan in planned.values() if plan}
    if scope == controls.ALL or name in (planned if scope == "sync" else connections):
        return
    specs = declared_syncs.declared_syncs()
    known = specs if scope == "sync" else {spec.connection.name: spec for spec in specs.values()}
    if name not in known:
        raise declared_syncs.unknown(scope, name, known)


def _words(scope: str, name: str) -> str:
    return "everything" if scope == controls.ALL else f"{scope} {name}"


def _tell_unknown(sync: str, rows: list[UnknownRow], *, as_json: bool) -> None:
    if as_json:
        document = {"sync": sync, "unknown": [asdict(row) for row in rows]}
        print(json.dumps(document, default=str, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for row in rows:
        console.print(f"[bold]{escape(row.key)}[/]: {escape(attempt_line(row))}")
    if not rows:
        print(f"Of every row of {sync} it is known what became of it.")


def _reason(row: RejectedRow, destination: str) -> str:
    return rejected_text(row.code, 1, "en", destination=destination, parameters=row.parameters)
