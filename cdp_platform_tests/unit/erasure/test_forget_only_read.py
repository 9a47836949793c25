"""`cdp forget` beside a warehouse that is only read: the copies, the ledger, the log and the destination forget."""

from dataclasses import replace

import pytest

from cdp_platform.domain.syncs import Removal
from cdp_platform.erasure.book import State, open_work
from cdp_platform.erasure.forget import Scope, forget, look
from cdp_platform.erasure.only_read import copy_keys, log_links, model_keys
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.syncs.journal import Journal
from cdp_platform_tests.unit.erasure.conftest import ErasingDestination
from cdp_platform_tests.unit.erasure.test_forget import traces
from cdp_platform_tests.unit.syncs.conftest import person_of
from cdp_platform_tests.unit.syncs.test_local_state import LocalShop, shop  # noqa: F401

FIRST, SECOND = person_of(1, email="Person1@example.com"), person_of(2)


def delivered(shop: LocalShop) -> LocalShop:  # noqa: F811
    shop.destination = ErasingDestination(Removal.DELETE)
    shop.people([FIRST, SECOND])
    shop.run()
    assert sorted(shop.account.records) == ["p-001", "p-002"]
    return shop


def scope_of(shop: LocalShop) -> Scope:  # noqa: F811
    return Scope(
        home=shop.home,
        warehouse=shop.warehouse,
        journal=Journal(shop.home),
        declared=copy_keys([shop.spec]),
        theirs=model_keys([shop.spec]),
        syncs=[(shop.engine, shop.spec)],
        links=log_links(shop.warehouse.dialect, [shop.spec]),
    )


def deleted_there(shop: LocalShop) -> None:  # noqa: F811
    shop.there("delete from activation.sync_contacts__crm where person_id = 'p-001'")
    shop.there("delete from marts.consents where identifier = 'person1@example.com'")


@pytest.mark.parametrize("has_planned", [True, False])
def test_who_is_gone_there_is_forgotten_in_copies_ledger_log_plans_and_at_the_destination(
    shop: LocalShop,  # noqa: F811
    has_planned: bool,
) -> None:
    delivered(shop)
    assert len(traces(shop.home.root)) > 2
    deleted_there(shop)
    if has_planned:
        shop.plan()
    steps = forget(scope_of(shop), " person1@EXAMPLE.com")
    assert {step.state for step in steps} == {State.DONE}
    assert sorted(shop.account.records) == ["p-002"]
    assert traces(shop.home.root) == []
    assert open_work(shop.home) == []
    assert shop.plan().to_send == 0
    assert traces(shop.home.root) == []


def test_who_is_still_there_is_named_by_table_and_nothing_is_erased(shop: LocalShop) -> None:  # noqa: F811
    delivered(shop)
    with pytest.raises(CdpError, match=r"still have rows of this person: activation\.sync_contacts__crm \(1\)") as told:
        forget(scope_of(shop), "p-001")
    assert "erson1" not in str(told.value)
    assert "Delete the person in the sources of these models" in str(told.value)
    assert sorted(shop.account.records) == ["p-001", "p-002"]
    assert open_work(shop.home) == []
    assert shop.plan().to_send == 0


def test_a_dry_run_counts_the_copies(shop: LocalShop) -> None:  # noqa: F811
    delivered(shop)
    seen = look(scope_of(shop), "person1@example.com")
    assert seen.rows == {"cdp_copies.crm_contacts": 1, "cdp_copies.crm_contacts__said_0": 1}
    assert seen.keys == {"crm_contacts": 1}


def test_a_sync_whose_columns_name_nobody_is_told_apart(shop: LocalShop) -> None:  # noqa: F811
    spec = replace(shop.spec, primary_key="reference", mapping=tuple(
        replace(entry, column="reference") if entry.match_key else entry for entry in shop.spec.mapping))  # fmt: skip
    with pytest.raises(ConfigError, match="no column that names one person for certain"):
        model_keys([spec])
