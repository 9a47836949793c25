"""What waits for a run, by the journal alone: sends whose process is gone, and plans that a person has approved."""

from collections.abc import Iterator
from dataclasses import dataclass

from cdp_platform.domain.plans import Plan
from cdp_platform.syncs import controls
from cdp_platform.syncs.approval import may_be_approved
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import Clock, is_dead


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A plan that a run should take up. `mark` is the same for as long as nothing has happened since."""

    plan: Plan
    mark: str


def unfinished_sends(journal: Journal, clock: Clock | None = None) -> list[Waiting]:
    """Sends of enabled, unpaused syncs that ended without being settled and whose lease nobody alive holds.

    That is so after a crash: requests stand in the journal, or a lease was never given back.
    """
    clock = clock or Clock.of(journal)
    with journal.transaction() as connection:
        requests = connection.execute(
            "select ledger_id, digest, max(number) from requests group by ledger_id, digest order by max(number)"
        ).fetchall()
        leases = connection.execute("select ledger_id, holder, fence, expires_at, boot from leases").fetchall()
        newest = {row[0]: row[1] for row in connection.execute("select ledger_id, digest from plans order by number")}
    alive = {row[0] for row in leases if row[3] > 0 and _is_alive(row[1], row[3], row[4], clock)}
    marks = [(ledger, digest, f"{digest[:12]}-{number}") for ledger, digest, number in requests]
    open_ledgers = {ledger for ledger, _, _ in requests}
    marks += [
        (ledger, newest[ledger], f"lease-{fence}")
        for ledger, _, fence, expires_at, _ in leases
        if expires_at > 0 and ledger in newest and ledger not in open_ledgers
    ]
    found = {
        plan.sync: Waiting(plan=plan, mark=mark)
        for ledger, digest, mark in marks
        if ledger not in alive and (plan := _plan(journal, ledger, digest)) is not None and _may_run(journal, plan)
    }
    return list(found.values())


def approved_plans(journal: Journal) -> list[Waiting]:
    """Newest plans of enabled, unpaused syncs that guards stopped and a person has approved, and nobody sent yet."""
    return [
        Waiting(plan=plan, mark=f"{plan.digest[:12]}-{given.approved_at}")
        for plan in _stopped(journal)
        if (given := controls.waiting_approval(journal, plan.sync, plan.digest)) is not None
    ]


def plans_to_approve(journal: Journal) -> list[Plan]:
    """Newest plans of enabled, unpaused syncs that wait for a person's word."""
    return [plan for plan in _stopped(journal) if not controls.waiting_approval(journal, plan.sync, plan.digest)]


def _stopped(journal: Journal) -> Iterator[Plan]:
    for sync in journal.syncs():
        plan = journal.plan(sync)
        if plan is not None and may_be_approved(plan) and _may_run(journal, plan):
            yield plan


def _may_run(journal: Journal, plan: Plan) -> bool:
    is_paused = controls.pause_of(journal, plan.sync, plan.destination) is not None
    return controls.is_enabled(journal, plan.sync) and not is_paused


def _plan(journal: Journal, ledger_id: str, digest: str) -> Plan | None:
    with journal.transaction() as connection:
        row = connection.execute(
            "select sync from plans where ledger_id = ? and digest = ? order by number desc", [ledger_id, digest]
        ).fetchone()
    return journal.plan(row[0], digest=digest) if row else None


def _is_alive(holder: str, expires_at: float, boot: str, clock: Clock) -> bool:
    """Whether a lease may still be held: of another boot's clock nothing is known, and its holder is gone with it."""
    return boot == clock.boot and expires_at > clock.seconds() and not is_dead(holder)
