"""The shapes in which the vendor answers: an answer, a refusal of a whole request, an error of one row.

As at the vendor, messages may repeat the value that was sent. A client has to mask them before it logs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdp_platform.sandbox.wire import Answer, Refusal

VALIDATION_ERROR = "VALIDATION_ERROR"
CONFLICT = "CONFLICT"
OBJECT_NOT_FOUND = "OBJECT_NOT_FOUND"


class RequestError(Refusal):
    """The whole request is refused and nothing has been written."""

    def __init__(
        self, status: int, category: str, message: str, *, errors: Sequence[Mapping[str, Any]] = (), **more: Any
    ) -> None:
        super().__init__(status, category, message)
        self.body: dict[str, Any] = {"status": "error", "message": message, "category": category, **more}
        if errors:
            self.body["errors"] = list(errors)

    def answer(self, correlation_id: str) -> Answer:
        """Return the vendor's error body with the id that support would ask for."""
        return Answer(status=self.status, body={**self.body, "correlationId": correlation_id})


def in_our_shape(refusal: Refusal) -> RequestError:
    """Return a refusal of the sandbox's own in the vendor's shape."""
    return refusal if isinstance(refusal, RequestError) else RequestError(refusal.status, refusal.code, refusal.message)


def invalid(message: str, **more: Any) -> RequestError:
    """Return the refusal of a malformed request."""
    return RequestError(400, VALIDATION_ERROR, message, **more)


def not_found(message: str = "resource not found") -> RequestError:
    """Return the refusal for a record or a path that is not there."""
    return RequestError(404, OBJECT_NOT_FOUND, message)


@dataclass(frozen=True, kw_only=True)
class PropertyError:
    """Why one value of a row was not taken."""

    name: str
    code: str
    message: str

    def body(self) -> dict[str, Any]:
        return {"message": self.message, "code": self.code, "context": {"propertyName": [self.name]}}


@dataclass(frozen=True, kw_only=True)
class RowError:
    """Why one row of a batch was not taken."""

    category: str
    message: str
    trace_id: str | None = None
    context: Mapping[str, list[str]] = field(default_factory=dict)
    details: tuple[PropertyError, ...] = ()

    def body(self) -> dict[str, Any]:
        """Return the item of `errors`; its context names the row by objectWriteTraceId where it had one."""
        context = dict(self.context)
        if self.trace_id is not None:
            context["objectWriteTraceId"] = [self.trace_id]
        body: dict[str, Any] = {"status": "error", "category": self.category, "message": self.message}
        body["context"] = context
        if self.details:
            body["errors"] = [detail.body() for detail in self.details]
        return body
