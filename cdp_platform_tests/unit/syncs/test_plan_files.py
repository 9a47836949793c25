"""Plan files: shared under a URL where one is set, fetched where they are missing, and gone after their time."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Counts
from cdp_platform.errors import CdpError
from cdp_platform.syncs.plan_files import RETENTION_SECONDS, draft_path, expire, keep, plan_path
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(root=tmp_path / "home", plans_url=f"file://{tmp_path}/shared")


def keep_plan(home: Home, digest: str) -> Path:
    draft = draft_path(home, "crm")
    draft.write_bytes(digest.encode())
    keep(draft, home, "crm", digest)
    return plan_path(home, "crm", digest)


def test_a_shared_plan_is_found_by_a_host_that_did_not_make_it(home: Home, tmp_path: Path) -> None:
    made = keep_plan(home, "abc")
    other = replace(home, root=tmp_path / "other")
    fetched = plan_path(other, "crm", "abc")
    assert fetched != made
    assert fetched.read_bytes() == b"abc"
    assert fetched.stat().st_mode & 0o777 == 0o600


def test_a_whole_sync_works_with_its_copy_of_a_shared_plan(shop: Shop, tmp_path: Path) -> None:
    shop.home = replace(shop.home, plans_url=f"file://{tmp_path}/shared")
    shop.people([person_of(1), person_of(2)])
    plan = shop.plan()
    plan_path(shop.home, plan.sync, plan.digest).unlink()
    assert shop.send(plan).counts == Counts(planned=2, delivered=2)


def test_a_plan_that_lies_nowhere_is_said_to_be_gone(home: Home) -> None:
    keep_plan(home, "abc")
    with pytest.raises(CdpError, match="cannot be shared"):
        plan_path(home, "crm", "def")
    with pytest.raises(CdpError, match=r"def\.parquet is gone"):
        plan_path(replace(home, plans_url=None), "crm", "def")


def test_a_place_that_cannot_be_reached_is_an_error_that_says_so(home: Home) -> None:
    with pytest.raises(CdpError, match="CDP_PLANS_URL") as told:
        keep_plan(replace(home, plans_url="nowhere://x"), "abc")
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
