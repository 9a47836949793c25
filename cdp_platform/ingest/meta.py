"""Meta as a source: what each campaign did on each day, in the ad account's time zone.

Vendor page, read 2026-11-22: developers.facebook.com/docs/marketing-api/reference/ad-account/insights. Clicks and spend
of a day are restated while its attribution windows are open, so the last 28 days are loaded again. Two decimals of
spend: currencies with three or none are told in their own units.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Final

import pyarrow as pa

from cdp_platform.connectors.protocol import Answer, Json, Request
from cdp_platform.errors import ContractBroken
from cdp_platform.ingest.vendor_api import ApiSource, ApiTable, Options, Page

_PAGE_ROWS: Final = "500"
_FIELDS: Final = {
    "day": "date_start",
    "account_id": "account_id",
    "campaign_id": "campaign_id",
    "campaign_name": "campaign_name",
    "impressions": "impressions",
    "clicks": "clicks",
    "spend": "spend",
    "currency": "account_currency",
}
_SCHEMA: Final = pa.schema(
    [
        pa.field("day", pa.date32(), nullable=False),
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("campaign_id", pa.string(), nullable=False),
        pa.field("campaign_name", pa.string()),
        pa.field("impressions", pa.int64(), nullable=False),
        pa.field("clicks", pa.int64()),
        pa.field("spend", pa.decimal128(14, 2)),
        pa.field("currency", pa.string()),
    ]
)


def _insights(options: Options, first: date, last: date) -> Request:
    account = options["ad_account_id"].removeprefix("act_")
    asked = [name for name in _FIELDS.values() if name != "date_start"]
    query = {
        "level": "campaign",
        "time_increment": "1",
        "time_range": json.dumps({"since": first.isoformat(), "until": last.isoformat()}),
        "fields": ",".join(asked),
        "limit": _PAGE_ROWS,
    }
    return Request(method="GET", path=f"/act_{account}/insights", query=query)


def _read_page(answer: Answer) -> Page:
    told = answer.body if isinstance(answer.body, Mapping) else {}
    records = told.get("data")
    if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
        raise ContractBroken(f"meta answered {answer.status}, but the body has no readable list of insights.")
    return Page(records=records, query=_following(told.get("paging")))


def _following(paging: Json) -> Mapping[str, str] | None:
    if not isinstance(paging, Mapping) or "next" not in paging:
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, Mapping) else None
    if not isinstance(after, str) or not after:
        raise ContractBroken("meta names a next page of insights without its cursor.")
    return {"after": after}


SOURCE: Final = ApiSource(
    destination="meta_audiences",
    object="audience",
    options=frozenset({"ad_account_id"}),
    tables={
        "insights": ApiTable(
            name="insights",
            schema=_SCHEMA,
            fields=_FIELDS,
            request=_insights,
            read_page=_read_page,
            day_column="day",
            reload_days=28,
        )
    },
)
"""`insights`: one row per campaign and day on which it was shown."""
