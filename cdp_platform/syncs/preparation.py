"""What a destination has to say of rows before they are sent, and has to do before it."""

from collections.abc import Mapping

from cdp_platform.connectors.protocol import Batch, ClearsIdentifiers, Destination, JudgesRows, Session
from cdp_platform.domain.outcomes import Operation, RowOutcome
from cdp_platform.domain.syncs import SyncSpec


def unfit_rows(destination: Destination, spec: SyncSpec, rows: Batch) -> Mapping[int, RowOutcome]:
    """The rows that the destination would refuse, by ordinal, as rejected."""
    if not isinstance(destination, JudgesRows):
        return {}
    told = destination.unfit(spec.object, spec.match_key.field, rows)
    return {outcome.ordinal: outcome for outcome in told}


def clear_identifiers(destination: Destination, session: Session, spec: SyncSpec, rows: Batch) -> None:
    """Remove what changed memberships no longer have. Repeated with each attempt at the rows, which does no harm."""
    if isinstance(destination, ClearsIdentifiers) and Operation.UPDATE in rows.operations:
        destination.clear(session, spec.object, spec.match_key.field, rows)
