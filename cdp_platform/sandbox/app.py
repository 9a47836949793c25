"""The web application: routes, and the order in which a request is guarded, limited, read and answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from cdp_platform.sandbox.answers import Answer, RequestError, not_found
from cdp_platform.sandbox.api import ApiRequest, ContactsApi
from cdp_platform.sandbox.contacts import ContactStore
from cdp_platform.sandbox.control import Control
from cdp_platform.sandbox.guards import read_json, require_local_browser, require_token
from cdp_platform.sandbox.limits import Limits
from cdp_platform.sandbox.page_views import PageViews
from cdp_platform.sandbox.pages import content_security_policy
from cdp_platform.sandbox.people import rule_of
from cdp_platform.sandbox.settings import SandboxSettings

Handler = Callable[[ApiRequest], Answer]
Endpoint = Callable[[Request], Awaitable[Response]]
_CONTACTS = "/crm/v3/objects/contacts"
_PROPERTIES = "/crm/v3/properties/contacts"


def create_app(settings: SandboxSettings) -> Starlette:
    """Return the application of one account; its state file is opened now and closed when the application ends."""
    store = ContactStore(settings.state_path)
    rule = rule_of(settings)
    limits = Limits(settings, store)

    @asynccontextmanager
    async def close_at_the_end(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    return Starlette(
        routes=[
            *_api_routes(ContactsApi(store, rule), _ApiDoor(settings, limits)),
            *_control_routes(Control(store)),
            *_page_routes(PageViews(store, rule)),
        ],
        lifespan=close_at_the_end,
    )


def _api_routes(api: ContactsApi, door: "_ApiDoor") -> list[Route]:
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/account-info/v3/details", api.account_details),
        ("GET", _PROPERTIES, api.list_properties),
        ("POST", _PROPERTIES, api.create_property),
        ("GET", f"{_PROPERTIES}/{{name}}", api.get_property),
        ("GET", _CONTACTS, api.list_contacts),
        ("POST", f"{_CONTACTS}/batch/upsert", api.batch_upsert),
        ("POST", f"{_CONTACTS}/batch/read", api.batch_read),
        ("POST", f"{_CONTACTS}/batch/create", api.batch_create),
        ("POST", f"{_CONTACTS}/batch/update", api.batch_update),
        ("POST", f"{_CONTACTS}/batch/archive", api.batch_archive),
        ("POST", f"{_CONTACTS}/search", api.search),
        ("GET", f"{_CONTACTS}/{{id}}", api.get_contact),
    ]
    routes = [Route(path, door.endpoint(handler), methods=[method]) for method, path, handler in table]
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    unknown = [Route(path, door.endpoint(_no_such_path), methods=every) for path in _UNKNOWN]
    return [*routes, *unknown]


_UNKNOWN = ("/crm/{rest:path}", "/account-info/{rest:path}")


def _no_such_path(_: ApiRequest) -> Answer:
    raise not_found("No such path, or not with this method")


def _control_routes(control: Control) -> list[Route]:
    return [
        Route("/sandbox/health", _local(control.health)),
        Route("/sandbox/clock", _local(control.clock)),
        Route("/sandbox/clock", _local(control.turn_clock), methods=["PUT"]),
        Route("/sandbox/stats", _local(control.stats)),
        Route("/sandbox/writes", _local(control.writes)),
    ]


def _page_routes(views: PageViews) -> list[Route]:
    return [
        Route("/", _page(views.contacts)),
        Route("/contacts/{id}", _page(views.contact)),
    ]


class _ApiDoor:
    """Lets requests to the vendor's API in: token, limits, latency, body; then the handler, then the headers."""

    def __init__(self, settings: SandboxSettings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits

    def endpoint(self, handler: Handler) -> Endpoint:
        async def answer_request(request: Request) -> Response:
            correlation_id = str(uuid4())
            try:
                answer = await self._pass(request, handler)
            except RequestError as error:
                answer = error.answer(correlation_id)
            headers = await run_in_threadpool(self._limits.headers)
            return _respond(answer, {**headers, "X-HubSpot-Correlation-Id": correlation_id})

        return answer_request

    async def _pass(self, request: Request, handler: Handler) -> Answer:
        require_token(request, self._settings.token)
        is_search = request.url.path.endswith("/contacts/search")
        await run_in_threadpool(self._limits.admit, is_search=is_search)
        if self._settings.latency_seconds:
            await asyncio.sleep(self._settings.latency_seconds)
        return await run_in_threadpool(handler, await _read_request(request))


def _local(handler: Handler) -> Endpoint:
    async def answer_request(request: Request) -> Response:
        try:
            require_local_browser(request)
            answer = await run_in_threadpool(handler, await _read_request(request))
        except RequestError as error:
            answer = error.answer(str(uuid4()))
        return _respond(answer, {})

    return answer_request


def _page(view: Callable[[ApiRequest], tuple[int, str]]) -> Endpoint:
    async def answer_request(request: Request) -> Response:
        try:
            require_local_browser(request)
        except RequestError as error:
            return _respond(error.answer(str(uuid4())), {})
        status, html = await run_in_threadpool(view, await _read_request(request))
        return HTMLResponse(html, status_code=status, headers=_PAGE_HEADERS)

    return answer_request


_PAGE_HEADERS = {
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def _read_request(request: Request) -> ApiRequest:
    has_body = request.method in ("POST", "PUT", "PATCH")
    # Starlette would read broken percent-escapes as lone surrogates; these become replacement characters.
    query = {name: values[-1] for name, values in parse_qs(request.url.query, errors="replace").items()}
    return ApiRequest(
        path={name: str(value) for name, value in request.path_params.items()},
        query=query,
        body=await read_json(request) if has_body else None,
    )


def _respond(answer: Answer, headers: dict[str, str]) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return JSONResponse(answer.body, status_code=answer.status, headers=headers)
