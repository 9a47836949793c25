"""What passes between the web application and a vendor's stand-in: a request as read, an answer, a refusal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """What a handler needs of a request."""

    path: Mapping[str, str]
    """The parameters of the route."""
    query: Mapping[str, str]
    body: Any = None
    """The JSON value, or the fields of a form; None where there is no body or it is neither."""
    content: bytes = b""
    """The body as it came, for handlers that read CSV."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By name in lower case."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status and a body: `text` where it is set, else the JSON value; both None is an empty body."""

    status: int = 200
    body: Any = None
    text: str | None = None
    media_type: str = "text/csv; charset=utf-8"
    """Of `text`."""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The whole request is refused and nothing has been written; each vendor says it in its own shape.

    As at the vendors, a message may repeat a value that was sent: a client has to mask it before it logs.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


Handler = Callable[[ApiRequest], Answer]
