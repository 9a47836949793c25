"""The destination's own ids of records that no run has learned, looked up where an operation cannot do without them."""

from dataclasses import dataclass

from cdp_platform.connectors.protocol import Batch, Destination, FindsRecords, Session
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec


@dataclass(frozen=True, kw_only=True)
class LookedUp:
    """A batch after the look-up, and the rows that have no record."""

    rows: Batch
    """To be sent."""
    gone: Batch
    """Removals of records that do not exist any more: they are done."""
    unmet: Batch
    """Opt-outs of people whom the destination does not have: they are told nothing."""


def look_up(destination: Destination, session: Session, spec: SyncSpec, plan: Plan, rows: Batch) -> LookedUp:
    """Look up the record ids that a removal needs, and an opt-out of people whom a lost ledger has forgotten.

    These operations stand first in a plan, so that the first row tells whether there are any.
    """
    nobody = Batch.of(())
    sought = (Operation.REMOVE, Operation.WITHDRAW) if plan.has_forgotten else (Operation.REMOVE,)
    if rows.operations[0] not in sought or not isinstance(destination, FindsRecords):
        return LookedUp(rows=rows, gone=nobody, unmet=nobody)
    unknown = [row.match_value for row in rows if row.operation in sought and row.record_id is None]
    if not unknown:
        return LookedUp(rows=rows, gone=nobody, unmet=nobody)
    ids = destination.find(session, spec.object, spec.match_key.field, unknown)
    found = [
        row._replace(record_id=row.record_id or ids.get(row.match_value)) if row.operation in sought else row
        for row in rows
    ]
    missing = [row for row in found if row.operation in sought and row.record_id is None]
    return LookedUp(
        rows=Batch.of(row for row in found if row not in missing),
        gone=Batch.of(row for row in missing if row.operation is Operation.REMOVE),
        unmet=Batch.of(row for row in missing if row.operation is Operation.WITHDRAW),
    )
