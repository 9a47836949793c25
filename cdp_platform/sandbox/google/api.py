"""The Data Manager API as the vendor's documents describe it: ingest and remove members, ask for a request's status.

Vendor's pages under developers.google.com/data-manager/api/reference/rest/v1: audienceMembers, requestStatus,
accountTypes.accounts.userLists (read 2026-11-22). Not built: events, encryption, more than one destination a request.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from cdp_platform.sandbox.google.account import ACCOUNT_ID, USER_LISTS, DataManagerAccount
from cdp_platform.sandbox.google.answers import DataManagerError, violation
from cdp_platform.sandbox.google.members import read_members
from cdp_platform.sandbox.wire import Answer, ApiRequest

TOKEN_SECONDS: Final = 3600
_GRANTS: Final = ("refresh_token", "client_credentials")


class Tokens:
    """Access tokens that the account has given out, against the client's secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._given: dict[str, float] = {}

    def give(self, request: ApiRequest) -> Answer:
        """POST token."""
        told = request.body if isinstance(request.body, Mapping) else {}
        if told.get("grant_type") not in _GRANTS:
            return Answer(status=400, body={"error": "unsupported_grant_type"})
        if not secrets.compare_digest(str(told.get("client_secret", "")).encode(), self._secret.encode()):
            return Answer(status=401, body={"error": "invalid_client"})
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._given[token] = time.monotonic() + TOKEN_SECONDS
        return Answer(body={"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})

    def require(self, request: ApiRequest) -> None:
        """Raise DataManagerError 401 for a token that was not given out, or too long ago."""
        scheme, _, told = request.headers.get("authorization", "").partition(" ")
        is_given = self._given.get(told.strip(), 0.0) > time.monotonic()
        is_own = secrets.compare_digest(told.strip().encode(), self._secret.encode())
        if scheme.lower() != "bearer" or not (is_given or is_own):
            raise DataManagerError(401, "Request had invalid authentication credentials.")


class DataManagerApi:
    """The endpoints of one account. Each raises DataManagerError for a request that it does not take."""

    def __init__(self, account: DataManagerAccount) -> None:
        self._account = account

    def user_list(self, request: ApiRequest) -> Answer:
        """GET accountTypes/{type}/accounts/{account}/userLists/{id}."""
        told = request.path
        if told["kind"] != "GOOGLE_ADS" or told["account"] != ACCOUNT_ID or told["id"] not in USER_LISTS:
            raise DataManagerError(404, "Requested entity was not found.")
        name = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT_ID}/userLists/{told['id']}"
        body = {"name": name, "id": told["id"], "readOnly": False, "displayName": USER_LISTS[told["id"]]}
        return Answer(body={**body, "membershipStatus": "OPEN", "accountAccessStatus": "ENABLED"})

    def ingest(self, request: ApiRequest) -> Answer:
        """POST audienceMembers:ingest."""
        body = _object(request.body)
        terms = body.get("termsOfService")
        if not isinstance(terms, Mapping) or terms.get("customerMatchTermsOfServiceStatus") != "ACCEPTED":
            raise violation("terms_of_service", "The Customer Match terms of service have to be accepted")
        consent = body.get("consent") or {}
        if not isinstance(consent, Mapping) or "CONSENT_DENIED" in consent.values():
            raise violation("consent", "Consent was denied for the whole request")
        return self._take("ingest", body, consent)

    def remove(self, request: ApiRequest) -> Answer:
        """POST audienceMembers:remove."""
        return self._take("remove", _object(request.body), {})

    def status(self, request: ApiRequest) -> Answer:
        """GET requestStatus:retrieve."""
        found = self._account.ask(request.query.get("requestId", ""))
        if found is None:
            raise DataManagerError(404, "Requested entity was not found.")
        told: dict[str, Any] = {
            "destination": _destination(found["list_id"]),
            "requestStatus": "PROCESSING" if found["records"] is None else "SUCCESS",
        }
        if found["records"] is not None:
            counts: dict[str, Any] = {"recordCount": str(found["records"])}
            part, inner = (
                ("audienceMembersIngestionStatus", "userDataIngestionStatus")
                if found["operation"] == "ingest"
                else ("audienceMembersRemovalStatus", "userDataRemovalStatus")
            )
            told[part] = {inner: counts}
        return Answer(body={"requestStatusPerDestination": [told]})

    def state(self, request: ApiRequest) -> Answer:
        """GET state: the lists with members and requests."""
        lists = [
            {
                "id": list_id,
                "name": name,
                "size": self._account.size(list_id),
                "members": self._account.members(list_id),
                "requests": self._account.requests(list_id),
            }
            for list_id, name in USER_LISTS.items()
        ]
        return Answer(body={"lists": lists})

    def _take(self, operation: str, body: Mapping[str, Any], consent: Mapping[str, Any]) -> Answer:
        list_id = _list_of(body.get("destinations"))
        members = read_members(body)
        if body.get("validateOnly") is True:
            return Answer(body={})
        return Answer(body={"requestId": self._account.take(operation, list_id, members, consent)})


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise DataManagerError(400, "Invalid JSON payload received.")
    return body


def _list_of(told: Any) -> str:
    """The list that a request's one destination names."""
    if not isinstance(told, list) or len(told) != 1 or not isinstance(told[0], Mapping):
        raise violation("destinations", "The sandbox takes exactly one destination")
    account = told[0].get("operatingAccount")
    kinds = ("GOOGLE_ADS",)
    if not isinstance(account, Mapping) or account.get("accountType") not in kinds or not account.get("accountId"):
        raise violation("destinations.destinations[0].operating_account", "An account with its type is required")
    if account["accountId"] != ACCOUNT_ID:
        raise DataManagerError(403, "The caller does not have permission.")
    list_id = told[0].get("productDestinationId")
    if list_id not in USER_LISTS:
        raise violation("destinations.destinations[0].product_destination_id", "There is no such user list")
    return str(list_id)


def _destination(list_id: str) -> dict[str, Any]:
    account = {"accountType": "GOOGLE_ADS", "accountId": ACCOUNT_ID}
    return {"operatingAccount": account, "productDestinationId": list_id}
