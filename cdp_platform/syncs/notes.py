"""What the journal says: one line a request, and the last word on each row that the lines add up to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What is known of a request, or of one row of it."""

    INTENT = "intent"
    """Durable before the request; alone, it means: nobody knows."""
    NOT_SENT = "not_sent"
    """The request never left, or was definitely refused as a whole."""
    DELIVERED = "delivered"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    UNANSWERED = "unanswered"
    """Sent, and no answer that can be believed; it may be sent again."""
    SUBMITTED = "submitted"
    """The destination works on it as a job, whose outcome is asked for."""
    UNKNOWN = "unknown"
    """Sent, and no answer that can be believed; sending it again could do harm."""


@dataclass(frozen=True, kw_only=True)
class RowNote:
    """What is known of one row where it differs from its request."""

    status: Status
    code: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RequestNote:
    """One line of the journal: what is known of a request's rows at this moment."""

    ledger_id: str
    digest: str
    run_id: str
    fence: int
    batch: int
    attempt: int
    status: Status
    ordinals: Sequence[int]
    """The rows, in rising order."""
    code: str | None = None
    """The reason that holds for all rows, where there is one."""
    exceptions: Mapping[int, RowNote] = field(default_factory=dict)
    record_ids: Sequence[str | None] = ()
    """The destination's ids, one a row, or empty."""
    request_id: str | None = None
    job_id: str | None = None
    """The vendor's name of the job that the request became."""


_NUMBERED = (None, *Status)
"""A status as one byte: its place here; 0 for rows that were never noted."""
_OPEN = (Status.INTENT, Status.UNANSWERED, Status.SUBMITTED)
_DELIVERED = _NUMBERED.index(Status.DELIVERED)


class LastWord:
    """The newest note of each row of a plan, one byte a row, and what is special about single rows."""

    def __init__(self) -> None:
        self.number = 0
        """The newest line that was read; 0 for none."""
        self.statuses = bytearray()
        self.uncertain = bytearray()
        """1 for rows that a request without an answer may have changed, whatever a later refusal says of them."""
        self.reasons: dict[int, RowNote] = {}
        """By ordinal: rows that have a code."""
        self.record_ids: dict[int, str] = {}
        self._requests: list[tuple[list[list[int]], str]] = []

    @property
    def request_ids(self) -> dict[int, str]:
        """By ordinal: the vendor's name of the newest request that was answered with one."""
        return {
            ordinal: request_id
            for spans, request_id in self._requests
            for first, last in spans
            for ordinal in range(first, last + 1)
        }

    def count(self, status: Status) -> int:
        """How many rows have this status."""
        return self.statuses.count(_NUMBERED.index(status))

    def status(self, ordinal: int) -> Status | None:
        """The status of one row."""
        return _NUMBERED[self.statuses[ordinal]] if ordinal < len(self.statuses) else None

    def in_doubt(self) -> set[int]:
        """The rows that may have been processed without a word of it that can be believed."""
        open_bytes = {_NUMBERED.index(status) for status in (*_OPEN, Status.UNKNOWN)}
        found = {ordinal for ordinal, byte in enumerate(self.statuses) if byte in open_bytes}
        return found | set(self._refused_in_doubt())

    def give_up(self) -> None:
        """Call every row in doubt unknown."""
        unknown = _NUMBERED.index(Status.UNKNOWN)
        for status in _OPEN:
            self.statuses = self.statuses.replace(bytes([_NUMBERED.index(status)]), bytes([unknown]))
        for ordinal in self._refused_in_doubt():
            self.statuses[ordinal] = unknown

    def _refused_in_doubt(self) -> Iterator[int]:
        """Rows that are not delivered although a request without an answer may have been processed."""
        ordinal = self.uncertain.find(1)
        while ordinal >= 0:
            if self.statuses[ordinal] != _DELIVERED:
                yield ordinal
            ordinal = self.uncertain.find(1, ordinal + 1)

    def read(
        self,
        number: int,
        status: Status,
        spans: list[list[int]],
        details: dict[str, Any],
        request_id: str | None = None,
    ) -> None:
        """Take in the next line of the journal."""
        self.number = number
        if request_id:
            self._requests.append((spans, request_id))
        self._grow(spans[-1][1] + 1 if spans else 0)
        code, rows = details.get("code"), details.get("rows", {})
        was_uncertain = {int(ordinal): self.uncertain[int(ordinal)] for ordinal in rows}
        for first, last in spans:
            size = last + 1 - first
            self.statuses[first : last + 1] = bytes([_NUMBERED.index(status)]) * size
            if status in (Status.UNANSWERED, Status.DELIVERED):
                self.uncertain[first : last + 1] = bytes([status is Status.UNANSWERED]) * size
            if self.reasons or code:
                self._give_reason(range(first, last + 1), RowNote(status=status, code=code))
        for text, (row_status, row_code, parameters) in rows.items():
            ordinal, note = int(text), RowNote(status=Status(row_status), code=row_code, parameters=parameters)
            self.statuses[ordinal] = _NUMBERED.index(note.status)
            self.uncertain[ordinal] = note.status is Status.UNANSWERED or was_uncertain[ordinal]
            self.reasons[ordinal] = note
        if record_ids := details.get("ids"):
            ordinals = [ordinal for first, last in spans for ordinal in range(first, last + 1)]
            known = zip(ordinals, record_ids, strict=True)
            self.record_ids.update({ordinal: record_id for ordinal, record_id in known if record_id is not None})

    def _grow(self, rows: int) -> None:
        for column in (self.statuses, self.uncertain):
            column.extend(bytes(max(0, rows - len(column))))

    def _give_reason(self, ordinals: range, note: RowNote) -> None:
        for ordinal in ordinals:
            if note.code:
                self.reasons[ordinal] = note
            else:
                self.reasons.pop(ordinal, None)
