"""What the people's devices did on the web: sessions around their visits to the stores, and when they logged in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import md5
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from cdp_platform.ingest.faces.people import Customer, Person, Proof
from cdp_platform.ingest.faces.shopping import Visit
from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY, TIME_ZONE

_WEB_SHARE: Final = 0.62
_BUSIEST_SESSIONS_PER_VISIT: Final = 0.9
_NEVER_LOGGED_IN_SHARE: Final = 0.4
_FIRST_LOGIN_IN_REPLAY_SHARE: Final = 0.03
_KIOSK_COUNT: Final = 6
_KIOSK_GUESTS: Final = 30
_REFERRERS: Final = (None, None, "https://www.google.com/", "https://www.bing.com/", "https://recipes.example/")
_ADS: Final = (("google", "cpc", "brand"), ("google", "cpc", "weekly_offers"), ("instagram", "paid_social", "recipes"))


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a session came from."""

    referrer: str | None = None
    campaign_source: str | None = None
    campaign_medium: str | None = None
    campaign_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Session:
    """One stay of a device on the site."""

    started_at: datetime
    """Aware, UTC."""
    customer: Customer
    """Who sits before it."""
    product_id: int
    source: Source
    logs_in: bool
    """Whether the customer logs in during it; before that the device is anonymous."""
    is_known: bool
    """Whether the customer is still logged in from an earlier session."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A browser with its sessions in the order of time."""

    anonymous_id: str
    person: Person | None
    """Its true user; None for a kiosk in a store, which is nobody's."""
    sessions: Sequence[Session]


def draw_devices(people: Sequence[Person], seed: int, replay: tuple[date, date]) -> list[Device]:
    """Draw the devices with their sessions; one without a session is left out."""
    devices = [device for person in people for device in _devices_of(person, seed, replay)]
    kiosks = Random(f"{seed}:kiosks")
    # Few households have few kiosks, so that what is shared stays as rare among them as among all.
    count = min(_KIOSK_COUNT, max(1, len(people) // 350))
    guests = [kiosks.sample(people, min(_KIOSK_GUESTS, len(people) // 12)) for _ in range(count)]
    devices += [_kiosk(position, found, seed) for position, found in enumerate(guests)]
    return [device for device in devices if device.sessions]


def _devices_of(person: Person, seed: int, replay: tuple[date, date]) -> Iterator[Device]:
    chance = Random(f"{seed}:devices:{person.person_id}")
    is_proof = person.proof is Proof.DEVICE
    if not is_proof and chance.random() > _WEB_SHARE:
        return
    # People delete their cookies and buy telephones: the same person under two or three ids.
    count = chance.choices((1, 2, 3), weights=(60, 30, 10))[0]
    share = chance.random() ** 2 * _BUSIEST_SESSIONS_PER_VISIT / count
    for position in range(count):
        customers = person.customers if position == 0 and is_proof else (chance.choice(person.customers),)
        sessions = sorted(
            (_session(visit, customer, chance) for customer in customers for visit in customer.household.visits
             if chance.random() < share),
            key=lambda one: one.started_at,
        )  # fmt: skip
        sessions = [session for session in sessions if _is_in_the_year(session.started_at)]
        if is_proof and position == 0:
            sessions = _with_both(sessions, person, chance)
        elif chance.random() < _FIRST_LOGIN_IN_REPLAY_SHARE:
            sessions = _with_first_login_in(replay, sessions, customers[0], chance)
        else:
            sessions = _with_logins(sessions, chance)
        yield Device(anonymous_id=_anonymous_id(seed, person.person_id, position), person=person, sessions=sessions)


def _session(visit: Visit, customer: Customer, chance: Random) -> Session:
    started_at = visit.ended_at - timedelta(seconds=chance.randrange(1_800, 140_000))
    return Session(
        started_at=started_at,
        customer=customer,
        product_id=visit.product_id,
        source=_source(customer, started_at.date(), chance),
        logs_in=False,
        is_known=False,
    )


def _source(customer: Customer, day: date, chance: Random) -> Source:
    sent = [one for one in customer.household.campaigns if one.started_on <= day <= one.ended_on]
    if sent and chance.random() < 0.35:
        name = f"campaign_{chance.choice(sent).campaign_id}"
        return Source(campaign_source="newsletter", campaign_medium="email", campaign_name=name)
    if chance.random() < 0.12:
        source, medium, name = chance.choice(_ADS)
        return Source(campaign_source=source, campaign_medium=medium, campaign_name=name)
    return Source(referrer=chance.choice(_REFERRERS))


def _with_logins(sessions: list[Session], chance: Random) -> list[Session]:
    """Log in the first time in some session, or never; later sessions are often still logged in."""
    if not sessions or chance.random() < _NEVER_LOGGED_IN_SHARE:
        return sessions
    first = min(chance.randrange(len(sessions)), chance.randrange(len(sessions)))
    return [_after_login(session, position, first, chance) for position, session in enumerate(sessions)]


def _after_login(session: Session, position: int, first: int, chance: Random) -> Session:
    if position < first:
        return session
    is_known = position > first and chance.random() < 0.6
    return replace(session, is_known=is_known, logs_in=position == first or (not is_known and chance.random() < 0.4))


def _with_both(sessions: list[Session], person: Person, chance: Random) -> list[Session]:
    """Log in once as either of the person's two customers, on the same device."""
    both = [replace(_session(chance.choice(customer.household.visits), customer, chance), logs_in=True)
            for customer in person.customers]  # fmt: skip
    both = [session if _is_in_the_year(session.started_at) else _moved(session) for session in both]
    return sorted([*sessions, *both], key=lambda one: one.started_at)


def _with_first_login_in(
    replay: tuple[date, date], sessions: list[Session], customer: Customer, chance: Random
) -> list[Session]:
    """Stay anonymous all year and log in on a day of the replay."""
    first, last = (datetime.combine(day, time(12), ZoneInfo(TIME_ZONE)).astimezone(UTC) for day in replay)
    started_at = first + timedelta(seconds=chance.randrange(int((last - first).total_seconds())))
    session = _session(chance.choice(customer.household.visits), customer, chance)
    login = replace(session, started_at=started_at, logs_in=True, source=_source(customer, started_at.date(), chance))
    return [*(session for session in sessions if session.started_at < started_at), login]


def _kiosk(position: int, guests: Sequence[Person], seed: int) -> Device:
    chance = Random(f"{seed}:kiosk:{position}")
    found = list[Session]()
    for guest in guests:
        customer = guest.customers[0]
        visit = chance.choice(customer.household.visits)
        # The kiosk stands in the store: a guest uses it some minutes before the receipt.
        started_at = visit.ended_at - timedelta(seconds=chance.randrange(300, 2_400))
        session = _session(visit, customer, chance)
        found.append(replace(session, started_at=started_at, source=Source(), logs_in=True))
    sessions = sorted((one for one in found if _is_in_the_year(one.started_at)), key=lambda one: one.started_at)
    return Device(anonymous_id=_anonymous_id(seed, "kiosk", position), person=None, sessions=sessions)


def _anonymous_id(seed: int, owner: str, position: int) -> str:
    return "a-" + md5(f"{seed}:{owner}:{position}".encode(), usedforsecurity=False).hexdigest()[:20]


def _is_in_the_year(moment: datetime) -> bool:
    return FIRST_DAY <= moment.astimezone(ZoneInfo(TIME_ZONE)).date() <= LAST_DAY


def _moved(session: Session) -> Session:
    return replace(session, started_at=session.started_at + timedelta(days=3))
