"""The fields of a batch, read together, are those of its rows, read one by one."""

import json

import pytest

from cdp_platform.connectors.protocol import Batch, OutgoingRow
from cdp_platform.domain.outcomes import Operation

DOCUMENT = {"name": 'Zoë, "Ada"', "value": None, "tags": ["a", "b"], "amount": "12.50"}


def row(operation: Operation, names: list[str] | None = None) -> OutgoingRow:
    return OutgoingRow(0, operation, "k", None, json.dumps(DOCUMENT), names)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(Operation.CREATE), row(Operation.CREATE)],
        [row(Operation.UPDATE), row(Operation.UPDATE)],
        [row(Operation.UPDATE, ["value"]), row(Operation.UPDATE)],
        [row(Operation.CREATE), row(Operation.UPDATE, ["name", "value"]), row(Operation.WITHDRAW, [])],
        [row(Operation.UPDATE, []), row(Operation.UPDATE, [])],
    ],
)
def test_a_batch_tells_the_fields_of_each_row(rows: list[OutgoingRow]) -> None:
    assert Batch.of(rows).fields() == [dict(row.fields) for row in rows]
