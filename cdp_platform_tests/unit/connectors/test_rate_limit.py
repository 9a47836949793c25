"""One bucket per credential: exact, shared, obedient."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cdp_platform.connectors.credentials import Secret
from cdp_platform.connectors.rate_limit import Bucket, name_bucket
from cdp_platform.errors import ConnectionFailed, RateLimited, TemporarilyDown
from cdp_platform_tests.unit.connectors.clocks import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make_bucket(place: Path | str, clock: FakeClock, *, rate: float = 10.0, burst: int = 5, name: str = "a") -> Bucket:
    return Bucket(place, name, requests_per_second=rate, burst_requests=burst, clock=clock, sleep=clock.sleep)


def acquire_times(bucket: Bucket, clock: FakeClock, count: int) -> list[float]:
    times = []
    for _ in range(count):
        bucket.acquire(60)
        times.append(clock.now - 1_000_000.0)
    return times


def test_the_burst_goes_at_once_and_the_pace_follows(place: Path | str, clock: FakeClock) -> None:
    times = acquire_times(make_bucket(place, clock), clock, 15)
    assert times == pytest.approx([0.0] * 5 + [0.5] * 5 + [1.0] * 5)


def test_no_window_ever_holds_more_than_the_burst(place: Path | str, clock: FakeClock) -> None:
    bucket, times = make_bucket(place, clock), []
    for step in range(60):
        bucket.acquire(60)
        times.append(clock.now)
        clock.sleep((step * 7 % 5) * 0.04)
    assert all(later - earlier >= 0.5 - 1e-6 for earlier, later in zip(times, times[5:], strict=False))


def test_the_vendors_whole_rate_is_used(place: Path | str, clock: FakeClock) -> None:
    times = acquire_times(make_bucket(place, clock, rate=19.0, burst=190), clock, 19 * 60)
    assert times[-1] <= 50.0 + 1e-6


def test_two_credentials_do_not_wait_for_each_other(place: Path | str, clock: FakeClock) -> None:
    acquire_times(make_bucket(place, clock, name="a"), clock, 5)
    assert acquire_times(make_bucket(place, clock, name="b"), clock, 5) == [0.0] * 5


def test_a_slot_too_far_away_is_refused_and_not_taken(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    acquire_times(bucket, clock, 5)
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            bucket.acquire(0.2)
        assert caught.value.retry_after_seconds == pytest.approx(0.5)
    assert acquire_times(bucket, clock, 1) == pytest.approx([0.5])


def test_a_penalty_holds_for_everybody_with_the_credential(place: Path | str, clock: FakeClock) -> None:
    make_bucket(place, clock).penalise(7)
    assert acquire_times(make_bucket(place, clock), clock, 1) == pytest.approx([7.0])


def test_a_penalty_reaches_those_who_already_wait(place: Path | str, clock: FakeClock) -> None:
    other = make_bucket(place, clock)

    def sleep_while_another_is_told_to_wait(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now < 1_000_001.0:
            other.penalise(3)

    bucket = make_bucket(place, clock)
    acquire_times(bucket, clock, 5)
    bucket._sleep = sleep_while_another_is_told_to_wait
    assert acquire_times(bucket, clock, 1) == pytest.approx([3.5])


def test_a_shorter_penalty_does_not_end_a_longer_one_and_none_is_endless(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    bucket.penalise(864_000)
    bucket.penalise(1)
    with pytest.raises(RateLimited) as caught:
        bucket.acquire(15)
    assert caught.value.retry_after_seconds == pytest.approx(900)


def test_requests_that_others_made_take_slots_too(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    acquire_times(bucket, clock, 1)
    bucket.observe(remaining=1, window_seconds=0.5)
    assert acquire_times(bucket, clock, 2) == pytest.approx([0.0, 0.5])


def test_an_answer_that_agrees_changes_nothing(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    acquire_times(bucket, clock, 1)
    bucket.observe(remaining=4, window_seconds=0.5)
    bucket.observe(remaining=1000, window_seconds=0.5)
    assert acquire_times(bucket, clock, 4) == [0.0] * 4


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_clock_that_jumps_stalls_nobody_and_lets_one_more_burst_through_at_most(
    place: Path | str, clock: FakeClock, hours: int
) -> None:
    bucket = make_bucket(place, clock)
    acquire_times(bucket, clock, 7)
    clock.now += hours * 3600
    jumped_at = clock.now
    for _ in range(20):
        bucket.acquire(60)
    assert clock.now - jumped_at == pytest.approx(1.5), "five at once, then five every half second"


def test_a_small_step_back_holds_nobody_longer_than_a_penalty_may(place: Path | str, clock: FakeClock) -> None:
    bucket = make_bucket(place, clock)
    acquire_times(bucket, clock, 5)
    clock.now -= 600
    with pytest.raises(RateLimited) as caught:
        bucket.acquire(15)
    assert caught.value.retry_after_seconds is not None
    assert caught.value.retry_after_seconds <= 900


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_penalty_does_not_outlive_a_clock_that_jumps(place: Path | str, clock: FakeClock, hours: int) -> None:
    bucket = make_bucket(place, clock)
    bucket.penalise(900)
    clock.now += hours * 3600
    assert bucket.acquire(0).at == clock.now


def test_what_was_kept_by_the_clock_of_another_time_is_forgotten(place: Path | str, clock: FakeClock) -> None:
    written = FakeClock(1_760_000_000.0)
    acquire_times(make_bucket(place, written), written, 5)
    make_bucket(place, written).penalise(900)
    assert make_bucket(place, clock).acquire(0).at == clock.now


def test_the_usual_clock_is_one_that_nobody_sets(tmp_path: Path) -> None:
    before = time.monotonic()
    slot = Bucket(tmp_path / "limits.sqlite", "a", requests_per_second=10.0, burst_requests=5).acquire(1)
    assert before <= slot.at <= time.monotonic()


def test_a_file_that_fails_after_the_answer_does_not_hide_the_answer(tmp_path: Path, clock: FakeClock) -> None:
    bucket = make_bucket(tmp_path / "limits.sqlite", clock)
    slot = bucket.acquire(1)
    bucket.close()
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / "limits.sqlite").write_text("not a database, and long enough to be sure of it" * 30)
    bucket.report(slot.admission, TemporarilyDown("down"))
    bucket.penalise(5)
    bucket.observe(0, 10)
    with pytest.raises(ConnectionFailed):
        bucket.acquire(1)


def test_the_file_tells_no_credential(tmp_path: Path, clock: FakeClock) -> None:
    secret = Secret("canary-5f3a9c")
    bucket = make_bucket(tmp_path / "limits.sqlite", clock, name=name_bucket("api.hubapi.com", secret))
    acquire_times(bucket, clock, 1)
    bucket.penalise(1)
    bucket.close()
    assert all(b"canary" not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_bucket_belongs_to_host_and_credential() -> None:
    names = {name_bucket("a", Secret("x")), name_bucket("b", Secret("x")), name_bucket("a", Secret("y"))}
    assert len(names | {name_bucket("a", None)}) == 4
    assert name_bucket("a", Secret("x")) in names


def test_a_file_that_is_no_database_stops_before_anything_is_sent(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "limits.sqlite").write_text("not a database, and long enough to be sure of it" * 30)
    with pytest.raises(ConnectionFailed, match=r"limits\.sqlite"):
        make_bucket(tmp_path / "limits.sqlite", clock).acquire(1)


WORKER = """
import sys, time
from pathlib import Path
from cdp_platform.connectors.rate_limit import Bucket
place = sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1])
bucket = Bucket(place, "shared", requests_per_second=100.0, burst_requests=20)
until = time.monotonic() + 1.0
while time.monotonic() < until:
    print(bucket.acquire(10).at)
"""


def test_two_processes_share_one_pace_exactly_and_use_it_whole(place: Path | str) -> None:
    command = [sys.executable, "-c", WORKER, str(place)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [worker.communicate(timeout=60)[0].split() for worker in workers]
    slots = sorted(float(text) for output in outputs for text in output)
    assert all(worker.returncode == 0 for worker in workers)
    assert all(outputs), "both processes must have sent"
    assert len(slots) > 60, "work must have happened"
    assert all(later - earlier >= 0.2 - 1e-3 for earlier, later in zip(slots, slots[20:], strict=False))
