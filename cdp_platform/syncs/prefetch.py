"""Record ids that no run has learned, looked up for many rows at once before they are written.

For destinations that write by record id alone, or make a second record where another has the match value. Asking
changes nothing there, so it is repeated until it is answered, within bounds.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cdp_platform.connectors.protocol import Batch, FindsRecords
from cdp_platform.domain.outcomes import Operation
from cdp_platform.errors import ConnectionFailed, RateLimited, Refused, TemporarilyDown
from cdp_platform.syncs.notes import Status

if TYPE_CHECKING:
    from cdp_platform.syncs.exchange import Exchange

MISSING = "record_missing"
_ATTEMPTS = 5
_BACKOFF_SECONDS = 0.5
_LATER_ANYWAY = (Operation.REMOVE, Operation.WITHDRAW)
"""Looked up right before their request, where a record that is not there has a meaning of its own."""
_WRITES = (Operation.CREATE, Operation.UPDATE)
_GONE = (404, 410)
# What a credential lacks it still lacks a second later; so these very kinds and none that is derived from them.
_PASSING = (RateLimited, TemporarilyDown, ConnectionFailed)


def requests_of(exchange: "Exchange", rows: Batch) -> list[Batch]:
    """Divide rows into those of one request each, once their records are known; raises as `with_records` does."""
    rows = with_records(exchange, rows)
    step = min(exchange.rows_at_most or len(rows) or 1, exchange.capabilities.batch_rows)
    return [rows[start : start + step] for start in range(0, len(rows), step)]


def with_records(exchange: "Exchange", rows: Batch) -> Batch:
    """Return the rows with the ids of their records; those that need one and have none are noted as rejected.

    Raises as a request does, once the destination has not answered five times.
    """
    told = exchange.capabilities
    unknown = [row.match_value for row in rows if _is_sought(row.operation, row.record_id)] if told.lookup_rows else []
    if not unknown:
        return rows
    found = _find(exchange, unknown)
    known = [row._replace(record_id=row.record_id or found.get(row.match_value)) for row in rows]
    if told.needs_record and (missing := Batch.of(row for row in known if _is_sought(row.operation, row.record_id))):
        exchange.note(missing, Status.REJECTED, code=MISSING)
        known = [row for row in known if not _is_sought(row.operation, row.record_id)]
    return Batch.of(known)


def after_refusal(exchange: "Exchange", row: Batch, refusal: Refused) -> Batch | None:
    """Note what the refusal of one row means, or return the row to be sent anew.

    A record that is to be removed and is gone already is removed. One that is to be changed and is gone is made anew,
    where the object makes records at all. One that is to be made and is there, since an earlier request made it whose
    answer never came, is changed.
    """
    is_gone = refusal.status in _GONE
    if is_gone and row.operations[0] is Operation.REMOVE:
        exchange.note(row, Status.DELIVERED)
        return None
    told = exchange.capabilities
    may_write = told.lookup_rows and not told.needs_record and row.operations[0] in _WRITES
    if may_write and refusal.code == "duplicate_value" and row.record_ids[0] is None:
        found = with_records(exchange, row)
        if found.record_ids[0] is not None:
            return found
    if may_write and is_gone and row.record_ids[0]:
        return Batch.of([row.with_all_fields().as_operation(Operation.CREATE)[0]._replace(record_id=None)])
    exchange.note(row, Status.REJECTED, code=refusal.code)
    return None


def _is_sought(operation: Operation, record_id: str | None) -> bool:
    return record_id is None and operation not in _LATER_ANYWAY


def _find(exchange: "Exchange", values: Sequence[str]) -> Mapping[str, str]:
    destination, spec = exchange.engine.destination, exchange.spec
    if not isinstance(destination, FindsRecords):
        return {}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return destination.find(exchange.session, spec.object, spec.match_key.field, values)
        except _PASSING as failure:
            if type(failure) not in _PASSING or attempt == _ATTEMPTS or exchange.stopping.is_set():
                raise
            wait = failure.retry_after_seconds if isinstance(failure, RateLimited) else None
            random_wait = _BACKOFF_SECONDS * 2.0**attempt * exchange.timing.jitter()
            exchange.timing.sleep(random_wait if wait is None else wait)
        except Refused:
            # One value that cannot be looked up must not keep the others from it.
            if len(values) == 1:
                return {}
            middle = len(values) // 2
            return {**_find(exchange, values[:middle]), **_find(exchange, values[middle:])}
    raise AssertionError("the last attempt returns or raises")
