"""A dbt project as assets `<layer>/<model>`: facts by day, and what describes people as of the loop's clock.

Three ops build them all, because dbt's start is what a build costs: `facts` (daily), `people` (unpartitioned), and what
reads audiences, which are computed between the two: `activation`.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import Field

from cdp_platform.components.column_lineage import ColumnLineage
from cdp_platform.components.column_metadata import model_columns
from cdp_platform.components.days import Days, days_of
from cdp_platform.components.dbt_manifest import DbtManifest, Node
from cdp_platform.components.dbt_project import DbtProject, DbtResult
from cdp_platform.components.exposures import exposure_specs
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError

_BUILT: Final = ("success", "warn", "pass")
_PEOPLE_TAG: Final = "person"

Event = dg.MaterializeResult[Any] | dg.AssetCheckResult


class ModelsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Build a dbt project's models; its tests become checks."""

    project: str = Field(description="The dbt project's folder, relative to the project's root.")
    days: Days = Field(description="The local days that facts are partitioned by; the same as their sources'.")
    freshness_hours: dict[str, int] = Field(
        default_factory=dict, description="Model → hours after which it counts as stale."
    )
    owner: str = Field(default="team:data", description="Who answers for the models: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the ops; raise ConfigError where the project cannot be parsed."""
        folder = (context.project_root / self.project).resolve()
        project = DbtProject(folder=folder, home=PLATFORM.home)
        manifest, lineage = project.manifest(), project.column_lineage()
        names = [node["name"] for node in manifest.models.values()]
        for name in self.freshness_hours:
            if name not in names:
                raise ConfigError(
                    f"there is no model {name!r}.", remedy=nearest_of(name, names), field=f"freshness_hours.{name}"
                )
        groups: dict[str, list[str]] = {"facts": [], "people": [], "activation": []}
        for key, node in manifest.models.items():
            is_after = bool(manifest.audiences_above(key))
            groups["activation" if is_after else "people" if _PEOPLE_TAG in node["tags"] else "facts"].append(key)
        ops = [self._op(name, keys, manifest, lineage, folder) for name, keys in groups.items()]
        made = [op for op in ops if op is not None]
        return dg.Definitions(assets=[*made, *exposure_specs(manifest, self.owner)], resources={"platform": PLATFORM})

    def _op(
        self, name: str, unique_ids: list[str], manifest: DbtManifest, lineage: ColumnLineage, folder: Path
    ) -> dg.AssetsDefinition | None:
        if not unique_ids:
            return None
        checks = manifest.check_specs(unique_ids)
        is_daily = name == "facts" and any(_is_incremental(manifest.models[key]) for key in unique_ids)

        @dg.multi_asset(
            name=name,
            specs=[self._spec(key, manifest, lineage, is_daily) for key in unique_ids],
            check_specs=list(checks.values()),
            can_subset=True,
            backfill_policy=dg.BackfillPolicy.single_run(),
            op_tags={"room": "dbt"},
        )
        def build(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Event]:
            project = DbtProject(folder=folder, home=platform.home)
            yield from _build(context, platform, project, manifest, lineage, unique_ids, checks)

        return build

    def _spec(self, unique_id: str, manifest: DbtManifest, lineage: ColumnLineage, is_daily: bool) -> dg.AssetSpec:
        node = manifest.models[unique_id]
        hours = self.freshness_hours.get(node["name"])
        spec = manifest.asset_spec(
            unique_id,
            owners=[self.owner],
            partitions_def=self.days.partitions if is_daily and _is_incremental(node) else None,
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)) if hours else None,
        )
        return spec.merge_attributes(metadata=model_columns(manifest, lineage, unique_id, {}))


def _is_incremental(node: Node) -> bool:
    return str(node["config"].get("materialized")) == "incremental"


def _build(
    context: dg.AssetExecutionContext,
    platform: Platform,
    project: DbtProject,
    manifest: DbtManifest,
    lineage: ColumnLineage,
    unique_ids: list[str],
    checks: Mapping[str, dg.AssetCheckSpec],
) -> Iterator[Event]:
    chosen = [key for key in unique_ids if manifest.asset_key(key) in context.selected_asset_keys]
    tests = [key for key, spec in checks.items() if spec.key in context.selected_asset_check_keys]
    is_daily = any(_is_incremental(manifest.models[key]) for key in chosen)
    names = [(manifest.models.get(key) or manifest.tests[key])["name"] for key in [*chosen, *tests]]
    with platform.written("dbt build").exclusive("dbt build"):
        results = project.build(names, _bounds(context) if is_daily else None)
    facts = _describe(platform, manifest, lineage, [key for key in chosen if _is_built(results, key)])
    is_range = context.has_partition_key_range and len(set(days_of(context))) > 1
    for key in chosen:
        if _is_built(results, key):
            metadata = {**facts.get(key, {}), "execution_seconds": results[key].seconds}
            if is_range:
                # A range writes one event a day; the columns would stand in each of them.
                for heavy in ("dagster/column_schema", "dagster/column_lineage"):
                    metadata.pop(heavy, None)
            yield dg.MaterializeResult(asset_key=manifest.asset_key(key), metadata=metadata)
    for key in tests:
        if key in results and results[key].status != "skipped":
            yield _check_result(checks[key], results[key])
    _raise_for_failures(results, chosen)


def _bounds(context: dg.AssetExecutionContext) -> tuple[str, str] | None:
    # A run of one day has a key, and no range.
    if not (context.has_partition_key_range or context.has_partition_key):
        return None
    first, last = days_of(context)
    return first.isoformat(), (last + timedelta(days=1)).isoformat()


def _is_built(results: Mapping[str, DbtResult], unique_id: str) -> bool:
    return unique_id in results and results[unique_id].status in _BUILT


def _check_result(spec: dg.AssetCheckSpec, result: DbtResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=result.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"failing_rows": result.failures, "execution_seconds": result.seconds},
    )


def _raise_for_failures(results: Mapping[str, DbtResult], chosen: list[str]) -> None:
    broken = [result for result in results.values() if result.status == "error"]
    if broken:
        raise dg.Failure("\n".join(f"dbt could not build {r.unique_id}: {r.message}" for r in broken))
    failed = [result.unique_id for result in results.values() if result.status == "fail"]
    missing = [key for key in chosen if not _is_built(results, key)]
    if missing:
        raise dg.Failure(
            f"dbt left out {len(missing)} models, {missing[0]} first, because of: {', '.join(failed) or 'no result'}"
        )


def _describe(
    platform: Platform, manifest: DbtManifest, lineage: ColumnLineage, unique_ids: list[str]
) -> dict[str, dict[str, Any]]:
    """Ask the warehouse for the columns of each relation, and for the rows of those that are tables."""
    found: dict[str, dict[str, Any]] = {}
    with platform.warehouse.session("describing what dbt built") as session:
        for unique_id in unique_ids:
            node = manifest.models[unique_id]
            relation = f"{node['schema']}.{node['name']}"
            facts = model_columns(manifest, lineage, unique_id, session.columns(relation))
            if node["config"].get("materialized") != "view":
                quoted = platform.warehouse.dialect.relation(relation)
                [row] = session.rows(f"select count(*) as row_count from {quoted}")
                facts["dagster/row_count"] = row["row_count"]
            found[unique_id] = facts
    return found
