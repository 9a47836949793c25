"""Record ids that no run has learned, asked of the destination by match value before the rows are sent."""

from collections.abc import Container

from cdp_platform.connectors.protocol import Batch, Destination, FindsRecords, Session
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.syncs import SyncSpec


def looked_up(
    destination: Destination, session: Session, spec: SyncSpec, rows: Batch, sought: Container[Operation]
) -> tuple[Batch, Batch]:
    """Find the records of rows whose operation is `sought`: the rows to be sent, and those that have no record."""
    none = Batch.of(())
    if rows.operations[0] not in sought or not isinstance(destination, FindsRecords):
        return rows, none
    unknown = [row.match_value for row in rows if row.operation in sought and row.record_id is None]
    if not unknown:
        return rows, none
    ids = destination.find(session, spec.object, spec.match_key.field, unknown)
    found = [
        row._replace(record_id=row.record_id or ids.get(row.match_value)) if row.operation in sought else row
        for row in rows
    ]
    missing = [row for row in found if row.operation in sought and row.record_id is None]
    return Batch.of(row for row in found if row not in missing), Batch.of(missing)
