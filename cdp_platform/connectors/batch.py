"""The rows on their way to a destination: one by one, or column by column as the rows of one request."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, overload

from cdp_platform.domain.outcomes import Operation

Json = Any
"""Anything that JSON can say."""


def _present(document: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in document.items() if value is not None}


class OutgoingRow(NamedTuple):
    """One row on its way, as its plan has it."""

    ordinal: int
    operation: Operation
    match_value: str
    record_id: str | None
    """The destination's own id, where an earlier run learned it."""
    document: str
    """All fields that may be written, as JSON text: for destinations that take a row as it is."""
    names: Sequence[str] | None = None
    """The fields to be written; None for all of the document."""
    idempotency_key: str | None = None
    """Names this very delivery, in every attempt alike; None where the object honours no such key."""
    former_match_value: str | None = None
    """What the destination's record has in place of `match_value`, which it is to get; None where that is the same."""
    previous: str | None = None
    """Of a membership: all fields as they were last delivered, as JSON text; None where that is not known."""

    @property
    def fields(self) -> Mapping[str, Json]:
        """Only what is to be written; a None clears the field. A new record has no fields without a value."""
        every: dict[str, Json] = json.loads(self.document)
        if self.operation is Operation.CREATE:
            return _present(every)
        return every if self.names is None else {name: every[name] for name in self.names}

    @property
    def delivered_fields(self) -> Mapping[str, Json]:
        """The fields as they were last delivered; empty where that is not known."""
        delivered: dict[str, Json] = json.loads(self.previous or "{}")
        return delivered


@dataclass(frozen=True)
class Batch(Sequence[OutgoingRow]):
    """The rows of one request, column by column: a row is made when it is asked for.

    Of a million rows that go out as the warehouse wrote them, no row need ever be made.
    """

    ordinals: Sequence[int]
    operations: Sequence[Operation]
    match_values: Sequence[str]
    record_ids: Sequence[str | None]
    documents: Sequence[str]
    names: Sequence[Sequence[str] | None]
    idempotency_keys: Sequence[str | None] | None = None
    """None where the object honours no such keys."""
    former_match_values: Sequence[str | None] | None = None
    """None where no match value changes."""
    previous: Sequence[str | None] | None = None
    """None where the object is no membership."""

    @classmethod
    def of(cls, rows: Iterable[OutgoingRow]) -> "Batch":
        """Put rows together."""
        return cls(*(list(zip(*rows, strict=True)) or [()] * len(OutgoingRow._fields)))

    def fields(self) -> list[Mapping[str, Json]]:
        """What is to be written of each row, as `OutgoingRow.fields` tells it; read together, which is far quicker."""
        every: list[dict[str, Json]] = json.loads(f"[{','.join(self.documents)}]")
        creates = self.operations.count(Operation.CREATE)
        if creates in (0, len(self)) and all(names is None for names in self.names):
            return [_present(document) for document in every] if creates else list(every)
        told = zip(every, self.operations, self.names, strict=True)
        return [
            _present(document)
            if operation is Operation.CREATE
            else (document if names is None else {name: document[name] for name in names})
            for document, operation, names in told
        ]

    def with_all_fields(self) -> "Batch":
        """The same rows, to be written with every field."""
        return replace(self, names=[None] * len(self))

    def without(self, others: "Batch") -> "Batch":
        """The rows that are not among the others."""
        gone = frozenset(others.ordinals)
        return Batch.of(row for row in self if row.ordinal not in gone)

    def as_operation(self, operation: Operation) -> "Batch":
        """The same rows under another operation."""
        return replace(self, operations=[operation] * len(self))

    def __len__(self) -> int:
        return len(self.ordinals)

    def __iter__(self) -> Iterator[OutgoingRow]:
        return map(OutgoingRow._make, zip(*self._columns(), strict=True))

    @overload
    def __getitem__(self, place: int) -> OutgoingRow: ...

    @overload
    def __getitem__(self, place: slice) -> "Batch": ...

    def __getitem__(self, place: int | slice) -> "OutgoingRow | Batch":
        columns = [column[place] for column in self._columns()]
        if isinstance(place, int):
            return OutgoingRow._make(columns)
        return Batch(*columns)

    def _columns(self) -> tuple[Sequence[Any], ...]:
        told = (self.ordinals, self.operations, self.match_values, self.record_ids, self.documents, self.names)
        more = (self.idempotency_keys, self.former_match_values, self.previous)
        return (*told, *([None] * len(self) if column is None else column for column in more))
