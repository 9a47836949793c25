"""Read a vendor's API by a declaration: which request gives the rows of some days, where they lie, what each becomes.

One loader for all vendors. It uses the session of the vendor's destination, so that a source shares bucket, credential
and the reading of errors with the syncs that write there. A table is read whole for its days, or not at all.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import pyarrow as pa

from cdp_platform.connectors.protocol import Answer, Json, Request, Session
from cdp_platform.errors import ConfigError, ContractBroken, RateLimited, TemporarilyDown

_ATTEMPTS: Final = 6
_LONGEST_WAIT_SECONDS: Final = 60.0
_MOST_PAGES: Final = 10_000

Options = Mapping[str, str]


class Page(NamedTuple):
    """One page of an answer."""

    records: list[Mapping[str, Json]]
    query: Mapping[str, str] | None
    """What the next page's request has in its query beside the first one's; None at the end."""
    path: str | None = None
    """Where the next page is, for vendors that tell its path; its query is then whole."""


@dataclass(frozen=True, kw_only=True)
class ApiTable:
    """One table of a vendor's API."""

    name: str
    schema: pa.Schema
    fields: Mapping[str, str]
    """Column → the record's key; a column that is not named is null."""
    request: Callable[[Options, date, date], Request]
    """Makes the first request for the rows from a day to a day, both inclusive."""
    read_page: Callable[[Answer], Page]
    """Raises ContractBroken for an answer that cannot be read."""
    day_column: str | None = None
    """The column by which days are replaced."""
    is_snapshot: bool = False
    """Whether the vendor tells only what is now: the column of days is then filled with the last day asked for."""
    reload_days: int = 0
    """How many days before the asked ones are read again, because the vendor still restates them."""
    tells_all: bool = False
    """Whether the vendor cannot be asked for days: rows of other days than the asked ones are passed over."""
    also: Sequence["ApiTable"] = ()
    """Other listings of the vendor whose rows go into the same table."""
    named_by: Mapping[str, str] = field(default_factory=dict)
    """Column → the option that names its record's key; null where the option is not given."""
    read_at_column: str | None = None
    """The column that takes the time at which the reading began: an edit while it goes on may not be seen."""


@dataclass(frozen=True, kw_only=True)
class ApiSource:
    """A vendor as a source."""

    destination: str
    """The destination whose session it uses, and its object, by which requests are paced."""
    object: str
    options: frozenset[str] = field(default=frozenset())
    """The options that it has to be given."""
    may_have: frozenset[str] = field(default=frozenset())
    """The options that it may be given."""
    tables: Mapping[str, ApiTable]

    def check_options(self, options: Options) -> None:
        """Raise ConfigError, naming it, for an option that is missing or unknown."""
        if wrong := sorted((self.options - options.keys()) | (options.keys() - self.options - self.may_have)):
            verb = "needs" if wrong[0] in self.options else "knows not"
            raise ConfigError(
                f"the source {verb} the option {wrong[0]!r}.",
                remedy=f"Its options are: {', '.join(sorted(self.options | self.may_have)) or 'none'}.",
                field="account.options",
            )


def read_table(
    session: Session,
    table: ApiTable,
    options: Options,
    days: tuple[date, date],
    *,
    sleep: Callable[[float], None] = time.sleep,
    spread: Callable[[], float] = random.random,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> pa.Table:
    """Read all rows of the days, with the columns of the table's schema, in the order they come.

    `spread` gives 0 to 1, the share of each backoff that is waited. Raises RateLimited or TemporarilyDown once a page
    failed six times; ContractBroken for a page that cannot be read, a value of another type, or pages without an end.
    """
    rows: list[dict[str, Any]] = []
    own = {table.read_at_column: now()} if table.read_at_column else {}
    for listing in (table, *table.also):
        named = {column: options[option] for column, option in listing.named_by.items() if option in options}
        listing = replace(listing, fields={**listing.fields, **named})
        for answer, records in _pages(session, listing, options, days, sleep, spread):
            told = {table.fields[str(table.day_column)]: days[1].isoformat()} if table.is_snapshot else {}
            rows += [_row(listing, {**record, **told}, answer) | own for record in records]
    if table.tells_all:
        rows = [row for row in rows if days[0] <= row[str(table.day_column)] <= days[1]]
    return pa.Table.from_pylist(rows, schema=table.schema)


def _pages(
    session: Session,
    table: ApiTable,
    options: Options,
    days: tuple[date, date],
    sleep: Callable[[float], None],
    spread: Callable[[], float],
) -> Iterator[tuple[Answer, list[Mapping[str, Json]]]]:
    first = table.request(options, *days)
    asked, seen = first, list[tuple[str, Mapping[str, str]]]()
    while True:
        answer = _send(session, asked, sleep, spread)
        page = table.read_page(answer)
        yield answer, page.records
        if page.query is None:
            return
        seen.append((asked.path, asked.query))
        query = page.query if page.path else {**first.query, **page.query}
        asked = Request(method=first.method, path=page.path or first.path, body=first.body, query=query)
        if (asked.path, asked.query) in seen or len(seen) > _MOST_PAGES:
            raise _broken(answer, "leads to a page that was read before")


def _send(session: Session, request: Request, sleep: Callable[[float], None], spread: Callable[[], float]) -> Answer:
    """Send with full jitter between attempts; a wait that the vendor asks for is kept, up to its bound."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return session.send(request)
        except (RateLimited, TemporarilyDown) as error:
            told = error.retry_after_seconds if isinstance(error, RateLimited) else None
            if attempt == _ATTEMPTS or (told or 0.0) > _LONGEST_WAIT_SECONDS:
                raise
            sleep(told if told else spread() * min(2.0**attempt, _LONGEST_WAIT_SECONDS))
    raise AssertionError("the last attempt returns or raises")


def _row(table: ApiTable, record: Mapping[str, Json], answer: Answer) -> dict[str, Any]:
    row = {}
    for column in table.schema:
        try:
            row[column.name] = _value(record.get(table.fields.get(column.name, "")), column.type)
        except (TypeError, ValueError, InvalidOperation):
            # The value itself may be a person's.
            raise _broken(answer, f"has a value for {column.name} that is no {column.type}") from None
        if row[column.name] is None and not column.nullable:
            raise _broken(answer, f"has a record without {column.name}")
    return row


def _value(value: Json, kind: pa.DataType) -> Any:
    """Read a value that may come as text, whatever its type."""
    if value is None or value == "":
        return None
    if pa.types.is_string(kind):
        return str(value)
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_decimal(kind):
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-kind.scale))
    if pa.types.is_date(kind):
        return date.fromisoformat(value[:10])
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(value)
    if pa.types.is_boolean(kind) and isinstance(value, bool):
        return value
    raise TypeError(str(kind))


def _broken(answer: Answer, what: str) -> ContractBroken:
    return ContractBroken(f"the vendor answered {answer.status}, but the body {what}.", status=answer.status)
