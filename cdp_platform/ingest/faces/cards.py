"""The export of the loyalty cards: what cashiers typed in, one row per card."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from cdp_platform.ingest.faces.mistakes import mistyped, mistyped_email, written_phone
from cdp_platform.ingest.faces.people import Customer, Person, Proof

_FIRST_ISSUED_ON: Final = date(2016, 3, 1)
_LAST_ISSUED_ON: Final = date(2017, 12, 30)
_TEST_ADDRESS_CARDS: Final = 40
_HANDED_ON_SHARE: Final = 0.01
_FAMILY_SHARE: Final = 0.06


@dataclass(frozen=True, kw_only=True)
class Card:
    """A row of the export; None is an empty field."""

    card_number: str
    customer_number: str | None
    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    birth_date: date | None
    postal_code: str | None
    store_id: int
    issued_on: date


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What more than one person gives as theirs."""

    family_emails: Mapping[str, str]
    """Person → the address that the family shares."""
    handed_on: Mapping[str, str]
    """Person → a number that was another person's before."""
    first_owners: frozenset[str]
    """The numbers' first owners, whose cards are older."""
    test_store_id: int
    """The store whose cashiers type the store's own address where the customer gives none."""


def draw_cards(people: Sequence[Person], seed: int) -> list[tuple[Card, Person]]:
    """Draw the cards with their true owners, in the order of their numbers."""
    shared = _shared(people, Random(f"{seed}:shared"))
    numbers = Random(f"{seed}:card numbers").sample(range(10**9, 10**10), 3 * len(people) + 10)
    drawn = list[tuple[Card, Person]]()
    test_cards_left = min(_TEST_ADDRESS_CARDS, len(people) // 30)
    for person in people:
        chance = Random(f"{seed}:cards:{person.person_id}")
        for customer in _card_holders(person, shared, chance):
            card = _card(str(numbers[len(drawn)]), person, customer, shared, chance)
            if card.store_id == shared.test_store_id and test_cards_left and chance.random() < 0.7:
                test_cards_left -= 1
                card = _with_email(card, f"store{card.store_id}@example.com")
            drawn.append((card, person))
    return sorted(drawn, key=lambda one: one[0].card_number)


def _shared(people: Sequence[Person], chance: Random) -> _Shared:
    by_last_name = defaultdict[str, list[Person]](list)
    for person in people:
        by_last_name[person.name[1]].append(person)
    families = dict[str, str]()
    for last_name, group in sorted(by_last_name.items()):
        size = 2 * round(len(group) * _FAMILY_SHARE / 2 + chance.random())
        members = chance.sample(group, min(size, len(group) // 2 * 2))
        for first, second in zip(members[::2], members[1::2], strict=True):
            address = f"family.{last_name}.{first.customers[0].number}@example.com".lower()
            families |= {first.person_id: address, second.person_id: address}
    movers = chance.sample(people, 2 * max(2, round(len(people) * _HANDED_ON_SHARE)))
    pairs = list(zip(movers[::2], movers[1::2], strict=True))
    stores = Counter(person.customers[0].household.store_id for person in people)
    return _Shared(
        family_emails=families,
        handed_on={later.person_id: earlier.customers[0].phone for earlier, later in pairs},
        first_owners=frozenset(earlier.person_id for earlier, _ in pairs),
        test_store_id=min(stores, key=lambda store: (-stores[store], store)),
    )


def _card_holders(person: Person, shared: _Shared, chance: Random) -> list[Customer]:
    """Say for which of a person's customers there are cards; a lost card is followed by a second one."""
    must_have = person.proof is Proof.CARD or person.person_id in {*shared.handed_on, *shared.first_owners}
    holders = [customer for customer in person.customers if must_have or chance.random() < 0.8]
    return holders + [customer for customer in holders if chance.random() < 0.05]


def _card(number: str, person: Person, customer: Customer, shared: _Shared, chance: Random) -> Card:
    first, last = _name(person, chance)
    is_proof = person.proof is Proof.CARD and customer is person.customers[-1]
    return Card(
        card_number=number,
        customer_number=customer.number if is_proof or chance.random() < 0.6 else None,
        first_name=first,
        last_name=last,
        # A card that proves two customers to be one carries the second's number and the first's address.
        email=person.customers[0].email if is_proof else _email(person, customer, shared, chance),
        phone=_phone(person, customer, shared, chance),
        birth_date=_birth_date(person.birth_date, chance),
        postal_code=person.postal_code if chance.random() < 0.9 else None,
        store_id=customer.household.store_id,
        issued_on=_issued_on(person, shared, chance),
    )


def _name(person: Person, chance: Random) -> tuple[str, str]:
    first, last = person.name
    kind = chance.choices(("right", "first", "last", "exchanged", "capitals"), weights=(80, 5, 4, 5, 6))[0]
    if kind == "first":
        return mistyped(first, chance), last
    if kind == "last":
        return first, mistyped(last, chance)
    if kind == "exchanged":
        return last, first
    return (first.upper(), last.upper()) if kind == "capitals" else (first, last)


def _email(person: Person, customer: Customer, shared: _Shared, chance: Random) -> str | None:
    family = shared.family_emails.get(person.person_id)
    if family is not None:
        return family
    kind = chance.choices(("own", "private", "mistyped", "none"), weights=(52, 23, 5, 20))[0]
    if kind == "none":
        return None
    email = person.private_email if kind == "private" else customer.email
    return mistyped_email(email, chance) if kind == "mistyped" else email


def _phone(person: Person, customer: Customer, shared: _Shared, chance: Random) -> str | None:
    if person.person_id in shared.handed_on:
        return written_phone(shared.handed_on[person.person_id], chance)
    if person.person_id in shared.first_owners:
        return written_phone(person.customers[0].phone, chance)
    kind = chance.choices(("own", "second", "none"), weights=(58, 17, 25))[0]
    if kind == "none":
        return None
    return written_phone(person.second_phone if kind == "second" else customer.phone, chance)


def _birth_date(born_on: date, chance: Random) -> date | None:
    kind = chance.choices(("right", "swapped", "none"), weights=(83, 3, 14))[0]
    if kind == "none":
        return None
    # Day and month exchanged, where that is a date, too.
    return born_on.replace(month=born_on.day, day=born_on.month) if kind == "swapped" and born_on.day <= 12 else born_on


def _issued_on(person: Person, shared: _Shared, chance: Random) -> date:
    first, last = _FIRST_ISSUED_ON, _LAST_ISSUED_ON
    if person.person_id in shared.first_owners:
        last = date(2016, 12, 31)
    elif person.person_id in shared.handed_on:
        first = date(2017, 9, 1)
    return first + timedelta(days=chance.randrange((last - first).days + 1))


def _with_email(card: Card, email: str) -> Card:
    return Card(**{**vars(card), "email": email})
