"""A dbt project as assets: what was built is recorded, what failed says why, tests are checks."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.components.loading import load_definitions
from cdp_platform.components.models import _bounds
from cdp_platform.errors import ConfigError

PROJECT = "name: shop\nprofile: shop\nversion: '1.0.0'\nflags: {send_anonymous_usage_stats: false}\n"
PROFILES = (
    "shop: {target: d, outputs: {d: {type: duckdb, path: \"{{ env_var('CDP_WAREHOUSE_PATH') }}\", schema: main}}}\n"
)
COLUMN = "columns: [{name: id, description: Who., data_tests: [{not_null: {config: {severity: warn}}}]}]"
SCHEMA = f"""
models:
  - {{name: good, description: One row per person., {COLUMN}}}
  - {{name: broken, {COLUMN}}}
"""
DEFINITION = """
type: cdp_platform.components.ModelsComponent
attributes: {project: shop, days: {start: 2017-01-01, end: 2017-01-31}}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two models, one of which refers to a column that is not there."""
    root = tmp_path_factory.mktemp("shop")
    write(root / "shop/dbt_project.yml", PROJECT)
    write(root / "shop/profiles.yml", PROFILES)
    write(root / "shop/models/schema.yml", SCHEMA)
    write(root / "shop/models/good.sql", "select 1 as id union all select null")
    write(root / "shop/models/broken.sql", "select no_such_column as id from {{ ref('good') }}")
    write(root / "defs/models/defs.yaml", DEFINITION)
    return root


@pytest.fixture(scope="module")
def built(shop: Path) -> Any:
    """The result of building everything once."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("CDP_HOME", str(shop / "home"))
        definitions = load_definitions(shop / "defs", project_root=shop)
        job = definitions.resolve_implicit_global_asset_job_def()
        yield job.execute_in_process(instance=instance, raise_on_error=False)


def test_a_broken_model_fails_the_run_with_what_dbt_says_of_it(built: Any) -> None:
    [failure] = [event for event in built.all_events if event.is_step_failure]
    description = failure.step_failure_data.user_failure_data.description
    assert not built.success
    assert "model.shop.broken" in description
    assert "no_such_column" in description


def test_what_was_built_before_the_failure_is_recorded(built: Any) -> None:
    recorded = {event.asset_key: event.materialization for event in built.get_asset_materialization_events()}
    assert set(recorded) == {dg.AssetKey(["good"])}
    [materialization] = recorded.values()
    schema = materialization.metadata["dagster/column_schema"].value
    assert [(column.name, column.type, column.description) for column in schema.columns] == [("id", "INTEGER", "Who.")]


def test_a_test_of_dbt_that_finds_rows_is_a_failed_check_with_their_number(built: Any) -> None:
    [check] = built.get_asset_check_evaluations()
    assert check.check_name == "not_null_good_id"
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.metadata["failing_rows"].value == 1


def test_a_project_that_cannot_be_parsed_says_why(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    write(shop / "shop/models/astray.sql", "select * from {{ ref('nowhere') }}")
    with pytest.raises(ConfigError, match="nowhere"):
        load_definitions(shop / "defs", project_root=shop)


def test_a_folder_without_a_project_is_named(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="no dbt project"):
        load_definitions(shop / "defs", project_root=tmp_path)


def test_a_dbt_source_that_names_no_asset_is_refused() -> None:
    source = {"source_name": "crm", "name": "people", "original_file_path": "models/crm.yml", "meta": {}}
    manifest = DbtManifest({"nodes": {}, "sources": {"source.shop.crm.people": source}})
    with pytest.raises(ConfigError, match="asset_key"):
        manifest.asset_key("source.shop.crm.people")


def test_a_manifest_that_is_no_json_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "manifest.json", "{half a mani")
    with pytest.raises(ConfigError, match="Delete it"):
        DbtManifest.read(tmp_path / "manifest.json")


def test_a_run_of_one_day_builds_that_day_and_a_range_its_days() -> None:
    seen = []

    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2017-01-01"), backfill_policy=dg.BackfillPolicy.single_run())
    def facts(context: dg.AssetExecutionContext) -> None:
        seen.append(_bounds(context))

    dg.materialize([facts], partition_key="2017-12-26")
    ends = {"start": "2017-12-01", "end": "2017-12-26"}
    dg.materialize([facts], tags={f"dagster/asset_partition_range_{end}": day for end, day in ends.items()})
    assert seen == [("2017-12-26", "2017-12-27"), ("2017-12-01", "2017-12-27")]


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
