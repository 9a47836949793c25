"""What the statements of a step are tagged with: its run, its asset, its sync."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import dagster as dg

from cdp_platform.components.at_work import at_work

TOLD: dict[str, dict[str, str]] = {}


@dg.asset(key=["plans", "crm_contacts"], op_tags={"room": "syncs"})
def plan() -> None:
    TOLD["plan"] = at_work()


@dg.asset_check(asset=plan)
def is_there() -> dg.AssetCheckResult:
    TOLD["check"] = at_work()
    return dg.AssetCheckResult(passed=True)


@dg.multi_asset(specs=[dg.AssetSpec("customers"), dg.AssetSpec("orders")], name="models")
def models() -> Iterator[dg.MaterializeResult[Any]]:
    TOLD["models"] = at_work()
    yield from (dg.MaterializeResult(asset_key=name) for name in ("customers", "orders"))


@dg.asset(key=["crm", "crm_contacts"], op_tags={"room": "syncs"})
def sent() -> None:
    with ThreadPoolExecutor(1) as pool:
        TOLD["thread"] = pool.submit(copy_context().run, at_work).result()
        TOLD["thread without context"] = pool.submit(at_work).result()


def test_a_thread_that_has_the_steps_context_is_at_what_the_step_is_at() -> None:
    done = dg.materialize([sent])
    assert done.success and TOLD["thread"] == {"run": done.run_id, "asset": "crm/crm_contacts", "sync": "crm_contacts"}
    assert TOLD["thread without context"] == {}


def test_run_asset_and_sync_are_told_in_a_step_and_nothing_outside() -> None:
    done = dg.materialize([plan, is_there, models])
    run, told = done.run_id, TOLD
    assert done.success and told["plan"] == {"run": run, "asset": "plans/crm_contacts", "sync": "crm_contacts"}
    assert told["check"] == {"run": run, "asset": "plans/crm_contacts"}
    assert told["models"] == {"run": run, "asset": "models"}
    assert at_work() == {}
