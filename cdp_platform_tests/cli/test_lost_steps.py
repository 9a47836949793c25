"""Steps that workers have taken: who signs is at work, who is silent for long is gone, and nobody is given up twice."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cdp_platform.cli.lost_steps import MISSED_SECONDS, SIGN_SECONDS, SIGNED_SECONDS, Steps


@dataclass
class Store:
    """Redis, as far as it is asked, with a clock that a test turns."""

    now: float = 0.0
    sets: dict[str, set[str]] = field(default_factory=dict)
    ends_at: dict[str, float] = field(default_factory=dict)

    def set(self, name: str, value: str, *, ex: int) -> None:
        self.ends_at[name] = self.now + ex

    def delete(self, name: str) -> None:
        self.ends_at.pop(name, None)

    def exists(self, name: str) -> bool:
        return self.ends_at.get(name, 0.0) > self.now

    def sadd(self, name: str, value: str) -> None:
        self.sets.setdefault(name, set()).add(value)

    def srem(self, name: str, value: str) -> None:
        self.sets.get(name, set()).discard(value)

    def smembers(self, name: str) -> Iterable[bytes]:
        return [value.encode() for value in self.sets.get(name, set())]


def steps_in(store: Store) -> Steps:
    return Steps(lambda: store, clock=lambda: store.now)


def looked(steps: Steps, store: Store, seconds: float) -> list[str]:
    """Look as a worker does, every few seconds; the answer is what was lost in the end."""
    found: list[str] = []
    until = store.now + seconds
    while store.now < until:
        store.now += SIGN_SECONDS
        found = steps.lost()
    return found


def test_who_signs_is_never_lost() -> None:
    store = Store()
    worker, other = steps_in(store), steps_in(store)
    for _ in range(30):
        worker.sign("a")
        assert looked(other, store, SIGN_SECONDS) == []


def test_who_is_silent_is_lost_after_the_signature_and_a_while_and_within_two_minutes() -> None:
    store = Store()
    worker, other = steps_in(store), steps_in(store)
    worker.sign("a")
    assert looked(other, store, SIGNED_SECONDS) == []
    assert looked(other, store, MISSED_SECONDS + SIGN_SECONDS) == ["a"]
    assert store.now < 120
    other.end("a")
    assert looked(other, store, 300) == []


def test_a_step_that_has_ended_is_not_missed() -> None:
    store = Store()
    worker, other = steps_in(store), steps_in(store)
    worker.sign("a")
    worker.end("a")
    assert looked(other, store, 300) == []


def test_a_store_that_was_away_makes_nobody_lost() -> None:
    store = Store()
    worker, other = steps_in(store), steps_in(store)
    worker.sign("a")
    store.now += 600
    assert other.lost() == []
    other.begin_anew()
    worker.sign("a")
    assert looked(other, store, SIGN_SECONDS) == []


def test_who_stood_still_for_a_minute_and_signs_again_is_not_lost() -> None:
    store = Store()
    worker, other = steps_in(store), steps_in(store)
    worker.sign("a")
    assert looked(other, store, SIGNED_SECONDS + SIGN_SECONDS) == []
    worker.sign("a")
    assert looked(other, store, SIGNED_SECONDS) == []
