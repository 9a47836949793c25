"""The routes of the CRM, and the order in which a request is guarded, limited, read and answered."""

import asyncio
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdp_platform.sandbox.doors import Endpoint, local, page, read_request, respond
from cdp_platform.sandbox.guards import require_token
from cdp_platform.sandbox.hubspot.answers import in_our_shape, not_found
from cdp_platform.sandbox.hubspot.api import ContactsApi
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.hubspot.control import Control
from cdp_platform.sandbox.hubspot.limits import Limits
from cdp_platform.sandbox.hubspot.page_views import PageViews
from cdp_platform.sandbox.hubspot.people import rule_of
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.vendor import Day, Vendor
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler, Refusal

_CONTACTS = "/crm/v3/objects/contacts"
_PROPERTIES = "/crm/v3/properties/contacts"
_UNKNOWN = ("/crm/{rest:path}", "/account-info/{rest:path}")


def open_hubspot(settings: SandboxSettings) -> tuple[Vendor, Day]:
    """Open the account in its state file; the clock of the whole sandbox is its business day."""
    store = ContactStore(settings.state_path)
    rule = rule_of(settings)
    routes = [
        *_api_routes(ContactsApi(store, rule), _ApiDoor(settings, Limits(settings, store))),
        *_control_routes(Control(store)),
        *_page_routes(PageViews(store, rule)),
    ]
    return Vendor(routes=routes, close=store.close), lambda: store.day


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
        ("POST", f"{_CONTACTS}/gdpr-delete", api.gdpr_delete),
        ("POST", f"{_CONTACTS}/search", api.search),
        ("GET", f"{_CONTACTS}/{{id}}", api.get_contact),
    ]
    routes = [Route(path, door.endpoint(handler), methods=[method]) for method, path, handler in table]
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    unknown = [Route(path, door.endpoint(_no_such_path), methods=every) for path in _UNKNOWN]
    return [*routes, *unknown]


def _no_such_path(_: ApiRequest) -> Answer:
    raise not_found("No such path, or not with this method")


def _control_routes(control: Control) -> list[Route]:
    return [
        Route("/sandbox/health", local(control.health)),
        Route("/sandbox/clock", local(control.clock)),
        Route("/sandbox/clock", local(control.turn_clock), methods=["PUT"]),
        Route("/sandbox/stats", local(control.stats)),
        Route("/sandbox/writes", local(control.writes)),
    ]


def _page_routes(views: PageViews) -> list[Route]:
    return [
        Route("/", page(views.contacts)),
        Route("/contacts/{id}", page(views.contact)),
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
            except Refusal as refusal:
                answer = in_our_shape(refusal).answer(correlation_id)
            headers = await run_in_threadpool(self._limits.headers)
            return respond(answer, {**headers, "X-HubSpot-Correlation-Id": correlation_id})

        return answer_request

    async def _pass(self, request: Request, handler: Handler) -> Answer:
        require_token(request, self._settings.token)
        is_search = request.url.path.endswith("/contacts/search")
        await run_in_threadpool(self._limits.admit, is_search=is_search)
        if self._settings.latency_seconds:
            await asyncio.sleep(self._settings.latency_seconds)
        return await run_in_threadpool(handler, await read_request(request))
