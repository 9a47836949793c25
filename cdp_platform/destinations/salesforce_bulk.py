"""The way of Salesforce for many rows: Bulk API 2.0 jobs, made empty, filled, closed, followed, and read row by row.

Vendor pages, read 2026-11-22, under https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta: create_job,
upload_job_data, close_job, get_job_info, get_job_successful_results, get_job_failed_results,
get_job_unprocessed_results, datafiles_prepare_csv, how_requests_are_processed.

- Limits: 100 MB of CSV a job before it is coded for the wire, 150,000,000 records and 15,000 batches (of 10,000
  records) in 24 hours. The vendor works on jobs in parallel; here on two at once.
- An empty cell leaves a field as it is; `#N/A` clears it, so that the very text `#N/A` cannot be written.
- Results come in any order and tell their row by the external id, or the record's id where it is deleted. Lines that
  stand in none of the three (batches beyond the daily allowance) were perhaps not processed: they are sent again.
- A job that a dead run left open is aborted: nothing of it was processed.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cdp_platform.connectors.protocol import (
    STILL_RUNNING,
    Answer,
    Batch,
    Capabilities,
    Job,
    Json,
    OutgoingRow,
    Request,
    Session,
    StillRunning,
)
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
from cdp_platform.destinations.salesforce_errors import read_line_error
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import Mode, Removal
from cdp_platform.errors import ConfigError, JobDropped, JobFailed, Refused

_JOBS: Final = f"{DATA}/jobs/ingest"
_CLEARED: Final = "#N/A"
MOST_BYTES: Final = 12_000_000
"""Of a job's rows: far below the vendor's 100 MB, so that an upload and a list of results fit into one request each."""
_BULK: Final = Capabilities(
    modes=frozenset({Mode.UPSERT, Mode.MIRROR}),
    removals=frozenset({Removal.KEEP, Removal.DELETE, Removal.CLEAR}),
    batch_rows=50_000,
    writes_changed_fields_only=True,
    changes_match_value=True,
    requests_per_second=20.0,
    burst_requests=20,
    requests_at_once=2,
    job_seconds=4 * 3600.0,
)
_WORD: Final = re.compile(r"[A-Za-z]{1,60}")
_SUCCESSFUL, _FAILED = "successfulResults", "failedResults"
_LISTS: Final = (_SUCCESSFUL, _FAILED, "unprocessedrecords")
_ENDED: Final = ("JobComplete", "Failed", "Aborted")
_UNDER_WAY: Final = ("UploadComplete", "InProgress")


class SalesforceBulk(SalesforceAccount):
    """The records of one account, written by bulk jobs."""

    def capabilities(self, object_name: str) -> Capabilities:
        check_object(object_name)
        return _BULK

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        """Make the job, still empty; raise Refused (413) for more than fits into one."""
        check_object(object_name)
        check_match_field(match_field)
        if sum(len(document.encode()) for document in rows.documents) > MOST_BYTES:
            raise Refused("The rows are too large for one job.", status=413, code="row_too_large")
        body = {"object": object_name, "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA"}
        if _is_by_id(rows):
            operation = "delete" if rows[0].operation is Operation.REMOVE else "update"
            return Request(method="POST", path=_JOBS, body={**body, "operation": operation})
        upsert = {**body, "operation": "upsert", "externalIdFieldName": match_field}
        return Request(method="POST", path=_JOBS, body=upsert)

    def read(self, rows: Batch, answer: Answer) -> Job:
        job_id = _told(answer).get("id")
        if _told(answer).get("state") != "Open":
            raise broken(answer, "is no open job")
        return Job(id=record_id_of(answer, job_id))

    def contents(self, object_name: str, match_field: str, job: Job, rows: Batch) -> Iterator[Request]:
        """Upload the rows, then close the job, which lets it begin."""
        columns = _id_columns(rows) if rows[0].operation is Operation.REMOVE else _columns(match_field, rows)
        path = f"{_JOBS}/{job.id}"
        yield Request(method="PUT", path=f"{path}/batches", body=_csv(columns), media_type="text/csv", reads="text")
        yield Request(method="PATCH", path=path, body={"state": "UploadComplete"})

    def poll(self, session: Session, object_name: str, job: Job, rows: Batch) -> Sequence[RowOutcome] | StillRunning:
        answer = self._ask(session, Request(method="GET", path=f"{_JOBS}/{job.id}"))
        told = _told(answer)
        state = told.get("state")
        if state == "Open":
            self._ask(session, Request(method="PATCH", path=f"{_JOBS}/{job.id}", body={"state": "Aborted"}))
            raise JobDropped(f"salesforce's job {job.id} was still open and was aborted; nothing of it was processed.")
        if state in _UNDER_WAY:
            return STILL_RUNNING
        if state not in _ENDED:
            raise broken(answer, "tells no state of the job that is known")
        is_by_id = _is_by_id(rows)
        key = "Id" if is_by_id else str(told.get("externalIdFieldName"))
        places = {str(row.record_id if is_by_id else row.match_value): row for row in rows}
        outcomes, listed = self._outcomes(session, job, key, places)
        _reconcile(answer, told, listed)
        if state == "Failed" and not told.get("numberRecordsProcessed"):
            reason = _WORD.match(str(told.get("errorMessage")))
            raise JobFailed(
                f"salesforce's job {job.id} failed before it processed a row ({reason[0] if reason else 'no reason'}).",
                remedy="Look at the job under Bulk Data Load Jobs in Salesforce's setup.",
            )
        left = [row for row in rows if row.ordinal not in outcomes]
        return [*outcomes.values(), *(RowOutcome(ordinal=row.ordinal, outcome=Outcome.UNKNOWN) for row in left)]

    def _outcomes(
        self, session: Session, job: Job, key: str, places: Mapping[str, OutgoingRow]
    ) -> tuple[dict[int, RowOutcome], Counter[str]]:
        """Read all three lists: outcomes by ordinal, lines by list. Raises ContractBroken for a line of no row."""
        outcomes, listed = dict[int, RowOutcome](), Counter[str]()
        for kind in _LISTS:
            path = f"{_JOBS}/{job.id}/{kind}"
            answer = self._ask(session, Request(method="GET", path=path, reads="text"))
            for line in _lines(answer, key):
                row = places.get(line[key])
                if row is None or row.ordinal in outcomes:
                    raise broken(answer, "has a line of no row, or a row's line twice")
                outcomes[row.ordinal] = _outcome(answer, kind, row, line)
                listed[kind] += 1
        return outcomes, listed

    def _ask(self, session: Session, request: Request) -> Answer:
        try:
            return session.send(request)
        except (Refused, ConfigError) as refusal:
            # A job that cannot be asked for is no job of which nothing was processed.
            raise JobFailed(f"salesforce's job cannot be asked for. {refusal}") from refusal


def _told(answer: Answer) -> Mapping[str, Json]:
    if not isinstance(answer.body, Mapping):
        raise broken(answer, "tells of no job")
    return answer.body


def _is_by_id(rows: Batch) -> bool:
    """Whether records are addressed by their own id: to delete them, or to give them another match value."""
    return rows[0].operation is Operation.REMOVE or rows[0].former_match_value is not None


def _columns(match_field: str, rows: Batch) -> Iterator[Sequence[Json]]:
    """Header and lines; a field that a row leaves out is an empty cell."""
    ids = ["Id"] if _is_by_id(rows) else []
    names, step = {match_field: None}, 1_000
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    for part in parts:
        for values in _values(match_field, part):
            names |= dict.fromkeys(values)
    yield [*ids, *names]
    for part in parts:
        for record_id, values in zip(part.record_ids, _values(match_field, part), strict=True):
            cells = (_cell(values[name]) if name in values else None for name in names)
            yield [*(record_id for _ in ids), *cells]


def _values(match_field: str, rows: Batch) -> Iterator[dict[str, Json]]:
    for match_value, fields in zip(rows.match_values, rows.fields(), strict=True):
        yield values_of(match_value, fields, match_field)


def _id_columns(rows: Batch) -> Iterator[Sequence[Json]]:
    yield ["Id"]
    yield from ([row.record_id] for row in rows)


def _cell(value: Json) -> Json:
    match value:
        case None | "":
            return _CLEARED
        case bool():
            return "true" if value else "false"
    return value


def _csv(lines: Iterator[Sequence[Json]]) -> bytes:
    text = io.StringIO(newline="")
    # Text is always quoted: a carriage return, or a blank at its end, would otherwise be read as something else.
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(lines)
    return text.getvalue().encode()


def _lines(answer: Answer, key: str) -> Iterator[dict[str, str]]:
    """The lines of a list of results by their columns; an empty body is an empty list."""
    text = answer.body if isinstance(answer.body, str) else None
    if text is None:
        raise broken(answer, "is no list of results")
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(lines, [])
        if header and key not in header:
            raise broken(answer, "has no column of the match key")
        places = {name: header.index(name) for name in (key, "sf__Id", "sf__Created", "sf__Error") if name in header}
        for line in lines:
            if len(line) != len(header):
                raise broken(answer, "has a line with more or fewer cells than columns")
            yield {name: line[place] for name, place in places.items()}
    except csv.Error:
        raise broken(answer, "is not the CSV that it should be") from None


def _outcome(answer: Answer, kind: str, row: OutgoingRow, line: Mapping[str, str]) -> RowOutcome:
    if kind == _SUCCESSFUL:
        record_id = record_id_of(answer, line.get("sf__Id"))
        return accepted(row, record_id, is_new=line.get("sf__Created") == "true")
    if kind == _FAILED:
        if "sf__Error" not in line:
            raise broken(answer, "refuses rows without a reason")
        return read_line_error(row, line["sf__Error"])
    return RowOutcome(ordinal=row.ordinal, outcome=Outcome.PENDING)


def _reconcile(answer: Answer, told: Mapping[str, Json], listed: Counter[str]) -> None:
    """Hold the lists against the numbers that the job tells; a job that is complete lists all that it processed."""
    processed, failed = told.get("numberRecordsProcessed"), told.get("numberRecordsFailed")
    if not isinstance(processed, int) or not isinstance(failed, int) or failed > processed:
        raise broken(answer, "does not tell how many rows were processed")
    is_whole = (listed[_SUCCESSFUL], listed[_FAILED]) == (processed - failed, failed)
    if listed[_SUCCESSFUL] + listed[_FAILED] > processed or (told.get("state") == "JobComplete" and not is_whole):
        raise broken(answer, "counts other rows than its lists of results hold")
