"""A destination that fails again and again is left alone, by everybody who shares the credential, and tried again."""

from pathlib import Path

import pytest

from cdp_platform.connectors.circuit import FAILURES_IN_A_ROW, FIRST_OPEN_SECONDS, LONGEST_OPEN_SECONDS, PROBE_SECONDS
from cdp_platform.connectors.rate_limit import Bucket
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    CircuitOpen,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform_tests.unit.connectors.clocks import FakeClock

DOWN = TemporarilyDown("HubSpot answered 503.", status=503)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make_bucket(
    place: Path | str, clock: FakeClock, *, jitter: float = 1.0, name: str = "a", burst: int = 1000
) -> Bucket:
    return Bucket(
        place,
        name,
        requests_per_second=1000.0,
        burst_requests=burst,
        destination="hubspot",
        clock=clock,
        sleep=clock.sleep,
        jitter=lambda: jitter,
    )


def request(bucket: Bucket, clock: FakeClock, error: CdpError | None) -> None:
    """One request of a second that ends like this."""
    slot = bucket.acquire(15)
    clock.sleep(1)
    bucket.report(slot.admission, error)


def fail_until_open(bucket: Bucket, clock: FakeClock) -> None:
    for _ in range(FAILURES_IN_A_ROW):
        request(bucket, clock, DOWN)


@pytest.mark.parametrize(
    "error",
    [DOWN, ContractBroken("HTML.", status=200), ConnectionFailed("No connection.")],
    ids=lambda e: type(e).__name__,
)
def test_failures_in_a_row_open_the_circuit_and_the_next_request_is_not_made(
    place: Path | str, clock: FakeClock, error: CdpError
) -> None:
    bucket = make_bucket(place, clock)
    for _ in range(FAILURES_IN_A_ROW - 1):
        request(bucket, clock, error)
    request(bucket, clock, error)
    with pytest.raises(CircuitOpen, match=r"HubSpot failed several times in a row.*until 20.* UTC; nothing was sent"):
        bucket.acquire(15)


def test_a_success_between_the_failures_keeps_it_closed(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    for error in ([DOWN] * (FAILURES_IN_A_ROW - 1) + [None]) * 3:
        request(bucket, clock, error)
    assert bucket.acquire(0)


@pytest.mark.parametrize(
    "error", [Refused("400"), AuthenticationFailed("401", status=401), ConfigError("301")], ids=["400", "401", "301"]
)
def test_answers_that_say_nothing_of_its_health_are_not_counted(
    place: Path | str, clock: FakeClock, error: CdpError
) -> None:
    bucket = make_bucket(place, clock)
    for _ in range(3 * FAILURES_IN_A_ROW):
        request(bucket, clock, error)
    assert bucket.acquire(0)


def test_an_answer_that_asks_to_wait_counts_half(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    for _ in range(2 * FAILURES_IN_A_ROW - 1):
        request(bucket, clock, RateLimited("429"))
    request(bucket, clock, RateLimited("429"))
    with pytest.raises(CircuitOpen):
        bucket.acquire(15)


def test_twenty_requests_that_fail_together_are_one_failure(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    slots = [bucket.acquire(15) for _ in range(20)]
    for slot in slots:
        clock.sleep(0.01)
        bucket.report(slot.admission, DOWN)
    for _ in range(FAILURES_IN_A_ROW - 1):
        assert bucket.acquire(15)
        request(bucket, clock, DOWN)
    with pytest.raises(CircuitOpen):
        bucket.acquire(15)


def test_it_is_shared_by_all_who_use_the_credential_and_by_nobody_else(place: Path | str, clock: FakeClock) -> None:
    fail_until_open(make_bucket(place, clock), clock)
    with pytest.raises(CircuitOpen):
        make_bucket(place, clock).acquire(15)
    assert make_bucket(place, clock, name="b").acquire(15)


def test_after_its_time_one_request_at_a_time_tries(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    fail_until_open(bucket, clock)
    clock.sleep(FIRST_OPEN_SECONDS)
    probe = bucket.acquire(15)
    assert probe.admission.is_probe
    with pytest.raises(CircuitOpen):
        make_bucket(place, clock).acquire(15)
    bucket.report(probe.admission, None)
    assert not make_bucket(place, clock).acquire(15).admission.has_failures


def test_a_refusal_of_the_trying_request_shows_that_somebody_is_there(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    fail_until_open(bucket, clock)
    clock.sleep(FIRST_OPEN_SECONDS)
    bucket.report(bucket.acquire(15).admission, Refused("400", status=400))
    assert not bucket.acquire(15).admission.is_probe


def test_a_trying_request_that_is_asked_to_wait_lets_another_try(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    fail_until_open(bucket, clock)
    clock.sleep(FIRST_OPEN_SECONDS)
    bucket.report(bucket.acquire(15).admission, RateLimited("429"))
    assert bucket.acquire(15).admission.is_probe


def test_a_trying_request_that_never_ends_blocks_the_others_for_a_while_only(
    place: Path | str, clock: FakeClock
) -> None:
    bucket = make_bucket(place, clock)
    fail_until_open(bucket, clock)
    clock.sleep(FIRST_OPEN_SECONDS)
    assert bucket.acquire(15).admission.is_probe
    clock.sleep(PROBE_SECONDS)
    assert make_bucket(place, clock).acquire(15).admission.is_probe


def test_it_stays_open_longer_each_time_up_to_a_limit(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    fail_until_open(bucket, clock)
    waits = []
    for _ in range(10):
        began = clock.now
        while True:
            try:
                slot = bucket.acquire(15)
                break
            except CircuitOpen:
                clock.sleep(1)
        waits.append(clock.now - began)
        bucket.report(slot.admission, DOWN)
    assert waits[:4] == pytest.approx([10, 20, 40, 80], abs=2)
    assert waits[-1] == pytest.approx(LONGEST_OPEN_SECONDS, abs=2)


def test_chance_shortens_the_time_so_that_not_everybody_comes_back_at_once(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock, jitter=0.3)
    fail_until_open(bucket, clock)
    clock.sleep(0.3 * FIRST_OPEN_SECONDS)
    assert bucket.acquire(15).admission.is_probe


def test_a_late_success_of_an_earlier_request_does_not_close_it(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    request(bucket, clock, DOWN)
    early = bucket.acquire(15)
    for _ in range(FAILURES_IN_A_ROW - 1):
        request(bucket, clock, DOWN)
    bucket.report(early.admission, None)
    with pytest.raises(CircuitOpen):
        bucket.acquire(15)


def test_who_waits_for_a_slot_when_it_opens_does_not_send(place: Path | str, clock: FakeClock) -> None:
    bucket, other = make_bucket(place, clock, burst=1), make_bucket(place, clock)
    bucket._window_seconds = 30.0

    def sleep_while_another_fails(seconds: float) -> None:
        clock.sleep(seconds)
        fail_until_open(other, clock)

    bucket.acquire(60)
    bucket._sleep = sleep_while_another_fails
    with pytest.raises(CircuitOpen):
        bucket.acquire(60)


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_clock_that_jumps_does_not_keep_it_open(place: Path | str, clock: FakeClock, hours: int) -> None:
    bucket = make_bucket(place, clock)
    fail_until_open(bucket, clock)
    clock.now += hours * 3600
    assert bucket.acquire(15).admission.is_probe


@pytest.mark.parametrize("hours", [-24, -1])
def test_a_clock_that_is_set_back_does_not_blind_it(place: Path | str, clock: FakeClock, hours: int) -> None:
    bucket = make_bucket(place, clock)
    request(bucket, clock, DOWN)
    clock.now += hours * 3600
    fail_until_open(bucket, clock)
    with pytest.raises(CircuitOpen):
        bucket.acquire(15)


def test_failures_of_yesterday_do_not_count_today(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    for _ in range(FAILURES_IN_A_ROW - 1):
        request(bucket, clock, DOWN)
    clock.sleep(86_400)
    request(bucket, clock, DOWN)
    assert bucket.acquire(15)
