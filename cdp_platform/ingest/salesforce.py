"""Salesforce as a source: accounts, opportunities and their products, by the day (UTC) of their last change.

Vendor pages, read 2026-11-22, under https://developer.salesforce.com/docs: api_rest resources_query and
resources_queryall, SOQL reference, object-opportunitylineitem. What changes again is told by the later day, and gone
from the earlier one when that is loaded again: a model takes the newest row of an id. Records in the recycle bin are
told as deleted.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial
from typing import Final

import pyarrow as pa

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.errors import ContractBroken
from cdp_platform.ingest.vendor_api import ApiSource, ApiTable, Options, Page

_DATA: Final = "/services/data/v67.0"
_INSTANT: Final = pa.timestamp("us", tz="UTC")
_ACCOUNTS: Final = {
    "account_id": ("Id", pa.string()),
    "name": ("Name", pa.string()),
    "industry": ("Industry", pa.string()),
    "website": ("Website", pa.string()),
    "annual_revenue": ("AnnualRevenue", pa.decimal128(18, 2)),
    "employees": ("NumberOfEmployees", pa.int64()),
    "parent_id": ("ParentId", pa.string()),
}
_OPPORTUNITIES: Final = {
    "opportunity_id": ("Id", pa.string()),
    "account_id": ("AccountId", pa.string()),
    "name": ("Name", pa.string()),
    "stage": ("StageName", pa.string()),
    "amount": ("Amount", pa.decimal128(18, 2)),
    "probability": ("Probability", pa.decimal128(5, 2)),
    "closes_on": ("CloseDate", pa.date32()),
}
_OPPORTUNITY_LINES: Final = {
    "line_id": ("Id", pa.string()),
    "opportunity_id": ("OpportunityId", pa.string()),
    "product_code": ("ProductCode", pa.string()),
    "quantity": ("Quantity", pa.decimal128(18, 2)),
    "unit_price": ("UnitPrice", pa.decimal128(18, 2)),
    "total_price": ("TotalPrice", pa.decimal128(18, 2)),
}
_SYSTEM: Final = {
    "is_deleted": ("IsDeleted", pa.bool_()),
    "created_at": ("CreatedDate", _INSTANT),
    "modified_at": ("SystemModstamp", _INSTANT),
    "modified_on": ("SystemModstamp", pa.date32()),
}


def _changed(object_name: str, fields: tuple[str, ...], options: Options, first: date, last: date) -> Request:
    bounds = f"SystemModstamp >= {first}T00:00:00Z AND SystemModstamp < {last + timedelta(days=1)}T00:00:00Z"
    soql = f"SELECT {', '.join(fields)} FROM {object_name} WHERE {bounds} ORDER BY SystemModstamp, Id"
    return Request(method="GET", path=f"{_DATA}/queryAll", query={"q": soql})


def _read_page(answer: Answer) -> Page:
    told = answer.body if isinstance(answer.body, Mapping) else {}
    records, following = told.get("records"), told.get("nextRecordsUrl")
    if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
        raise ContractBroken(f"salesforce answered {answer.status}, but the body has no readable list of records.")
    if told.get("done") is True:
        return Page(records=records, query=None)
    if not isinstance(following, str) or not following.startswith("/services/data/"):
        raise ContractBroken("salesforce has more records and does not say where.")
    return Page(records=records, query={}, path=following)


def _table(name: str, object_name: str, columns: Mapping[str, tuple[str, pa.DataType]]) -> ApiTable:
    every = {**columns, **_SYSTEM}
    required = (next(iter(columns)), *_SYSTEM)
    schema = pa.schema([pa.field(column, kind, nullable=column not in required) for column, (_, kind) in every.items()])
    fields = tuple(dict.fromkeys(field for field, _ in every.values()))
    return ApiTable(
        name=name,
        schema=schema,
        fields={column: field for column, (field, _) in every.items()},
        request=partial(_changed, object_name, fields),
        read_page=_read_page,
        day_column="modified_on",
    )


SOURCE: Final = ApiSource(
    destination="salesforce",
    object="Account",
    tables={
        "accounts": _table("accounts", "Account", _ACCOUNTS),
        "opportunities": _table("opportunities", "Opportunity", _OPPORTUNITIES),
        "opportunity_lines": _table("opportunity_lines", "OpportunityLineItem", _OPPORTUNITY_LINES),
    },
)
"""`accounts`, `opportunities` and the products in them: one row per record and day of its last change."""
