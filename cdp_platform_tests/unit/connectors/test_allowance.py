"""The requests of a day are counted over runs: any 24 hours hold no more than the plan gives."""

from pathlib import Path

import pytest

from cdp_platform.connectors.rate_limit import Bucket
from cdp_platform.errors import RateLimited

HOUR = 3600.0


class Wall:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000 * HOUR

    def __call__(self) -> float:
        return self.now


def bucket(place: Path | str, wall: Wall, *, most: int | None = 10) -> Bucket:
    return Bucket(
        place,
        "one",
        requests_per_second=1_000_000.0,
        burst_requests=1_000_000,
        requests_per_day=most,
        destination="zoho_inventory",
        wall=wall,
    )


def taken(bucket: Bucket) -> int:
    """Take requests until none is left."""
    number = 0
    while (limited := refusal_of(bucket)) is None:
        number += 1
    assert 0 < (limited.retry_after_seconds or 0) <= 24 * HOUR
    return number


def refusal_of(bucket: Bucket) -> RateLimited | None:
    try:
        bucket.acquire(1.0)
    except RateLimited as limited:
        return limited
    return None


def test_another_process_counts_on_where_this_one_ended(place: Path | str) -> None:
    wall = Wall()
    for _ in range(4):
        bucket(place, wall).acquire(1.0)
    assert taken(bucket(place, wall)) == 6


def test_no_24_hours_hold_more_and_a_later_day_has_its_own(place: Path | str) -> None:
    wall = Wall()
    one = bucket(place, wall)
    for _ in range(6):
        one.acquire(1.0)
    wall.now += 20 * HOUR
    assert taken(one) == 4
    wall.now += 3 * HOUR
    assert taken(one) == 0
    wall.now += 2 * HOUR
    assert taken(one) == 6
    wall.now += 24 * HOUR
    assert taken(one) == 10


def test_a_clock_that_was_ahead_takes_nothing_from_the_right_one(place: Path | str) -> None:
    wall = Wall()
    one = bucket(place, wall)
    wall.now += 100 * HOUR
    assert taken(one) == 10
    wall.now -= 100 * HOUR
    assert taken(one) == 10


def test_without_an_allowance_nothing_is_counted(place: Path | str) -> None:
    one = bucket(place, Wall(), most=None)
    assert [refusal_of(one) for _ in range(50)] == [None] * 50


def test_the_error_says_who_gives_how_many_and_what_becomes_of_the_rest(place: Path | str) -> None:
    one = bucket(place, Wall(), most=1)
    one.acquire(1.0)
    with pytest.raises(RateLimited, match=r"1 requests that zoho_inventory.*pending"):
        one.acquire(1.0)
