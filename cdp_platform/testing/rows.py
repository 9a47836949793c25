"""Rows as an author of a destination writes them down: with their fields."""

import json
from collections.abc import Mapping

from cdp_platform.connectors.protocol import Json, OutgoingRow
from cdp_platform.domain.outcomes import Operation


def outgoing_row(
    *,
    ordinal: int,
    match_value: str,
    fields: Mapping[str, Json],
    operation: Operation = Operation.UPDATE,
    record_id: str | None = None,
) -> OutgoingRow:
    """Make the row that the engine would send with these fields."""
    return OutgoingRow(
        ordinal=ordinal,
        operation=operation,
        match_value=match_value,
        record_id=record_id,
        document=json.dumps(dict(fields), ensure_ascii=False),
    )
