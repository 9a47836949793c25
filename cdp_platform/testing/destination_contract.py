"""What every destination must hold, as a pytest class that an author's test inherits.

    class TestMine(DestinationContract):
        @pytest.fixture
        def case(self) -> DestinationCase:
            return load_case(MyDestination(), Path(__file__).parent / "fixtures" / "mine")

The fixture folder holds `rows.json` (object, match field, rows; what the account's and the fields' requests answer)
and, under `answers/`, one file per answer: status, body, and either `outcomes` by ordinal, `"is_broken": true`, or
`"is_refused": true` where the destination tells nothing row by row and the batch is to be halved. A destination that
takes options has them in `rows.json`; one that hashes the match value says `"hashes_match_value": true` there.
The rows must carry values of fictional persons: the suite looks for them in every error text. A destination that runs
jobs has a `job.json` beside them (its answer to the request, the job's id, and what it says while the job runs); its
`answers/` are then what it says of a job that has ended.
"""

# A pytest suite that lies in the package, so that packages elsewhere can inherit it.
# ruff: noqa: S101

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from cdp_platform.connectors.abilities import SendsByMode
from cdp_platform.connectors.protocol import (
    AllDelivered,
    Answer,
    Batch,
    Job,
    Json,
    JudgesRows,
    OutgoingRow,
    Reading,
    Request,
    RunsJobs,
    StillRunning,
)
from cdp_platform.connectors.transport import check_base_url
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import Mode
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import CdpError, ConfigError, ContractBroken, Refused
from cdp_platform.syncs.answer_rules import KEY_MARGIN_SECONDS
from cdp_platform.testing.destination_case import AnswerCase, DestinationCase, JobCase, load_case
from cdp_platform.testing.rows import outgoing_row

__all__ = ["AnswerCase", "DestinationCase", "DestinationContract", "JobCase", "OneAnswerSession", "load_case"]

_NONSENSE: Final[tuple[Json, ...]] = (None, [], {}, "accepted", 1, {"results": None}, {"results": ["x"]}, [None])


class OneAnswerSession:
    """A session that answers every request alike."""

    def __init__(self, body: Json, *, status: int = 200) -> None:
        self.requests: list[Request] = []
        self._answer = Answer(status=status, headers={}, body=body)

    @property
    def traffic(self) -> Traffic:
        return Traffic(request_count=len(self.requests))

    def send(self, request: Request) -> Answer:
        self.requests.append(request)
        return self._answer

    def close(self) -> None:
        return None


class DestinationContract:
    """The claims; a subclass gives the fixture `case`."""

    @pytest.fixture
    def case(self) -> DestinationCase:
        raise NotImplementedError("give the fixture `case`, as the module's text shows")

    def test_an_unknown_object_is_a_config_error(self, case: DestinationCase) -> None:
        with pytest.raises(ConfigError):
            case.destination.capabilities("no_such_object")
        with pytest.raises(ConfigError):
            case.destination.encode("no_such_object", case.match_field, case.rows)

    def test_its_capabilities_are_possible(self, case: DestinationCase) -> None:
        told = case.destination.capabilities(case.object)
        assert told.modes
        assert told.modes <= set(Mode)
        assert min(told.batch_rows, told.burst_requests) >= 1
        assert told.requests_per_second > 0
        assert check_base_url(case.destination.default_base_url)

    def test_it_says_of_modes_that_it_has_whether_sending_twice_does_harm(self, case: DestinationCase) -> None:
        told = case.destination.capabilities(case.object)
        assert told.at_most_once <= told.modes
        assert told.idempotency_seconds == 0 or told.idempotency_seconds > KEY_MARGIN_SECONDS
        assert told.job_seconds > 0

    def test_the_account_tells_its_id(self, case: DestinationCase) -> None:
        assert case.destination.account_id(OneAnswerSession(case.account_body)) == case.account_id

    def test_a_nonsense_account_is_a_broken_contract(self, case: DestinationCase) -> None:
        for body in _NONSENSE:
            with pytest.raises(ContractBroken):
                case.destination.account_id(OneAnswerSession(body))

    def test_the_account_tells_its_fields(self, case: DestinationCase) -> None:
        fields = case.destination.describe(OneAnswerSession(case.describe_body), case.object)
        names = [field.name for field in fields]
        assert set(case.field_names) <= set(names)
        assert len(names) == len(set(names))

    def test_encoding_gives_json_and_the_same_each_time(self, case: DestinationCase) -> None:
        first, second = (case.destination.encode(case.object, case.match_field, case.rows) for _ in range(2))
        assert json.dumps(first.body, allow_nan=False) == json.dumps(second.body, allow_nan=False)
        assert first == second

    def test_encoding_a_full_batch_names_every_row(self, case: DestinationCase) -> None:
        size = case.destination.capabilities(case.object).batch_rows
        rows = Batch.of(_copy_of(case.rows[0], ordinal) for ordinal in range(size))
        text = json.dumps(case.destination.encode(case.object, case.match_field, rows).body)
        assert all(_said(case, row.match_value) in text for row in rows)

    def test_a_request_carries_the_idempotency_key_of_each_row(self, case: DestinationCase) -> None:
        told = case.destination.capabilities(case.object)
        if told.key_is_match_value:
            text = repr(case.destination.encode(case.object, case.match_field, case.rows))
            assert all(_said(case, row.match_value) in text for row in case.rows)
        elif told.idempotency_seconds:
            keys = [f"key-of-row-{row.ordinal}" for row in case.rows]
            request = case.destination.encode(case.object, case.match_field, replace(case.rows, idempotency_keys=keys))
            assert all(key in repr(request) for key in keys)

    def test_a_row_with_another_match_value_addresses_the_record_by_its_id(self, case: DestinationCase) -> None:
        if case.destination.capabilities(case.object).changes_match_value:
            row = case.rows[0]._replace(operation=Operation.UPDATE, record_id="its-id", former_match_value="former")
            text = json.dumps(case.destination.encode(case.object, case.match_field, Batch.of([row])).body)
            assert "its-id" in text and row.match_value in text  # noqa: PT018

    def test_a_mode_that_only_makes_or_only_changes_has_requests_of_its_own(self, case: DestinationCase) -> None:
        modes = case.destination.capabilities(case.object).modes & {Mode.INSERT, Mode.UPDATE}
        assert not modes or isinstance(case.destination, SendsByMode), "an upsert is neither"
        if isinstance(case.destination, SendsByMode):
            rows = Batch.of(row._replace(operation=Operation.CREATE, record_id=None) for row in case.rows)
            upsert = case.destination.in_mode(Mode.UPSERT).encode(case.object, case.match_field, rows)
            for mode in modes:
                told = case.destination.in_mode(mode)
                is_update = mode is Mode.UPDATE
                assert told.capabilities(case.object).needs_record is is_update
                changed = [row._replace(operation=Operation.UPDATE, record_id=f"id-{row.ordinal}") for row in rows]
                request = told.encode(case.object, case.match_field, Batch.of(changed) if is_update else rows)
                assert (request.method, request.path) != (upsert.method, upsert.path)

    def test_a_job_is_read_with_its_id_and_asked_for_without_a_value_of_a_person(self, case: DestinationCase) -> None:
        assert (case.job is not None) == isinstance(case.destination, RunsJobs)
        if case.job and isinstance(case.destination, RunsJobs):
            job = case.destination.read(case.rows, case.job.submitted)
            assert job == Job(id=case.job.id)
            session = OneAnswerSession(case.job.running_body)
            told = case.destination.poll(session, case.object, Job(id=case.job.id), case.rows)
            assert isinstance(told, StillRunning)
            assert session.requests
            assert not _leaks(case, " ".join(f"{request.path} {dict(request.query)}" for request in session.requests))

    def test_an_answer_that_names_no_job_is_a_broken_contract(self, case: DestinationCase) -> None:
        for body in _NONSENSE if case.job else ():
            with pytest.raises(ContractBroken):
                case.destination.read(case.rows, Answer(status=202, headers={}, body=body))

    def test_a_path_holds_no_value_of_a_person(self, case: DestinationCase) -> None:
        request = case.destination.encode(case.object, case.match_field, case.rows)
        assert request.path.startswith("/")
        assert not _leaks(case, f"{request.path} {dict(request.query)}")

    def test_each_answer_gives_each_row_one_outcome(self, case: DestinationCase) -> None:
        for known in case.answers:
            if not known.is_broken and not known.is_refused:
                outcomes = _read(case, known.answer)
                assert _told(outcomes) == _expected(known), known.name
                assert len(outcomes) == len(case.rows), known.name

    def test_one_bad_row_leaves_the_others_delivered(self, case: DestinationCase) -> None:
        if case.destination.capabilities(case.object).batch_rows == 1:
            return
        mixed = [known for known in case.answers if len({told["outcome"] for told in known.outcomes.values()}) > 1]
        refused = [known for known in case.answers if known.is_refused]
        judges = isinstance(case.destination, JudgesRows)
        assert mixed or refused or judges, "the fixtures need an answer that delivers some rows and rejects others"
        for known in refused:
            with pytest.raises(Refused) as caught:
                _read(case, known.answer)
            assert caught.value.is_partial or known.answer.status >= 300
            assert not _leaks(case, _text(caught.value)), known.name

    def test_reasons_hold_no_value_of_a_person(self, case: DestinationCase) -> None:
        for known in case.answers:
            if not known.is_broken and not known.is_refused:
                for outcome in _read(case, known.answer):
                    assert not _leaks(case, f"{outcome.code} {dict(outcome.parameters)}"), known.name

    def test_a_broken_answer_is_never_read_as_delivered(self, case: DestinationCase) -> None:
        for name, answer in _broken_answers(case):
            with pytest.raises(ContractBroken) as caught:
                _read(case, answer)
            assert not _leaks(case, _text(caught.value)), name

    def test_results_in_another_order_mean_the_same(self, case: DestinationCase) -> None:
        for known in case.answers:
            # A list without an object around it tells its rows by their place: its order is the vendor's word.
            is_in_order = isinstance(known.answer.body, list)
            if not known.is_broken and not known.is_refused and not is_in_order:
                turned = Answer(status=known.answer.status, headers={}, body=_turned(known.answer.body))
                assert _told(_read(case, turned)) == _expected(known), known.name


def _read(case: DestinationCase, answer: Answer) -> Sequence[RowOutcome]:
    told = _reading(case, answer)
    if isinstance(told, AllDelivered):
        return [RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED) for row in case.rows]
    return told


def _reading(case: DestinationCase, answer: Answer) -> Reading:
    """What the destination makes of an answer to its request, or to its question for the job."""
    if case.job and isinstance(case.destination, RunsJobs):
        session = OneAnswerSession(answer.body, status=answer.status)
        told = case.destination.poll(session, case.object, Job(id=case.job.id), case.rows)
        assert not isinstance(told, StillRunning), "the job was said to have ended"
        return told
    read = case.destination.read(case.rows, answer)
    assert not isinstance(read, Job), "give the fixtures a job.json"
    return read


def _broken_answers(case: DestinationCase) -> Iterator[tuple[str, Answer]]:
    """Known bad answers, nonsense, and the good answer with a result left out, doubled, or emptied."""
    for known in case.answers:
        if known.is_broken:
            yield known.name, known.answer
    good = case.accepted.answer
    for body in _NONSENSE:
        yield repr(body), Answer(status=good.status, headers={}, body=body)
    for name, body in _damaged(good.body):
        yield name, Answer(status=good.status, headers={}, body=body)


def _damaged(body: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(body, list):
        # An answer that is a list of results is damaged as such a list within an object.
        yield from ((name, damaged["results"]) for name, damaged in _damaged({"results": body}))
    keys = [key for key, value in body.items() if isinstance(value, list) and value] if isinstance(body, dict) else []
    for key in keys:
        for name, items in (
            ("left out", body[key][1:]),
            ("doubled", [*body[key], body[key][0]]),
            ("emptied", [{}, *body[key][1:]]),
            ("all gone", []),
        ):
            yield f"{key}: {name}", copy.deepcopy(body) | {key: items}


def _turned(body: Json) -> Json:
    return {key: value[::-1] if isinstance(value, list) else value for key, value in body.items()}


def _said(case: DestinationCase, match_value: str) -> str:
    """How a request names a row of this match value."""
    return hashlib.sha256(match_value.encode()).hexdigest() if case.hashes_match_value else match_value


def _copy_of(row: OutgoingRow, ordinal: int) -> OutgoingRow:
    return outgoing_row(
        ordinal=ordinal,
        operation=row.operation,
        match_value=f"{row.match_value}-{ordinal}",
        record_id=row.record_id and f"{row.record_id}{ordinal}",
        fields=row.fields,
    )


def _told(outcomes: Sequence[RowOutcome]) -> dict[int, dict[str, Any]]:
    return {
        outcome.ordinal: {"outcome": str(outcome.outcome), "code": outcome.code, "parameters": dict(outcome.parameters)}
        | ({"record_id": outcome.record_id} if outcome.outcome is Outcome.DELIVERED else {})
        for outcome in outcomes
    }


def _expected(known: AnswerCase) -> dict[int, dict[str, Any]]:
    return {ordinal: {"code": None, "parameters": {}} | dict(outcome) for ordinal, outcome in known.outcomes.items()}


def _text(error: CdpError) -> str:
    return f"{error} {error.__cause__} {error.args}"


def _leaks(case: DestinationCase, text: str) -> set[str]:
    return {value for value in case.personal_values if value in text}
