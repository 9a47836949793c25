"""The sandbox's own endpoints: the clock of the replay, and an independent record of what reached the account."""

import json
from collections.abc import Mapping
from typing import Any

from cdp_platform.sandbox.hubspot.answers import invalid
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.hubspot.objects import Objects
from cdp_platform.sandbox.hubspot.people import turn_clock
from cdp_platform.sandbox.hubspot.shapes import ClockBody, parse
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_WRITES = 10_000
OPTED_OUT = "archived_at is null and json_extract(properties, '$.hs_email_optout') = 'true'"
LAPSED_LOYALIST = "archived_at is null and json_extract(properties, '$.lapsed_loyalist') = 'true'"
CHANGED_EMAIL = "archived_at is null and json_extract(properties, '$.email_confirmed_on') is not null"
_WRITE_COLUMNS = "seq, at, day, actor, contact_id, cdp_person_id, operation, properties"


class Control:
    """The endpoints under /sandbox."""

    def __init__(self, store: ContactStore, objects: Objects) -> None:
        self._store = store
        self._objects = objects

    def health(self, request: ApiRequest) -> Answer:
        """GET health."""
        return Answer(body={"status": "ok"})

    def clock(self, request: ApiRequest) -> Answer:
        """GET clock: the business day, null before it was first set."""
        return Answer(body={"day": self._store.day})

    def turn_clock(self, request: ApiRequest) -> Answer:
        """PUT clock: go on to a day; an earlier one changes nothing."""
        try:
            return Answer(body={"day": turn_clock(self._store, parse(ClockBody, request.body).day)})
        except ValueError:
            raise invalid("day: a day written yyyy-mm-dd") from None

    def stats(self, request: ApiRequest) -> Answer:
        """GET stats."""
        return Answer(body=read_stats(self._store))

    def writes(self, request: ApiRequest) -> Answer:
        """GET writes: the log of a kind of record (`object`, contacts) after a sequence number, oldest first."""
        _, store = self._objects.find(request.query.get("object", "contacts"))
        after, limit = request.query.get("after", "0"), request.query.get("limit", "1000")
        if not all(text.isascii() and text.isdigit() and len(text) <= 18 for text in (after, limit)):
            raise invalid("after and limit: whole numbers")
        rows = store.execute(
            f"select {_WRITE_COLUMNS} from writes where seq > ? order by seq limit ?",
            (int(after), min(int(limit), MOST_WRITES)),
        )
        return Answer(body={"results": [_write_body(row) for row in rows]})


def read_stats(store: ContactStore) -> dict[str, Any]:
    """Return the counts of the account: contacts that are not archived, requests and writes of all time, the day."""
    with store.transaction():
        requests = store.execute("select coalesce(sum(accepted), 0), coalesce(sum(refused), 0) from requests")[0]
        return {
            "contacts": store.count("archived_at is null"),
            "opted_out": store.count(OPTED_OUT),
            "lapsed_loyalists": store.count(LAPSED_LOYALIST),
            "requests": requests[0],
            "refused_requests": requests[1],
            "writes": store.execute("select count(*) from writes")[0][0],
            "unchanged_rows": int(store.account_value("unchanged_rows") or 0),
            "day": store.day,
        }


def read_history(store: ContactStore, contact_id: int) -> list[Mapping[str, Any]]:
    """Return the log of one contact, newest first, 200 entries at most."""
    sql = f"select {_WRITE_COLUMNS} from writes where contact_id = ? order by seq desc limit 200"
    return [_write_body(row) for row in store.execute(sql, (contact_id,))]


def _write_body(row: tuple[Any, ...]) -> dict[str, Any]:
    names = ("seq", "at", "day", "actor", "contact_id", "cdp_person_id", "operation")
    return {**dict(zip(names, row[:7], strict=True)), "contact_id": str(row[4]), "properties": json.loads(row[7])}
