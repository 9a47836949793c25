"""Write the faces as files: all of them or none, and the same bytes from the same seed."""

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from cdp_platform.ingest.faces.browsing import Device, draw_devices
from cdp_platform.ingest.faces.cards import Card, draw_cards
from cdp_platform.ingest.faces.events import Message, draw_messages
from cdp_platform.ingest.faces.people import Person, draw_people, read_name_parts
from cdp_platform.ingest.faces.shopping import Household, read_households
from cdp_platform.ingest.faces.tickets import Ticket, draw_tickets
from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY, TIME_ZONE

TRUTH_SCHEMA: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("person_id", pa.string()),
    ]
)
"""retail: the household's number as text; web: anonymous_id; loyalty: card_number; support: ticket_id. `person_id` is
null for a device that is nobody's."""
_SUMMARY: Final = "summary.json"


@dataclass(frozen=True, kw_only=True)
class Faces:
    """What lies in the folder."""

    counts: Mapping[str, int]
    """Rows by kind: people, customers, devices, events, cards, tickets, truth."""
    is_new: bool
    """Whether this call made them; False: they were there already."""


def make_faces(
    folder: Path,
    name_parts: Path,
    *,
    seed: int,
    replay: tuple[date, date],
    read: Callable[[], Sequence[Household]] = read_households,
) -> Faces:
    """Make `folder` with web/events-<day>.jsonl, loyalty/cards.csv, support/tickets.sqlite and truth.parquet.

    `name_parts` is dbt's seed of fictional names; `replay` the first and the last day that the demo runs one by one.
    A folder that was made with the same seed and replay is left as it is; another one is made anew and takes its
    place when it is complete. `read` gives the households, by their numbers. Raises ConfigError where the name parts
    or the retail package cannot be read.
    """
    origin = {"seed": seed, "replay": [day.isoformat() for day in replay]}
    made = _summary(folder)
    if made is not None and made["origin"] == origin:
        return Faces(counts=made["counts"], is_new=False)
    people = draw_people(read(), read_name_parts(name_parts), seed, replay[0])
    devices = draw_devices(people, seed, replay)
    cards, tickets = draw_cards(people, seed), draw_tickets(people, seed, replay)
    messages = draw_messages(devices, seed)
    truth = _truth(people, devices, cards, tickets)
    counts = {
        "people": len(people),
        "customers": sum(len(person.customers) for person in people),
        "devices": len(devices),
        "events": len(messages),
        "cards": len(cards),
        "tickets": len(tickets),
        "truth": truth.num_rows,
    }
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    _write_events(part / "web", messages)
    _write_cards(part / "loyalty", [card for card, _ in cards])
    _write_tickets(part / "support", [ticket for ticket, _ in tickets])
    pq.write_table(truth, part / "truth.parquet")
    (part / _SUMMARY).write_text(json.dumps({"origin": origin, "counts": counts}, indent=1), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return Faces(counts=counts, is_new=True)


def _summary(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _truth(
    people: Sequence[Person],
    devices: Sequence[Device],
    cards: Sequence[tuple[Card, Person]],
    tickets: Sequence[tuple[Ticket, Person]],
) -> pa.Table:
    rows: list[tuple[str, str, str | None]] = [
        ("retail", customer.number, person.person_id) for person in people for customer in person.customers
    ]
    rows += [("web", device.anonymous_id, device.person.person_id if device.person else None) for device in devices]
    rows += [("loyalty", card.card_number, person.person_id) for card, person in cards]
    rows += [("support", ticket.ticket_id, person.person_id) for ticket, person in tickets]
    columns = zip(*rows, strict=True)
    return pa.table([list(column) for column in columns], schema=TRUTH_SCHEMA)


def _write_events(folder: Path, messages: Sequence[Message]) -> None:
    folder.mkdir(parents=True)
    zone = ZoneInfo(TIME_ZONE)
    by_day = {day: list(found) for day, found in groupby(messages, lambda one: one.received_at.astimezone(zone).date())}
    for offset in range((LAST_DAY - FIRST_DAY).days + 1):
        day = FIRST_DAY + timedelta(days=offset)
        lines = [json.dumps(_written(message), separators=(",", ":")) for message in by_day.get(day, ())]
        (folder / f"events-{day}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_cards(folder: Path, cards: Iterable[Card]) -> None:
    folder.mkdir(parents=True)
    with open(folder / "cards.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Card)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(_written(card) for card in cards)


def _write_tickets(folder: Path, tickets: Iterable[Ticket]) -> None:
    folder.mkdir(parents=True)
    names = [field.name for field in fields(Ticket)]
    with closing(sqlite3.connect(folder / "tickets.sqlite")) as connection, connection:
        columns = ", ".join(f"{name} text" for name in names)
        connection.execute(f"create table tickets ({columns}, primary key (ticket_id))")
        marks = ", ".join("?" for _ in names)
        connection.executemany(
            f"insert into tickets values ({marks})", [tuple(_written(ticket).values()) for ticket in tickets]
        )


def _written(row: Message | Card | Ticket) -> dict[str, Any]:
    return {name: _text(value) for name, value in vars(row).items()}


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value
