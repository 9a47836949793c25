"""Dagster's senses for the journal: a send that crashed is taken up again, a plan that was approved is sent.

Both ask for a run once for each state of the journal, and are stopped until somebody starts them.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cdp_platform.components.resources import Platform
from cdp_platform.domain.plans import Plan
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.send import PLAN_MAX_AGE
from cdp_platform.syncs.unfinished import Waiting, approved_plans, plans_to_approve, unfinished_sends

_EVERY_SECONDS = 30


def journal_sensors(syncs: Mapping[str, dg.AssetKey]) -> list[dg.SensorDefinition]:
    """Make `unfinished_sends` and `approved_plans` for these syncs: by name, the destination's asset."""
    if not syncs:
        return []
    plans = [dg.AssetKey(["plans", name]) for name in syncs]
    settings: dict[str, Any] = {
        "target": dg.AssetSelection.assets(*plans, *syncs.values()),
        "minimum_interval_seconds": _EVERY_SECONDS,
        "default_status": dg.DefaultSensorStatus.STOPPED,
    }

    @dg.sensor(
        name="unfinished_sends",
        description="A send whose process is gone is settled, planned anew and sent, without anybody asking.",
        **settings,
    )
    def unfinished(context: dg.SensorEvaluationContext, platform: Platform) -> Any:
        waiting = unfinished_sends(Journal(platform.home))
        return _requests(waiting, syncs, is_resend=True) or dg.SkipReason("No send was cut off.")

    @dg.sensor(
        name="approved_plans",
        description="A plan that guards had stopped is sent once a person has approved it. Approves nothing itself.",
        **settings,
    )
    def approved(context: dg.SensorEvaluationContext, platform: Platform) -> Any:
        journal = Journal(platform.home)
        return _requests(approved_plans(journal), syncs, is_resend=False) or dg.SkipReason(_waiting_text(journal))

    return [unfinished, approved]


def _requests(waiting: Iterable[Waiting], syncs: Mapping[str, dg.AssetKey], *, is_resend: bool) -> list[dg.RunRequest]:
    """One request for each sync that is declared here; a plan of its own is made anew, an approved one while fresh is
    sent as it was approved."""
    asked = []
    for one in waiting:
        plan = one.plan
        if plan.sync in syncs:
            is_old = datetime.now(UTC) - plan.made_at > PLAN_MAX_AGE
            planned = [dg.AssetKey(["plans", plan.sync])] if is_resend or is_old else []
            asked.append(
                dg.RunRequest(
                    run_key=f"{plan.sync}-{one.mark}",
                    asset_selection=[*planned, syncs[plan.sync]],
                    partition_key=plan.partition if plan.is_of_partition else None,
                )
            )
    return asked


def _waiting_text(journal: Journal) -> str:
    return "; ".join(_asks(plan) for plan in plans_to_approve(journal)) or "No plan waits for an approval."


def _asks(plan: Plan) -> str:
    return f"The plan {plan.digest[:12]} of {plan.sync} waits: cdp approve {plan.sync} {plan.digest[:12]}"
