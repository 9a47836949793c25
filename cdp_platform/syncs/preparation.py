"""What a destination has to say of rows before they are sent, and what has to be done before it."""

from collections.abc import Callable, Mapping, Sequence

from cdp_platform.connectors.protocol import Batch, ClearsIdentifiers, Destination, Job, JudgesRows, Session
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.domain.value_rules import ValueRule
from cdp_platform.errors import Refused
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs.answer_rules import complete
from cdp_platform.syncs.value_rules import misfits

Follow = Callable[[Batch, Job], Mapping[int, RowOutcome]]
"""Waits for the outcomes of a job's rows; nothing by ordinal means that all went well."""


def unfit_rows(
    destination: Destination, spec: SyncSpec, rows: Batch, rules: Sequence[ValueRule]
) -> Mapping[int, RowOutcome]:
    """The rows that the destination would refuse, by ordinal, as rejected: by its fields' rules or by its own word."""
    unfit = dict(misfits(rules, spec.match_key.field, rows))
    if rows and isinstance(destination, JudgesRows):
        told = destination.unfit(spec.object, spec.match_key.field, rows)
        unfit |= {outcome.ordinal: outcome for outcome in told}
    return unfit


def clear_identifiers(destination: Destination, session: Session, spec: SyncSpec, rows: Batch, follow: Follow) -> None:
    """Remove what changed memberships no longer have. Repeated with each attempt at the rows, which does no harm.

    Raises as a request and a job do, and Refused where some of it was refused; the rows are not sent then.
    """
    if not isinstance(destination, ClearsIdentifiers) or Operation.UPDATE not in rows.operations:
        return
    stale = destination.stale(spec.object, spec.match_key.field, rows)
    if not stale:
        return
    answer = session.send(destination.encode_clearing(spec.object, spec.match_key.field, stale))
    reading = destination.read(stale, answer)
    told = follow(stale, reading) if isinstance(reading, Job) else complete(stale, reading)
    if any(outcome.outcome is not Outcome.DELIVERED for outcome in told.values()):
        raise Refused(
            f"{destination.name} did not remove what changed rows no longer have.",
            status=answer.status,
            code="invalid_identifier",
            is_partial=True,
        )
    faultpoint("identifiers.cleared")
