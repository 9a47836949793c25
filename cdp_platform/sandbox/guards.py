"""What stands before every handler: the token, the host and origin of a browser, and the size and form of a body."""

import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request

from cdp_platform.sandbox.answers import RequestError, invalid

MOST_BODY_BYTES = 5 * 1024 * 1024
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def require_token(request: Request, token: str) -> None:
    """Raise RequestError 401 unless the request carries the account's bearer token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        message = "Authentication credentials not found. This API supports OAuth 2.0 and private app tokens."
        raise RequestError(401, "INVALID_AUTHENTICATION", message)


def require_local_browser(request: Request) -> None:
    """Raise RequestError 403 for a Host that is not this machine, or an Origin that is not this very page.

    Without it, a page elsewhere could reach the account through the person's browser (DNS rebinding, cross-origin).
    """
    host = request.headers.get("host", "")
    if _host_name(f"//{host}") not in _LOCAL_HOSTS:
        raise RequestError(403, "FORBIDDEN", "The sandbox answers to 127.0.0.1 and localhost only")
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        raise RequestError(403, "FORBIDDEN", "Requests from another origin are not taken")


def _host_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


async def read_json(request: Request) -> Any:
    """Return the JSON body. Raises RequestError 413 above 5 MB, 400 for what is not JSON or cannot be kept as text."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                raise RequestError(413, "VALIDATION_ERROR", f"The body is larger than {MOST_BODY_BYTES} bytes")
    except ClientDisconnect:
        raise invalid("The connection ended before the body did") from None
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        if not _is_storable(value):
            raise ValueError
    except (ValueError, RecursionError):
        raise invalid("Invalid input JSON") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        # NUL would end the text early in SQLite's JSON functions; a lone surrogate has no UTF-8 form.
        return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(_is_storable(key) and _is_storable(item) for key, item in value.items())
    return all(map(_is_storable, value)) if isinstance(value, list) else True
