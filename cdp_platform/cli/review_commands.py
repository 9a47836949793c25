"""`cdp plan`, `approve`, `approvals`, `send`, `revert`: look at what a sync is about to do, say yes, try one person."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cdp_platform.cli import declared_syncs
from cdp_platform.cli.plan_shown import plan_document, show_changes, show_plan, show_verdicts
from cdp_platform.cli.sync_commands import SyncName
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.domain.outcomes import RunRecord
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs import controls
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.approval import may_be_approved, require_approvable
from cdp_platform.syncs.explain import explain
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.preview import preview
from cdp_platform.syncs.revert import make_revert
from cdp_platform.syncs.send import require_running, send_plan
from cdp_platform.texts.catalogue import rejected_text, text

STOPPED = 3
"""Exit code of a plan that its guards have stopped."""
_PREVIEW_ROWS = 8

app = typer.Typer()

Digest = Annotated[str, typer.Argument(help="The plan's digest, or its first eight digits or more.", metavar="DIGEST")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Rows = Annotated[int, typer.Option(help="Rows of each operation that are shown.", min=0)]


@app.command()
def plan(
    sync: SyncName,
    rows: Rows = _PREVIEW_ROWS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Plan a sync and show what it would send. Sends nothing. Exit code 3 where guards stop the plan."""
    engine, spec = declared_syncs.open_sync(sync)
    made = _plan(engine, spec)
    _tell(engine, spec, made, rows=rows, as_json=as_json)
    if not made.is_allowed and not _approval(engine, made):
        raise typer.Exit(STOPPED)


@app.command()
def approve(
    sync: SyncName,
    digest: Digest,
    by: Annotated[str | None, typer.Option(help="Who approves; left out: the user of this machine.")] = None,
    is_sure: Yes = False,
) -> None:
    """Approve the newest plan of a sync, which its guards have stopped. The approval is good for one send of it."""
    journal = Journal(cdp_home())
    found = require_approvable(journal, sync, digest)
    console = Console(highlight=False)
    what = ", ".join(f"{operation} {count:,}" for operation, count in found.operations.items()) or "nothing"
    console.print(f"{found.sync} → {found.destination}, plan {found.digest[:12]} of {found.made_at:%Y-%m-%d %H:%M} UTC")
    console.print(f"  would send: {what}")
    show_verdicts(console, found, None)
    who = (by or "").strip() or declared_syncs.person()
    if not is_sure:
        typer.confirm(f"Approve this plan as {who}?", abort=True)
    controls.approve(journal, found.sync, found.digest, approved_by=who)
    print(f"Approved by {who}. Send it: cdp send {sync} --plan {found.digest[:12]}, or materialize the destination.")


@app.command()
def approvals(sync: SyncName) -> None:
    """List who approved which plans of a sync, newest first, and which run used the approval."""
    given = controls.approvals(Journal(cdp_home()), sync)
    for one in given:
        used = f"used by run {one.used_by_run}" if one.used_by_run else "not used yet"
        print(f"{one.approved_at[:16].replace('T', ' ')} UTC  {one.digest[:12]}  {one.approved_by}  {used}")
    if not given:
        print(f"No plan of {sync} was ever approved.")


@app.command()
def send(
    sync: SyncName,
    only: Annotated[list[str] | None, typer.Option("--only", help="A key to send; may be given again.")] = None,
    limit: Annotated[int | None, typer.Option(help="Plan all, and send the first rows only.", min=1)] = None,
    digest: Annotated[str | None, typer.Option("--plan", help="Send the newest plan, by its digest.")] = None,
    is_shown: Annotated[bool, typer.Option("--show", help="Do not mask personal values.")] = False,
) -> None:
    """Send one person first (--only), a few rows (--limit), or a stored plan that was approved (--plan)."""
    if sum(choice is not None for choice in (only or None, limit, digest)) != 1:
        raise CdpError("say what to send.", remedy="Give one of --only KEY, --limit N or --plan DIGEST.")
    engine, spec = declared_syncs.open_sync(sync)
    stored = _stored(engine, spec, digest) if digest is not None else None
    require_running(engine, spec, stored)
    made = stored or _plan(engine, spec, keys=tuple(dict.fromkeys(only or ())))
    console = Console(highlight=False)
    rows = len(only) if only else min(limit or _PREVIEW_ROWS, _PREVIEW_ROWS)
    show_changes(console, preview(engine.home, engine.warehouse, spec, made, rows=rows, is_masked=not is_shown))
    record = send_plan(engine, spec, made, run_id=made.run_id if stored is None else _run_id(), limit=limit)
    _tell_books(console, record)
    for key in dict.fromkeys(only or ()):
        _tell_answer(console, engine, spec, record, key)


@app.command()
def revert(
    sync: SyncName,
    run: Annotated[str, typer.Argument(help="The run's id, or its beginning.", metavar="RUN")],
    rows: Rows = _PREVIEW_ROWS,
) -> None:
    """Plan the way back to the values before a run, and switch the sync off. Nothing is sent before an approval."""
    engine, spec = declared_syncs.open_sync(sync)
    made = make_revert(engine, spec, run, run_id=_run_id())
    _tell(engine, spec, made, rows=rows, as_json=False)
    if not made.to_send:
        print(f"There is nothing to take back; {sync} is left as it was.")
        return
    print(f"{sync} is switched off: its next run would bring the newer values again.")
    if may_be_approved(made):
        short = made.digest[:12]
        print(f"To take the run back: cdp approve {sync} {short}, then cdp send {sync} --plan {short}.")
    print(f"Once the source model is right again: cdp enable {sync}.")


def _plan(engine: Engine, spec: SyncSpec, keys: Sequence[str] = ()) -> Plan:
    from cdp_platform.components.clock import read_clock

    day = read_clock(engine.warehouse)
    return make_plan(engine, spec, run_id=_run_id(), partition=day.isoformat() if day else None, keys=tuple(keys))


def _stored(engine: Engine, spec: SyncSpec, digest: str) -> Plan:
    newest = engine.journal.plan(spec.name)
    if len(digest) < 8 or newest is None or not newest.digest.startswith(digest):
        known = f"The newest plan is {newest.digest[:12]}." if newest else f"Plan first: cdp plan {spec.name}."
        raise CdpError(f"{digest[:80]!r} is not the newest plan of sync {spec.name}.", remedy=known)
    return newest


def _run_id() -> str:
    return declared_syncs.new_run_id()


def _approval(engine: Engine, made: Plan) -> controls.Approval | None:
    """The approval that lets the plan be sent, if any: a guard that nobody may overrule stays."""
    return controls.waiting_approval(engine.journal, made.sync, made.digest) if may_be_approved(made) else None


def _tell(engine: Engine, spec: SyncSpec, made: Plan, *, rows: int, as_json: bool) -> None:
    changes = preview(engine.home, engine.warehouse, spec, made, rows=rows)
    is_enabled = controls.is_enabled(engine.journal, spec.name)
    held = controls.pause_of(engine.journal, spec.name, spec.connection.name)
    approval = _approval(engine, made)
    if as_json:
        document = plan_document(made, changes, is_enabled=is_enabled, approval=approval, held=held)
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    show_plan(console, made, changes, approval=approval)
    if not is_enabled and made.reverts is None:
        console.print(f"  The sync is switched off: this is a dry run. Switch it on: cdp enable {spec.name}")
    if held:
        console.print("  " + escape(controls.pause_text(held, "en")))


def _tell_books(console: Console, record: RunRecord) -> None:
    books = record.counts
    console.print(
        f"run {record.run_id}: planned {books.planned:,} = delivered {books.delivered:,} + rejected {books.rejected:,}"
        f" + unknown {books.unknown:,} + skipped {books.skipped:,} + pending {books.pending:,}"
    )


def _tell_answer(console: Console, engine: Engine, spec: SyncSpec, record: RunRecord, key: str) -> None:
    """Say what the destination answered for one key, or why nothing was sent."""
    known = explain(engine.warehouse, spec, key)
    answered = next((delivery for delivery in known.deliveries if delivery.run_id == record.run_id), None)
    if answered:
        told = f"accepted by {spec.connection.name}, record {answered.record_id or 'without an id'}"
        told += f", request {answered.request_id}" if answered.request_id else ""
    elif known.rejected:
        refused = known.rejected
        told = rejected_text(refused.code, 1, "en", destination=spec.connection.name, parameters=refused.parameters)
        told += f" (request {refused.request_id})" if refused.request_id else ""
    elif known.reason:
        told = text(f"explain.{known.reason}", "en")
    elif all(story.delivered == story.now for story in known.fields):
        told = "unchanged: the destination has it already"
    else:
        told = "no answer is known; the next run tries again"
    console.print(f"  {escape(key)}: {escape(told)}")
