"""Meta Conversions API: what happened in shops and on sites, each event once, with a hashed person.

Vendor pages, read 2026-11-22 under developers.facebook.com/docs/marketing-api/conversions-api: using-the-api,
parameters/server-event, parameters/customer-information-parameters, support; hashing as in `privacy.ad_identifiers`.

- Limits: 1,000 events a request; one bad event refuses all of them, so each is judged before it is sent. An event is at
  most 7 days old, one of a physical store 62. Meta names no limit of requests; the pace is ours, and the usage headers
  are obeyed.
- The age is measured by Meta's clock, as its answers tell it: ours may be wrong, and in a replay the sandbox's is that
  of the day that is replayed.
- Authentication: an access token of the dataset, as bearer.
- Events of one name and id are one for 48 hours (option `deduplication_hours`). The event's id is the match key, so a
  request without an answer is sent again within that time; later its rows are unknown and wait for a person. That Meta
  also unites two events of a server, as it does one of a server and one of a browser, is not confirmed.
- Cannot: take an event back, say which event of a refused batch was at fault (the batch is halved), send raw data.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar, Final

from cdp_platform.connectors.protocol import (
    ALL_DELIVERED,
    AllDelivered,
    Answer,
    Batch,
    Capabilities,
    Destination,
    DestinationField,
    Json,
    OutgoingRow,
    Request,
    Session,
)
from cdp_platform.destinations import meta_graph as graph
from cdp_platform.destinations import meta_people as people
from cdp_platform.domain.outcomes import Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind, Mode
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.privacy.ad_identifiers import sha256

_HOUR_SECONDS: Final = 3600.0
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS
_EVENTS: Final = Capabilities(
    modes=frozenset({Mode.APPEND}),
    at_most_once=frozenset({Mode.APPEND}),
    idempotency_seconds=48 * _HOUR_SECONDS,
    key_is_match_value=True,
    batch_rows=1_000,
    writes_changed_fields_only=False,
    requests_per_second=20.0,
    burst_requests=20,
    requests_at_once=6,
)
_PEOPLE: Final = {
    "EMAIL": "em", "PHONE": "ph", "FN": "fn", "LN": "ln", "GEN": "ge", "DOB": "db", "CT": "ct", "ST": "st", "ZIP": "zp",
    "COUNTRY": "country", "MADID": "madid", "EXTERN_ID": "external_id",
}  # fmt: skip
_PLAIN_PEOPLE: Final = ("client_ip_address", "client_user_agent", "fbc", "fbp")
_EVENT_TEXTS: Final = ("event_id", "event_name", "action_source", "event_source_url")
_CUSTOM_TEXTS: Final = ("currency", "order_id", "content_type")
_KINDS: Final = {"event_time": FieldKind.TIMESTAMP, "value": FieldKind.DECIMAL, "num_items": FieldKind.INTEGER}
_SOURCES: Final = ("system_generated", "website", "app", "physical_store", "phone_call", "chat", "email", "other")
_MOST_DAYS: Final = {"physical_store": 62.0}
_OTHER_DAYS: Final = 7.0
_NEEDED: Final = ("event_id", "event_name", "event_time", "action_source")


class MetaConversions:
    """The events of one dataset (formerly: of one pixel)."""

    name: ClassVar[str] = "meta_conversions"
    default_base_url: ClassVar[str] = graph.BASE_URL

    def __init__(self, options: Mapping[str, str] | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives POSIX seconds, until an answer of Meta has told the time."""
        self._options = dict(options or {})
        self._clock = clock
        self._ahead_seconds = 0.0
        self._test_code = ""

    def with_options(self, options: Mapping[str, str]) -> Destination:
        known = {"dataset_id", "phone_region", "deduplication_hours"}
        if strangers := sorted(options.keys() - known):
            raise _config(f"meta_conversions knows no option {strangers[0]!r}.", f"It has: {', '.join(sorted(known))}.")
        if not options.get("dataset_id", "").isdigit():
            raise _config("meta_conversions needs the option dataset_id.", "Give the digits of the dataset's id.")
        hours = options.get("deduplication_hours", "48")
        if not hours.isdigit() or not 1 <= int(hours) <= 168:
            raise _config(f"deduplication_hours {hours!r} is no number from 1 to 168.", "Meta's own is 48.")
        return MetaConversions(options, clock=self._clock)

    def as_test(self, code: str) -> Destination:
        """Mark events by the code that Events Manager shows under Test Events: `test_event_code` of a request."""
        marked = MetaConversions(self._options, clock=self._clock)
        marked._test_code = code
        return marked

    def capabilities(self, object_name: str) -> Capabilities:
        if object_name != "events":
            raise ConfigError(
                f"Destination meta_conversions has no object {object_name!r}.",
                remedy="It has: events.",
                field="destination.object",
            )
        hours = float(self._options.get("deduplication_hours", "48"))
        return replace(_EVENTS, idempotency_seconds=hours * _HOUR_SECONDS)

    def account_id(self, session: Session) -> str:
        path = f"/{self._options.get('dataset_id', '')}"
        answer = session.send(Request(method="GET", path=path, query={"fields": "id"}))
        told_at = _time_of(answer.headers)
        self._ahead_seconds = told_at - self._clock() if told_at is not None else 0.0
        return graph.id_of(answer, answer.body.get("id") if isinstance(answer.body, Mapping) else None)

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        self.capabilities(object_name)
        texts = (*_EVENT_TEXTS, *_CUSTOM_TEXTS, *_PLAIN_PEOPLE)
        own = [
            DestinationField(
                name=name,
                kind=FieldKind.TEXT,
                is_unique=name == "event_id",
                options=_SOURCES if name == "action_source" else (),
            )
            for name in texts
        ]
        typed = [DestinationField(name=name, kind=kind) for name, kind in _KINDS.items()]
        return [*own, *typed, *people.declared(unique=())]

    def unfit(self, object_name: str, match_field: str, rows: Batch) -> Sequence[RowOutcome]:
        outcomes = []
        for row in rows:
            if fault := self._fault(row):
                code, field = fault
                parameters = {"field": field} if field else {}
                outcomes.append(
                    RowOutcome(ordinal=row.ordinal, outcome=Outcome.REJECTED, code=code, parameters=parameters)
                )
        return outcomes

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        """Turn rows into one request of events. Raises ConfigError for a match field that is not `event_id`."""
        self.capabilities(object_name)
        if match_field != "event_id":
            raise ConfigError("Meta knows events by event_id.", remedy="Make it the match key.", field="mapping")
        mark = {"test_event_code": self._test_code} if self._test_code else {}
        return Request(
            method="POST",
            path=f"/{self._options.get('dataset_id', '0')}/events",
            body={"data": [self._event(row) for row in rows], **mark},
        )

    def read(self, rows: Batch, answer: Answer) -> AllDelivered:
        told = answer.body if isinstance(answer.body, Mapping) else {}
        if graph.count_of(told.get("events_received")) != len(rows):
            raise graph.broken(answer, "does not say that every event was received")
        return ALL_DELIVERED

    def error_of(self, status: int, headers: Mapping[str, str], body: Json) -> CdpError | None:
        return graph.error_of(status, headers, body)

    def rest_seconds(self, headers: Mapping[str, str]) -> float:
        return graph.rest_seconds(headers)

    def _fault(self, row: OutgoingRow) -> tuple[str, str] | None:
        """Why Meta would refuse the event, and with it the whole batch; as code and field."""
        fields = {**row.fields, "event_id": row.match_value}
        if missing := [name for name in _NEEDED if fields.get(name) in (None, "")]:
            return "missing_field", missing[0]
        if fields["action_source"] not in _SOURCES:
            return "invalid_value", "action_source"
        if fields["action_source"] == "website" and not fields.get("event_source_url"):
            return "missing_field", "event_source_url"
        seconds = _seconds(fields["event_time"])
        if seconds is None:
            return "invalid_value", "event_time"
        age = self._clock() + self._ahead_seconds - seconds
        if age > _MOST_DAYS.get(str(fields["action_source"]), _OTHER_DAYS) * _DAY_SECONDS:
            return "event_too_old", ""
        if age < 0:
            return "event_in_future", ""
        return _fault_of_value(fields) or self._fault_of_person(fields)

    def _fault_of_person(self, fields: Mapping[str, Json]) -> tuple[str, str] | None:
        found = people.normalised(fields, self._options.get("phone_region", ""))
        # An event, unlike a member of an audience, is also matched by a click's or a browser's id.
        if "EXTERN_ID" in found or any(fields.get(name) for name in ("fbc", "fbp", "client_ip_address")):
            return None
        return people.fault_of(fields, found)

    def _event(self, row: OutgoingRow) -> dict[str, Json]:
        fields = {**row.fields, "event_id": row.match_value}
        found = people.normalised(fields, self._options.get("phone_region", ""))
        person: dict[str, Json] = {_PEOPLE[name]: _hashed(name, value) for name, value in found.items()}
        person |= {name: str(fields[name]) for name in _PLAIN_PEOPLE if fields.get(name)}
        event: dict[str, Json] = {name: str(fields[name]) for name in _EVENT_TEXTS if fields.get(name)}
        event |= {"event_time": _seconds(fields.get("event_time")), "user_data": person}
        custom: dict[str, Json] = {name: str(fields[name]) for name in _CUSTOM_TEXTS if fields.get(name)}
        numbers = {name: _number(fields.get(name)) for name in ("value", "num_items")}
        custom |= {name: number for name, number in numbers.items() if number is not None}
        return {**event, "custom_data": custom} if custom else event


def _hashed(name: str, value: str) -> str:
    """Unlike an audience, an event has a hash of our own id, too: Meta recommends it."""
    return sha256(value) if name == "EXTERN_ID" else people.hashed(name, value)


def _fault_of_value(fields: Mapping[str, Json]) -> tuple[str, str] | None:
    value, currency = fields.get("value"), fields.get("currency")
    for name in ("value", "num_items"):
        if fields.get(name) is not None and _number(fields[name]) is None:
            return "invalid_value", name
    if fields["event_name"] == "Purchase" and (value is None or not currency):
        return "missing_field", "currency" if value is not None else "value"
    if currency and not (len(str(currency)) == 3 and str(currency).isalpha()):
        return "invalid_value", "currency"
    return None


def _number(value: Json) -> int | float | None:
    """A number, which may come as its exact text; None for what is none."""
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _seconds(value: Json) -> int | None:
    """POSIX seconds of a time in UTC, which may lack its offset; None for what is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _time_of(headers: Mapping[str, str]) -> float | None:
    """The time at the destination, in POSIX seconds, as its answer's Date says it."""
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, TypeError):
        return None


def _config(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, remedy=remedy, field="destination.options")
