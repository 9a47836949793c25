"""A destination in memory, its account and a session on it, so that the engine is tested without a network.

`FakeAccount` is the far side: its records and the log of what arrived outlive any session, as a vendor's would outlive
a crash. `FakeSession` is the scriptable way to it. `FakeDestination` speaks the account's words.

    account = FakeAccount()
    session = FakeSession(account)
    session.fail_next(TemporarilyDown("timeout"), is_processed=True)
    session.reject("p-0000007", code="invalid_email", field="email")

Requests to the account's jobs are processed at once and told of after `session.job_polls` questions: see fake_jobs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cdp_platform.connectors.protocol import (
    Answer,
    Capabilities,
    DestinationField,
    Job,
    Json,
    OutgoingRow,
    Request,
    Session,
)
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind, Mode, Removal
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import CdpError, ConfigError, ContractBroken, Refused

_WRITE = "/contacts/batch"
JOBS = "/contacts/jobs"
"""Where a FakeAccount takes requests as jobs; each is asked for under its name."""


@dataclass(kw_only=True)
class FakeRecord:
    """A contact at the fake destination."""

    record_id: str
    fields: dict[str, Json] = field(default_factory=dict)


class FakeAccount:
    """The records by match value, and every batch that arrived, in order."""

    def __init__(self, account_id: str = "fake-1", fields: Sequence[DestinationField] = ()) -> None:
        self.account_id = account_id
        self.fields = tuple(fields)
        self.records: dict[str, FakeRecord] = {}
        self.arrived: list[Request] = []
        """Write requests that were processed, also those whose answer never came back."""
        self.processed: list[str] = []
        """The match value of each row, each time that it was processed: not again under a known idempotency key."""
        self.jobs: dict[str, FakeJob] = {}
        self._record_count = 0
        self._known_keys: dict[str, str] = {}

    def apply(self, row: Mapping[str, Json]) -> str:
        """Write one row and return its record's id; removing what is already gone is accepted."""
        key = row.get("idempotency_key")
        if key in self._known_keys:
            return self._known_keys[key]
        self.processed.append(row["match_value"])
        record_id = self._written(row)
        if key:
            self._known_keys[key] = record_id
        return record_id

    def former_of(self, row: Mapping[str, Json]) -> str | None:
        """The match value, until now, of the record that is to get another: found by its id, else by that value."""
        if row.get("former_match_value") is None:
            return None
        by_id = {record.record_id: match_value for match_value, record in self.records.items()}
        known = row["former_match_value"]
        return by_id.get(row["record_id"]) if row["record_id"] else known if known in self.records else None

    def forget_keys(self) -> None:
        """Forget every idempotency key, as a vendor does after a time."""
        self._known_keys.clear()

    def _written(self, row: Mapping[str, Json]) -> str:
        match_value = row["match_value"]
        former = self.former_of(row)
        if former is not None and former != match_value:
            self.records[match_value] = self.records.pop(former)
        if row["operation"] == Operation.REMOVE:
            gone = self.records.pop(match_value, None)
            return gone.record_id if gone else ""
        record = self.records.get(match_value)
        if record is None:
            self._record_count += 1
            record = self.records[match_value] = FakeRecord(record_id=f"r-{self._record_count}")
        record.fields |= row["fields"]
        return record.record_id


@dataclass(kw_only=True)
class FakeJob:
    """A job at the fake destination; its rows were processed when it was made."""

    results: list[dict[str, Json]]
    polls_left: int
    """Questions that are still answered with: running."""
    ends_as: str
    """done, failed or expired."""


@dataclass(kw_only=True)
class _Failure:
    error: BaseException
    is_processed: bool


class FakeSession:
    """A session on a FakeAccount. Scripts concern write requests, in the order in which they were given."""

    def __init__(self, account: FakeAccount | None = None) -> None:
        self.account = account or FakeAccount()
        self.requests: list[Request] = []
        """Every request, before it was answered or failed."""
        self.before_send: Callable[[Request], None] | None = None
        """Called with each write before it is processed; raise here to crash with nothing sent."""
        self.after_send: Callable[[Request, Answer], None] | None = None
        """Called with each write once it is processed; raise here to crash with an answer nobody read."""
        self.before_poll: Callable[[Request], None] | None = None
        """Called with each question for a job; raise here to crash with a job that goes on."""
        self.job_polls = 0
        """How often a new job is still running when it is asked for."""
        self.job_ends_as = "done"
        """How a new job ends: done, failed or expired; failed and expired ones have processed their rows."""
        self.is_closed = False
        self._failures: list[_Failure] = []
        self._read_failures: list[BaseException] = []
        self._poll_failures: list[BaseException] = []
        self._answers: list[Callable[[Answer], Answer]] = []
        self._rejections: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._poison: set[str] = set()
        self._rows_at_most: int | None = None

    @property
    def writes(self) -> list[Request]:
        """The write requests among `requests`."""
        return [request for request in self.requests if request.path in (_WRITE, JOBS)]

    def fail_next(self, error: BaseException, *, times: int = 1, is_processed: bool = False) -> None:
        """Raise `error` for the next writes; `is_processed`: only after the account has applied them."""
        self._failures += [_Failure(error=error, is_processed=is_processed)] * times

    def fail_next_read(self, error: CdpError, *, times: int = 1) -> None:
        """Raise `error` for the next requests that ask for the account or its fields."""
        self._read_failures += [error] * times

    def fail_next_poll(self, error: CdpError, *, times: int = 1) -> None:
        """Raise `error` for the next questions for a job."""
        self._poll_failures += [error] * times

    def answer_next(self, change: Callable[[Answer], Answer]) -> None:
        """Let `change` turn the next write's honest answer into another; the write is processed."""
        self._answers.append(change)

    def reject(self, match_value: str, *, code: str = "refused", **parameters: str) -> None:
        """Refuse this row, by itself, whenever it is sent."""
        self._rejections[match_value] = (code, parameters)

    def poison(self, match_value: str) -> None:
        """Refuse every whole request that contains this row, without saying which row is at fault."""
        self._poison.add(match_value)

    def accept(self, match_value: str) -> None:
        """Forget that this row was to be refused or was poison."""
        self._rejections.pop(match_value, None)
        self._poison.discard(match_value)

    def limit_rows(self, rows: int | None) -> None:
        """Answer 413 to requests of more rows than this."""
        self._rows_at_most = rows

    @property
    def traffic(self) -> Traffic:
        """Its requests; nothing went over a wire, so there is no more to tell."""
        return Traffic(request_count=len(self.requests))

    def send(self, request: Request) -> Answer:
        if self.is_closed:
            raise RuntimeError("this session is closed")
        self.requests.append(request)
        if request.path.startswith(f"{JOBS}/"):
            return self._answer_poll(request)
        if request.path not in (_WRITE, JOBS):
            return self._answer_read(request)
        if self.before_send:
            self.before_send(request)
        failure = self._failures.pop(0) if self._failures else None
        if failure and not failure.is_processed:
            raise failure.error
        answer = self._write(request)
        if failure:
            raise failure.error
        if self._answers:
            answer = self._answers.pop(0)(answer)
        if self.after_send:
            self.after_send(request, answer)
        return answer

    def close(self) -> None:
        self.is_closed = True

    def _answer_read(self, request: Request) -> Answer:
        if self._read_failures:
            raise self._read_failures.pop(0)
        if request.path == "/account":
            return Answer(status=200, headers={}, body={"account_id": self.account.account_id})
        return Answer(status=200, headers={}, body={"fields": self.account.fields})

    def _answer_poll(self, request: Request) -> Answer:
        if self.before_poll:
            self.before_poll(request)
        if self._poll_failures:
            raise self._poll_failures.pop(0)
        job = self.account.jobs[request.path.rpartition("/")[2]]
        if job.polls_left > 0:
            job.polls_left -= 1
            return Answer(status=200, headers={}, body={"state": "running"})
        results = job.results if job.ends_as == "done" else []
        return Answer(status=200, headers={}, body={"state": job.ends_as, "results": results})

    def _write(self, request: Request) -> Answer:
        rows = request.body["rows"]
        if self._rows_at_most is not None and len(rows) > self._rows_at_most:
            raise Refused("The fake destination found the request too large.", status=413, code="row_too_large")
        if self._poison & {row["match_value"] for row in rows}:
            raise Refused("The fake destination refused the request.", status=400, code="refused")
        self.account.arrived.append(request)
        results = [self._result(row) for row in rows]
        request_id = f"q-{len(self.requests)}"
        if request.path == JOBS:
            name = f"job-{len(self.account.jobs) + 1}"
            self.account.jobs[name] = FakeJob(results=results, polls_left=self.job_polls, ends_as=self.job_ends_as)
            return Answer(status=202, headers={}, body={"job": name}, request_id=request_id)
        status = 207 if any("code" in result for result in results) else 200
        return Answer(status=status, headers={}, body={"results": results}, request_id=request_id)

    def _result(self, row: Mapping[str, Json]) -> dict[str, Json]:
        if rejection := self._rejections.get(row["match_value"]):
            code, parameters = rejection
            return {"ordinal": row["ordinal"], "code": code, "parameters": dict(parameters)}
        if row.get("former_match_value") is not None and self.account.former_of(row) is None:
            return {"ordinal": row["ordinal"], "code": "not_found"}
        return {"ordinal": row["ordinal"], "id": self.account.apply(row)}


class FakeDestination:
    """Vendor `fake`, object `contacts`: one result a row, by ordinal."""

    name: ClassVar[str] = "fake"
    default_base_url: ClassVar[str] = "http://127.0.0.1:9"

    def __init__(
        self,
        *,
        batch_rows: int = 100,
        modes: frozenset[Mode] = frozenset({Mode.UPSERT, Mode.MIRROR}),
        writes_changed_fields_only: bool = True,
        removals: frozenset[Removal] = frozenset({Removal.KEEP}),
        at_most_once: frozenset[Mode] = frozenset(),
        idempotency_seconds: float = 0.0,
        job_seconds: float = 3600.0,
    ) -> None:
        self._capabilities = Capabilities(
            modes=modes,
            removals=removals,
            batch_rows=batch_rows,
            writes_changed_fields_only=writes_changed_fields_only,
            changes_match_value=True,
            requests_per_second=1000.0,
            burst_requests=1000,
            at_most_once=at_most_once,
            idempotency_seconds=idempotency_seconds,
            job_seconds=job_seconds,
        )

    def capabilities(self, object_name: str) -> Capabilities:
        if object_name != "contacts":
            raise ConfigError(f"Destination fake has no object {object_name!r}.", remedy="It has: contacts.")
        return self._capabilities

    def account_id(self, session: Session) -> str:
        answer = session.send(Request(method="GET", path="/account"))
        try:
            return str(answer.body["account_id"])
        except (KeyError, TypeError):
            raise ContractBroken("The fake destination's answer names no account.", status=answer.status) from None

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        self.capabilities(object_name)
        fields: Sequence[DestinationField] = session.send(Request(method="GET", path="/contacts/fields")).body["fields"]
        return fields or (
            DestinationField(name="cdp_person_id", kind=FieldKind.TEXT, is_unique=True),
            DestinationField(name="email", kind=FieldKind.TEXT),
        )

    def encode(self, object_name: str, match_field: str, rows: Sequence[OutgoingRow]) -> Request:
        self.capabilities(object_name)
        body = [
            {
                "ordinal": row.ordinal,
                "operation": str(self._operation(row)),
                "match_value": row.match_value,
                "fields": dict(row.fields),
                "idempotency_key": row.idempotency_key,
                "former_match_value": row.former_match_value,
                "record_id": row.record_id,
            }
            for row in rows
        ]
        return Request(method="POST", path=_WRITE, body={"match_field": match_field, "rows": body})

    def _operation(self, row: OutgoingRow) -> Operation:
        """A withdrawn membership is removed."""
        is_ended = self._capabilities.is_membership and row.operation is Operation.WITHDRAW
        return Operation.REMOVE if is_ended else row.operation

    def read(self, rows: Sequence[OutgoingRow], answer: Answer) -> Sequence[RowOutcome] | Job:
        return read_results(rows, answer)


def read_results(rows: Sequence[OutgoingRow], answer: Answer) -> Sequence[RowOutcome]:
    """Read the fake account's results, one a row; raise ContractBroken for anything else."""
    try:
        outcomes = [_outcome(result) for result in answer.body["results"]]
    except (KeyError, TypeError):
        raise ContractBroken("The fake destination's answer has no readable results.") from None
    if sorted(outcome.ordinal for outcome in outcomes) != sorted(row.ordinal for row in rows):
        raise ContractBroken("The fake destination's results do not match the rows.", status=answer.status)
    return outcomes


def _outcome(result: Mapping[str, Json]) -> RowOutcome:
    if "code" in result:
        return RowOutcome(
            ordinal=result["ordinal"],
            outcome=Outcome.REJECTED,
            code=result["code"],
            parameters=result.get("parameters", {}),
        )
    return RowOutcome(ordinal=result["ordinal"], outcome=Outcome.DELIVERED, record_id=result["id"] or None)
