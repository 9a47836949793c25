"""The routes of Salesforce, and the order in which a request is guarded, limited, read and answered."""

import asyncio
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdp_platform.sandbox.doors import Endpoint, local, page, read_request, respond
from cdp_platform.sandbox.guards import MOST_BODY_BYTES
from cdp_platform.sandbox.salesforce.access import Access
from cdp_platform.sandbox.salesforce.answers import answer_of, not_found
from cdp_platform.sandbox.salesforce.api import VERSIONS, RecordsApi
from cdp_platform.sandbox.salesforce.bulk import MOST_CONTENT_BYTES, BulkApi
from cdp_platform.sandbox.salesforce.control import Control
from cdp_platform.sandbox.salesforce.offers import Offers
from cdp_platform.sandbox.salesforce.page_views import PageViews
from cdp_platform.sandbox.salesforce.seed import fill
from cdp_platform.sandbox.salesforce.store import OrganizationStore
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.vendor import Day, Vendor
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler, Refusal

_DATA: Final = "/services/data/{version}"
_JOBS: Final = f"{_DATA}/jobs/ingest"


def open_salesforce(settings: SandboxSettings, day: Day) -> Vendor:
    """Open the organization in its state file, `salesforce.sqlite` beside the CRM's."""
    store = OrganizationStore(settings.state_path.with_name("salesforce.sqlite"), day=day)
    fill(store, settings.seed)
    access, bulk = Access(settings, store), BulkApi(store)
    door = _Door(settings, access, Offers(store, settings.state_path, day))

    def close() -> None:
        bulk.close()
        store.close()

    routes = [
        Route("/services/oauth2/token", door.endpoint(access.token, is_open=True), methods=["POST"]),
        Route("/services/data", door.endpoint(RecordsApi(store).versions, is_open=True)),
        Route("/services/data/", door.endpoint(RecordsApi(store).versions, is_open=True)),
        *_record_routes(RecordsApi(store), access, door),
        *_job_routes(bulk, door),
        Route("/services/{rest:path}", door.endpoint(_no_such_path), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        *_local_routes(Control(store, access), PageViews(store)),
    ]
    return Vendor(routes=routes, close=close)


def _record_routes(api: RecordsApi, access: Access, door: "_Door") -> list[Route]:
    objects, many = f"{_DATA}/sobjects", f"{_DATA}/composite/sobjects"
    table: list[tuple[str, str, Handler]] = [
        ("GET", f"{_DATA}/limits", access.limits),
        ("GET", objects, api.objects),
        ("GET", f"{objects}/{{object}}/describe", api.describe),
        ("POST", f"{objects}/{{object}}", api.create),
        ("GET", f"{objects}/{{object}}/{{id}}", api.get),
        ("PATCH", f"{objects}/{{object}}/{{id}}", api.update),
        ("DELETE", f"{objects}/{{object}}/{{id}}", api.remove),
        ("PATCH", f"{objects}/{{object}}/{{field}}/{{value:path}}", api.upsert),
        ("PATCH", many, api.write_many),
        ("POST", many, api.write_many),
        ("DELETE", many, api.delete_many),
        ("GET", f"{many}/{{object}}", api.retrieve_many),
        ("POST", f"{many}/{{object}}", api.retrieve_many),
        ("PATCH", f"{many}/{{object}}/{{field}}", api.upsert_many),
        ("GET", f"{_DATA}/query", api.query),
        ("GET", f"{_DATA}/queryAll", api.query_all),
        ("GET", f"{_DATA}/query/{{locator}}", api.more),
    ]
    return _routes(table, door)


def _job_routes(bulk: BulkApi, door: "_Door") -> list[Route]:
    table: list[tuple[str, str, Handler]] = [
        ("POST", _JOBS, bulk.create),
        ("GET", f"{_JOBS}/{{job}}", bulk.info),
        ("PATCH", f"{_JOBS}/{{job}}", bulk.change),
        ("DELETE", f"{_JOBS}/{{job}}", bulk.remove),
        ("PUT", f"{_JOBS}/{{job}}/batches", bulk.upload),
        ("GET", f"{_JOBS}/{{job}}/{{list}}", bulk.results),
    ]
    return _routes(table, door)


def _routes(table: list[tuple[str, str, Handler]], door: "_Door") -> list[Route]:
    """The vendor takes a path with a slash at its end, too."""
    return [
        Route(route, door.endpoint(handler), methods=[method])
        for method, path, handler in table
        for route in (path, f"{path}/")
    ]


def _local_routes(control: Control, views: PageViews) -> list[Route]:
    return [
        Route("/sandbox/salesforce/stats", local(control.stats)),
        Route("/sandbox/salesforce/locks", local(control.lock), methods=["PUT"]),
        Route("/sandbox/salesforce/sessions", local(control.end_sessions), methods=["DELETE"]),
        Route("/salesforce", page(views.accounts)),
        Route("/salesforce/contacts", page(views.contacts)),
        Route("/salesforce/opportunities", page(views.opportunities)),
        Route("/salesforce/jobs", page(views.jobs)),
    ]


def _no_such_path(_: ApiRequest) -> Answer:
    raise not_found()


class _Door:
    """Lets requests in: session, limits, latency, body; then the handler, then the header that tells the usage."""

    def __init__(self, settings: SandboxSettings, access: Access, offers: Offers) -> None:
        self._settings = settings
        self._access = access
        self._offers = offers

    def endpoint(self, handler: Handler, *, is_open: bool = False) -> Endpoint:
        """Return an endpoint; one that is open asks for no session, counts nothing and tells no usage."""

        async def answer_request(request: Request) -> Response:
            try:
                if is_open:
                    return respond(await run_in_threadpool(handler, await read_request(request)))
                answer = await self._pass(request, handler)
            except Refusal as refusal:
                answer = answer_of(refusal)
            return respond(answer, await run_in_threadpool(self._access.headers))

        return answer_request

    async def _pass(self, request: Request, handler: Handler) -> Answer:
        await run_in_threadpool(self._access.require_token, request.headers.get("authorization", ""))
        version = request.path_params.get("version", "")
        if version not in {f"v{number}.0" for number in VERSIONS}:
            raise not_found()
        is_upload = request.method == "PUT"
        await run_in_threadpool(self._offers.look)
        with self._access.admitted():
            if self._settings.latency_seconds:
                await asyncio.sleep(self._settings.latency_seconds)
            read = await read_request(request, MOST_CONTENT_BYTES if is_upload else MOST_BODY_BYTES)
            return await run_in_threadpool(handler, read)
