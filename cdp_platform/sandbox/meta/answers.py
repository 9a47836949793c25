"""The shapes in which Meta answers: an error object, and lists in pages."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from cdp_platform.sandbox.guards import is_storable
from cdp_platform.sandbox.wire import Answer, ApiRequest, Refusal


class GraphError(Refusal):
    """The whole request is refused and nothing has been written."""

    def __init__(
        self, status: int, code: int, message: str, *, subcode: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, str(code), message)
        self.graph_code = code
        self.subcode = subcode
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """Return the vendor's error body."""
        kind = "OAuthException" if self.graph_code in (10, 190, 200) else "FacebookApiException"
        error: dict[str, Any] = {"message": f"(#{self.graph_code}) {self.message}", "type": kind}
        error |= {"code": self.graph_code, "fbtrace_id": uuid4().hex[:11]}
        if self.subcode:
            error["error_subcode"] = self.subcode
        return Answer(status=self.status, body={"error": error}, headers=self.headers)


def in_our_shape(refusal: Refusal) -> GraphError:
    """Return a refusal of the sandbox's own in the vendor's shape."""
    return refusal if isinstance(refusal, GraphError) else GraphError(refusal.status, 100, refusal.message)


def invalid(message: str, *, subcode: int = 0) -> GraphError:
    """Return the refusal of a malformed request."""
    return GraphError(400, 100, message, subcode=subcode)


def missing(what: str) -> GraphError:
    """Return the refusal for an object that is not there, or that the token may not see."""
    message = f"Unsupported request. {what} does not exist, cannot be loaded due to missing permissions"
    return GraphError(400, 100, message, subcode=33)


def parameters_of(request: ApiRequest) -> dict[str, Any]:
    """Return the parameters of a request, from its query and its body, whichever way they came."""
    body = request.body if isinstance(request.body, Mapping) else {}
    return {**request.query, **body}


def json_parameter(parameters: Mapping[str, Any], name: str) -> Any:
    """Read a parameter that is JSON, or text of it. Raises GraphError for what is neither."""
    value = parameters.get(name)
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        raise invalid(f"{name} should represent a valid JSON value") from None
    if not is_storable(parsed):
        raise invalid(f"{name} holds a character that cannot be kept")
    return parsed


def page_of(items: Sequence[Mapping[str, Any]], request: ApiRequest, *, default: int) -> Answer:
    """Return one page of a list: `limit` and `after` of the query; the cursors tell the next."""
    limit, after = _number(request, "limit", default), _number(request, "after", 0)
    chosen = items[after : after + limit]
    paging: dict[str, Any] = {"cursors": {"before": str(after), "after": str(after + len(chosen))}}
    if after + len(chosen) < len(items):
        paging["next"] = f"?after={after + len(chosen)}"
    return Answer(body={"data": list(chosen), "paging": paging} if chosen else {"data": []})


def _number(request: ApiRequest, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise invalid(f"{name} must be a number")
    return int(text)
