"""The routes of the Graph API, and the order in which a request is read, guarded, limited and answered."""

import asyncio
import hmac
from email.utils import format_datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdp_platform.sandbox.doors import Endpoint, local, page, read_request, respond
from cdp_platform.sandbox.meta.account import AdAccount
from cdp_platform.sandbox.meta.answers import GraphError, in_our_shape, parameters_of
from cdp_platform.sandbox.meta.audiences import AudiencesApi
from cdp_platform.sandbox.meta.control import MetaControl
from cdp_platform.sandbox.meta.events import EventsApi
from cdp_platform.sandbox.meta.insights import InsightsApi
from cdp_platform.sandbox.meta.page_views import MetaViews
from cdp_platform.sandbox.meta.usage import Usage
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.vendor import Day, Vendor
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler, Refusal

_MOST_BODY_BYTES = 48 * 1024 * 1024
_ACCOUNT = "/v{version:float}/act_{account:int}"
_OBJECT = "/v{version:float}/{id:int}"


def open_meta(settings: SandboxSettings, day: Day) -> Vendor:
    """Open the ad account in its state file."""
    account = AdAccount(settings.state_path.with_name("meta.sqlite"), day)
    usage = Usage()
    door = _Door(settings, account, usage)
    audiences, insights = AudiencesApi(account), InsightsApi(account, settings.seed)
    control, views = MetaControl(account, usage), MetaViews(account, insights)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/v{version:float}/me", control.me),
        ("GET", "/v{version:float}/debug_token", control.debug_token),
        ("GET", _ACCOUNT, control.ad_account),
        ("GET", f"{_ACCOUNT}/customaudiences", audiences.list_audiences),
        ("POST", f"{_ACCOUNT}/customaudiences", audiences.create_audience),
        ("GET", f"{_ACCOUNT}/insights", insights.read),
        ("POST", f"{_OBJECT}/users", audiences.add_users),
        ("DELETE", f"{_OBJECT}/users", audiences.remove_users),
        ("POST", f"{_OBJECT}/usersreplace", audiences.replace_users),
        ("POST", f"{_OBJECT}/events", EventsApi(account).receive),
        ("GET", _OBJECT, control.object_reader(audiences.read_audience)),
    ]
    routes = [Route(path, door.endpoint(handler), methods=[method]) for method, path, handler in table]
    routes += [
        Route("/sandbox/meta/state", local(control.state)),
        Route("/sandbox/meta/limit", local(control.set_limit), methods=["PUT"]),
        Route("/meta", page(views.overview)),
    ]
    return Vendor(routes=routes, close=account.file.close)


class _Door:
    """Lets requests in: body, token, limit, latency; then the handler; the headers tell usage and the vendor's time."""

    def __init__(self, settings: SandboxSettings, account: AdAccount, usage: Usage) -> None:
        self._settings = settings
        self._account = account
        self._usage = usage

    def endpoint(self, handler: Handler) -> Endpoint:
        async def answer_request(request: Request) -> Response:
            try:
                answer = await self._pass(request, handler)
            except Refusal as refusal:
                answer = in_our_shape(refusal).answer()
            # The clock of the replay is the vendor's: events are as old as it says.
            now = await run_in_threadpool(self._account.now)
            return respond(answer, {**self._usage.headers(), "Date": format_datetime(now, usegmt=True)})

        return answer_request

    async def _pass(self, request: Request, handler: Handler) -> Answer:
        read = await read_request(request, _MOST_BODY_BYTES)
        self._require_token(read)
        self._usage.admit()
        if self._settings.latency_seconds:
            await asyncio.sleep(self._settings.latency_seconds)
        return await run_in_threadpool(handler, read)

    def _require_token(self, request: ApiRequest) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "oauth"):
            given = str(parameters_of(request).get("access_token", ""))
        if not hmac.compare_digest(given.strip().encode(), self._settings.token.encode()):
            raise GraphError(401, 190, "Invalid OAuth access token - Cannot parse access token")
