"""Computed traits in YAML: an asset with one row per person, known to audiences; a wrong one is told apart."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.explanation import explain, sentence
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.loading import load_audiences, load_definitions
from cdp_platform.components.resources import PLATFORM
from cdp_platform.errors import ConfigError
from cdp_platform_tests.components.conftest import ROOT
from cdp_platform_tests.components.retail import DAY, Retail

HABITS = dg.AssetKey(["traits", "shopping_habits"])
FILE = "traits/shopping_habits/defs.yaml"
RICH = """\
type: cdp_platform.components.AudienceComponent
attributes:
  name: large_receipts
  label: {en: Large receipts}
  members:
    all:
      - {trait: purchases_28d, at_least: 2}
      - {trait: shopping_habits.largest_receipt, at_least: 15}
"""


@pytest.fixture
def folder(parsed_home: Path, tmp_path: Path) -> Path:
    """A copy of our own `defs/`, with an audience that asks for computed traits."""
    folder = Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))
    (folder / "audiences" / "large_receipts").mkdir()
    (folder / "audiences" / "large_receipts" / "defs.yaml").write_text(RICH)
    return folder


@pytest.fixture
def retail(parsed_home: Path) -> Iterator[Retail]:
    found = Retail(PLATFORM.home.warehouse, DbtProject(folder=ROOT / "dbt_project", home=PLATFORM.home).manifest())
    found.path.unlink(missing_ok=True)
    yield found
    found.path.unlink(missing_ok=True)


def run(folder: Path, *keys: dg.AssetKey) -> Any:
    job = load_definitions(folder, project_root=ROOT).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, asset_selection=keys)


def problem(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_definitions(folder, project_root=ROOT)
    return str(caught.value)


def change(folder: Path, old: str, new: str, file: str = FILE) -> int:
    """Change a text of a file and tell its line."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_a_set_has_one_row_per_person_as_of_the_clock(folder: Path, retail: Retail) -> None:
    retail.build()
    [event] = run(folder, HABITS).get_asset_materialization_events()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (metadata["as_of"], metadata["dagster/row_count"]) == (DAY.isoformat(), 3)
    assert (metadata["known/purchases_28d"], metadata["known/usual_department_90d"]) == (3, 0)
    rows = retail.rows(
        "select person_id, purchases_28d, average_receipt_90d, departments_90d, usual_department_90d, as_of_on"
        " from traits.shopping_habits order by 1"
    )
    assert rows == [
        ("away", 0, Decimal("20.0000"), 0, None, DAY),
        ("lover", 4, Decimal("20.0000"), 0, None, DAY),
        ("quiet", 4, Decimal("20.0000"), 0, None, DAY),
    ]


def test_another_day_replaces_the_table_whole(folder: Path, retail: Retail) -> None:
    retail.build()
    run(folder, HABITS)
    later = DAY + timedelta(days=1)
    retail.build(later, away_days=20)
    run(folder, HABITS)
    assert retail.rows("select purchases_28d, as_of_on from traits.shopping_habits where person_id = 'away'") == [
        (2, later)
    ]


def test_an_audience_takes_a_computed_trait_and_tells_it_as_any_other(folder: Path, retail: Retail) -> None:
    retail.build()
    run(folder, HABITS, dg.AssetKey(["audiences", "large_receipts"]))
    members = "select person_id from audiences.audience_members where audience = 'large_receipts' order by 1"
    assert retail.rows(members) == [("lover",), ("quiet",)]

    definition, catalogue = load_audiences(folder, ROOT)["large_receipts"]
    with PLATFORM.warehouse.session("test") as session:
        known = explain(session, definition, compile_audience(definition, catalogue, as_of=DAY), "away")
    assert sentence(definition, known, "en") == (
        "away is no member of “Large receipts” – purchases in 28 days: 0 (the rule: is at least 2)."
    )


def test_the_graph_leads_from_the_events_through_the_traits_to_the_audience(folder: Path) -> None:
    graph = load_definitions(folder, project_root=ROOT).resolve_asset_graph()
    parents = graph.get(HABITS).parent_keys
    assert {key.path[0] for key in parents} == {"marts"}
    assert len(parents) == 3
    assert dg.AssetKey(["audiences", "large_receipts"]) in graph.get(HABITS).child_keys


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("event: purchase", "event: purchases", "traits.0.event", "Did you mean `purchase`?"),
        ("aggregate: count,", "aggregate: cuont,", "traits.0.aggregate", "Did you mean `count`?"),
        ("within_days: 28", "within_day: 28", "traits.0.within_day", "Did you mean `within_days`?"),
        ("within_days: 28", "within_days: 0", "traits.0.within_days", "greater than or equal to 1"),
        ("aggregate: count,", "aggregate: count, field: order_value,", "traits.0.field", "takes no field"),
        ("field: order_value, within", "field: order_valu, within", "traits.1.field", "Did you mean `order_value`?"),
        ("aggregate: average, field: order_value,", "aggregate: average,", "traits.1.field", "needs a field"),
        ("aggregate: distinct_count", "aggregate: sum", "traits.3.field", "cannot be made of a text"),
        ("field: department, not_in", "field: departmnt, not_in", "traits.4.where.0.field", "`department`?"),
        ("not_in: [GROCERY, FUEL, UNKNOWN]", "at_least: 3", "traits.4.where.0.at_least", "cannot be asked of a text"),
        ("name: purchases_28d", "name: order_count", "traits.0.name", "there is a trait 'order_count' already"),
        ("name: purchases_28d", "name: largest_receipt", "traits.2.name", "already"),
        ("name: purchases_28d", "name: person_id", "traits.0.name", "already"),
        ("name: purchases_28d", "name: Käufe", "traits.0.name", "'Käufe'"),
        ("{en: purchases", "{fr: purchases", "traits.0.label", "en and zh-Hant"),
        ("personal: false", "personal: maybe", "traits.0.personal", "valid boolean"),
        ("name: shopping_habits", "name: Shopping habits", "name", "'Shopping habits'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_line_and_field(
    folder: Path, old: str, new: str, field: str, says: str
) -> None:
    change(folder, old, new)
    told = problem(folder)
    assert f"{folder / FILE}:" in told
    assert f"field `{field}`" in told
    assert says in told


def test_the_line_is_the_one_of_the_field(folder: Path) -> None:
    line = change(folder, "field: department, not_in", "field: departmnt, not_in")
    assert f"{folder / FILE}:{line}" in problem(folder)


def test_two_sets_may_not_compute_traits_of_one_name(folder: Path) -> None:
    shutil.copytree(folder / "traits" / "shopping_habits", folder / "traits" / "again")
    change(folder, "name: shopping_habits", "name: again", "traits/again/defs.yaml")
    told = problem(folder)
    assert "there is a trait 'purchases_28d' already" in told
    assert "traits.0.name" in told


def test_an_audience_that_asks_for_a_computed_trait_that_is_not_there_names_the_nearest(folder: Path) -> None:
    change(folder, "purchases_28d", "purchases_29d", "audiences/large_receipts/defs.yaml")
    told = problem(folder)
    assert "audiences/large_receipts/defs.yaml:7" in told
    assert "Did you mean `purchases_28d`?" in told
