"""Read the contacts back from HubSpot, whole or not at all: the first step of feedback.

It uses the connector's session, so it shares bucket and credential with the sync that writes there.
Vendor page: https://developers.hubspot.com/docs/api-reference/crm-contacts-v3, read 2026-11-22; 100 contacts a page.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

import pyarrow as pa

from cdp_platform.connectors.protocol import Answer, Json, Request, Session
from cdp_platform.errors import ConfigError, ContractBroken, RateLimited, TemporarilyDown

SCHEMA: Final = pa.schema(
    [
        pa.field("feedback_day", pa.date32(), nullable=False),
        pa.field("contact_id", pa.string(), nullable=False),
        pa.field("cdp_person_id", pa.string()),
        pa.field("email", pa.string()),
        pa.field("email_opt_out", pa.bool_()),
        pa.field("email_confirmed_on", pa.date32()),
        pa.field("lapsed_loyalist", pa.bool_()),
        pa.field("created_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("updated_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("read_at", pa.timestamp("us", tz="UTC")),
    ]
)
PROPERTY_COLUMNS: Final = {
    "cdp_person_id": "cdp_person_id",
    "email": "email",
    "hs_email_optout": "email_opt_out",
    "email_confirmed_on": "email_confirmed_on",
    "lapsed_loyalist": "lapsed_loyalist",
}
"""HubSpot's property → the column that takes it."""
_PAGE_ROWS: Final = 100
_ATTEMPTS: Final = 6
_LONGEST_WAIT_SECONDS: Final = 60.0


def read_contacts(
    session: Session,
    properties: Sequence[str],
    feedback_day: date,
    *,
    sleep: Callable[[float], None] = time.sleep,
    spread: Callable[[], float] = random.random,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> pa.Table:
    """Read all contacts that are not archived, one row a contact, in the order of their ids; columns as in SCHEMA.

    `properties` are some of PROPERTY_COLUMNS; the columns of the others are null. `spread` gives 0 to 1, the share of
    each backoff that is waited. A contact that moves between pages during the reading counts once, as seen last.

    Raises ConfigError for an unknown property; RateLimited or TemporarilyDown once a page failed six times;
    ContractBroken for a page that cannot be read or a paging that does not come to an end.
    """
    if strangers := sorted(set(properties) - PROPERTY_COLUMNS.keys()):
        raise ConfigError(
            f"The read-back of contacts has no column for the property {strangers[0]!r}.",
            remedy=f"It has: {', '.join(PROPERTY_COLUMNS)}.",
        )
    contacts = dict[str, dict[str, Json]]()
    # The time at which the reading began: an edit while it went on may or may not have been seen.
    read_at = now()
    for answer, records in _read_pages(session, "contacts", properties, sleep, spread):
        rows = [_row(record, properties, feedback_day, answer) | {"read_at": read_at} for record in records]
        known = len(contacts)
        contacts |= {row["contact_id"]: row for row in rows}
        if rows and len(contacts) == known:
            raise _broken(answer, "repeats contacts of earlier pages")
    return pa.Table.from_pylist([contacts[key] for key in sorted(contacts)], schema=SCHEMA)


def read_records(
    session: Session,
    kind: str,
    properties: Sequence[str],
    sleep: Callable[[float], None],
    spread: Callable[[], float],
) -> Iterator[tuple[str, Mapping[str, Json], datetime, datetime]]:
    """Read all records of a kind that are not archived: id, properties, made at, changed at; each once.

    Raises as `read_contacts` does.
    """
    seen = set[str]()
    for answer, records in _read_pages(session, kind, properties, sleep, spread):
        for record in records:
            record_id, values = record.get("id"), record.get("properties")
            if not isinstance(record_id, str) or not record_id or not isinstance(values, Mapping):
                raise _broken(answer, f"has {kind} without id or properties")
            if any(not isinstance(values.get(name), str | None) for name in properties):
                raise _broken(answer, f"has {kind} with a value that is no text (id {_safe(record_id)})")
            if record_id in seen:
                raise _broken(answer, f"repeats {kind} of earlier pages")
            seen.add(record_id)
            try:
                yield record_id, values, _time(record["createdAt"]), _time(record["updatedAt"])
            except (KeyError, TypeError, ValueError, OverflowError):
                raise _broken(answer, f"has {kind} without their times (id {_safe(record_id)})") from None


def _read_pages(
    session: Session, kind: str, properties: Sequence[str], sleep: Callable[[float], None], spread: Callable[[], float]
) -> Iterator[tuple[Answer, Sequence[Mapping[str, Json]]]]:
    cursors = set[str]()
    query = {"limit": str(_PAGE_ROWS), "archived": "false", "properties": ",".join(properties)}
    while True:
        request = Request(method="GET", path=f"/crm/v3/objects/{kind}", query=query)
        answer = _send(session, request, sleep, spread)
        records, cursor = _read_page(answer)
        yield answer, records
        if cursor is None:
            return
        if cursor in cursors or not records:
            raise _broken(answer, "leads to a page that was read before")
        cursors.add(cursor)
        query = query | {"after": cursor}


def _send(session: Session, request: Request, sleep: Callable[[float], None], spread: Callable[[], float]) -> Answer:
    """Send with full jitter between attempts; a wait that the destination asks for is kept, up to its bound."""
    for attempt in range(_ATTEMPTS):
        try:
            return session.send(request)
        except (RateLimited, TemporarilyDown) as error:
            told = error.retry_after_seconds if isinstance(error, RateLimited) else None
            is_last = attempt == _ATTEMPTS - 1
            if is_last or (told or 0.0) > _LONGEST_WAIT_SECONDS:
                raise
            sleep(told if told else spread() * min(2.0**attempt, _LONGEST_WAIT_SECONDS))
    raise AssertionError("the last attempt returns or raises")


def _read_page(answer: Answer) -> tuple[Sequence[Mapping[str, Json]], str | None]:
    """Return a page's records and the cursor of the next one, None at the end."""
    body = answer.body
    records = body.get("results") if isinstance(body, Mapping) else None
    if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
        raise _broken(answer, "has no readable list of contacts")
    paging = body.get("paging")
    if paging is None:
        return records, None
    following = paging.get("next") if isinstance(paging, Mapping) else paging
    if following is None:
        return records, None
    cursor = following.get("after") if isinstance(following, Mapping) else None
    if not isinstance(cursor, str) or not cursor:
        raise _broken(answer, "names a next page without its cursor")
    return records, cursor


def _row(record: Mapping[str, Json], properties: Sequence[str], feedback_day: date, answer: Answer) -> dict[str, Json]:
    contact_id, values = record.get("id"), record.get("properties")
    if not isinstance(contact_id, str) or not contact_id or not isinstance(values, Mapping):
        raise _broken(answer, "has a contact without id or properties")
    row = {"feedback_day": feedback_day, "contact_id": contact_id}
    try:
        row["created_at"] = _time(record["createdAt"])
        row["updated_at"] = _time(record["updatedAt"])
        for name in properties:
            column = PROPERTY_COLUMNS[name]
            row[column] = _value(values.get(name), SCHEMA.field(column).type)
    except (KeyError, TypeError, ValueError, OverflowError):
        # The value itself may be a person's; its place is enough to look it up.
        raise _broken(answer, f"has a contact with a value of another type (id {_safe(contact_id)})") from None
    return row


def _value(value: Json, kind: pa.DataType) -> Json:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    if pa.types.is_boolean(kind):
        return {"true": True, "false": False}[value]
    return date.fromisoformat(value) if pa.types.is_date(kind) else value


def _time(value: Json) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("a time without its offset")
    return at.astimezone(UTC)


def _safe(contact_id: str) -> str:
    return contact_id if contact_id.isdigit() else "unreadable"


def _broken(answer: Answer, what: str) -> ContractBroken:
    return ContractBroken(f"hubspot answered {answer.status}, but the body {what}.", status=answer.status)
