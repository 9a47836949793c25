"""Every destination of this package holds the contract, and so does the fake that the engine is tested with."""

from dataclasses import replace
from pathlib import Path

import pytest

from cdp_platform.connectors.protocol import Answer, Batch, Json
from cdp_platform.connectors.registry import destination_names, find_destination
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.syncs import Mode
from cdp_platform.testing.destination_contract import (
    AnswerCase,
    DestinationCase,
    DestinationContract,
    JobCase,
    load_case,
)
from cdp_platform.testing.fake_jobs import FakeJobs
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform.testing.rows import outgoing_row

FIXTURES = Path(__file__).parent / "fixtures"
OURS = [name for name in destination_names() if type(find_destination(name)).__module__.startswith("cdp_platform.")]


def test_the_registry_knows_a_destination() -> None:
    assert "hubspot" in OURS


class TestEveryDestination(DestinationContract):
    @pytest.fixture(params=OURS)
    def case(self, request: pytest.FixtureRequest) -> DestinationCase:
        return load_case(find_destination(request.param), FIXTURES / request.param)


class TestTheFake(DestinationContract):
    @pytest.fixture
    def case(self) -> DestinationCase:
        return _fake_case(FakeDestination())


class TestTheFakeWhereSendingTwiceDoesHarm(DestinationContract):
    @pytest.fixture
    def case(self) -> DestinationCase:
        once = frozenset({Mode.APPEND})
        return _fake_case(FakeDestination(modes=once, at_most_once=once, idempotency_seconds=86_400))


class TestTheFakeThatRunsJobs(DestinationContract):
    @pytest.fixture
    def case(self) -> DestinationCase:
        submitted = Answer(status=202, headers={}, body={"job": "job-1"})
        answered = _fake_case(FakeJobs())
        done = [
            replace(known, answer=replace(known.answer, body=known.answer.body | {"state": "done"}))
            for known in answered.answers
        ]
        job = JobCase(submitted=submitted, id="job-1", running_body={"state": "running"})
        return replace(answered, answers=tuple(done), job=job)


def _fake_case(destination: FakeDestination) -> DestinationCase:
    mixed: Json = {
        "results": [
            {"ordinal": 1, "id": "r-1"},
            {"ordinal": 2, "code": "invalid_email", "parameters": {"field": "email"}},
        ]
    }
    accepted = {"results": [{"ordinal": 1, "id": "r-1"}, {"ordinal": 2, "id": "r-2"}]}
    delivered: dict[int, Json] = {ordinal: {"outcome": "delivered", "record_id": f"r-{ordinal}"} for ordinal in (1, 2)}
    rejected: Json = {"outcome": "rejected", "code": "invalid_email", "parameters": {"field": "email"}}
    return DestinationCase(
        destination=destination,
        object="contacts",
        match_field="cdp_person_id",
        rows=Batch.of(
            (
                outgoing_row(
                    ordinal=1,
                    operation=Operation.CREATE,
                    match_value="p-0001029",
                    record_id=None,
                    fields={"email": "ada.lindqvist@example.com"},
                ),
                outgoing_row(
                    ordinal=2,
                    operation=Operation.UPDATE,
                    match_value="p-0001030",
                    record_id="r-2",
                    fields={"email": "bruno.okafor@example.com"},
                ),
            )
        ),
        account_body={"account_id": "fake-1"},
        account_id="fake-1",
        describe_body={"fields": []},
        field_names=("cdp_person_id", "email"),
        answers=(
            _answer("accepted", accepted, delivered),
            _answer("mixed", mixed, delivered | {2: rejected}),
        ),
    )


def _answer(name: str, body: Json, outcomes: dict[int, Json]) -> AnswerCase:
    return AnswerCase(name=name, answer=Answer(status=200, headers={}, body=body), outcomes=outcomes, is_broken=False)
