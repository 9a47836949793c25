"""Zoho Inventory's API as its documents describe it: one method per endpoint, an envelope around every answer.

Vendor's pages: www.zoho.com/inventory/api/v1/introduction, .../items, .../contacts, .../salesorders (read 2026-11-22).
The numbers of the error codes are what third parties report; clients should read status and message.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler, Refusal
from cdp_platform.sandbox.zoho.store import ID_OF, ZohoStore

MOST_PER_PAGE: Final = 200
ALREADY_EXISTS, NOT_THERE, WRONG_VALUE = "1001", "1002", "2"
_SINGULAR: Final = {"items": "item", "contacts": "contact", "salesorders": "salesorder"}
_NAME: Final = {"items": "name", "contacts": "contact_name"}
_LONGEST_NAME: Final = {"items": 100, "contacts": 200}
_NUMBERS: Final = ("rate", "purchase_rate", "reorder_level", "initial_stock")
_READ_ONLY: Final = frozenset(
    {"item_id", "contact_id", "status", "created_time", "last_modified_time", "available_stock", "stock_on_hand"}
)
_SORTED: Final = ("name", "sku", "rate", "last_modified_time", "created_time", "contact_name", "date")


class ZohoApi:
    """The endpoints of one organisation. Each raises Refusal for a request that it does not take."""

    def __init__(self, store: ZohoStore) -> None:
        self._store = store

    def organisations(self, request: ApiRequest) -> Answer:
        """GET organizations: the one place that asks for no organization_id."""
        told = {"organization_id": self._store.organisation_id, "name": "Sandbox grocery", "currency_code": "USD"}
        return Answer(body={"code": 0, "message": "success", "organizations": [told]})

    def on(self, endpoint: Callable[["ZohoApi", str, ApiRequest], Answer]) -> Handler:
        """Return an endpoint of a module as a handler; every request has to name the organisation."""

        def handle(request: ApiRequest) -> Answer:
            if request.query.get("organization_id") != self._store.organisation_id:
                raise Refusal(400, "6041", "This user is not associated with the CompanyID/CompanyName.")
            if request.path["module"] not in ID_OF:
                raise Refusal(404, "5", "Invalid URL Passed")
            return endpoint(self, request.path["module"], request)

        return handle

    def listed(self, module: str, request: ApiRequest) -> Answer:
        """GET {module}."""
        page = _number(request.query, "page", default=1, most=10**6)
        per_page = _number(request.query, "per_page", default=MOST_PER_PAGE, most=MOST_PER_PAGE)
        where, values = _condition(module, request.query)
        window = f"limit {per_page + 1} offset {(page - 1) * per_page}"
        found = self._store.find(module, where, values, order=_order(request.query), page=window)
        shown = [_listed(module, record) for record in found[:per_page]]
        context = {"page": page, "per_page": per_page, "has_more_page": len(found) > per_page}
        return Answer(body={"code": 0, "message": "success", module: shown, "page_context": context})

    def get(self, module: str, request: ApiRequest) -> Answer:
        """GET {module}/{id}."""
        return _told("success", module, self._there(module, request))

    def create(self, module: str, request: ApiRequest) -> Answer:
        """POST {module}."""
        values = self._checked(module, request.body, None)
        stock = values.pop("initial_stock", 0)
        if module == "items":
            values |= {"stock_on_hand": stock, "available_stock": stock}
        kept = self._store.add(module, values)
        return _told(f"The {_SINGULAR[module]} has been added.", module, kept, status=201)

    def update(self, module: str, request: ApiRequest) -> Answer:
        """PUT {module}/{id}: fields that are left out stay."""
        record_id = self._there(module, request)[ID_OF[module]]
        kept = self._store.change(module, record_id, self._checked(module, request.body, record_id))
        return _told(f"The {_SINGULAR[module]} has been saved.", module, kept)

    def delete(self, module: str, request: ApiRequest) -> Answer:
        """DELETE {module}/{id}."""
        self._store.delete(self._there(module, request)[ID_OF[module]])
        return _said(f"The {_SINGULAR[module]} has been deleted.")

    def mark(self, module: str, request: ApiRequest) -> Answer:
        """POST {module}/{id}/active and …/inactive."""
        way = request.path["way"]
        if way not in ("active", "inactive") or module not in _NAME:
            raise Refusal(404, "5", "Invalid URL Passed")
        self._store.change(module, self._there(module, request)[ID_OF[module]], {"status": way})
        return _said(f"The {_SINGULAR[module]} has been marked as {way}.")

    def _there(self, module: str, request: ApiRequest) -> dict[str, Any]:
        found = self._store.get(module, request.path["id"])
        if found is None:
            raise Refusal(404, NOT_THERE, f"{_SINGULAR[module].title()} does not exist.")
        return found

    def _checked(self, module: str, body: Any, record_id: str | None) -> dict[str, Any]:
        if module not in _NAME or not isinstance(body, Mapping):
            raise Refusal(400, WRONG_VALUE, "Invalid value passed for JSONString")
        values = dict(body)
        name = values.get(_NAME[module])
        if (record_id is None or _NAME[module] in values) and not (isinstance(name, str) and name.strip()):
            raise Refusal(400, WRONG_VALUE, f"Invalid value passed for {_NAME[module]}")
        if isinstance(name, str) and len(name) > _LONGEST_NAME[module]:
            raise Refusal(400, "15", f"Please ensure that the {_NAME[module]} has less than its most characters.")
        if wrong := [field for field in values if field in _READ_ONLY]:
            raise Refusal(400, WRONG_VALUE, f"Invalid value passed for {wrong[0]}")
        for field in _NUMBERS:
            if values.get(field, "") != "" and (
                not isinstance(values[field], int | float) or isinstance(values[field], bool)
            ):
                raise Refusal(400, WRONG_VALUE, f"Invalid value passed for {field}")
        self._require_unique(module, values, record_id)
        return values

    def _require_unique(self, module: str, values: Mapping[str, Any], record_id: str | None) -> None:
        for field in (_NAME[module], *(("sku",) if module == "items" else ())):
            if not values.get(field):
                continue
            same = self._store.find(
                module, f"lower(json_extract(document, '$.{field}')) = lower(?)", [values[field]], page="limit 2"
            )
            if any(record[ID_OF[module]] != record_id for record in same):
                raise Refusal(400, ALREADY_EXISTS, f'{_SINGULAR[module].title()} "{values[field]}" already exists.')


def _condition(module: str, query: Mapping[str, str]) -> tuple[str, list[Any]]:
    where, values = ["true"], list[Any]()
    if text := query.get("search_text", "").strip():
        fields = ("name", "sku") if module == "items" else ("contact_name", "company_name", "email")
        like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        where.append(
            "(" + " or ".join(f"json_extract(document, '$.{name}') like ? escape '\\'" for name in fields) + ")"
        )
        values += [like] * len(fields)
    status = query.get("filter_by", "Status.All").removeprefix("Status.").lower()
    if status in ("active", "inactive"):
        where.append("json_extract(document, '$.status') = ?")
        values.append(status)
    if since := query.get("last_modified_time"):
        where.append("modified_at >= ?")
        values.append(since)
    for name, sign in (("date_start", ">="), ("date_end", "<=")):
        if module == "salesorders" and query.get(name):
            where.append(f"json_extract(document, '$.date') {sign} ?")
            values.append(query[name])
    return " and ".join(where), values


def _order(query: Mapping[str, str]) -> str:
    column = query.get("sort_column", "created_time")
    if column not in _SORTED:
        raise Refusal(400, WRONG_VALUE, "Invalid value passed for sort_column")
    way = "desc" if query.get("sort_order", "A") == "D" else "asc"
    return "id" if column == "created_time" else f"json_extract(document, '$.{column}') {way}, id"


def _listed(module: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as lists show it: orders without their lines."""
    return {name: value for name, value in record.items() if module != "salesorders" or name != "line_items"}


def _number(query: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refusal(400, WRONG_VALUE, f"Invalid value passed for {name}")
    return int(text)


def _said(message: str) -> Answer:
    return Answer(body={"code": 0, "message": message})


def _told(message: str, module: str, record: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status=status, body={"code": 0, "message": message, _SINGULAR[module]: record})
