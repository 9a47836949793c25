"""Do the journal and the ledger tell of the same past? One of them may be lost, or come from an older copy (G15).

The journal remembers for each ledger the last settling that it was emptied for; the ledger's header names its own.
Where they differ, of no record it is known what it holds: modes that may send twice send everything again, a mirror
removes nothing before a person has looked, and what may be sent once only is not sent.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from cdp_platform.domain.plans import Verdict
from cdp_platform.domain.syncs import Mode, SyncSpec
from cdp_platform.syncs.account import Engine, sends_once
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.warehouse.base import Session

ASKED = "asked"
"""The reason of a person who wants everything sent again."""


class Continuity(StrEnum):
    """How ledger and journal stand to each other; the two that are not whole are codes in the catalogue of texts."""

    WHOLE = "whole"
    LEDGER_BEHIND = "ledger_behind"
    """The journal was emptied for settlings that the ledger does not have."""
    JOURNAL_BEHIND = "journal_behind"
    """The ledger has settlings that the journal does not know: requests under way may be lost with them."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the journal remembers of one ledger."""

    settle_id: str | None
    version: int
    resend_reason: str | None
    """Why rows wait to be sent again, until a complete run has done it."""


def recall(journal: Journal, ledger_id: str) -> Memory | None:
    """What the journal remembers of a ledger; None where it was never emptied for it."""
    with journal.transaction() as connection:
        row = connection.execute(
            "select settle_id, version, resend_reason from settlings where ledger_id = ?", [ledger_id]
        ).fetchone()
    return Memory(settle_id=row[0], version=row[1], resend_reason=row[2]) if row else None


def remember(journal: Journal, ledger: Ledger, *, resend_reason: str | None) -> None:
    """Take the ledger as it is for the one that the journal belongs to."""
    _keep(journal, ledger.ledger_id, ledger.last_settle_id, ledger.version, resend_reason)


def forget(journal: Journal, ledger_id: str) -> None:
    """Remember nothing of a ledger any more: it begins anew."""
    with journal.transaction() as connection:
        connection.execute("delete from settlings where ledger_id = ?", [ledger_id])


def give_up(journal: Journal, ledger: Ledger, digest: str) -> None:
    """Drop the requests of a plan that cannot be settled any more, and take the ledger for one that misses them."""
    _keep(journal, ledger.ledger_id, f"given up: {digest}", ledger.version, None)
    journal.forget(ledger.ledger_id, digest)


def compare(journal: Journal, ledger: Ledger) -> Continuity:
    """Say whether the ledger ends with the settling that the journal remembers."""
    known = recall(journal, ledger.ledger_id)
    if known is None:
        is_new = ledger.last_settle_id is not None and not _has_planned(journal, ledger.ledger_id)
        return Continuity.JOURNAL_BEHIND if is_new else Continuity.WHOLE
    if known.settle_id == ledger.last_settle_id and ledger.version >= known.version:
        return Continuity.WHOLE
    return Continuity.JOURNAL_BEHIND if ledger.version > known.version else Continuity.LEDGER_BEHIND


def reconcile(engine: Engine, session: Session, spec: SyncSpec, ledger: Ledger) -> Ledger:
    """Where ledger and journal differ and the mode allows it, take all content as unknown; return the header then.

    Whatever differs is sent again by the next plans, and `resend_reason` says why until one of them is complete.
    """
    state = compare(engine.journal, ledger)
    if state is Continuity.WHOLE or _is_stopped(engine, spec, state):
        return ledger
    return take_as_unknown(engine.journal, session, ledger, reason=state)


def take_as_unknown(journal: Journal, session: Session, ledger: Ledger, *, reason: str) -> Ledger:
    """Let every row of the ledger be sent again, all its fields; plans that were made before are not sent any more."""
    known = recall(journal, ledger.ledger_id)
    version = max(ledger.version, known.version if known else 0) + 1
    with session.transaction():
        session.execute(f"update {ledger.diff_table} set fingerprint = null")
        session.execute("update cdp.ledgers set version = ? where ledger_id = ?", [version, ledger.ledger_id])
    ledger = replace(ledger, version=version)
    remember(journal, ledger, resend_reason=reason)
    return ledger


def is_forgetful(journal: Journal, ledger: Ledger) -> bool:
    """Whether the destination may have records that the ledger does not know, until a run is complete."""
    known = recall(journal, ledger.ledger_id)
    return known is not None and known.resend_reason == Continuity.LEDGER_BEHIND


def _is_stopped(engine: Engine, spec: SyncSpec, state: Continuity) -> bool:
    """Whether a person must look first. A mirror whose journal was lost still knows what it may remove."""
    return sends_once(engine, spec) or (spec.mode is Mode.MIRROR and state is Continuity.LEDGER_BEHIND)


def judge(engine: Engine, spec: SyncSpec, ledger: Ledger) -> list[Verdict]:
    """Judge whether the ledger may have forgotten deliveries, for the modes in which that does harm."""
    if spec.mode is not Mode.MIRROR and not sends_once(engine, spec):
        return []
    known = recall(engine.journal, ledger.ledger_id)
    return [
        Verdict(
            code="ledger_current",
            passed=compare(engine.journal, ledger) is Continuity.WHOLE,
            parameters={
                "sync": spec.name,
                "object": spec.object,
                "version": ledger.version,
                "known": known.version if known else 0,
            },
        )
    ]


def _has_planned(journal: Journal, ledger_id: str) -> bool:
    with journal.transaction() as connection:
        return bool(connection.execute("select 1 from plans where ledger_id = ? limit 1", [ledger_id]).fetchone())


def _keep(journal: Journal, ledger_id: str, settle_id: str | None, version: int, resend_reason: str | None) -> None:
    with journal.transaction() as connection:
        connection.execute(
            "insert into settlings values (?, ?, ?, ?) on conflict (ledger_id) do update set"
            " settle_id = excluded.settle_id, version = excluded.version, resend_reason = excluded.resend_reason",
            [ledger_id, settle_id, version, resend_reason],
        )
