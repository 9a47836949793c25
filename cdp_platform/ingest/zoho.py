"""Zoho Inventory as a source: a snapshot a day of the items with their stock, and sales orders by day.

Vendor pages, read 2026-11-22, under https://www.zoho.com/inventory/api/v1: items, salesorders; 200 records a page. They
do not confirm that orders can be asked for by `date_start` and `date_end`: a vendor that passes these over would answer
with orders of other days, which the loader refuses. Orders change their state for a while after their day, so the last
days are loaded again.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final

import pyarrow as pa

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.errors import ContractBroken
from cdp_platform.ingest.vendor_api import ApiSource, ApiTable, Options, Page

_PAGE_ROWS: Final = "200"
_MONEY: Final = pa.decimal128(14, 2)
_ITEMS: Final = pa.schema(
    [
        pa.field("stock_on", pa.date32(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("sku", pa.string()),
        pa.field("name", pa.string(), nullable=False),
        pa.field("category_name", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("rate", _MONEY),
        pa.field("purchase_rate", _MONEY),
        pa.field("stock_on_hand", pa.decimal128(14, 2)),
        pa.field("available_stock", pa.decimal128(14, 2)),
        pa.field("reorder_level", pa.decimal128(14, 2)),
        pa.field("last_modified_time", pa.timestamp("us", tz="UTC")),
    ]
)
_SALES_ORDERS: Final = pa.schema(
    [
        pa.field("ordered_on", pa.date32(), nullable=False),
        pa.field("salesorder_id", pa.string(), nullable=False),
        pa.field("salesorder_number", pa.string(), nullable=False),
        pa.field("customer_id", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("currency_code", pa.string()),
        pa.field("total", _MONEY),
        pa.field("last_modified_time", pa.timestamp("us", tz="UTC")),
    ]
)


def _items(options: Options, first: date, last: date) -> Request:
    return _list("items", options, filter_by="Status.All")


def _orders(options: Options, first: date, last: date) -> Request:
    return _list("salesorders", options, date_start=first.isoformat(), date_end=last.isoformat())


def _list(module: str, options: Options, **query: str) -> Request:
    told = {"organization_id": options["organization_id"], "per_page": _PAGE_ROWS, **query}
    return Request(method="GET", path=f"/{module}", query=told)


def _read_page(module: str, answer: Answer) -> Page:
    told = answer.body if isinstance(answer.body, Mapping) else {}
    records, context = told.get(module), told.get("page_context")
    if told.get("code") != 0 or not isinstance(records, list) or not all(isinstance(one, Mapping) for one in records):
        raise ContractBroken(f"zoho_inventory answered {answer.status}, but the body has no readable list of {module}.")
    if not isinstance(context, Mapping) or not isinstance(context.get("page"), int):
        raise ContractBroken(f"zoho_inventory does not say which page of {module} this is.")
    has_more = context.get("has_more_page") is True and bool(records)
    return Page(records=records, query={"page": str(context["page"] + 1)} if has_more else None)


SOURCE: Final = ApiSource(
    destination="zoho_inventory",
    object="items",
    options=frozenset({"organization_id"}),
    tables={
        "items": ApiTable(
            name="items",
            schema=_ITEMS,
            fields={name: name for name in _ITEMS.names},
            request=_items,
            read_page=lambda answer: _read_page("items", answer),
            day_column="stock_on",
            is_snapshot=True,
        ),
        "sales_orders": ApiTable(
            name="sales_orders",
            schema=_SALES_ORDERS,
            fields={name: "date" if name == "ordered_on" else name for name in _SALES_ORDERS.names},
            request=_orders,
            read_page=lambda answer: _read_page("salesorders", answer),
            day_column="ordered_on",
            reload_days=7,
        ),
    },
)
"""`items`: one row per item and day on which it was read. `sales_orders`: one row per order, by its day."""
