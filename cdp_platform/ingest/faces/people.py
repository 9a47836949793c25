"""Who the fictional people behind the households are, and which two customers are one person.

A customer's name, address and number are derived from the household's number exactly as dbt's `stg_retail__people`
derives them; a test holds the two together. What only the other sources know of a person is drawn from the seed.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from hashlib import md5
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Final

from cdp_platform.errors import ConfigError
from cdp_platform.ingest.faces.shopping import Household

_PART_COUNTS: Final = {"first_name": 60, "last_name": 80, "area_code": 60}
_TWIN_SHARE: Final = 0.03
_FEWEST_TWINS: Final = 10
_ELDEST_BORN_ON: Final = date(1938, 1, 1)
_BIRTH_DAYS: Final = 365 * 61
_CONSENTING_OF_100: Final = 82
"""As in dbt's `int_consent_events__unioned`."""

NameParts = Mapping[str, Sequence[str]]
"""Kind → its values by position."""


class Proof(Enum):
    """What shows that two customers are one person."""

    TICKET_IN_REPLAY = "ticket_in_replay"
    TICKET_IN_HISTORY = "ticket_in_history"
    DEVICE = "device"
    CARD = "card"


@dataclass(frozen=True, kw_only=True)
class Customer:
    """A customer record of the retailer, as dbt derives it from the household's number."""

    household: Household
    first_name: str
    last_name: str
    email: str
    phone: str
    """E.164, from the range 555-0100 to 555-0199."""

    @property
    def number(self) -> str:
        """The household's number as text, as the other sources write it."""
        return str(self.household.household_id)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A true person with one customer record or two."""

    person_id: str
    customers: tuple[Customer, ...]
    proof: Proof | None
    """What shows that the two customers are one; None for a person with one."""
    birth_date: date
    postal_code: str
    private_email: str
    """An address that the retailer's own records do not have."""
    second_phone: str
    """A number that the retailer's own records do not have."""

    @property
    def name(self) -> tuple[str, str]:
        """First and last name."""
        return self.customers[0].first_name, self.customers[0].last_name


def read_name_parts(path: Path) -> NameParts:
    """Read dbt's seed of name parts; raise ConfigError where it is not there or lacks some."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found = {
            kind: [row["value"] for row in sorted(rows, key=lambda row: int(row["position"])) if row["kind"] == kind]
            for kind in _PART_COUNTS
        }
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"the name parts cannot be read from {path}: {type(error).__name__}.") from None
    for kind, count in _PART_COUNTS.items():
        if len(found[kind]) != count:
            raise ConfigError(f"{path} has {len(found[kind])} parts of the kind {kind} instead of {count}.")
    return found


def bucket(value: object, salt: str, bucket_count: int) -> int:
    """Give a number from 0 to `bucket_count` - 1, the same as dbt's macro of this name."""
    text = f"{salt}:{value}".encode()
    return int(md5(text, usedforsecurity=False).hexdigest()[:8], 16) % bucket_count


def derive_customer(household: Household, parts: NameParts) -> Customer:
    """Derive what the retailer's record says, as dbt does."""
    number = household.household_id
    first = parts["first_name"][bucket(number, "first_name", _PART_COUNTS["first_name"])]
    last = parts["last_name"][bucket(number, "last_name", _PART_COUNTS["last_name"])]
    area = parts["area_code"][number // 100 % _PART_COUNTS["area_code"]]
    return Customer(
        household=household,
        first_name=first,
        last_name=last,
        email=f"{first}.{last}{number}@example.com".lower(),
        phone=f"+1{area}55501{number % 100:02d}",
    )


def draw_people(households: Sequence[Household], parts: NameParts, seed: int, replay_start: date) -> list[Person]:
    """Draw the true people, in the order of their first customer's number.

    About three customers in a hundred have a second record. Those whose proof comes in the replay shopped before it
    and said yes to e-mail, so that both were synced by then.
    """
    customers = [derive_customer(household, parts) for household in households]
    twins = _twins(customers, Random(f"{seed}:twins"), replay_start)
    seconds = {second.number for _, second in twins.values()}
    return [_person(customer, twins, parts, seed) for customer in customers if customer.number not in seconds]


_Twins = Mapping[str, tuple[Proof, Customer]]


def _person(customer: Customer, twins: _Twins, parts: NameParts, seed: int) -> Person:
    number = customer.household.household_id
    chance = Random(f"{seed}:person:{number}")
    proof, second = twins.get(customer.number, (None, None))
    # The customers' own numbers use the first 25 area codes as long as there are no more than 2,500 households.
    area = parts["area_code"][25 + number // 100 % 35]
    return Person(
        person_id=f"t-{number:07d}",
        customers=(customer,) if second is None else (customer, second),
        proof=proof,
        birth_date=_ELDEST_BORN_ON + timedelta(days=chance.randrange(_BIRTH_DAYS)),
        postal_code=f"{10_001 + chance.randrange(270)}",
        private_email=f"{customer.first_name[0]}{customer.last_name}.{number}@example.com".lower(),
        second_phone=f"+1{area}55501{number % 100:02d}",
    )


def _twins(customers: Sequence[Customer], chance: Random, replay_start: date) -> _Twins:
    count = max(_FEWEST_TWINS, round(len(customers) * _TWIN_SHARE))
    pairs = list(_distinct(_candidates(customers, chance), count))
    in_replay = [pair for pair in pairs if all(_is_synced_before(one, replay_start) for one in pair)]
    in_replay = in_replay[: max(4, min(8, count // 4))]
    others = [pair for pair in pairs if pair not in in_replay]
    proofs = (Proof.TICKET_IN_HISTORY, Proof.DEVICE, Proof.CARD)
    found = {first.number: (Proof.TICKET_IN_REPLAY, second) for first, second in in_replay}
    return found | {
        first.number: (proofs[position % len(proofs)], second) for position, (first, second) in enumerate(others)
    }


def _candidates(customers: Sequence[Customer], chance: Random) -> Iterator[tuple[Customer, Customer]]:
    """Yield half of the namesakes, so that the others are two people of one name; then who shares the last name."""
    by_name, by_last_name = defaultdict[object, list[Customer]](list), defaultdict[object, list[Customer]](list)
    for customer in customers:
        by_name[customer.first_name, customer.last_name].append(customer)
        by_last_name[customer.last_name].append(customer)
    namesakes = [pair for group in by_name.values() for pair in combinations(group, 2)]
    chance.shuffle(namesakes)
    yield from namesakes[: len(namesakes) // 2]
    relatives = [(group[0], group[-1]) for group in by_last_name.values() if len(group) > 1]
    chance.shuffle(relatives)
    yield from relatives


def _distinct(pairs: Iterator[tuple[Customer, Customer]], count: int) -> Iterator[tuple[Customer, Customer]]:
    taken = set[str]()
    for first, second in pairs:
        if len(taken) < 2 * count and not taken & {first.number, second.number}:
            taken |= {first.number, second.number}
            yield first, second


def _is_synced_before(customer: Customer, day: date) -> bool:
    said_yes = bucket(customer.number, "email_marketing", 100) < _CONSENTING_OF_100
    return said_yes and customer.household.visits[0].ended_at.date() < day - timedelta(days=1)
