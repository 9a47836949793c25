"""A run with rows of unknown outcome does not look green; a sync of events has the guards that make sense for it."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.components.sync_metadata import guards_of, run_checks, run_metadata
from cdp_platform.domain.syncs import Mode
from cdp_platform.errors import TemporarilyDown
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, spec_of
from cdp_platform_tests.unit.syncs.events import events_of, write_events

KEY = dg.AssetKey(["fake", "crm_contacts"])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return events_of(Shop(tmp_path / "home"))


def check_of(shop: Shop) -> dg.AssetCheckResult:
    record = shop.run()
    return {check.check_name: check for check in run_checks(KEY, shop.spec, record)}["unknown_rows"]


def test_unknown_rows_warn_with_the_command_to_run_until_they_are_resolved(shop: Shop) -> None:
    write_events(shop, range(3))
    shop.session.fail_next(TemporarilyDown("timeout"))
    first, second = check_of(shop), check_of(shop)
    assert not first.passed and not second.passed
    assert first.severity is dg.AssetCheckSeverity.WARN
    assert first.description and "Of 3 rows nobody knows" in first.description
    assert "cdp resolve crm_contacts" in first.description
    assert [check.metadata["unknown"].value for check in (first, second)] == [3, 0]
    assert [check.metadata["unresolved"].value for check in (first, second)] == [0, 3]


def test_a_run_whose_outcomes_are_known_passes(shop: Shop) -> None:
    write_events(shop, range(3))
    check = check_of(shop)
    assert (check.passed, check.description) == (True, "The outcome of every row is known.")


def test_the_metadata_counts_unknown_rows(shop: Shop) -> None:
    write_events(shop, range(3))
    shop.session.fail_next(TemporarilyDown("timeout"))
    assert run_metadata(shop.run())["unknown"] == 3


def test_events_may_be_few_and_records_may_not() -> None:
    size = {"model_not_empty", "model_not_shrunk"}
    told = FakeDestination().capabilities("contacts")
    assert size <= set(guards_of(spec_of(), told))
    assert size.isdisjoint(guards_of(spec_of(mode=Mode.APPEND), told))


def test_a_ledger_that_may_have_forgotten_is_guarded_where_that_does_harm() -> None:
    told = FakeDestination().capabilities("contacts")
    once = replace(told, at_most_once=frozenset({Mode.INSERT}))
    modes = [Mode.UPSERT, Mode.MIRROR, Mode.APPEND, Mode.INSERT]
    assert ["ledger_current" in guards_of(spec_of(mode=mode), once) for mode in modes] == [False, True, True, True]
