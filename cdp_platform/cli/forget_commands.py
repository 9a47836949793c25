"""`cdp forget`: erase one person everywhere, go on with what waits, and tell what became of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from cdp_platform.cli import declared_syncs
from cdp_platform.errors import CdpError

app = typer.Typer()


@app.command()
def forget(
    identifier: Annotated[
        str | None,
        typer.Argument(help="E-mail, telephone, person id, customer number …, or kind:value.", metavar="IDENTIFIER"),
    ] = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and erase nothing.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    is_resumed: Annotated[bool, typer.Option("--resume", help="Go on with every erasure that waits.")] = False,
    is_status: Annotated[bool, typer.Option("--status", help="Tell what became of every erasure, by system.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Erase a person in tables, ledgers, logs, plans, reports and destinations, so that no load brings them back."""
    from cdp_platform.erasure.forget import forget as forget_person
    from cdp_platform.erasure.forget import look, resume

    if sum([identifier is not None, is_resumed, is_status]) != 1:
        raise CdpError("say what is meant.", remedy="Give one of IDENTIFIER, --resume or --status.")
    scope = declared_syncs.everything()
    if is_status:
        with scope.warehouse.session("forget: status") as session:
            _tell_status(session, as_json=as_json)
        return
    if is_resumed:
        ended = resume(scope)
        _tell({work.erasure_id: steps for work, steps in ended}, as_json=as_json)
        return
    person = identifier or ""
    if is_dry or not is_sure:
        _tell_outlook(look(scope, person), as_json=as_json and is_dry)
    if is_dry:
        return
    if not is_sure:
        typer.confirm("Erase this person for good?", abort=True)
    _tell({"": forget_person(scope, person)}, as_json=as_json)


def _tell_outlook(outlook: Any, *, as_json: bool) -> None:
    from cdp_platform.texts.catalogue import text

    if as_json:
        document = {"rows": dict(outlook.rows), "syncs": dict(outlook.keys), "shared": dict(outlook.closure.shared)}
        print(json.dumps(document, indent=2))
        return
    for relation, count in outlook.rows.items():
        print(f"  {relation}: {text('erasure.rows', 'en', count=count)}")
    for sync, count in outlook.keys.items():
        print(f"  {sync}: {text('erasure.keys', 'en', count=count)}")
    for kind, count in outlook.closure.shared.items():
        print("  " + text("erasure.shared", "en", count=count, kind=kind))


def _tell(ended: Mapping[str, Sequence[Any]], *, as_json: bool) -> None:
    """Tell what became of erasures by system; exit code 2 where something waits or failed."""
    from cdp_platform.erasure.book import State

    lines = [(step.system, str(step.state), step.code, step.rows) for steps in ended.values() for step in steps]
    _print_lines(lines, as_json=as_json)
    if not lines and not as_json:
        print("No erasure waits.")
    if any(state in (State.PENDING, State.FAILED) for _, state, _, _ in lines):
        raise typer.Exit(2)


def _tell_status(session: Any, *, as_json: bool) -> None:
    from cdp_platform.erasure.book import read_steps

    book = read_steps(session)
    if as_json:
        print(json.dumps({"erasures": book}, default=str, indent=2))
        return
    for erasure_id in dict.fromkeys(line["erasure_id"] for line in book):
        of_it = [line for line in book if line["erasure_id"] == erasure_id]
        print(f"{erasure_id}, begun {of_it[0]['begun_at']:%Y-%m-%d %H:%M} UTC")
        _print_lines([(one["system"], one["status"], one["code"], one["row_count"]) for one in of_it], as_json=False)
    if not book:
        print("Nobody was forgotten.")


def _print_lines(lines: Sequence[tuple[str, str, str, int]], *, as_json: bool) -> None:
    from cdp_platform.texts.catalogue import text

    if as_json:
        document = [
            {"system": system, "status": state, "code": code, "rows": rows} for system, state, code, rows in lines
        ]
        print(json.dumps({"systems": document}, indent=2))
        return
    for system, state, code, rows in lines:
        says = text(f"erasure.{code}", "en", count=rows)
        print(f"  {system}: {text(f'erasure.state.{state}', 'en')} – {says}")
