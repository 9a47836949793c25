"""Custom audiences as the vendor's documents describe them: list, create, add, remove and replace people.

Vendor's pages: developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/guides/custom-audiences and
.../reference/custom-audience/users (read 2026-11-22). Sizes are exact and told at once; the vendor takes up to a day
and tells a range. Not built: lookalikes, sharing, value-based audiences, the check that a session is complete.
"""

from collections.abc import Mapping
from typing import Any, Final

from cdp_platform.sandbox.meta.account import ACCOUNT_ID, AdAccount
from cdp_platform.sandbox.meta.answers import GraphError, invalid, json_parameter, missing, page_of, parameters_of
from cdp_platform.sandbox.meta.entries import Entry, read_entries
from cdp_platform.sandbox.wire import Answer, ApiRequest

_FIELDS: Final = ("id",)
_PAGE: Final = 25
_MOST_SAMPLES: Final = 5
FLAGGED: Final = "health"
"""An audience whose name has this word is flagged and takes no members."""


class AudiencesApi:
    """The endpoints of one ad account. Each raises GraphError for a request that it does not take."""

    def __init__(self, account: AdAccount) -> None:
        self._account = account

    def list_audiences(self, request: ApiRequest) -> Answer:
        """GET act_{id}/customaudiences."""
        require_account(request)
        return page_of([_shown(found, request) for found in self._account.audiences()], request, default=_PAGE)

    def create_audience(self, request: ApiRequest) -> Answer:
        """POST act_{id}/customaudiences."""
        require_account(request)
        parameters = parameters_of(request)
        name = parameters.get("name")
        if not isinstance(name, str) or not name.strip():
            raise invalid("Missing parameter(s): name")
        if parameters.get("subtype") != "CUSTOM" or not parameters.get("customer_file_source"):
            raise invalid("Missing parameter(s): customer_file_source, subtype")
        return Answer(body={"id": str(self._account.add_audience(name))})

    def read_audience(self, request: ApiRequest) -> Answer:
        """GET {audience}."""
        return Answer(body=_shown(self._audience(request), request))

    def add_users(self, request: ApiRequest) -> Answer:
        """POST {audience}/users."""
        return self._change(request, "add")

    def remove_users(self, request: ApiRequest) -> Answer:
        """DELETE {audience}/users."""
        return self._change(request, "remove")

    def replace_users(self, request: ApiRequest) -> Answer:
        """POST {audience}/usersreplace: a session's first batch empties the audience."""
        return self._change(request, "replace")

    def _change(self, request: ApiRequest, operation: str) -> Answer:
        audience = self._audience(request)
        if FLAGGED in audience["name"].lower():
            raise invalid("Invalid parameter", subcode=1713230)
        parameters = parameters_of(request)
        session = _session(json_parameter(parameters, "session"), is_required=operation == "replace")
        good, bad = read_entries(json_parameter(parameters, "payload"))
        with self._account.file.transaction():
            self._write(audience["id"], operation, good, is_first=session.get("batch_seq", 1) == 1)
            self._account.log_upload(audience["id"], operation, len(good) + len(bad), len(bad))
        body = {
            "audience_id": str(audience["id"]),
            "session_id": str(session.get("session_id", "0")),
            "num_received": len(good) + len(bad),
            "num_invalid_entries": len(bad),
            "invalid_entry_samples": {str(place): str(item) for place, item in enumerate(bad[:_MOST_SAMPLES])},
        }
        return Answer(body=body)

    def _write(self, audience_id: int, operation: str, entries: list[Entry], *, is_first: bool) -> None:
        if operation == "remove":
            self._account.remove(audience_id, entries)
            return
        if operation == "replace" and is_first:
            self._account.clear(audience_id)
        self._account.add(audience_id, entries)

    def _audience(self, request: ApiRequest) -> Mapping[str, Any]:
        found = self._account.audience(int(request.path["id"]))
        if found is None:
            raise missing(f"Object with ID '{request.path['id']}'")
        return found


def require_account(request: ApiRequest) -> None:
    """Raise GraphError for an ad account that the token may not see."""
    if request.path["account"] != ACCOUNT_ID:
        raise missing(f"Object with ID 'act_{request.path['account']}'")


def _shown(audience: Mapping[str, Any], request: ApiRequest) -> dict[str, Any]:
    told = {
        "id": str(audience["id"]),
        "name": audience["name"],
        "account_id": ACCOUNT_ID,
        "subtype": "CUSTOM",
        "approximate_count_lower_bound": audience["size"],
        "approximate_count_upper_bound": audience["size"],
        "operation_status": {"code": 200, "description": "Normal"},
    }
    asked = [name for name in request.query.get("fields", "").split(",") if name]
    if strangers := [name for name in asked if name not in told]:
        raise invalid(f"Tried accessing nonexisting field ({strangers[0][:50]})")
    return {name: told[name] for name in {*_FIELDS, *asked}}


def _session(told: Any, *, is_required: bool) -> Mapping[str, Any]:
    if told is None and not is_required:
        return {}
    numbers = ("session_id", "batch_seq")
    if not isinstance(told, Mapping) or any(not _is_number(told.get(name)) for name in numbers):
        raise invalid("session must hold session_id and batch_seq, both numbers")
    if told["batch_seq"] < 1 or not 0 <= told["session_id"] < 2**63:
        raise GraphError(400, 100, "session: batch_seq starts from 1, session_id has 64 bits")
    return told


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
