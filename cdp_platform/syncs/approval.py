"""A person's word for one plan: which plans can be approved, and the log of who approved what and when."""

import re

from cdp_platform.domain.plans import Plan
from cdp_platform.errors import CdpError
from cdp_platform.syncs import controls
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import APPROVABLE

_DIGEST = re.compile(r"[0-9a-f]{8,64}")


def may_be_approved(plan: Plan) -> bool:
    """Whether guards stopped the plan, and all of them are such as a person may overrule."""
    failed = [verdict.code for verdict in plan.verdicts if not verdict.passed]
    return bool(failed) and all(code in APPROVABLE for code in failed)


def require_approvable(journal: Journal, sync: str, digest: str) -> Plan:
    """Find the newest plan of a sync by its digest, or the first eight digits of it or more.

    Raises CdpError for a digest that is not the newest plan's, and for a plan that needs no approval, cannot be
    approved, was approved already, or was made while the sync was off.
    """
    newest = _newest(journal, sync, digest)
    if newest.is_allowed:
        raise CdpError(f"the plan {newest.digest[:12]} of sync {sync} needs no approval: every guard passed.")
    if not may_be_approved(newest):
        failed = [v.code for v in newest.verdicts if not v.passed and v.code not in APPROVABLE]
        raise CdpError(
            f"the plan {newest.digest[:12]} of sync {sync} cannot be approved: {', '.join(failed)} failed.",
            remedy=f"Mend that first, then plan again: cdp plan {sync}.",
        )
    if newest.reverts is None and not controls.is_enabled(journal, sync):
        raise CdpError(
            f"sync {sync} is switched off: its plans are for no account and are never sent.",
            remedy=f"Switch it on and plan again: cdp enable {sync}, then cdp plan {sync}.",
        )
    if given := controls.waiting_approval(journal, sync, newest.digest):
        raise CdpError(
            f"the plan {newest.digest[:12]} was approved by {given.approved_by} at {given.approved_at[:16]} already.",
            remedy=f"Send it: cdp send {sync} --plan {newest.digest[:12]}.",
        )
    return newest


def _newest(journal: Journal, sync: str, digest: str) -> Plan:
    if not _DIGEST.fullmatch(digest):
        raise CdpError(
            f"{digest[:80]!r} is no digest of a plan.", remedy="Give its first eight hexadecimal digits, or more."
        )
    newest = journal.plan(sync)
    if newest is None:
        raise CdpError(f"sync {sync} was never planned.", remedy=f"Plan it first: cdp plan {sync}.")
    if not newest.digest.startswith(digest):
        known = journal.plan(sync, digest=digest)
        what = f"is not the newest plan of sync {sync}" if known else f"is no plan of sync {sync}"
        raise CdpError(
            f"{digest[:12]} {what}, which is {newest.digest[:12]}.", remedy=f"Look at that one first: cdp plan {sync}."
        )
    return newest
