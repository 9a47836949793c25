"""From a web request to a handler and back, as every vendor's stand-in needs it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from cdp_platform.sandbox.frame import content_security_policy
from cdp_platform.sandbox.guards import MOST_BODY_BYTES, parse_json, read_body, require_local_browser
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler, Refusal

Endpoint = Callable[[Request], Awaitable[Response]]
_CSV = "text/csv"
_NEEDS_JSON = ("POST", "PUT", "PATCH")
_FORM = "application/x-www-form-urlencoded"
_PAGE_HEADERS = {
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def local(handler: Handler) -> Endpoint:
    """Return an endpoint of the sandbox's own, for this machine only."""

    async def answer_request(request: Request) -> Response:
        try:
            require_local_browser(request)
            answer = await run_in_threadpool(handler, await read_request(request))
        except Refusal as refusal:
            answer = _plain(refusal)
        return respond(answer)

    return answer_request


def page(view: Callable[[ApiRequest], tuple[int, str]]) -> Endpoint:
    """Return an endpoint that shows a page, for this machine only."""

    async def answer_request(request: Request) -> Response:
        try:
            require_local_browser(request)
        except Refusal as refusal:
            return respond(_plain(refusal))
        status, html = await run_in_threadpool(view, await read_request(request))
        return HTMLResponse(html, status_code=status, headers=_PAGE_HEADERS)

    return answer_request


async def read_request(
    request: Request, most_bytes: int = MOST_BODY_BYTES, *, may_be_empty: bool = False
) -> ApiRequest:
    """Read path, query and body: a form's fields, CSV as bytes only, anything else as JSON. Raises Refusal.

    Without `may_be_empty` a POST, PUT or PATCH has to carry something.
    """
    content = await read_body(request, most_bytes) if request.method in ("POST", "PUT", "PATCH", "DELETE") else b""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body: Any = None
    if kind == _FORM:
        body = _fields(content.decode("utf-8", "replace"))
    elif (content and kind != _CSV) or (request.method in _NEEDS_JSON and not kind and not may_be_empty):
        body = parse_json(content)
    return ApiRequest(
        path={name: str(value) for name, value in request.path_params.items()},
        query=_fields(request.url.query),
        body=body,
        content=content,
        headers={name.lower(): value for name, value in request.headers.items()},
    )


def respond(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    """Turn an answer into a response, with headers of the vendor's added."""
    told = {"Date": format_datetime(datetime.now(UTC), usegmt=True), **(headers or {}), **answer.headers}
    if answer.text is not None:
        return Response(answer.text, status_code=answer.status, headers=told, media_type=answer.media_type)
    if answer.body is None:
        return Response(status_code=answer.status, headers=told)
    return JSONResponse(answer.body, status_code=answer.status, headers=told)


def _fields(text: str) -> dict[str, str]:
    # Starlette would read broken percent-escapes as lone surrogates; these become replacement characters.
    return {name: values[-1] for name, values in parse_qs(text, errors="replace", keep_blank_values=True).items()}


def _plain(refusal: Refusal) -> Answer:
    body = {"status": "error", "message": refusal.message, "category": refusal.code, "correlationId": str(uuid4())}
    return Answer(status=refusal.status, body=body)
