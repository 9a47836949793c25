"""The shapes in which Google answers: an error with its status and details."""

from typing import Any

from cdp_platform.sandbox.wire import Answer, Refusal

_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_STATUS |= {413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED"}


class DataManagerError(Refusal):
    """The whole request is refused and nothing has been processed."""

    def __init__(self, status: int, message: str, *, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(status, _STATUS.get(status, "UNKNOWN"), message)
        self.details = details or []

    def answer(self) -> Answer:
        """Return the vendor's error body."""
        error = {"code": self.status, "message": self.message, "status": self.code, "details": self.details}
        return Answer(status=self.status, body={"error": error})


def in_our_shape(refusal: Refusal) -> DataManagerError:
    """Return a refusal of the sandbox's own in the vendor's shape."""
    return refusal if isinstance(refusal, DataManagerError) else DataManagerError(refusal.status, refusal.message)


def violation(field: str, description: str) -> DataManagerError:
    """Return the refusal of a request for one field of it; nothing of the request is processed."""
    bad = {"field": field, "description": description}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [bad]}
    return DataManagerError(400, "There was a problem with the request.", details=[detail])
