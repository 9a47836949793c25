"""HubSpot as a source: campaigns, deals and their line items, by the day (UTC) of their last change.

They are one table, `records`, because each table that is read takes its time of every day. Vendor's pages, read
2026-11-23, under developers.hubspot.com/docs: api-reference/legacy/marketing/campaigns (get-campaigns: 100 a page, the
scope marketing.campaigns.read, Marketing Hub Professional), api-reference/crm-deals-v3 and api/crm/line-items: a
product stands in a deal as a line item of its own. None of these lists can be asked for days, and a search ends at
10,000 results and comes after the records: so each list is read whole, and what changed on other days is passed over.

What is archived is a list of its own; a campaign that was deleted is told by no list and stays as it was seen last.
HubSpot has no product of a campaign: which ones it promotes is known by its UTM value. The words of `status` are the
account's own. Budget, spend and amounts are in the account's currency.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from typing import Final

import pyarrow as pa

from cdp_platform.connectors.protocol import Answer, Json, Request
from cdp_platform.errors import ContractBroken
from cdp_platform.ingest.vendor_api import ApiSource, ApiTable, Options, Page

_PAGE_ROWS: Final = "100"
_INSTANT: Final = pa.timestamp("us", tz="UTC")
_MONEY: Final = pa.decimal128(18, 2)
SCHEMA: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("status", pa.string()),
        pa.field("code", pa.string()),
        pa.field("starts_on", pa.date32()),
        pa.field("ends_on", pa.date32()),
        pa.field("budget", _MONEY),
        pa.field("spend", _MONEY),
        pa.field("amount", _MONEY),
        pa.field("sku", pa.string()),
        pa.field("quantity", pa.decimal128(18, 2)),
        pa.field("deal_id", pa.string()),
        pa.field("is_archived", pa.bool_(), nullable=False),
        pa.field("created_at", _INSTANT, nullable=False),
        pa.field("modified_at", _INSTANT, nullable=False),
        pa.field("modified_on", pa.date32(), nullable=False),
    ]
)
CAMPAIGN: Final = {
    "name": "hs_name",
    "status": "hs_campaign_status",
    "code": "hs_utm",
    "starts_on": "hs_start_date",
    "ends_on": "hs_end_date",
    "budget": "hs_budget_items_sum_amount",
    "spend": "hs_spend_items_sum_amount",
}
DEAL: Final = {"name": "dealname", "status": "dealstage", "amount": "amount", "ends_on": "closedate"}
LINE_ITEM: Final = {"name": "name", "sku": "hs_sku", "quantity": "quantity", "amount": "amount"}
_SYSTEM: Final = {
    "kind": " kind",
    "record_id": " id",
    "deal_id": " deal",
    "is_archived": " archived",
    "created_at": " created",
    "modified_at": " modified",
    "modified_on": " modified",
}
"""Column → key beside the properties, whose names have no blank."""


def _request(path: str, query: Mapping[str, str], options: Options, first: date, last: date) -> Request:
    return Request(method="GET", path=path, query={"limit": _PAGE_ROWS, **query})


def _read_page(kind: str, answer: Answer) -> Page:
    told = answer.body if isinstance(answer.body, Mapping) else {}
    results = told.get("results")
    if not isinstance(results, list):
        raise _broken(answer, kind, "has no readable list")
    records = [record for found in results for record in _records(kind, found, answer)]
    paging = told.get("paging")
    following = paging.get("next") if isinstance(paging, Mapping) else None
    if following is None:
        return Page(records=records, query=None)
    cursor = following.get("after") if isinstance(following, Mapping) else None
    if not isinstance(cursor, str) or not cursor:
        raise _broken(answer, kind, "names a next page without its cursor")
    return Page(records=records, query={"after": cursor})


def _records(kind: str, found: Json, answer: Answer) -> Iterator[Mapping[str, Json]]:
    """The record of a listing with its properties beside it; a line item that is in no deal is none."""
    properties = found.get("properties") if isinstance(found, Mapping) else None
    if not isinstance(properties, Mapping):
        raise _broken(answer, kind, "has a record without properties")
    is_archived = found.get("archived") is True
    deals = _deals(found) if kind == "line_item" else [None]
    if is_archived and not deals:
        # What is archived has lost its associations, and its deal is known from before.
        deals = [None]
    for deal in deals[:1]:
        yield {
            **properties,
            " kind": kind,
            " id": found.get("id"),
            " deal": deal,
            " archived": is_archived,
            " created": found.get("createdAt"),
            " modified": found.get("archivedAt") if is_archived else found.get("updatedAt"),
        }


def _deals(found: Mapping[str, Json]) -> list[Json]:
    associations = found.get("associations")
    deals = associations.get("deals") if isinstance(associations, Mapping) else None
    results = deals.get("results") if isinstance(deals, Mapping) else None
    return [each.get("id") for each in results or [] if isinstance(each, Mapping)]


def _broken(answer: Answer, kind: str, what: str) -> ContractBroken:
    return ContractBroken(f"hubspot answered {answer.status}, but the body {what} ({kind}).", status=answer.status)


def _listing(kind: str, path: str, columns: Mapping[str, str], *also: ApiTable, **query: str) -> ApiTable:
    return ApiTable(
        name="records",
        schema=SCHEMA,
        fields={**columns, **_SYSTEM},
        request=partial(_request, path, {"properties": ",".join(columns.values()), **query}),
        read_page=partial(_read_page, kind),
        day_column="modified_on",
        tells_all=True,
        also=also,
    )


def _objects(kind: str, plural: str, columns: Mapping[str, str], **query: str) -> list[ApiTable]:
    path = f"/crm/v3/objects/{plural}"
    return [_listing(kind, path, columns, **query, archived=archived) for archived in ("false", "true")]


SOURCE: Final = ApiSource(
    destination="hubspot",
    object="deals",
    tables={
        "records": _listing(
            "campaign",
            "/marketing/v3/campaigns",
            CAMPAIGN,
            *_objects("deal", "deals", DEAL),
            *_objects("line_item", "line_items", LINE_ITEM, associations="deals"),
        )
    },
)
"""`records`: one row per campaign, deal or line item and day of its last change."""
