"""The routes of the Data Manager API, and the order in which a request is read, guarded, limited and answered."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdp_platform.sandbox.doors import Endpoint, local, page, read_request, respond
from cdp_platform.sandbox.google.account import DataManagerAccount
from cdp_platform.sandbox.google.answers import DataManagerError, in_our_shape
from cdp_platform.sandbox.google.api import DataManagerApi, Tokens
from cdp_platform.sandbox.google.page_views import GoogleViews
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.vendor import Day, Vendor
from cdp_platform.sandbox.window import RollingWindow
from cdp_platform.sandbox.wire import Answer, Handler, Refusal

_MOST_BODY_BYTES: Final = 48 * 1024 * 1024
REQUESTS_PER_MINUTE: Final = 300
_USER_LIST: Final = "/v1/accountTypes/{kind}/accounts/{account}/userLists/{id}"


def open_google(settings: SandboxSettings, day: Day) -> Vendor:
    """Open the account in its state file."""
    account = DataManagerAccount(settings.state_path.with_name("google.sqlite"), day)
    api, tokens = DataManagerApi(account), Tokens(settings.token)
    door = _Door(settings, tokens)
    table: list[tuple[str, str, Handler]] = [
        ("GET", _USER_LIST, api.user_list),
        ("POST", "/v1/audienceMembers:ingest", api.ingest),
        ("POST", "/v1/audienceMembers:remove", api.remove),
        ("GET", "/v1/requestStatus:retrieve", api.status),
    ]
    routes = [Route(path, door.endpoint(handler), methods=[method]) for method, path, handler in table]
    routes += [
        Route("/google/token", local(tokens.give), methods=["POST"]),
        Route("/sandbox/google/state", local(api.state)),
        Route("/google", page(GoogleViews(account).overview)),
    ]
    return Vendor(routes=routes, close=account.file.close)


class _Door:
    """Lets requests in: body, token, limit, latency; then the handler."""

    def __init__(self, settings: SandboxSettings, tokens: Tokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._tokens = tokens
        self._clock = clock
        self._lock = threading.Lock()
        self._windows = {kind: RollingWindow(REQUESTS_PER_MINUTE, 60.0) for kind in ("GET", "POST")}

    def endpoint(self, handler: Handler) -> Endpoint:
        async def answer_request(request: Request) -> Response:
            try:
                answer = await self._pass(request, handler)
            except Refusal as refusal:
                answer = in_our_shape(refusal).answer()
            return respond(answer)

        return answer_request

    async def _pass(self, request: Request, handler: Handler) -> Answer:
        read = await read_request(request, _MOST_BODY_BYTES)
        self._tokens.require(read)
        self._admit(request.method)
        if self._settings.latency_seconds:
            await asyncio.sleep(self._settings.latency_seconds)
        return await run_in_threadpool(handler, read)

    def _admit(self, method: str) -> None:
        """Count one request; reads and changes have a limit each."""
        with self._lock:
            window, now = self._windows[method], self._clock()
            if window.remaining(now) < 1:
                retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20s"}
                raise DataManagerError(429, "Quota exceeded for quota metric.", details=[retry])
            window.take(now)
