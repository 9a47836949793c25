"""An audience as an asset: what a run shows of it, what its checks say, and when a changed YAML is taken over."""

import shutil
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import pytest

from cdp_platform.components.audience_metadata import plot
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.loading import load_definitions
from cdp_platform.components.resources import PLATFORM
from cdp_platform_tests.components.conftest import ROOT
from cdp_platform_tests.components.retail import DAY, Retail

NAMES = ("high_value_at_risk", "coupon_lovers", "new_department_explorers", "big_basket_families")
COUPONS = dg.AssetKey(["audiences", "coupon_lovers"])


@pytest.fixture
def retail(parsed_home: Path) -> Iterator[Retail]:
    found = Retail(PLATFORM.home.warehouse, DbtProject(folder=ROOT / "dbt_project", home=PLATFORM.home).manifest())
    found.path.unlink(missing_ok=True)
    yield found
    found.path.unlink(missing_ok=True)


@pytest.fixture
def folder(parsed_home: Path, tmp_path: Path) -> Path:
    """A copy of our own `defs/`, to be changed."""
    return Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))


def run(folder: Path, *names: str, is_success: bool = True) -> Any:
    """Materialize audiences; all of them where none is named."""
    definitions = load_definitions(folder, project_root=ROOT)
    job = definitions.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(["audiences", name]) for name in names or NAMES]
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, asset_selection=keys, raise_on_error=False)
    assert result.success is is_success
    return result


def shown(result: Any, key: dg.AssetKey = COUPONS) -> dict[str, Any]:
    """The metadata of an asset's materialization."""
    [event] = [one for one in result.get_asset_materialization_events() if one.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def change(folder: Path, old: str, new: str) -> None:
    file = folder / "audiences" / "coupon_lovers" / "defs.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_run_keeps_the_members_and_shows_sizes_funnel_overlaps_and_a_plot(folder: Path, retail: Retail) -> None:
    retail.build()
    metadata = shown(run(folder))
    assert (metadata["people"], metadata["members"], metadata["as_of"]) == (3, 1, DAY.isoformat())
    assert (metadata["entered"], metadata["left"], metadata["changed_definition"]) == ("–", "–", "no")
    assert "| coupons redeemed is at least 3 | 1 |" in metadata["conditions"].replace("\u2003", "")
    assert "10 % of the members are held out" in metadata["conditions"]
    assert metadata["compile_milliseconds"] > 0
    assert f"| {DAY} | 1 |" in metadata["size_over_time"]
    assert retail.rows("select audience, person_id from audiences.audience_members order by 1") == [
        ("coupon_lovers", "lover"),
        ("high_value_at_risk", "away"),
    ]


def test_the_next_day_counts_who_entered_and_left(folder: Path, retail: Retail) -> None:
    retail.build()
    run(folder)
    retail.build(DAY + timedelta(days=1), coupons=0)
    metadata = shown(run(folder))
    assert (metadata["members"], metadata["entered"], metadata["left"]) == (0, 0, 1)
    assert metadata["size_over_time"].count("| 2017-12-") == 2


def test_a_changed_definition_is_taken_over_by_the_run_which_shows_its_effect(folder: Path, retail: Retail) -> None:
    retail.build(coupons=3)
    before = shown(run(folder))
    change(folder, "coupons_redeemed, at_least: 3", "coupons_redeemed, at_least: 4")
    load_definitions(folder, project_root=ROOT)
    assert retail.rows("select count(*) from audiences.audience_members where audience = 'coupon_lovers'") == [(1,)]
    metadata = shown(run(folder))
    assert metadata["changed_definition"] == "yes: 0 members gained by it alone, 1 lost"
    assert metadata["definition_version"] != before["definition_version"]
    assert shown(run(folder))["changed_definition"] == "no"


def test_a_former_definition_that_cannot_be_read_any_more_does_not_stop_the_run(folder: Path, retail: Retail) -> None:
    retail.build()
    run(folder)
    written = """update audiences.audience_sizes set definition_version = 'old',
        definition = '{"members": {"trait": "gone", "is_known": true}, "top": null, "yields_to": []}'"""
    retail.rows(written)
    assert shown(run(folder))["members"] == 1


def test_an_empty_audience_warns_and_does_not_stop_the_run(folder: Path, retail: Retail) -> None:
    retail.build(coupons=0)
    checks = {(one.asset_key.path[-1], one.check_name): one for one in run(folder).get_asset_check_evaluations()}
    check = checks["coupon_lovers", "not_empty"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert checks["high_value_at_risk", "not_empty"].passed


def test_a_size_outside_of_its_bounds_blocks_what_is_downstream(folder: Path, retail: Retail) -> None:
    retail.build()
    change(folder, "  owner:", "  size: {at_least: 2, at_most: 500}\n  owner:")
    result = run(folder, is_success=False)
    [check] = [one for one in result.get_asset_check_evaluations() if one.check_name == "size_within_bounds"]
    assert not check.passed
    assert {name: value.value for name, value in check.metadata.items()} == {
        "members": 1, "at_least": 2, "at_most": 500,
    }  # fmt: skip
    made = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    assert "coupon_lovers" in made
    assert "big_basket_families" not in made


def test_an_audience_alone_whose_asked_one_is_of_another_day_fails_and_says_what_to_do(
    folder: Path, retail: Retail
) -> None:
    retail.build()
    run(folder)
    retail.build(DAY + timedelta(days=1))
    [failure] = [one for one in run(folder, "coupon_lovers", is_success=False).all_events if one.is_step_failure]
    assert "Materialize audiences/high_value_at_risk first" in str(failure.step_failure_data.error)


def test_an_audience_lies_below_the_models_that_it_reads_and_the_audiences_it_asks_for(folder: Path) -> None:
    graph = load_definitions(folder, project_root=ROOT).resolve_asset_graph()
    parents = {key.to_user_string() for key in graph.get(COUPONS).parent_keys}
    assert parents == {
        "marts/profiles", "marts/traits_engagement", "marts/person_order_lines", "marts/person_orders",
        "marts/consents", "marts/suppressions", "audiences/high_value_at_risk",
    }  # fmt: skip


def test_no_person_stands_in_the_metadata(folder: Path, retail: Retail) -> None:
    retail.build()
    assert retail.rows("select person_id from marts.profiles where person_id = 'lover'")
    assert "lover@" not in str(shown(run(folder))) and "'lover'" not in str(shown(run(folder)))


def test_the_plot_is_an_image_with_a_point_for_each_day() -> None:
    drawn = plot([(DAY, 10), (DAY + timedelta(days=1), 0), (DAY + timedelta(days=2), 40)])
    root = ElementTree.fromstring(drawn)
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 3
    assert ElementTree.fromstring(plot([])) is not None


def test_the_plot_stands_in_the_metadata_as_a_picture_that_needs_no_request(folder: Path, retail: Retail) -> None:
    retail.build()
    written = shown(run(folder))["size_over_time"]
    coded = written.partition("data:image/svg+xml;base64,")[2].partition(")")[0]
    assert b64decode(coded).startswith(b"<svg ")
