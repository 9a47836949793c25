"""What stands before every handler: the token, the host and origin of a browser, and the size and form of a body."""

import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request

from cdp_platform.sandbox.wire import Refusal

VALIDATION_ERROR = "VALIDATION_ERROR"
MOST_BODY_BYTES = 5 * 1024 * 1024
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def bearer_of(request: Request) -> str:
    """Return the token that the request carries, whatever the word before it; empty where there is none."""
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def require_token(request: Request, token: str) -> None:
    """Raise Refusal 401 unless the request carries the account's bearer token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        message = "Authentication credentials not found. This API supports OAuth 2.0 and private app tokens."
        raise Refusal(401, "INVALID_AUTHENTICATION", message)


def require_local_browser(request: Request) -> None:
    """Raise Refusal 403 for a Host that is not this machine, or an Origin that is not this very page.

    Without it, a page elsewhere could reach the account through the person's browser (DNS rebinding, cross-origin).
    """
    host = request.headers.get("host", "")
    if _host_name(f"//{host}") not in _LOCAL_HOSTS:
        raise Refusal(403, "FORBIDDEN", "The sandbox answers to 127.0.0.1 and localhost only")
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        raise Refusal(403, "FORBIDDEN", "Requests from another origin are not taken")


def _host_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


async def read_body(request: Request, most_bytes: int = MOST_BODY_BYTES) -> bytes:
    """Return the body. Raises Refusal 413 where it is larger than `most_bytes`, 400 where it was cut."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most_bytes:
                raise Refusal(413, VALIDATION_ERROR, f"The body is larger than {most_bytes} bytes")
    except ClientDisconnect:
        raise Refusal(400, VALIDATION_ERROR, "The connection ended before the body did") from None
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """Return the JSON value. Raises Refusal 400 for what is not JSON or cannot be kept as text."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        if not is_storable(value):
            raise ValueError
    except (ValueError, RecursionError):
        raise Refusal(400, VALIDATION_ERROR, "Invalid input JSON") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def is_storable(value: Any) -> bool:
    """Say whether a JSON value can be kept as text."""
    if isinstance(value, str):
        # NUL would end the text early in SQLite's JSON functions; a lone surrogate has no UTF-8 form.
        return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(is_storable(key) and is_storable(item) for key, item in value.items())
    return all(map(is_storable, value)) if isinstance(value, list) else True
