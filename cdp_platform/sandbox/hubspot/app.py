"""The routes of the CRM, and the order in which a request is guarded, limited, read and answered."""

import asyncio
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdp_platform.sandbox.doors import Endpoint, local, page, read_request, respond
from cdp_platform.sandbox.guards import bearer_of, require_token
from cdp_platform.sandbox.hubspot.answers import in_our_shape, not_found
from cdp_platform.sandbox.hubspot.api import ContactsApi
from cdp_platform.sandbox.hubspot.apis import ObjectApis
from cdp_platform.sandbox.hubspot.associations import Associations
from cdp_platform.sandbox.hubspot.campaigns import CampaignPages, CampaignsApi
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.hubspot.control import Control
from cdp_platform.sandbox.hubspot.limits import Limits
from cdp_platform.sandbox.hubspot.lists import Lists
from cdp_platform.sandbox.hubspot.objects import Objects
from cdp_platform.sandbox.hubspot.page_views import PageViews
from cdp_platform.sandbox.hubspot.people import rule_of
from cdp_platform.sandbox.hubspot.promotions import Promotions
from cdp_platform.sandbox.hubspot.record_pages import CAMPAIGNS_PATH, RecordPages
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.tokens import Tokens
from cdp_platform.sandbox.vendor import Day, Vendor
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler, Refusal

_RECORDS = "/crm/v3/objects/{object}"
_PROPERTIES = "/crm/v3/properties/{object}"
_LIST = "/crm/v3/lists/{id}"
_PAIRS = "/crm/v4/associations/{from}/{to}"
_CAMPAIGNS = "/marketing/v3/campaigns"
_UNKNOWN = ("/crm/{rest:path}", "/account-info/{rest:path}", "/marketing/{rest:path}")


def open_hubspot(settings: SandboxSettings) -> tuple[Vendor, Day]:
    """Open the account in its state file; the clock of the whole sandbox is its business day."""
    store = ContactStore(settings.state_path)
    objects = Objects(store, settings.state_path)
    associations, rule = Associations(store, objects), rule_of(settings)
    promotions = Promotions(objects, associations, settings.state_path, lambda: store.day)
    apis = ObjectApis(objects, rule, associations, promotions.look, search_lag_seconds=settings.search_lag_seconds)
    door = _ApiDoor(settings, Limits(settings, store))
    routes = [
        *_api_routes(apis, door),
        *_campaign_routes(CampaignsApi(promotions), CampaignPages(promotions, objects), door),
        *_account_routes(ContactsApi(store, rule), associations, Lists(store, objects), door),
        *_control_routes(Control(store, objects)),
        *_page_routes(PageViews(store, rule, objects), RecordPages(objects, associations, promotions.look)),
    ]

    def close() -> None:
        objects.close()
        store.close()

    return Vendor(routes=routes, close=close), lambda: store.day


def _api_routes(apis: ObjectApis, door: "_ApiDoor") -> list[Route]:
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/crm/v3/schemas", apis.schemas),
        ("POST", "/crm/v3/schemas", apis.define),
        ("GET", "/crm/v3/schemas/{object}", apis.schema),
        ("GET", "/crm/v4/objects/{from}/{id}/associations/{to}", apis.associated),
        ("GET", _PROPERTIES, apis.on(ContactsApi.list_properties)),
        ("POST", _PROPERTIES, apis.on(ContactsApi.create_property)),
        ("GET", f"{_PROPERTIES}/{{name}}", apis.on(ContactsApi.get_property)),
        ("GET", _RECORDS, apis.listed),
        ("POST", f"{_RECORDS}/batch/upsert", apis.on(ContactsApi.batch_upsert)),
        ("POST", f"{_RECORDS}/batch/read", apis.on(ContactsApi.batch_read)),
        ("POST", f"{_RECORDS}/batch/create", apis.on(ContactsApi.batch_create)),
        ("POST", f"{_RECORDS}/batch/update", apis.on(ContactsApi.batch_update)),
        ("POST", f"{_RECORDS}/batch/archive", apis.on(ContactsApi.batch_archive)),
        ("POST", f"{_RECORDS}/gdpr-delete", apis.on(ContactsApi.gdpr_delete)),
        ("POST", f"{_RECORDS}/search", apis.on(ContactsApi.search)),
        ("GET", f"{_RECORDS}/{{id}}", apis.on(ContactsApi.get_contact)),
    ]
    return [Route(path, door.endpoint(handler), methods=[method]) for method, path, handler in table]


def _campaign_routes(api: CampaignsApi, pages: CampaignPages, door: "_ApiDoor") -> list[Route]:
    table: list[tuple[str, Handler]] = [
        (_CAMPAIGNS, api.list_campaigns),
        (f"{_CAMPAIGNS}/", api.list_campaigns),
        (f"{_CAMPAIGNS}/{{id}}", api.get_campaign),
        (f"{_CAMPAIGNS}/{{id}}/budget/totals", api.budget_totals),
    ]
    return [Route(CAMPAIGNS_PATH, page(pages.campaigns)), *(Route(path, door.endpoint(each)) for path, each in table)]


def _account_routes(account: ContactsApi, links: Associations, lists: Lists, door: "_ApiDoor") -> list[Route]:
    """What is not of one kind of record; at the end, what the vendor does not have."""
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/account-info/v3/details", account.account_details),
        ("GET", f"{_PAIRS}/labels", links.labels),
        ("POST", f"{_PAIRS}/labels", links.define),
        ("POST", f"{_PAIRS}/batch/associate/default", links.create_default),
        ("POST", f"{_PAIRS}/batch/create", links.create),
        ("POST", f"{_PAIRS}/batch/archive", links.archive),
        ("POST", f"{_PAIRS}/batch/labels/archive", links.archive_labels),
        ("POST", f"{_PAIRS}/batch/read", links.read),
        ("POST", "/crm/v3/lists", lists.create),
        ("GET", _LIST, lists.get),
        ("GET", f"{_LIST}/memberships", lists.members),
        ("PUT", f"{_LIST}/memberships/add", lists.add),
        ("PUT", f"{_LIST}/memberships/remove", lists.remove),
        ("PUT", f"{_LIST}/memberships/add-and-remove", lists.add_and_remove),
    ]
    routes = [Route(path, door.endpoint(handler), methods=[method]) for method, path, handler in table]
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    unknown = [Route(path, door.endpoint(_no_such_path), methods=every) for path in _UNKNOWN]
    return [Route("/oauth/v1/token", door.token, methods=["POST"]), *routes, *unknown]


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


def _page_routes(views: PageViews, records: RecordPages) -> list[Route]:
    return [
        Route("/objects/{object}", page(records.records)),
        Route("/objects/{object}/{id}", page(records.record)),
        Route("/", page(views.contacts)),
        Route("/contacts/{id}", page(views.contact)),
    ]


class _ApiDoor:
    """Lets requests to the vendor's API in: token, limits, latency, body; then the handler, then the headers."""

    def __init__(self, settings: SandboxSettings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._tokens = Tokens(settings.token, lifetime_seconds=settings.token_seconds)

    async def token(self, request: Request) -> Response:
        """The OAuth endpoint: no token is asked for, and no limit of the account counts it."""
        return respond(self._tokens.answer(await read_request(request), refused_status=400))

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
        self._require_token(request)
        is_search = request.url.path.endswith("/search")
        await run_in_threadpool(self._limits.admit, is_search=is_search)
        if self._settings.latency_seconds:
            await asyncio.sleep(self._settings.latency_seconds)
        return await run_in_threadpool(handler, await read_request(request))

    def _require_token(self, request: Request) -> None:
        given = bearer_of(request)
        if self._tokens.is_expired(given):
            raise Refusal(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired.")
        require_token(request, given if self._tokens.is_good(given) else self._settings.token)
