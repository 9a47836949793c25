"""The tickets of the customer service: who wrote, under which name, about what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from cdp_platform.ingest.faces.mistakes import mistyped_email, written_name, written_phone
from cdp_platform.ingest.faces.people import Person, Proof
from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY, TIME_ZONE

_TOPICS: Final = ("delivery", "coupon_not_accepted", "card_lost", "wrong_price", "product_quality", "account", "praise")
_MERGE_TOPIC: Final = "two_accounts"
_TICKET_SHARE: Final = 0.28


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A row of the table; None is null."""

    ticket_id: str
    opened_at: datetime
    """Aware, UTC."""
    name: str
    """First and last name in one field, in either order."""
    email: str | None
    phone: str | None
    customer_number: str | None
    other_customer_number: str | None
    """Another customer number that the person says is theirs, too."""
    topic: str


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A ticket that has no number yet, since tickets are numbered in the order of their opening."""

    person: Person
    opened_at: datetime
    proves: bool


def draw_tickets(people: Sequence[Person], seed: int, replay: tuple[date, date]) -> list[tuple[Ticket, Person]]:
    """Draw the tickets with their true writers, in the order of opening.

    `replay` are the first and the last day of the replay; the tickets that prove two customers to be one person are
    spread over its inner days.
    """
    drafts = sorted(_drafts(people, seed, replay), key=lambda one: (one.opened_at, one.person.person_id))
    return [
        (_ticket(f"T-{100_001 + position}", draft, Random(f"{seed}:ticket:{position}")), draft.person)
        for position, draft in enumerate(drafts)
    ]


def _drafts(people: Sequence[Person], seed: int, replay: tuple[date, date]) -> Iterator[_Draft]:
    inner_days = max(1, (replay[1] - replay[0]).days - 1)
    proven = 0
    for person in people:
        chance = Random(f"{seed}:tickets:{person.person_id}")
        while chance.random() < _TICKET_SHARE:
            day = FIRST_DAY + timedelta(days=chance.randrange((LAST_DAY - FIRST_DAY).days + 1))
            yield _Draft(person=person, opened_at=_moment(day, chance), proves=False)
        if person.proof is Proof.TICKET_IN_REPLAY:
            day = replay[0] + timedelta(days=1 + proven % inner_days)
            proven += 1
            yield _Draft(person=person, opened_at=_moment(day, chance), proves=True)
        elif person.proof is Proof.TICKET_IN_HISTORY:
            day = FIRST_DAY + timedelta(days=chance.randrange((replay[0] - FIRST_DAY).days))
            yield _Draft(person=person, opened_at=_moment(day, chance), proves=True)


def _moment(day: date, chance: Random) -> datetime:
    second = chance.randrange(7 * 3600, 23 * 3600)
    return (datetime.combine(day, time(), ZoneInfo(TIME_ZONE)) + timedelta(seconds=second)).astimezone(UTC)


def _ticket(ticket_id: str, draft: _Draft, chance: Random) -> Ticket:
    person = draft.person
    customer = person.customers[0] if draft.proves else chance.choice(person.customers)
    email = chance.choices((customer.email, person.private_email, None), weights=(52, 28, 20))[0]
    phone = chance.choices((customer.phone, person.second_phone, None), weights=(28, 12, 60))[0]
    return Ticket(
        ticket_id=ticket_id,
        opened_at=draft.opened_at,
        name=written_name(*person.name, chance),
        email=mistyped_email(email, chance) if email and chance.random() < 0.03 else email,
        phone=written_phone(phone, chance) if phone else None,
        customer_number=customer.number if draft.proves or chance.random() < 0.1 else None,
        other_customer_number=person.customers[-1].number if draft.proves else None,
        topic=_MERGE_TOPIC if draft.proves else chance.choice(_TOPICS),
    )
