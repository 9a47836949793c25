"""A plan at the terminal: counts, reasons, the guards' verdict, and old → new with personal values masked."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdp_platform.domain.plans import Plan
from cdp_platform.syncs.approval import may_be_approved
from cdp_platform.syncs.controls import Approval, Pause, approval_text
from cdp_platform.syncs.preview import Change
from cdp_platform.texts.catalogue import resend_text, skipped_text, text, verdict_text


def plan_document(
    plan: Plan, changes: Sequence[Change], *, is_enabled: bool, approval: Approval | None, held: Pause | None
) -> dict[str, Any]:
    """Everything that is told of a plan, for programs."""
    return {
        "sync": plan.sync,
        "destination": plan.destination,
        "digest": plan.digest,
        "run_id": plan.run_id,
        "day": plan.partition,
        "made_at": plan.made_at.isoformat(),
        "is_enabled": is_enabled,
        "paused": asdict(held) if held else None,
        "may_be_sent": is_enabled and held is None and (plan.is_allowed or approval is not None),
        "model_rows": plan.model_rows,
        "unchanged": plan.unchanged,
        "operations": dict(plan.operations),
        "skipped": dict(plan.skipped),
        "moved": plan.moved_rows,
        "held_fields": dict(plan.held_fields),
        "sent_again": {
            "reason": plan.resend_reason,
            "rows": plan.resent_rows,
            "text": resend_text(plan.resend_reason, plan.resent_rows, "en"),
        }
        if plan.resend_reason
        else None,
        "verdicts": [
            {
                "code": one.code,
                "passed": one.passed,
                "parameters": dict(one.parameters),
                "text": verdict_text(one, "en"),
            }
            for one in plan.verdicts
        ],
        "approval": asdict(approval) if approval else None,
        "changes": [asdict(change) for change in changes],
    }


def show_plan(console: Console, plan: Plan, changes: Sequence[Change], *, approval: Approval | None) -> None:
    """Print a plan for people."""
    console.print(f"[bold]{plan.sync}[/] → {plan.destination}, day {plan.partition or '–'}, plan {plan.digest[:12]}")
    console.print(f"  {plan.to_send:,} to send, {plan.unchanged:,} unchanged, {sum(plan.skipped.values()):,} left out")
    for operation, count in plan.operations.items():
        console.print(f"  {text(f'operation.{operation}.label', 'en')}: {count:,}")
    for name, count in plan.held_fields.items():
        console.print("  " + escape(text("plan.held_field", "en", field=name, count=count)))
    if plan.moved_rows:
        console.print("  " + escape(text("plan.moved", "en", count=plan.moved_rows)))
    for reason, count in plan.skipped.items():
        console.print("  " + escape(skipped_text(reason, count, "en").replace("\n", "\n    ")))
    if plan.resend_reason:
        console.print("  " + escape(resend_text(plan.resend_reason, plan.resent_rows, "en").replace("\n", "\n    ")))
    show_changes(console, changes)
    show_verdicts(console, plan, approval)
    if may_be_approved(plan) and approval is None and plan.reverts is None:
        console.print(f"  To go ahead knowingly: cdp approve {plan.sync} {plan.digest[:12]}")


def show_changes(console: Console, changes: Sequence[Change]) -> None:
    """Print fields with their old and new values."""
    if not changes:
        return
    table = Table("key", "operation", "field", "old", "new", box=None, header_style="dim", pad_edge=False)
    for change in changes:
        row = (change.key, change.operation, change.field, change.old or "∅", change.new or "∅")
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def show_verdicts(console: Console, plan: Plan, approval: Approval | None) -> None:
    """Print what the guards found, and who has overruled them."""
    failed = [verdict for verdict in plan.verdicts if not verdict.passed]
    console.print(f"  {len(plan.verdicts) - len(failed)} of {len(plan.verdicts)} guards passed")
    for verdict in failed:
        console.print("  [red]✗[/] " + escape(verdict_text(verdict, "en").replace("\n", "\n    ")))
    if failed and approval:
        console.print("  " + escape(approval_text(approval, "en")))
