"""How the vendor refuses a whole request: a list with one error. As there, a message may repeat a value."""

from collections.abc import Sequence

from cdp_platform.sandbox.wire import Answer, Refusal


class RequestError(Refusal):
    """The whole request is refused and nothing has been written."""

    def __init__(self, status: int, code: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(status, code, message)
        self.fields = list(fields)


def answer_of(refusal: Refusal) -> Answer:
    """Return the vendor's error body for a refusal of ours."""
    code, status = refusal.code, refusal.status
    if status == 401:
        return Answer(status=401, body=[{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
    if code == "VALIDATION_ERROR":
        code = "JSON_PARSER_ERROR"
    body = {"message": refusal.message, "errorCode": code}
    fields = refusal.fields if isinstance(refusal, RequestError) else []
    return Answer(status=status, body=[{**body, "fields": fields} if fields else body])


def not_found(message: str = "The requested resource does not exist") -> RequestError:
    """Return the refusal for a path, an object or a record that is not there."""
    return RequestError(404, "NOT_FOUND", message)


def malformed(message: str, code: str = "JSON_PARSER_ERROR") -> RequestError:
    """Return the refusal of a request that is not well formed."""
    return RequestError(400, code, message)


def no_field(name: str, kind: str) -> RequestError:
    """Return the refusal for a field that the object does not have."""
    return RequestError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}", [name])
