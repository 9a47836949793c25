"""The loop's clock: the day up to whose end people are described. One row in the warehouse; it only goes forward."""

import ipaddress
import json
import urllib.error
import urllib.request
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import urlsplit

from cdp_platform.errors import ConfigError, ConnectionFailed
from cdp_platform.warehouse.base import Warehouse

RELATION: Final = "cdp.loop_clock"
_ANNOUNCE_SECONDS: Final = 5


def read_clock(warehouse: Warehouse) -> date | None:
    """Return the clock's day; None where it was never set."""
    with warehouse.session("reading the clock") as session:
        if not session.columns(RELATION):
            return None
        rows = session.rows(f"select as_of_on from {RELATION}")
    return rows[0]["as_of_on"] if rows else None


def clock_day(warehouse: Warehouse) -> date:
    """The day up to whose end people are described: the loop's clock, where the project has one; else today in UTC."""
    return read_clock(warehouse) or datetime.now(UTC).date()


def set_clock(warehouse: Warehouse, day: date) -> date:
    """Move the clock on to `day`, or leave it where it is already later. Returns the day it shows afterwards."""
    with warehouse.session("setting the clock") as session, session.transaction():
        session.execute("create schema if not exists cdp")
        session.execute(f"create table if not exists {RELATION} (as_of_on date not null)")
        [row] = session.rows(f"select max(as_of_on) as as_of_on from {RELATION}")
        shown: date = max(day, row["as_of_on"] or day)
        session.execute(f"delete from {RELATION}")
        session.execute(f"insert into {RELATION} values (?)", [shown])
    return shown


def announce(base_url: str, day: date) -> None:
    """Tell the sandbox which day is being replayed.

    Raises ConfigError for an address that is not this machine's, ConnectionFailed where nobody answers.
    """
    check_local(base_url)
    request = urllib.request.Request(  # noqa: S310
        f"{base_url.rstrip('/')}/sandbox/clock",
        data=json.dumps({"day": day.isoformat()}).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANNOUNCE_SECONDS):
            return
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ConnectionFailed(f"nobody took the day at {base_url} ({type(error).__name__}).") from error


def check_local(base_url: str) -> None:
    """Raise ConfigError unless the address is http on this machine: the replay is announced to a sandbox only."""
    parts = urlsplit(base_url)
    try:
        is_local = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_local = False
    if parts.scheme != "http" or not is_local:
        raise ConfigError(
            f"{base_url!r} is not an address of this machine.",
            remedy="The replayed day is announced to a sandbox only, as http://127.0.0.1:8790.",
            field="replay.announce_to",
        )
