"""Salesforce: any object, upserted by an external id; 200 records a request, and from 10,000 rows on as bulk jobs.

Vendor pages, read 2026-11-22, under https://developer.salesforce.com/docs: api_rest
resources_composite_sobjects_collections_upsert and _delete, errorcodes, headers_api_usage; help.salesforce.com:
article 000389067.

- Limits: a number of requests in 24 hours by edition and licences, told by every answer; a run ends as deferred when
  95 % of it are used. No pace by the second is published; 25 requests of 20 seconds or longer may be under way at once,
  of all programs together: option `requests_at_once`, 5 where it is left out.
- Authentication: OAuth client credentials or JWT bearer. The base URL is the account's own, which the token's answer
  names as instance_url: https://<my domain>.my.salesforce.com.
- A collection is not rolled back (allOrNone is false): its answer has a result for each record, in their order.
- A value of null clears a field; fields left out keep their value. `Account.Customer_Id__c` as a field sets the lookup
  to the account with that external id; null clears it.
- Removing means deleting, which leaves the record in the recycle bin, or clearing the mapped fields.
- Insert makes records and is refused where the external id is taken; update looks the records up and changes them by
  their own ids, since a collection cannot be told to change only. Both go as collections, whatever the size.
- Cannot: match by `Id` or by a field that is not an external id, find records by a numeric external id where they are
  looked up.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from cdp_platform.connectors.protocol import Answer, Batch, Capabilities, Destination, Json, OutgoingRow, Request
from cdp_platform.destinations.salesforce_account import (
    DATA,
    SalesforceAccount,
    accepted,
    broken,
    check_match_field,
    check_object,
    record_id_of,
    values_of,
)
from cdp_platform.destinations.salesforce_bulk import SalesforceBulk
from cdp_platform.destinations.salesforce_errors import read_row_error
from cdp_platform.domain.outcomes import Operation, RowOutcome
from cdp_platform.domain.syncs import Mode, Removal
from cdp_platform.errors import ConfigError, Refused

BULK_FROM_ROWS: Final = 10_000
"""Below, collections need 50 requests at most and answer at once; a job needs seven and is asked for."""
_USUAL_AT_ONCE: Final = 5
_MOST_AT_ONCE: Final = 25
"""So many requests of 20 seconds or longer the vendor takes at once, from all programs of the account together."""
_QUICKEST_SECONDS: Final = 0.1
"""Of a request, by our guess: the pace leaves so many at once their way, and no more."""
_COLLECTIONS: Final = Capabilities(
    modes=frozenset({Mode.INSERT, Mode.UPDATE, Mode.UPSERT, Mode.MIRROR}),
    removals=frozenset({Removal.KEEP, Removal.DELETE, Removal.CLEAR}),
    batch_rows=200,
    writes_changed_fields_only=True,
    changes_match_value=True,
    # Ours, as the vendor publishes none.
    requests_per_second=25.0,
    burst_requests=25,
    requests_at_once=_USUAL_AT_ONCE,
)
_UPDATES: Final = replace(_COLLECTIONS, lookup_rows=200, needs_record=True)


class Salesforce(SalesforceAccount):
    """The records of one account, written as collections."""

    def __init__(
        self, *, bulk_from_rows: int = BULK_FROM_ROWS, mode: Mode = Mode.UPSERT, requests_at_once: int = _USUAL_AT_ONCE
    ) -> None:
        self._bulk_from_rows = bulk_from_rows
        self._mode = mode
        self._at_once = requests_at_once

    def with_options(self, options: Mapping[str, str]) -> "Salesforce":
        number = options.get("requests_at_once", str(_USUAL_AT_ONCE))
        if set(options) - {"requests_at_once"} or not number.isdecimal() or not 1 <= int(number) <= _MOST_AT_ONCE:
            raise ConfigError(
                "salesforce knows one option, requests_at_once.",
                remedy=f'It is a whole number from 1 to {_MOST_AT_ONCE}, in quotes: "{_USUAL_AT_ONCE}".',
                field="destination.options",
            )
        return Salesforce(bulk_from_rows=self._bulk_from_rows, requests_at_once=int(number))

    def in_mode(self, mode: Mode) -> "Salesforce":
        return Salesforce(bulk_from_rows=self._bulk_from_rows, mode=mode, requests_at_once=self._at_once)

    def way_for(self, object_name: str, row_count: int) -> Destination:
        """Collections for a few rows and where records are only made or only changed, bulk jobs for many."""
        is_of_one_kind = self._mode in (Mode.INSERT, Mode.UPDATE)
        return self if is_of_one_kind or row_count < self._bulk_from_rows else SalesforceBulk()

    def capabilities(self, object_name: str) -> Capabilities:
        check_object(object_name)
        told = _UPDATES if self._mode is Mode.UPDATE else _COLLECTIONS
        pace = self._at_once / _QUICKEST_SECONDS
        return replace(told, requests_at_once=self._at_once, requests_per_second=pace, burst_requests=math.ceil(pace))

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        """Turn rows into one collection: to upsert, make or delete, or to update by id where the match value changes.

        Raises Refused in the mode that makes no records for rows without one.
        """
        check_object(object_name)
        check_match_field(match_field)
        path = f"{DATA}/composite/sobjects"
        if rows[0].operation is Operation.REMOVE:
            ids = ",".join(str(row.record_id) for row in rows)
            return Request(method="DELETE", path=path, query={"ids": ids, "allOrNone": "false"})
        if self._mode is Mode.UPDATE and None in rows.record_ids:
            raise Refused("A row has no record, and the sync makes none.", code="record_missing")
        if self._mode is Mode.INSERT and rows[0].operation is Operation.CREATE:
            return Request(method="POST", path=path, body=_collection(object_name, match_field, rows))
        if self._mode is Mode.UPDATE or rows[0].former_match_value is not None:
            return Request(method="PATCH", path=path, body=_collection(object_name, match_field, rows, with_ids=True))
        return Request(
            method="PATCH", path=f"{path}/{object_name}/{match_field}", body=_collection(object_name, match_field, rows)
        )

    def read(self, rows: Batch, answer: Answer) -> list[RowOutcome]:
        results = answer.body
        if not isinstance(results, list) or len(results) != len(rows):
            raise broken(answer, "is no list with a result for each record")
        known = {row.record_id[:15]: row.ordinal for row in rows if row.record_id}
        outcomes = [_outcome(answer, row, result, known) for row, result in zip(rows, results, strict=True)]
        if self._mode is not Mode.INSERT:
            return outcomes
        return [_left_alone(row, outcome) for row, outcome in zip(rows, outcomes, strict=True)]


def _collection(object_name: str, match_field: str, rows: Batch, *, with_ids: bool = False) -> Json:
    """Records by external id; `with_ids` by their own, of which the external id changes."""
    records = []
    for match_value, record_id, fields in zip(rows.match_values, rows.record_ids, rows.fields(), strict=True):
        record = {"attributes": {"type": object_name}, **({"id": record_id} if with_ids else {})}
        records.append(record | _nested(values_of(match_value, fields, match_field)))
    return {"allOrNone": False, "records": records}


def _nested(values: Mapping[str, Json]) -> dict[str, Json]:
    """`Account.Customer_Id__c: x` as an object within the record, as the REST API takes it."""
    if not any("." in name for name in values):
        return dict(values)
    record = dict[str, Json]()
    for name, value in values.items():
        relationship, dot, field = name.partition(".")
        record[relationship if dot else name] = {field: value} if dot else value
    return record


def _outcome(answer: Answer, row: OutgoingRow, result: Json, known: Mapping[str, int]) -> RowOutcome:
    # JSON knows one kind of object; asking for that alone is much quicker, and this is asked of every row.
    is_success = result.get("success") if result.__class__ is dict else None
    if is_success is True:
        record_id = record_id_of(answer, result.get("id"))
        # Results tell their row by their place alone; an id that another row is known by tells that they are astray.
        if known.get(record_id[:15], row.ordinal) != row.ordinal:
            raise broken(answer, "has results in another order than the records")
        return accepted(row, record_id, is_new=result.get("created") is True)
    error = next(_errors(result), None) if is_success is False else None
    if error is None:
        raise broken(answer, "has a result that neither accepts nor refuses")
    return read_row_error(row, error.get("statusCode"), error.get("message"), error.get("fields"))


def _left_alone(row: OutgoingRow, outcome: RowOutcome) -> RowOutcome:
    """Say of a row that was not made because its external id is taken that its record is there."""
    name = outcome.parameters.get("field", "")
    if outcome.code == "duplicate_value" and row.fields.get(name) == row.match_value:
        return replace(outcome, code="record_exists", parameters={})
    return outcome


def _errors(result: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    errors = result.get("errors")
    yield from (error for error in (errors if isinstance(errors, list) else []) if isinstance(error, Mapping))
