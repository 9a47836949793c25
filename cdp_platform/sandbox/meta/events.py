"""The Conversions API as the vendor's documents describe it: a batch of events, taken whole or not at all.

Vendor's pages: developers.facebook.com/docs/marketing-api/conversions-api/using-the-api and
.../conversions-api/parameters/customer-information-parameters (read 2026-11-22). Two events of one name and id are one.
Not built: matching with a browser's pixel, test events, data processing options.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from cdp_platform.sandbox.meta.account import DATASET_ID, AdAccount
from cdp_platform.sandbox.meta.answers import GraphError, invalid, json_parameter, missing, parameters_of
from cdp_platform.sandbox.meta.entries import hash_fault
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_EVENTS: Final = 1_000
_SOURCES: Final = frozenset(
    {"email", "website", "app", "phone_call", "chat", "physical_store", "system_generated", "other"}
    | {"business_messaging"}
)
_HASHED: Final = {
    "em": "EMAIL", "ph": "PHONE", "fn": "FN", "ln": "LN", "ge": "GEN", "db": "DOB", "ct": "CT", "st": "ST", "zp": "ZIP",
    "country": "COUNTRY",
}  # fmt: skip
_PLAIN: Final = frozenset({"client_ip_address", "client_user_agent", "fbc", "fbp", "external_id", "madid"})
_MOST_AGE: Final = timedelta(days=7)
_MOST_STORE_AGE: Final = timedelta(days=62)


class EventsApi:
    """The events of one dataset."""

    def __init__(self, account: AdAccount) -> None:
        self._account = account

    def receive(self, request: ApiRequest) -> Answer:
        """POST {dataset}/events."""
        if request.path["id"] != DATASET_ID:
            raise missing(f"Object with ID '{request.path['id']}'")
        events = json_parameter(parameters_of(request), "data")
        if not isinstance(events, list) or not events:
            raise invalid("The parameter data is required")
        if len(events) > MOST_EVENTS:
            raise invalid(f"data holds more than {MOST_EVENTS} events", subcode=2804008)
        # The vendor's own client sends each event as text of its own.
        events = [json_parameter({"data": event}, "data") for event in events]
        for place, event in enumerate(events):
            self._check(place, event)
        with self._account.file.transaction():
            for event in events:
                self._keep(event)
        return Answer(body={"events_received": len(events), "messages": [], "fbtrace_id": "A" * 11})

    def _check(self, place: int, event: Any) -> None:
        """Raise GraphError for an event that spoils the whole batch."""
        if not isinstance(event, Mapping):
            raise _bad(place, "is no object", 2804019)
        if not isinstance(event.get("event_name"), str) or not event["event_name"]:
            raise _bad(place, "has no event_name", 2804019)
        at = event.get("event_time")
        if not isinstance(at, int) or isinstance(at, bool):
            raise _bad(place, "has no event_time in seconds", 2804003)
        source = event.get("action_source")
        if source not in _SOURCES:
            raise _bad(place, "has no known action_source", 2804019)
        age = self._account.now().timestamp() - at
        most = _MOST_STORE_AGE if source == "physical_store" else _MOST_AGE
        if age > most.total_seconds():
            raise _bad(place, f"is older than {most.days} days", 2804003)
        if age < 0:
            raise _bad(place, "lies in the future", 2804004)
        if source == "website" and not event.get("event_source_url"):
            raise _bad(place, "is of a website and has no event_source_url", 2804019)
        _check_person(place, event.get("user_data"))
        _check_value(place, event)

    def _keep(self, event: Mapping[str, Any]) -> None:
        event_id = event.get("event_id") or f"without-id-{self._count()}"
        self._account.file.execute(
            "insert into events values (?, ?, ?, ?, 1, ?, ?)"
            " on conflict (event_name, event_id) do update set sent_count = sent_count + 1",
            (
                event["event_name"],
                str(event_id),
                event["event_time"],
                self._account.day,
                json.dumps(event["user_data"], sort_keys=True),
                json.dumps(event.get("custom_data") or {}, sort_keys=True),
            ),
        )

    def _count(self) -> int:
        return int(self._account.file.execute("select count(*) from events")[0][0])


def _check_person(place: int, told: Any) -> None:
    if not isinstance(told, Mapping) or not any(told.values()):
        raise _bad(place, "has no user_data", 2804050)
    for name, value in told.items():
        if name not in _HASHED and name not in _PLAIN:
            raise _bad(place, f"has an unknown key in user_data: {name[:30]}", 2804019)
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str) or (name in _HASHED and hash_fault(_HASHED[name], one)):
                raise _bad(place, f"has a value of user_data.{name} that is not normalised and hashed", 2804010)


def _check_value(place: int, event: Mapping[str, Any]) -> None:
    told = event.get("custom_data") or {}
    if not isinstance(told, Mapping):
        raise _bad(place, "has custom_data that is no object", 2804019)
    value, currency = told.get("value"), told.get("currency")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if event["event_name"] == "Purchase" and not (is_number and currency):
        raise _bad(place, "is a purchase without value and currency", 2804009)
    if currency is not None and not (isinstance(currency, str) and len(currency) == 3 and currency.isalpha()):
        raise _bad(place, "has a currency that is no ISO 4217 code", 2804009)


def _bad(place: int, what: str, subcode: int) -> GraphError:
    return invalid(f"Invalid parameter: data[{place}] {what}", subcode=subcode)
