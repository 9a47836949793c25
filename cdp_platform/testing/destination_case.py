"""Rows and answers to try a destination with, and the fixture folder that they are read from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdp_platform.connectors.protocol import Answer, Batch, Destination, Json, TakesOptions
from cdp_platform.domain.outcomes import Operation
from cdp_platform.testing.rows import outgoing_row


@dataclass(frozen=True, kw_only=True)
class AnswerCase:
    """An answer of the vendor to the case's rows, and what the destination must make of it."""

    name: str
    answer: Answer
    outcomes: Mapping[int, Mapping[str, Json]]
    is_broken: bool
    is_refused: bool = False
    """Whether it refuses the batch as a whole, which is then sent in halves."""


@dataclass(frozen=True, kw_only=True)
class JobCase:
    """How a destination that runs jobs says that it took the case's rows as one."""

    submitted: Answer
    id: str
    running_body: Json
    """What it says of a job that has not ended."""


@dataclass(frozen=True, kw_only=True)
class DestinationCase:
    """Rows and answers to try a destination with."""

    destination: Destination
    object: str
    match_field: str
    rows: Batch
    account_body: Json
    account_id: str
    describe_body: Json
    field_names: tuple[str, ...]
    """Fields that `describe` must know, at least."""
    answers: tuple[AnswerCase, ...]
    """Answers to the request; of a destination that runs jobs: to the question for the job."""
    job: JobCase | None = None
    """None for a destination that answers at once."""
    hashes_match_value: bool = False
    """Whether a request names a row by the SHA-256 of its match value."""

    @property
    def accepted(self) -> AnswerCase:
        """The answer that delivers every row."""
        every_row = {row.ordinal for row in self.rows}
        return next(
            case
            for case in self.answers
            if {ordinal for ordinal, told in case.outcomes.items() if told["outcome"] == "delivered"} == every_row
        )

    @property
    def personal_values(self) -> frozenset[str]:
        """Every text in the rows that no error may repeat."""
        values = {str(value) for row in self.rows for value in row.fields.values() if isinstance(value, str)}
        return frozenset(value for value in values | {row.match_value for row in self.rows} if len(value) > 3)


def load_case(destination: Destination, folder: Path) -> DestinationCase:
    """Read the fixture folder of a destination."""
    told = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    answers = [_answer_case(path) for path in sorted((folder / "answers").glob("*.json"))]
    if isinstance(destination, TakesOptions) and "options" in told:
        destination = destination.with_options(told["options"])
    return DestinationCase(
        destination=destination,
        object=told["object"],
        match_field=told["match_field"],
        rows=Batch.of(outgoing_row(**row | {"operation": Operation(row["operation"])}) for row in told["rows"]),
        account_body=told["account_body"],
        account_id=told["account_id"],
        describe_body=told["describe_body"],
        field_names=tuple(told["field_names"]),
        answers=tuple(answers),
        job=_job_case(folder / "job.json"),
        hashes_match_value=told.get("hashes_match_value", False),
    )


def _job_case(path: Path) -> JobCase | None:
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    submitted = Answer(status=told["status"], headers={}, body=told["body"])
    return JobCase(submitted=submitted, id=told["id"], running_body=told["running_body"])


def _answer_case(path: Path) -> AnswerCase:
    told = json.loads(path.read_text(encoding="utf-8"))
    return AnswerCase(
        name=path.stem,
        answer=Answer(status=told["status"], headers={}, body=told["body"]),
        outcomes={int(ordinal): outcome for ordinal, outcome in told.get("outcomes", {}).items()},
        is_broken=told.get("is_broken", False),
        is_refused=told.get("is_refused", False),
    )
