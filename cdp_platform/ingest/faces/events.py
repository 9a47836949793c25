"""The messages of the devices' sessions as the site's tracker delivers them: some twice, some late."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from hashlib import md5
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from cdp_platform.ingest.faces.browsing import Device, Session, Source
from cdp_platform.ingest.retail import LAST_DAY, TIME_ZONE

_TWICE_SHARE: Final = 0.01
_LATE_SHARE: Final = 0.015
_LONGEST_LATE_SECONDS: Final = 60 * 3600
_PAUSE_SHARE: Final = 0.02
_END: Final = datetime.combine(LAST_DAY + timedelta(days=1), time(), ZoneInfo(TIME_ZONE)).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One delivery of one event; None is null."""

    message_id: str
    anonymous_id: str
    customer_number: str | None
    """Only after a login."""
    event_name: str
    occurred_at: datetime
    """Aware, UTC, by the device's clock."""
    received_at: datetime
    """Aware, UTC, by the site's clock."""
    page_path: str
    referrer: str | None
    campaign_source: str | None
    campaign_medium: str | None
    campaign_name: str | None
    product_id: int | None


def draw_messages(devices: Sequence[Device], seed: int) -> list[Message]:
    """Draw the deliveries, in the order in which the site received them; none after the last day of the year."""
    messages = [
        message for device in devices for message in _of_device(device, Random(f"{seed}:events:{device.anonymous_id}"))
    ]
    return sorted(
        (message for message in messages if message.received_at < _END),
        key=lambda one: (one.received_at, one.message_id),
    )


def _of_device(device: Device, chance: Random) -> Iterator[Message]:
    count = 0
    for session in device.sessions:
        is_late = chance.random() < _LATE_SHARE
        for message in _of_session(device.anonymous_id, session, chance):
            number, count = count, count + 1
            message_id = md5(f"{device.anonymous_id}:{number}".encode(), usedforsecurity=False).hexdigest()
            delay = chance.randrange(1, 8)
            if is_late:
                delay += chance.randrange(3_600, _LONGEST_LATE_SECONDS)
            received_at = message.occurred_at + timedelta(seconds=delay)
            yield _delivered(message, message_id, received_at)
            if chance.random() < _TWICE_SHARE:
                yield _delivered(message, message_id, received_at + timedelta(seconds=chance.randrange(20, 9_000)))


def _of_session(anonymous_id: str, session: Session, chance: Random) -> Iterator[Message]:
    moment = session.started_at.replace(microsecond=0)
    customer_number = session.customer.number if session.is_known else None
    source = session.source
    for position, (event_name, page_path, product_id) in enumerate(_steps(session, chance)):
        if event_name == "logged_in":
            customer_number = session.customer.number
        if position:
            # Some go to lunch and come back to the page: the same stay for them, another session for us.
            moment += timedelta(seconds=chance.randrange(2_000, 6_000) if chance.random() < _PAUSE_SHARE
                                else chance.randrange(4, 240))  # fmt: skip
        yield Message(
            message_id="",
            anonymous_id=anonymous_id,
            customer_number=customer_number,
            event_name=event_name,
            occurred_at=moment,
            received_at=moment,
            page_path=page_path,
            referrer=source.referrer if position == 0 else None,
            campaign_source=source.campaign_source,
            campaign_medium=source.campaign_medium,
            campaign_name=source.campaign_name,
            product_id=product_id,
        )
        # A campaign is written on the page where one arrives, not on those that follow.
        source = Source()
        if position and chance.random() < 0.004:
            source = Source(campaign_source="google", campaign_medium="cpc", campaign_name="brand")


def _steps(session: Session, chance: Random) -> Iterator[tuple[str, str, int | None]]:
    """Yield what happens in a session: event, page, product."""
    product_page = f"/products/{session.product_id}"
    if session.source.campaign_medium == "email":
        yield "newsletter_opened", f"/newsletter/{session.source.campaign_name}", None
        yield "coupon_viewed", "/coupons", session.product_id
    else:
        yield "page_viewed", "/", None
    if session.logs_in:
        yield "logged_in", "/account/login", None
    for _ in range(chance.choices((0, 1, 2, 3, 5), weights=(25, 30, 22, 15, 8))[0]):
        kind = chance.choices(("product_viewed", "page_viewed", "coupon_viewed"), weights=(55, 30, 15))[0]
        if kind == "page_viewed":
            yield kind, chance.choice(("/stores", "/recipes", "/offers", "/search")), None
        else:
            yield kind, product_page if kind == "product_viewed" else "/coupons", session.product_id
    if chance.random() < 0.18:
        yield "cart_updated", "/cart", session.product_id


def _delivered(message: Message, message_id: str, received_at: datetime) -> Message:
    return Message(**{**vars(message), "message_id": message_id, "received_at": received_at})
