"""What traffic tells of itself."""

import pytest

from cdp_platform.connectors.tally import Tallies, Tally
from cdp_platform.domain.traffic import LATENCY_BOUNDS, Traffic


def traffic_of(*seconds: float, status: int | None = 200) -> Traffic:
    tally = Tally()
    for one in seconds:
        tally.note(status, one)
    return tally.traffic


def test_answers_are_counted_by_class() -> None:
    tally = Tally()
    for status in (200, 207, 301, 400, 404, 429, 500, 503, 504, None):
        tally.note(status, 0.1)
    told = tally.traffic
    assert told.request_count == 10
    assert (told.accepted_count, told.refused_count, told.limited_count) == (2, 3, 1)
    assert (told.failed_count, told.unanswered_count) == (3, 1)
    assert told.share_429 == 0.1
    assert told.requests_per_second(4.0) == 2.5


def test_a_session_without_requests_tells_nothing_wrong() -> None:
    nothing = Tallies().traffic
    assert nothing == Traffic()
    assert (nothing.share_429, nothing.requests_per_second(0.0), nothing.percentile(0.5)) == (0.0, 0.0, None)


@pytest.mark.parametrize("seconds", [0.0006, 0.0123, 0.2, 1.0, 29.9, 180.0])
def test_a_percentile_is_at_most_a_tenth_off(seconds: float) -> None:
    assert traffic_of(seconds).percentile(0.5) == pytest.approx(seconds, rel=0.1)


def test_percentiles_are_of_all_requests() -> None:
    told = traffic_of(*[0.1] * 90, *[1.0] * 9, 20.0)
    assert told.percentile(0.5) == pytest.approx(0.1, rel=0.1)
    assert told.percentile(0.95) == pytest.approx(1.0, rel=0.1)
    assert told.percentile(0.99) == pytest.approx(1.0, rel=0.1)
    assert told.percentile(1.0) == pytest.approx(20.0, rel=0.1)


def test_what_is_slower_than_the_last_step_is_told_as_its_end() -> None:
    assert traffic_of(10_000.0).percentile(0.5) == LATENCY_BOUNDS[-1]


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_of_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        traffic_of(0.1).percentile(share)


def test_two_sessions_add_up() -> None:
    one, other = traffic_of(0.1, 0.1), traffic_of(1.0, status=429)
    assert (one + other).request_count == 3
    assert (one + other).limited_count == 1
    assert (one + other).percentile(1.0) == other.percentile(1.0)
