"""What Dagster shows of a plan and of a sync run: counts, reasons, previews with personal values masked, lineage."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from cdp_platform.components.column_metadata import column_metadata
from cdp_platform.components.markdown import table
from cdp_platform.components.sync_source import Source
from cdp_platform.connectors.protocol import Capabilities
from cdp_platform.domain.costs import Cost
from cdp_platform.domain.outcomes import RunRecord
from cdp_platform.domain.plans import Plan, Verdict
from cdp_platform.domain.syncs import Mode, SyncSpec
from cdp_platform.domain.traffic import Traffic
from cdp_platform.syncs.controls import Approval, Pause, approval_text, pause_text
from cdp_platform.syncs.guards import may_remove
from cdp_platform.syncs.preview import Change
from cdp_platform.texts.catalogue import resend_text, text, verdict_text

GUARDS = ("keys_present", "keys_unique", "match_keys_unique", "account_known", "mapping_fits")
"""Guards of every sync; `guards_of` adds those that not every sync has."""


def guards_of(spec: SyncSpec, capabilities: Capabilities) -> list[str]:
    """Name the guards whose verdict is shown as a check of the sync's plan."""
    sends_once = spec.mode is Mode.APPEND or spec.mode in capabilities.at_most_once
    has_days = spec.partitioning is not None and spec.partitioning.day_column is not None
    more = {
        "model_not_empty": spec.mode is not Mode.APPEND and not has_days,
        "model_not_shrunk": spec.mode is not Mode.APPEND and not has_days,
        "consent_present": spec.consent is not None,
        "suppressions_present": spec.consent is not None and spec.consent.suppressions is not None,
        "ledger_current": spec.mode is Mode.MIRROR or sends_once,
        "removals_within_limit": may_remove(spec),
        "approved": spec.needs_approval,
        "read_back_fresh": spec.read_back is not None,
        "audience_expected": bool(spec.audiences),
    }
    return [*(guard for guard, is_needed in more.items() if is_needed), *GUARDS]


def plan_metadata(
    plan: Plan, changes: Sequence[Change], held: Pause | None = None, held_out: int = 0
) -> dict[str, Any]:
    """Describe a plan: what will be sent, what is left out and why, and old → new for its first rows."""
    return {
        **({"paused": pause_text(held, "en")} if held else {}),
        "digest": plan.digest,
        "day": plan.partition or "–",
        "dagster/row_count": plan.to_send,
        "model_rows": plan.model_rows,
        "unchanged": plan.unchanged,
        **({"sent_again": resend_text(plan.resend_reason, plan.resent_rows, "en")} if plan.resend_reason else {}),
        **({"moved": text("plan.moved", "en", count=plan.moved_rows)} if plan.moved_rows else {}),
        "planned": dg.MetadataValue.md(table(("operation", "rows"), plan.operations.items())),
        "skipped": dg.MetadataValue.md(table(("reason", "rows"), plan.skipped.items())),
        **({"held_fields": dg.MetadataValue.md(held_table(plan))} if plan.held_fields else {}),
        **({"skipped_holdout": held_out} if held_out else {}),
        **({"scanned_bytes": plan.scanned_bytes} if plan.scanned_bytes is not None else {}),
        **cost_metadata(plan.cost),
        "preview": dg.MetadataValue.md(preview_table(changes)),
        "ledger": f"{plan.ledger_id} version {plan.ledger_version}",
    }


def cost_metadata(cost: Cost | None) -> dict[str, Any]:
    """Say what was asked of the warehouse, and what it cost as far as the warehouse tells."""
    if cost is None:
        return {}
    told = {
        "warehouse_statements": cost.statements,
        "warehouse_query_id": cost.last_statement_id,
        "warehouse_bytes_scanned": cost.bytes_scanned,
        "warehouse_bytes_billed": cost.bytes_billed,
        "warehouse_seconds": cost.seconds,
        "warehouse_size": cost.size,
        "warehouse_credits": cost.credits,
        "warehouse_credits_estimate": cost.estimated_credits,
        "warehouse_estimate": text("plan.estimate", "en") if cost.estimated_credits is not None else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def held_table(plan: Plan) -> str:
    """Show as a Markdown table which fields were held back by their policy, and in how many rows: the drift."""
    return table(("field held back by its policy", "rows"), plan.held_fields.items())


def consent_metadata(spec: SyncSpec) -> dict[str, Any]:
    """Say which rule decides on who may be written to."""
    if spec.consent is None:
        return {}
    consent = spec.consent
    return {"consent": f"{consent.rule} for {consent.purpose} by {consent.channel}, {consent.entity}"}


def preview_table(changes: Sequence[Change]) -> str:
    """Show changes as a Markdown table of key, operation, field, old → new."""
    rows = [
        (change.key, change.operation, change.field, f"{change.old or '∅'} → {change.new or '∅'}") for change in changes
    ]
    return table(("key", "operation", "field", "old → new"), rows)


def run_metadata(record: RunRecord) -> dict[str, Any]:
    """Describe a sync run by the books: planned = delivered + rejected + unknown + skipped + pending."""
    counts = record.counts
    seconds = (record.ended_at - record.started_at).total_seconds()
    return {
        "digest": record.digest,
        "day": record.partition or "–",
        "status": str(record.status),
        "planned": counts.planned,
        "delivered": counts.delivered,
        "rejected": counts.rejected,
        "unknown": counts.unknown,
        "skipped": counts.skipped,
        "pending": counts.pending,
        "operations": dg.MetadataValue.md(table(("operation", "rows"), record.operations.items())),
        "skipped_reasons": dg.MetadataValue.md(table(("reason", "rows"), record.skipped_reasons.items())),
        "seconds": round(seconds, 3),
        "rows_per_second": round(counts.delivered / seconds, 1) if seconds else 0.0,
        "dagster/row_count": counts.delivered,
        **_traffic_metadata(record.traffic, seconds),
    }


def _traffic_metadata(traffic: Traffic, seconds: float) -> dict[str, Any]:
    """Describe what a run did on the wire: requests, how many were put off, how long they took."""
    latencies = {f"latency_p{share}_ms": traffic.percentile(share / 100) for share in (50, 95, 99)}
    return {
        "requests": traffic.request_count,
        "requests_per_second": round(traffic.requests_per_second(seconds), 1),
        "share_429": round(traffic.share_429, 4),
        "waited_for_pace_seconds": round(traffic.paced_seconds, 3),
        **{name: round(latency * 1000, 1) for name, latency in latencies.items() if latency is not None},
    }


def verdict_result(asset: dg.AssetKey, verdict: Verdict) -> dg.AssetCheckResult:
    """Show a guard's verdict as a check."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=verdict.code,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=verdict_text(verdict, "en"),
        metadata=dict(verdict.parameters),
    )


def approved_result(asset: dg.AssetKey, verdict: Verdict, given: Approval) -> dg.AssetCheckResult:
    """Show a guard's verdict that a person has overruled; the send uses the approval up."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=verdict.code,
        passed=True,
        description=f"{verdict_text(verdict, 'en')}\n{approval_text(given, 'en')}",
        metadata=dict(verdict.parameters),
    )


def run_checks(asset: dg.AssetKey, spec: SyncSpec, record: RunRecord) -> list[dg.AssetCheckResult]:
    """Judge a run: whether its books balance, how many rows the destination rejected, and of how many nobody knows."""
    counts = record.counts
    tried = counts.delivered + counts.rejected + counts.unknown
    share = counts.rejected / tried if tried else 0.0
    return [
        dg.AssetCheckResult(
            asset_key=asset, check_name="books_balance", passed=counts.is_balanced, metadata={"planned": counts.planned}
        ),
        dg.AssetCheckResult(
            asset_key=asset,
            check_name="rejected_share",
            passed=counts.rejected == 0,
            severity=dg.AssetCheckSeverity.ERROR if share > spec.limits.rejected_share else dg.AssetCheckSeverity.WARN,
            metadata={"rejected": counts.rejected, "tried": tried, "share": share, "limit": spec.limits.rejected_share},
        ),
        unknown_result(asset, record),
    ]


def unknown_result(asset: dg.AssetKey, record: RunRecord) -> dg.AssetCheckResult:
    """Warn of rows whose outcome nobody knows, of this run and of those before it."""
    earlier = record.skipped_reasons.get("unresolved", 0)
    count = record.counts.unknown + earlier
    parts = ("failed", "remedy") if count else ("passed",)
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name="unknown_rows",
        passed=count == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join(text(f"unknown_rows.{part}", "en", count=count, sync=record.sync) for part in parts),
        metadata={"unknown": record.counts.unknown, "unresolved": earlier},
    )


def field_columns(spec: SyncSpec, source: Source) -> dict[str, Any]:
    """Describe the fields that are written, and the column of the source model, or of people, each comes from."""
    columns = {
        entry.field: (str(entry.type) if entry.type else "as the column", "Match key." if entry.match_key else None)
        for entry in spec.mapping
    }
    homes = {entry.field: [source.homes.get(entry.column, (source.keys[0], entry.column))] for entry in spec.mapping}
    return column_metadata(columns, homes)


def skipped_note(reasons: Mapping[str, int]) -> str:
    """List reasons and numbers in one line for the log."""
    return ", ".join(f"{reason} {number}" for reason, number in reasons.items()) or "none"
