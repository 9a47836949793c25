"""Read companies and deals back from HubSpot, whole or not at all, as the contacts are: snapshots of a day.

Vendor page: https://developers.hubspot.com/docs/api-reference/crm-companies-v3 and crm-deals-v3, read 2026-11-22. Lists
are read and no search is used: HubSpot's index comes after its records, and ends at 10,000 results.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa

from cdp_platform.connectors.protocol import Session
from cdp_platform.ingest.hubspot import read_records

_TIME: Final = pa.timestamp("us", tz="UTC")
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "companies": (
        "cdp_company_id", "name", "domain", "phone", "city", "industry", "numberofemployees", "annualrevenue",
    ),
    "deals": ("cdp_deal_id", "dealname", "amount", "dealstage", "pipeline", "closedate"),
}  # fmt: skip
"""The properties that are read of each kind; all of them come as text, as HubSpot has them."""


def schema_of(kind: str) -> pa.Schema:
    """The columns of a kind's table: a column for each property, under the property's own name."""
    return pa.schema(
        [
            pa.field("feedback_day", pa.date32(), nullable=False),
            pa.field("record_id", pa.string(), nullable=False),
            *(pa.field(name, pa.string()) for name in KINDS[kind]),
            pa.field("created_at", _TIME, nullable=False),
            pa.field("updated_at", _TIME, nullable=False),
            pa.field("read_at", _TIME, nullable=False),
        ]
    )


def reader_of(kind: str) -> Callable[..., pa.Table]:
    """Return what reads a kind back, as `hubspot.read_contacts` reads contacts; the same errors."""

    def read(
        session: Session,
        properties: Sequence[str],
        feedback_day: date,
        *,
        sleep: Callable[[float], None] = time.sleep,
        spread: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> pa.Table:
        own = {"feedback_day": feedback_day, "read_at": now()}
        rows: list[dict[str, Any]] = []
        for record_id, values, created_at, updated_at in read_records(session, kind, properties, sleep, spread):
            told = {name: values.get(name) or None for name in properties}
            rows.append({**own, "record_id": record_id, "created_at": created_at, "updated_at": updated_at, **told})
        return pa.Table.from_pylist(sorted(rows, key=lambda row: row["record_id"]), schema=schema_of(kind))

    return read
