"""What a plan would scan is asked for before, shown, and held to the sync's limit; who cannot say says nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cdp_platform.domain.syncs import Limits
from cdp_platform.errors import GuardTripped
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

pytestmark = pytest.mark.duckdb_only


class _Foreseeing(DuckDbSession):
    """A session that says of every query that it scans a thousand bytes."""

    asked: list[str]
    limit: int | None = None

    def scanned_bytes(self, sql: str) -> int:
        self.asked.append(sql)
        return 1000

    def limit_scan(self, maximum_bytes: int) -> None:
        self.limit = maximum_bytes


class _PaidByScan(DuckDbWarehouse):
    last: _Foreseeing

    @contextmanager
    def session(self, purpose: str) -> Iterator[_Foreseeing]:
        with super().session(purpose) as session:
            self.last = _Foreseeing(session._connection, session._folder)
            self.last.asked = []
            yield self.last


def test_a_plan_says_what_one_reading_of_what_it_compares_scans(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.warehouse = _PaidByScan(shop.home.warehouse)
    assert shop.plan().scanned_bytes == 4000
    ledger, model, consents, suppressions = shop.warehouse.last.asked
    assert '"person_id", "email", "email_permission", "segment", "lifetime_value"' in model
    assert all(("fingerprint" in ledger, "consents" in consents, "suppressions" in suppressions))


def test_a_limit_below_the_estimate_stops_before_anything_is_read(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.warehouse = _PaidByScan(shop.home.warehouse)
    shop.spec = spec_of(limits=Limits(scanned_bytes=3999))
    with pytest.raises(GuardTripped, match="4,000 bytes and more; its limit is 3,999") as tripped:
        shop.plan()
    assert tripped.value.counts == {"scanned_bytes": 4000}
    assert "partition" in str(tripped.value)
    assert shop.warehouse.last.limit is None


def test_a_limit_above_the_estimate_holds_for_every_statement_that_follows(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.warehouse = _PaidByScan(shop.home.warehouse)
    shop.spec = spec_of(limits=Limits(scanned_bytes=4000))
    assert shop.plan().to_send == 1
    assert shop.warehouse.last.limit == 4000


def test_an_engine_that_cannot_say_says_nothing_and_ignores_the_limit(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.spec = spec_of(limits=Limits(scanned_bytes=1))
    assert shop.plan().scanned_bytes is None
