"""Plan files: shared under a URL where one is set, fetched where they are missing, and gone after their time."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Counts
from cdp_platform.errors import CdpError
from cdp_platform.syncs.plan_files import RETENTION_SECONDS, drafted, expire, intact_plan, keep, plan_path
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(root=tmp_path / "other", plans_url=f"file://{tmp_path}/shared")


@pytest.fixture
def shared_shop(shop: Shop, home: Home) -> Shop:
    shop.home = replace(shop.home, plans_url=home.plans_url)
    shop.people([person_of(1), person_of(2)])
    return shop


def keep_plan(home: Home, digest: str) -> None:
    with drafted(home, "crm") as draft:
        draft.write_bytes(digest.encode())
        keep(draft, home, "crm", digest)


def test_a_shared_plan_is_found_by_a_host_that_did_not_make_it(shared_shop: Shop, home: Home) -> None:
    plan = shared_shop.plan()
    made, fetched = plan_path(shared_shop.home, plan.sync, plan.digest), intact_plan(home, plan)
    assert fetched != made
    assert fetched.read_bytes() == made.read_bytes()
    assert fetched.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"cut")])
def test_a_copy_that_is_gone_or_damaged_is_fetched_again(shared_shop: Shop, damage: Callable[[Path], object]) -> None:
    plan = shared_shop.plan()
    damage(plan_path(shared_shop.home, plan.sync, plan.digest))
    assert shared_shop.send(plan).counts == Counts(planned=2, delivered=2)


def test_a_plan_that_lies_nowhere_is_said_to_be_gone(shared_shop: Shop, home: Home, tmp_path: Path) -> None:
    plan = shared_shop.plan()
    with pytest.raises(CdpError, match=r"parquet is gone.*Plan again"):
        intact_plan(replace(home, plans_url=f"file://{tmp_path}/elsewhere"), plan)
    with pytest.raises(CdpError, match=r"parquet is gone.*Plan again"):
        intact_plan(replace(home, plans_url=None), plan)


def test_a_place_that_cannot_be_reached_is_an_error_that_says_so(shared_shop: Shop) -> None:
    shared_shop.home = replace(shared_shop.home, plans_url="nowhere://x")
    with pytest.raises(CdpError, match="CDP_PLANS_URL") as told:
        shared_shop.plan()
    assert told.value.remedy


def test_old_plans_expire_in_both_places_unless_the_journal_needs_them(home: Home, tmp_path: Path) -> None:
    for digest in ("old", "needed", "new"):
        keep_plan(home, digest)
    past = time.time() - RETENTION_SECONDS - 60
    for digest in ("old", "needed"):
        for folder in (tmp_path / "shared" / "crm", home.plans / "crm"):
            os.utime(folder / f"{digest}.parquet", (past, past))
    expire(home, "crm", {"needed"})
    for folder in (tmp_path / "shared" / "crm", home.plans / "crm"):
        assert sorted(path.stem for path in folder.iterdir()) == ["needed", "new"]
