"""Bulk API 2.0: jobs that are made, filled, closed, processed by a worker in batches, and told of in three lists.

Read from developer.salesforce.com api_asynch (2026-11-22): create_job, upload_job_data, close_job, get_job_info,
get_job_successful_results, get_job_failed_results, get_job_unprocessed_results, how_requests_are_processed,
datafiles_prepare_csv. Not built: multipart jobs, hardDelete, query jobs.

A job that was under way when the process ended goes on with its next batch.
"""

import json
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from sqlite3 import ProgrammingError
from typing import Any, Final

from cdp_platform.sandbox.salesforce.answers import RequestError, malformed, not_found
from cdp_platform.sandbox.salesforce.bulk_csv import DELIMITERS, BadFile, Table, read_table, write_table
from cdp_platform.sandbox.salesforce.objects import OBJECTS, SObject
from cdp_platform.sandbox.salesforce.store import OrganizationStore
from cdp_platform.sandbox.salesforce.writes import Trouble, Written, delete, upsert, write
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_CONTENT_BYTES: Final = 150 * 1024 * 1024
BATCH_ROWS: Final = 10_000
_STEP_ROWS: Final = 500
"""So many records are written in one transaction, between which other requests have their turn."""
_OPERATIONS: Final = ("insert", "update", "upsert", "delete")
_LISTS: Final = {"successfulresults": "successful", "failedresults": "failed", "unprocessedrecords": "unprocessed"}
_WAITING: Final = "select id from jobs where state in ('UploadComplete', 'InProgress') order by modified_at, id limit 1"


class BulkApi:
    """The jobs of one organization, and the worker that processes them."""

    def __init__(self, store: OrganizationStore) -> None:
        self._store = store
        self._is_closing = threading.Event()
        self._has_work = threading.Event()
        self._has_work.set()
        self._worker = threading.Thread(target=self._work, name="salesforce-bulk", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """Let the worker end after its step."""
        self._is_closing.set()
        self._has_work.set()
        self._worker.join(timeout=10)

    def create(self, request: ApiRequest) -> Answer:
        """POST jobs/ingest."""
        body = request.body if isinstance(request.body, dict) else {}
        kind = OBJECTS.get(str(body.get("object")))
        if kind is None:
            raise malformed("the object is missing or not supported", "INVALIDENTITY")
        operation = body.get("operation")
        if operation not in _OPERATIONS:
            raise malformed(f"operation: one of {', '.join(_OPERATIONS)}", "INVALIDOPERATION")
        key = body.get("externalIdFieldName")
        is_key = isinstance(key, str) and key in kind.fields and kind.fields[key].is_external_id
        if (operation == "upsert") != is_key:
            raise malformed("externalIdFieldName: an external id, for upsert and nothing else", "INVALIDJOB")
        if body.get("contentType", "CSV") != "CSV" or body.get("lineEnding", "LF") not in ("LF", "CRLF"):
            raise malformed("contentType is CSV, lineEnding LF or CRLF", "INVALIDJOB")
        if body.get("columnDelimiter", "COMMA") not in DELIMITERS:
            raise malformed(f"columnDelimiter: one of {', '.join(DELIMITERS)}", "INVALIDJOB")
        names = ("object", "operation", "externalIdFieldName", "contentType", "lineEnding", "columnDelimiter")
        details = {"contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA"} | {
            name: body[name] for name in names if name in body
        }
        job_id, at = self._store.new_id("750"), self._store.timestamp()
        self._store.execute(
            "insert into jobs (id, details, state, created_at, modified_at) values (?, ?, 'Open', ?, ?)",
            (job_id, json.dumps(details), at, at),
        )
        return self._info(job_id, request.path["version"])

    def upload(self, request: ApiRequest) -> Answer:
        """PUT jobs/ingest/{id}/batches: once, while the job is open."""
        job_id = request.path["job"]
        if not request.headers.get("content-type", "").startswith("text/csv"):
            raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", "text/csv is expected")
        with self._store.transaction():
            state, content = self._row(job_id, "state, content")
            if state != "Open":
                raise malformed(f"the job is in the state {state}", "INVALIDJOBSTATE")
            if content is not None:
                raise malformed("the job has its data already", "INVALIDJOBSTATE")
            self._store.execute("update jobs set content = ? where id = ?", (request.content, job_id))
        return Answer(status=201)

    def change(self, request: ApiRequest) -> Answer:
        """PATCH jobs/ingest/{id}: UploadComplete lets it begin, Aborted ends it."""
        job_id = request.path["job"]
        wanted = request.body.get("state") if isinstance(request.body, dict) else None
        with self._store.transaction():
            state, content = self._row(job_id, "state, content")
            if wanted == "UploadComplete" and (state != "Open" or content is None):
                raise malformed(f"the job is in the state {state} or has no data", "INVALIDJOBSTATE")
            if wanted == "Aborted" and state not in ("Open", "UploadComplete", "InProgress"):
                raise malformed(f"the job is in the state {state}", "INVALIDJOBSTATE")
            if wanted not in ("UploadComplete", "Aborted"):
                raise malformed("state: UploadComplete or Aborted", "INVALIDJOBSTATE")
            self._set_state(job_id, wanted)
        self._has_work.set()
        return self._info(job_id, request.path["version"])

    def info(self, request: ApiRequest) -> Answer:
        """GET jobs/ingest/{id}."""
        return self._info(request.path["job"], request.path["version"])

    def remove(self, request: ApiRequest) -> Answer:
        """DELETE jobs/ingest/{id}: one that has ended."""
        (state,) = self._row(request.path["job"], "state")
        if state in ("Open", "InProgress"):
            raise malformed(f"the job is in the state {state}", "INVALIDJOBSTATE")
        self._store.execute("delete from job_lines where job_id = ?", (request.path["job"],))
        self._store.execute("delete from jobs where id = ?", (request.path["job"],))
        return Answer(status=204)

    def results(self, request: ApiRequest) -> Answer:
        """GET jobs/ingest/{id}/successfulResults, failedResults, unprocessedrecords; lines in no order."""
        job_id, outcome = request.path["job"], _LISTS.get(request.path["list"].lower())
        if outcome is None:
            raise not_found()
        details, state, content = self._row(job_id, "details, state, content")
        if state not in ("JobComplete", "Failed", "Aborted"):
            raise malformed(f"the job is in the state {state}", "INVALIDJOBSTATE")
        try:
            table = read_table(content or b"", json.loads(details))
        except BadFile:
            table = Table(header=[], lines=[])
        lines = list(self._listed(job_id, outcome, table))
        random.Random(job_id).shuffle(lines)
        system = {"successful": ["sf__Id", "sf__Created"], "failed": ["sf__Id", "sf__Error"]}.get(outcome, [])
        text = write_table([*system, *table.header], lines, json.loads(details)) if lines or table.header else ""
        return Answer(text=text)

    def _listed(self, job_id: str, outcome: str, table: Table) -> Iterator[Sequence[str]]:
        told = {
            line: (kind, record_id, error)
            for line, kind, record_id, error in self._store.execute(
                "select line, outcome, record_id, error from job_lines where job_id = ?", (job_id,)
            )
        }
        for number, cells in enumerate(table.lines):
            kind, record_id, error = told.get(number, ("unprocessed", "", ""))
            if outcome == "successful" and kind in ("created", "updated"):
                yield [record_id, "true" if kind == "created" else "false", *cells]
            elif outcome == kind == "failed":
                yield [record_id, error, *cells]
            elif outcome == kind == "unprocessed":
                yield cells

    def _info(self, job_id: str, version: str) -> Answer:
        details, state, created_at, modified_at, error = self._row(
            job_id, "details, state, created_at, modified_at, error"
        )
        counted = dict(
            self._store.execute("select outcome, count(*) from job_lines where job_id = ? group by outcome", (job_id,))
        )
        base = f"services/data/{version}/jobs/ingest/{job_id}/batches"
        body = {
            "id": job_id,
            **json.loads(details),
            "state": state,
            "createdDate": created_at,
            "systemModstamp": modified_at,
            "concurrencyMode": "Parallel",
            "apiVersion": float(version.removeprefix("v")),
            "jobType": "V2Ingest",
            "numberRecordsProcessed": sum(counted.values()),
            "numberRecordsFailed": counted.get("failed", 0),
            "retries": 0,
            "totalProcessingTime": 0,
        }
        return Answer(
            body=body | ({"contentUrl": base} if state == "Open" else {}) | ({"errorMessage": error} if error else {})
        )

    def _row(self, job_id: str, columns: str) -> tuple[Any, ...]:
        rows = self._store.execute(f"select {columns} from jobs where id = ?", (job_id,))
        if not rows:
            raise not_found()
        return rows[0]

    def _set_state(self, job_id: str, state: str, error: str = "") -> None:
        self._store.execute(
            "update jobs set state = ?, modified_at = ?, error = ? where id = ?",
            (state, self._store.timestamp(), error, job_id),
        )

    def _work(self) -> None:
        """Process the jobs that were closed, one after the other, until the process ends."""
        # The file is closed under a worker that did not end in time.
        with suppress(ProgrammingError):
            while not self._is_closing.is_set():
                found = self._store.execute(_WAITING)
                if found:
                    self._process(found[0][0])
                else:
                    self._has_work.wait()
                    self._has_work.clear()

    def _process(self, job_id: str) -> None:
        details_text, content, done = self._row(job_id, "details, content, done")
        details = json.loads(details_text)
        kind = OBJECTS[details["object"]]
        try:
            table = read_table(content, details)
            table.require_fields(kind)
        except BadFile as bad:
            self._set_state(job_id, "Failed", str(bad))
            return
        while done < len(table.lines) and not self._is_closing.is_set():
            with self._store.transaction():
                (state,) = self._row(job_id, "state")
                if state == "Aborted":
                    return
                if state == "UploadComplete":
                    self._set_state(job_id, "InProgress")
                step = table.lines[done : done + _STEP_ROWS]
                lines = [
                    (job_id, done + at, *self._line(kind, details, table.row(cells))) for at, cells in enumerate(step)
                ]
                self._store.write_many("insert into job_lines values (?, ?, ?, ?, ?)", lines)
                done += len(step)
                self._store.execute("update jobs set done = ? where id = ?", (done, job_id))
        with self._store.transaction():
            (state,) = self._row(job_id, "state")
            if done >= len(table.lines) and state != "Aborted":
                self._set_state(job_id, "JobComplete")

    def _line(
        self, kind: SObject, details: Mapping[str, str], values: dict[str, Any] | Trouble
    ) -> tuple[str, str, str]:
        """Process one line; outcome, record id, error."""
        written = Written(trouble=values) if isinstance(values, Trouble) else self._write(kind, details, values)
        if written.trouble:
            return "failed", "", written.trouble.line()
        return ("created" if written.is_new else "updated"), written.id, ""

    def _write(self, kind: SObject, details: Mapping[str, str], values: dict[str, Any]) -> Written:
        record_id = values.pop("Id", None)
        match details["operation"]:
            case "upsert":
                return upsert(self._store, kind, details["externalIdFieldName"], values)
            case "insert":
                return write(self._store, kind, values, None)
            case "update":
                return write(self._store, kind, values, record_id or "")
        return delete(self._store, record_id or "", kind=kind)
