"""Events that may be sent once: the shop's rows, appended to a destination where sending twice does harm."""

from collections.abc import Sequence
from typing import Any

from cdp_platform.domain.syncs import Mode
from cdp_platform.testing.fake_jobs import FakeJobs
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

APPEND = frozenset({Mode.APPEND})
DAY_SECONDS = 86_400.0


def events_of(shop: Shop, *, key_seconds: float = 0.0, rows: int = 10, is_harmless: bool = False) -> Shop:
    """Let the shop append its rows, as events without a consent."""
    shop.spec = spec_of(mode=Mode.APPEND, consent=None)
    shop.destination = FakeDestination(
        batch_rows=rows,
        modes=APPEND,
        at_most_once=frozenset() if is_harmless else APPEND,
        idempotency_seconds=key_seconds,
    )
    return shop


def jobs_of(shop: Shop, mode: Mode, *, rows: int = 10, job_seconds: float = 3600.0, key_seconds: float = 0.0) -> Shop:
    """Let the shop's destination take its requests as jobs; to append may then be done once."""
    shop.spec = spec_of(mode=mode, consent=None)
    shop.destination = FakeJobs(
        batch_rows=rows,
        modes=frozenset({mode}),
        at_most_once=APPEND & {mode},
        idempotency_seconds=key_seconds,
        job_seconds=job_seconds,
    )
    return shop


def write_events(shop: Shop, numbers: Sequence[int], **changes: Any) -> None:
    """Replace the source model by these events."""
    shop.people([person_of(number, **changes) for number in numbers])


def processed_twice(shop: Shop) -> set[str]:
    """Rows that the destination has processed more than once."""
    return {key for key in shop.account.processed if shop.account.processed.count(key) > 1}


def unknown_keys(shop: Shop) -> list[str]:
    """Keys of the rows whose outcome nobody knows."""
    found = shop.sql("select primary_key from cdp.unknown_rows where resolved_at is null order by primary_key")
    return [row["primary_key"] for row in found]
