"""What belongs to the account as a whole: who the token is, the ad account, and the sandbox's own endpoints."""

from typing import Any

from cdp_platform.sandbox.meta.account import ACCOUNT_ID, DATASET_ID, AdAccount
from cdp_platform.sandbox.meta.answers import invalid
from cdp_platform.sandbox.meta.audiences import require_account
from cdp_platform.sandbox.meta.usage import Usage
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler

_EVENT_NAMES = ("event_name", "event_id", "event_time", "day", "sent_count", "user_data", "custom_data")


class MetaControl:
    """The endpoints that are about no single audience."""

    def __init__(self, account: AdAccount, usage: Usage) -> None:
        self._account = account
        self._usage = usage

    def me(self, request: ApiRequest) -> Answer:
        """GET me."""
        return Answer(body={"id": "1017201700000002", "name": "cdp sandbox system user"})

    def debug_token(self, request: ApiRequest) -> Answer:
        """GET debug_token."""
        told = {"is_valid": True, "type": "SYSTEM_USER", "app_id": "1017201700000003", "expires_at": 0}
        return Answer(body={"data": {**told, "scopes": ["ads_management", "ads_read"]}})

    def ad_account(self, request: ApiRequest) -> Answer:
        """GET act_{id}."""
        require_account(request)
        told = {"id": f"act_{ACCOUNT_ID}", "account_id": ACCOUNT_ID, "name": "Sandbox shop", "currency": "USD"}
        return Answer(body={**told, "timezone_name": "UTC"})

    def object_reader(self, read_audience: Handler) -> Handler:
        """Return the handler of GET {id}, which is the dataset or an audience."""

        def read(request: ApiRequest) -> Answer:
            if request.path["id"] == DATASET_ID:
                return Answer(body={"id": DATASET_ID, "name": "Sandbox shop events"})
            return read_audience(request)

        return read

    def state(self, request: ApiRequest) -> Answer:
        """GET state: audiences with members and uploads, events, and how many calls were refused."""
        audiences = [
            {**found, "members": self._account.members(found["id"]), "uploads": self._account.uploads(found["id"])}
            for found in self._account.audiences()
        ]
        body = {"audiences": audiences, "events": events_of(self._account), "refused": self._usage.refused_count}
        return Answer(body=body)

    def set_limit(self, request: ApiRequest) -> Answer:
        """PUT limit: `calls` in any `seconds`, from now on."""
        told = request.body if isinstance(request.body, dict) else {}
        calls, seconds = told.get("calls"), told.get("seconds")
        if not isinstance(calls, int) or not isinstance(seconds, int | float) or calls < 1 or seconds <= 0:
            raise invalid("calls and seconds: numbers above 0")
        self._usage.limit(calls, seconds)
        return Answer(body={"calls": calls, "seconds": seconds})


def events_of(account: AdAccount, limit: int = 10_000) -> list[dict[str, Any]]:
    """Return the newest events; `sent_count` says how often each was sent, which counts once."""
    sql = f"select {', '.join(_EVENT_NAMES)} from events order by event_time desc, event_id limit ?"
    return [dict(zip(_EVENT_NAMES, row, strict=True)) for row in account.file.execute(sql, (limit,))]
