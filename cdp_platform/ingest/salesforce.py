"""Salesforce as a source: accounts, opportunities and their products, by the day (UTC) of their last change.

Vendor pages, read 2026-11-22, under https://developer.salesforce.com/docs: api_rest resources_query and
resources_queryall, SOQL reference, object-opportunitylineitem. What changes again is told by the later day, and gone
from the earlier one when that is loaded again: a model takes the newest row of an id. Records in the recycle bin are
told as deleted.

Accounts are what the policies of a sync are judged by (`read_back`): where the option `external_id` names the field by
which our syncs find them, each row tells it, and every row tells when it was read. The day before is read again with
each day, because most of it may have happened after it was read.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.errors import ContractBroken
from cdp_platform.ingest.vendor_api import ApiSource, ApiTable, Options, Page

EXTERNAL_ID: Final = "external_id"
"""The option that names the field of accounts by which our syncs find them."""
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


def _changed(
    object_name: str, fields: tuple[str, ...], named: tuple[str, ...], options: Options, first: date, last: date
) -> Request:
    fields = tuple(dict.fromkeys((*fields, *(options[name] for name in named if name in options))))
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


def _table(
    name: str,
    object_name: str,
    columns: Mapping[str, tuple[str, pa.DataType]],
    named_by: Mapping[str, str] = MappingProxyType({}),
    read_at: str | None = None,
    reload_days: int = 0,
) -> ApiTable:
    every = {**columns, **_SYSTEM}
    required = (next(iter(columns)), *_SYSTEM)
    schema = [pa.field(column, kind, nullable=column not in required) for column, (_, kind) in every.items()]
    schema += [pa.field(column, pa.string()) for column in named_by]
    schema += [pa.field(read_at, _INSTANT)] if read_at else []
    fields = tuple(dict.fromkeys(field for field, _ in every.values()))
    return ApiTable(
        name=name,
        schema=pa.schema(schema),
        fields={column: field for column, (field, _) in every.items()},
        request=partial(_changed, object_name, fields, tuple(named_by.values())),
        read_page=_read_page,
        day_column="modified_on",
        named_by=named_by,
        read_at_column=read_at,
        reload_days=reload_days,
    )


SOURCE: Final = ApiSource(
    destination="salesforce",
    object="Account",
    may_have=frozenset({EXTERNAL_ID}),
    tables={
        "accounts": _table(
            "accounts", "Account", _ACCOUNTS, named_by={"external_id": EXTERNAL_ID}, read_at="read_at", reload_days=2
        ),
        "opportunities": _table("opportunities", "Opportunity", _OPPORTUNITIES),
        "opportunity_lines": _table("opportunity_lines", "OpportunityLineItem", _OPPORTUNITY_LINES),
    },
)
"""`accounts`, `opportunities` and the products in them: one row per record and day of its last change."""
