"""`cdp audience …` on the shipped audiences: sizes, words, what a changed YAML would do, and why a person is in."""

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.cli import declared_audiences
from cdp_platform.components.audience import take_over_now
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.loading import load_audiences
from cdp_platform.components.resources import PLATFORM
from cdp_platform.errors import CdpError
from cdp_platform_tests.cli.conftest import Told
from cdp_platform_tests.components.conftest import ROOT, parsed_home
from cdp_platform_tests.components.retail import DAY, Retail

__all__ = ["parsed_home"]

ORDER = (
    "lapsed_loyalists", "high_value_at_risk", "coupon_lovers", "new_department_explorers", "big_basket_families",
)  # fmt: skip


@pytest.fixture
def folder(parsed_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our own `defs/`, which the commands read."""
    copied = Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))
    monkeypatch.setattr(declared_audiences, "declared_audiences", lambda: load_audiences(copied, ROOT))
    monkeypatch.setenv("COLUMNS", "200")
    return copied


@pytest.fixture
def retail(folder: Path) -> Iterator[Retail]:
    """The warehouse of three people, with every audience computed."""
    found = Retail(PLATFORM.home.warehouse, DbtProject(folder=ROOT / "dbt_project", home=PLATFORM.home).manifest())
    found.path.unlink(missing_ok=True)
    found.build()
    declared = load_audiences(folder, ROOT)
    for name in ORDER:
        take_over_now(PLATFORM.warehouse, *declared[name])
    yield found
    found.path.unlink(missing_ok=True)


def cdp(*arguments: str) -> Told:
    return Told("audience", *arguments)


def document(*arguments: str) -> Any:
    return json.loads(cdp(*arguments, "--json").text)


def change(folder: Path, old: str, new: str) -> None:
    file = folder / "audiences" / "coupon_lovers" / "defs.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_list_shows_sizes_and_where_the_yaml_has_changed(folder: Path, retail: Retail) -> None:
    change(folder, "coupons_redeemed, at_least: 3", "coupons_redeemed, at_least: 9")
    found = {one["name"]: one for one in document("list")["audiences"]}
    assert set(found) == set(ORDER)
    assert (found["coupon_lovers"]["members"], found["coupon_lovers"]["is_changed"]) == (1, True)
    assert found["high_value_at_risk"]["as_of"] == DAY.isoformat()
    assert "YAML changed since" in cdp("list").text


def test_list_without_a_warehouse_says_that_nothing_was_computed(folder: Path) -> None:
    assert cdp("list").text.count("never computed") == len(ORDER)
    assert document("list", "--language", "zh-Hant")["audiences"][1]["label"] == "折價券愛好者"


def test_show_says_the_definition_in_words_with_how_many_meet_each_condition(folder: Path, retail: Retail) -> None:
    said = document("show", "coupon_lovers")
    assert (said["people"], said["members"]) == (3, 1)
    by_words = {one["says"]: one for one in said["conditions"]}
    assert by_words["coupons redeemed is at least 3"]["met"] == 1
    assert by_words["purchases in the last 28 days: at least 1"]["met"] == 2
    assert "Coupon lovers (coupon_lovers) holds 1 of 3 people" in cdp("show", "coupon_lovers").text
    assert "兌換的折價券數至少 3" in cdp("show", "coupon_lovers", "--language", "zh-Hant").text


def test_show_without_a_warehouse_says_the_words_alone(folder: Path) -> None:
    text = cdp("show", "coupon_lovers").text
    assert "coupons redeemed is at least 3" in text
    assert "holds" not in text


def test_diff_of_an_unchanged_yaml_says_so(folder: Path, retail: Retail) -> None:
    assert "Nobody would enter or leave" in cdp("diff", "coupon_lovers").text
    assert document("diff", "coupon_lovers")["is_changed"] is False


def test_diff_names_whom_a_changed_yaml_would_gain_and_lose_and_changes_nothing(folder: Path, retail: Retail) -> None:
    before = retail.rows("select * from audiences.audience_membership_history order by all")
    change(folder, "coupons_redeemed, at_least: 3", "coupons_redeemed, at_most: 0")
    told = document("diff", "coupon_lovers")
    assert (told["gained"], told["lost"]) == (1, 1)
    assert (told["gained_examples"], told["lost_examples"]) == (["quiet"], ["lover"])
    text = cdp("diff", "coupon_lovers", "--examples", "0").text
    assert "1 would enter, 1 would leave" in text and "lover\n" not in text
    assert retail.rows("select * from audiences.audience_membership_history order by all") == before


def test_diff_tells_the_effect_of_the_definition_and_not_of_newer_data(folder: Path, retail: Retail) -> None:
    retail.build(coupons=0)
    change(folder, "coupons_redeemed, at_least: 3", "coupons_redeemed, at_least: 4")
    told = document("diff", "coupon_lovers")
    assert (told["is_changed"], told["gained"], told["lost"]) == (True, 0, 0)


def test_diff_of_an_audience_that_was_never_computed_gains_all_its_members(folder: Path, retail: Retail) -> None:
    retail.rows("delete from audiences.audience_sizes where audience = 'big_basket_families'")
    change(folder, "name: coupon_lovers", "name: new_lovers")
    families = folder / "audiences" / "big_basket_families" / "defs.yaml"
    families.write_text(families.read_text(encoding="utf-8").replace("coupon_lovers", "new_lovers"), encoding="utf-8")
    told = document("diff", "new_lovers")
    assert (told["is_taken_over"], told["gained_examples"]) == (False, ["lover"])


def test_explain_says_in_one_sentence_why(folder: Path, retail: Retail) -> None:
    member = cdp("explain", "coupon_lovers", "lover").text
    assert "coupons redeemed: 5 (the rule: is at least 3)" in member
    assert len(member.strip().splitlines()) == 1
    outside = cdp("explain", "coupon_lovers", "quiet", "--language", "zh-Hant").text
    assert "quiet 不是「折價券愛好者」的成員" in outside and "兌換的折價券數：0（條件：至少 3）" in outside
    assert "There is no person nobody" in cdp("explain", "coupon_lovers", "nobody").text


def test_explain_masks_personal_values_unless_they_are_asked_for(folder: Path, retail: Retail) -> None:
    hidden = cdp("explain", "big_basket_families", "quiet").text
    assert "household size: 2•••" in hidden
    assert "household size: “2”" in cdp("explain", "big_basket_families", "quiet", "--show").text
    assert "2•••" in str(document("explain", "big_basket_families", "quiet")["reasons"])


def test_explain_gives_programs_each_reason(folder: Path, retail: Retail) -> None:
    told = document("explain", "high_value_at_risk", "quiet")
    assert (told["is_member"], told["meets_rule"], told["is_known"]) == (False, False, True)
    assert [reason["holds"] for reason in told["reasons"]] == [False, False]


def test_an_unknown_audience_names_the_nearest(folder: Path, retail: Retail) -> None:
    assert "Did you mean `coupon_lovers`?" in str(cdp("show", "coupon_lover").error)


def test_an_unknown_language_is_refused(folder: Path) -> None:
    assert cdp("show", "coupon_lovers", "--language", "fr").code == 2


@pytest.mark.parametrize("command", [("diff", "coupon_lovers"), ("explain", "coupon_lovers", "lover")])
def test_without_a_warehouse_the_way_out_is_named(folder: Path, command: tuple[str, ...]) -> None:
    error = cdp(*command).error
    assert isinstance(error, CdpError)
    assert "cdp demo" in str(error)


def test_an_audience_that_asks_for_one_of_another_day_says_what_to_do(folder: Path, retail: Retail) -> None:
    retail.build(DAY + timedelta(days=1))
    assert "Materialize audiences/high_value_at_risk first" in str(cdp("explain", "coupon_lovers", "lover").error)
