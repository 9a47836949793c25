"""The routes of Zoho Inventory, its door (token, minute, day, five at once), and its page."""

import asyncio
import threading
import time
from html import escape
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdp_platform.sandbox.doors import Endpoint, page, read_request, respond
from cdp_platform.sandbox.frame import LANGUAGES, document, link
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.tokens import Tokens
from cdp_platform.sandbox.vendor import Day, Vendor
from cdp_platform.sandbox.window import RollingWindow
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler, Refusal
from cdp_platform.sandbox.zoho.api import ZohoApi
from cdp_platform.sandbox.zoho.store import ZohoStore

MOST_AT_ONCE: Final = 10
_BASE: Final = "/inventory/v1"
_MODULE: Final = f"{_BASE}/{{module}}"
_TEXTS: Final = {
    "en": {
        "title": "Sandbox inventory",
        "notice": "A local stand-in for Zoho Inventory. All of it is made up; nothing here leaves this computer.",
        "items": "Items",
        "salesorders": "Sales orders",
        "organisation": "Organisation",
        "head": {"items": ("Name", "SKU", "Price", "In stock", "Available", "Status")}
        | {"salesorders": ("Order", "Day", "Customer", "Status", "Total")},
    },
    "zh-Hant": {
        "title": "沙盒庫存",
        "notice": "這是本機的 Zoho Inventory 替身。商品與訂單皆為虛構，資料不會離開這台電腦。",
        "items": "商品",
        "salesorders": "銷售訂單",
        "organisation": "組織",
        "head": {"items": ("名稱", "SKU", "售價", "庫存", "可用", "狀態")}
        | {"salesorders": ("訂單", "日期", "客戶", "狀態", "總額")},
    },
}
_COLUMNS: Final = {
    "items": ("name", "sku", "rate", "stock_on_hand", "available_stock", "status"),
    "salesorders": ("salesorder_number", "date", "customer_name", "status", "total"),
}


def open_zoho(settings: SandboxSettings, day: Day) -> Vendor:
    """Open the organisation in its state file."""
    store = ZohoStore(settings.state_path.with_name("zoho.sqlite"), seed=settings.seed, day=day)
    api, door = ZohoApi(store), _Door(settings, store)
    table: list[tuple[str, str, Handler]] = [
        ("GET", f"{_BASE}/organizations", api.organisations),
        ("GET", _MODULE, api.on(ZohoApi.listed)),
        ("POST", _MODULE, api.on(ZohoApi.create)),
        ("GET", f"{_MODULE}/{{id}}", api.on(ZohoApi.get)),
        ("PUT", f"{_MODULE}/{{id}}", api.on(ZohoApi.update)),
        ("DELETE", f"{_MODULE}/{{id}}", api.on(ZohoApi.delete)),
        ("POST", f"{_MODULE}/{{id}}/{{way}}", api.on(ZohoApi.mark)),
    ]
    routes = [Route(path, door.endpoint(handler), methods=[method]) for method, path, handler in table]
    own = [Route("/oauth/v2/token", door.token, methods=["POST"]), Route("/zoho", page(_Page(store).shown))]
    return Vendor(routes=[*own, *routes], close=store.close)


class _Door:
    """Lets requests in: token, the minute and the day of the organisation, a few at once; refusals in the envelope."""

    def __init__(self, settings: SandboxSettings, store: ZohoStore) -> None:
        self._settings = settings
        self._store = store
        self._tokens = Tokens(settings.token, lifetime_seconds=settings.token_seconds)
        self._minute = RollingWindow(settings.zoho_requests_per_minute, 60.0)
        self._lock = threading.Lock()
        self._under_way = 0

    async def token(self, request: Request) -> Response:
        """The accounts server's endpoint; it refuses with a 200, as the vendor's does."""
        return respond(self._tokens.answer(await read_request(request), refused_status=200))

    def endpoint(self, handler: Handler) -> Endpoint:
        async def answer_request(request: Request) -> Response:
            try:
                return respond(await self._pass(request, handler))
            except Refusal as refusal:
                code = int(refusal.code) if refusal.code.isdigit() else -1
                return respond(Answer(status=refusal.status, body={"code": code, "message": refusal.message}))

        return answer_request

    async def _pass(self, request: Request, handler: Handler) -> Answer:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Zoho-oauthtoken" or not self._tokens.is_good(token.strip()):
            raise Refusal(401, "57", "You are not authorized to perform this operation")
        await run_in_threadpool(self._admit)
        try:
            if self._settings.latency_seconds:
                await asyncio.sleep(self._settings.latency_seconds)
            return await run_in_threadpool(handler, await read_request(request, may_be_empty=True))
        finally:
            with self._lock:
                self._under_way -= 1

    def _admit(self) -> None:
        today = self._store.timestamp()[:10]
        with self._lock:
            now = time.monotonic()
            if self._under_way >= MOST_AT_ONCE:
                raise Refusal(429, "1070", "The API call was blocked: too many requests at once.")
            if self._minute.remaining(now) < 1:
                raise Refusal(429, "44", "The API call was blocked for exceeding the maximum number per minute.")
            if self._store.requests_on(today, counted=False) >= self._settings.zoho_daily_limit:
                raise Refusal(429, "45", "The API call was blocked for exceeding the maximum number per day.")
            self._minute.take(now)
            self._store.requests_on(today, counted=True)
            self._under_way += 1


class _Page:
    """One page: the items, or the newest orders."""

    def __init__(self, store: ZohoStore) -> None:
        self._store = store

    def shown(self, request: ApiRequest) -> tuple[int, str]:
        language = request.query.get("lang", "en")
        language = language if language in LANGUAGES else "en"
        texts: dict[str, Any] = dict(_TEXTS[language])
        module = "salesorders" if request.query.get("show") == "salesorders" else "items"
        order = "id desc" if module == "salesorders" else "id"
        records = self._store.find(module, order=order, page="limit 500")
        head = "".join(f'<th scope="col">{escape(title)}</th>' for title in texts["head"][module])
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(str(record.get(name, '')))}</td>" for name in _COLUMNS[module]) + "</tr>"
            for record in records
        )
        links = "".join(
            f'<a href="{link("/zoho", language, show=name)}"{_current(name == module)}>{escape(texts[name])}</a>'
            for name in _COLUMNS
        )
        told = f"{escape(texts['organisation'])} {escape(self._store.organisation_id)}"
        body = (
            f'<div class="tools"><nav class="filters">{links}</nav><span>{told}</span></div><div class="scroll">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )
        query = {"show": module}
        return 200, document(
            body, title=texts["title"], notice=texts["notice"], language=language, path="/zoho", query=query
        )


def _current(is_here: bool) -> str:
    return ' aria-current="true"' if is_here else ""
