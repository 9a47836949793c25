"""Rows whose match value is another one at the destination: the record is addressed by its own id, or found by the old.

A request that looked for the new value would make a second record. Where the record is not there any more, the row is
sent as one of which nothing is known, once.
"""

from collections.abc import Iterator, Mapping, Sequence

from cdp_platform.connectors.protocol import Batch, Destination, FindsRecords, OutgoingRow, Session
from cdp_platform.domain.outcomes import Outcome, RowOutcome
from cdp_platform.domain.syncs import Mode, SyncSpec

NOT_FOUND = "not_found"
"""The reason, in the catalogue's words, of a destination that has no record of that id."""


def apart(rows: Batch) -> Iterator[Batch]:
    """Split rows into those whose match value changes and the others: a request is of one kind."""
    if not any(rows.former_match_values or ()):
        yield rows
        return
    for is_moved in (False, True):
        if part := Batch.of(row for row in rows if (row.former_match_value is not None) is is_moved):
            yield part


def located(destination: Destination, session: Session, spec: SyncSpec, rows: Batch) -> tuple[Batch, Batch]:
    """Look up record ids that no run has learned, by the former match value: rows with an id, and those without."""
    if not isinstance(destination, FindsRecords):
        return rows, Batch.of(())
    sought = [row.former_match_value for row in rows if row.record_id is None and row.former_match_value is not None]
    ids = destination.find(session, spec.object, spec.match_key.field, sought) if sought else {}
    found = [row._replace(record_id=row.record_id or ids.get(row.former_match_value or "")) for row in rows]
    return (
        Batch.of(row for row in found if row.record_id is not None),
        Batch.of(as_new(row) for row in found if row.record_id is None),
    )


def gone(spec: SyncSpec, rows: Batch, told: Mapping[int, RowOutcome]) -> Sequence[OutgoingRow]:
    """The rows whose record is not there any more, where the mode may make another."""
    if spec.mode is Mode.UPDATE or not any(rows.former_match_values or ()):
        return []
    missing = {one.ordinal for one in told.values() if one.outcome is Outcome.REJECTED and one.code == NOT_FOUND}
    return [row for row in rows if row.ordinal in missing]


def as_new(row: OutgoingRow) -> OutgoingRow:
    """The same row, with all fields, for a record that the match value finds or that is made."""
    return row._replace(record_id=None, former_match_value=None, names=None)
