"""Who is one person, as assets `identity/…`: records that share what the rules name become people, as of the clock.

Facts do not know people. What describes people reads `identity/identity_clusters`: a merge makes no history wrong.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from pydantic import Field

from cdp_platform.components.clock import read_clock
from cdp_platform.components.dbt_manifest import Node, key_of
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.identity_columns import identity_columns
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError, GuardTripped

if TYPE_CHECKING:
    from cdp_platform.identity.present import Update
    from cdp_platform.identity.rules import Rules

CLOCK_KEY: Final = dg.AssetKey(["raw", "loop", "clock"])
TABLES: Final = {
    "identity_edges": "Record, rule and value: what records could be joined by. Values are hashes.",
    "identity_clusters": "Each record with its person. The id of a person does not move while its records stay.",
    "identity_merges": "Moves of records from one person to another, with the day: merges and splits.",
    "identity_person_ids": "Every id that a person ever had, with the id of that person now.",
    "identity_quarantine": "What is stopped now: values that too many records share, clusters too large to believe.",
}


class HealthBlock(dg.Model, dg.Resolvable):
    """The limits of a healthy state. Shares are 0 to 1."""

    merged_share: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="People whom one run may merge into others, and never fewer than 100: above it nothing is written.",
    )
    largest_person: int = Field(default=50, ge=2, description="Records that one person may have.")
    shared_share: float = Field(
        default=0.05, gt=0, le=1, description="Share of the records that may hold a value which too many share."
    )
    quarantined_share: float = Field(
        default=0.01, gt=0, le=1, description="Share of the records that may stand in clusters too large to believe."
    )


class IdentityComponent(dg.Component, dg.Model, dg.Resolvable):
    """Resolve the records of a model into people."""

    records: str = Field(description="The dbt model that holds the records, one row each, with a key and a day.")
    rules: str = Field(default="rules.yaml", description="The rule file, relative to this folder.")
    into: str = Field(
        default="identity",
        pattern=r"^[a-z][a-z0-9_]{0,59}$",
        description="The schema that the tables are written to, and the first part of the assets' keys.",
    )
    day_column: str = Field(
        default="seen_on", description="The records' column with the local day since which they are known."
    )
    health: HealthBlock = Field(default_factory=HealthBlock, description="The limits of a healthy state.")
    truth: str | None = Field(
        default=None,
        description="A file that says who is who, relative to the home: precision and recall are measured against it.",
    )
    project: str = Field(default="dbt_project", description="The dbt project's folder, relative to the project's root.")
    owner: str = Field(default="team:data", description="Who answers for identity: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the assets; raise ConfigError for rules or records that cannot work."""
        from cdp_platform.identity.rule_file import read_rules

        rules = read_rules(self._rule_file(context.path))
        node = self._node(context.project_root)
        return dg.Definitions(assets=[self._op(node, rules)], resources={"platform": PLATFORM})

    def _rule_file(self, folder: Path) -> Path:
        file = (folder if folder.is_dir() else folder.parent) / self.rules
        if not file.is_file():
            raise ConfigError(f"there is no rule file {self.rules!r} in this folder.", field="rules")
        return file

    def _node(self, project_root: Path) -> Node:
        manifest = DbtProject(folder=(project_root / self.project).resolve(), home=PLATFORM.home).manifest()
        node = manifest.find(self.records)
        if node is None:
            names = [known["name"] for known in manifest.models.values()]
            raise ConfigError(
                f"there is no model {self.records!r}.", field="records", remedy=nearest_of(self.records, names)
            )
        return node

    def _key(self, name: str) -> dg.AssetKey:
        return dg.AssetKey([self.into, name])

    def _specs(self, node: Node, rules: "Rules") -> Iterator[dg.AssetSpec]:
        records, offered = key_of(node), set(node["columns"])
        common: dict[str, Any] = {"group_name": "models", "owners": [self.owner], "kinds": {"python", PLATFORM.engine}}
        common["code_version"] = rules.digest
        for name, description in TABLES.items():
            metadata = {"dagster/table_name": f"{self.into}.{name}"} | identity_columns(name, records, rules, offered)
            deps = [records, CLOCK_KEY]
            yield dg.AssetSpec(self._key(name), deps=deps, description=description, metadata=metadata, **common)
        yield dg.AssetSpec(
            self._key("health"),
            deps=[self._key(name) for name in TABLES],
            description="How many records a person has, what was stopped, who merged; and how right, where known.",
            **common,
        )

    def _op(self, node: Node, rules: "Rules") -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=self.into,
            specs=list(self._specs(node, rules)),
            check_specs=self._check_specs(),
            backfill_policy=dg.BackfillPolicy.single_run(),
            op_tags={"room": "identity"},
        )
        def resolve(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Any]:
            # What resolves is imported by a run only: definitions load without it.
            from cdp_platform.components.identity_metadata import (
                check_results,
                health_metadata,
                stopped_result,
                table_metadata,
            )
            from cdp_platform.identity.health import measure
            from cdp_platform.identity.present import update

            clusters = self._key("identity_clusters")
            try:
                done = update(
                    platform.written("identity"),
                    rules,
                    records=f"{node['schema']}.{node['alias']}",
                    schema=self.into,
                    as_of=read_clock(platform.warehouse),
                    day_column=self.day_column,
                    most_merged_share=self.health.merged_share,
                )
            except GuardTripped as stopped:
                yield stopped_result(clusters, stopped)
                raise
            context.log.info(_said(done))
            state = measure(platform.warehouse, self.into)
            for name, metadata in table_metadata(done, state).items():
                yield dg.MaterializeResult(asset_key=self._key(name), metadata=metadata)
            # Before the checks: where one of them stops the run, the report is what a person wants to see.
            report = {**self._score(platform), **health_metadata(state)}
            yield dg.MaterializeResult(asset_key=self._key("health"), metadata=report)
            yield from check_results(clusters, self.health, state)

        return resolve

    def _check_specs(self) -> list[dg.AssetCheckSpec]:
        from cdp_platform.components.identity_metadata import CHECKS, STOPPING

        key = self._key("identity_clusters")
        return [
            dg.AssetCheckSpec(name=name, asset=key, blocking=name in STOPPING, description=description)
            for name, description in CHECKS.items()
        ]

    def _score(self, platform: Platform) -> dict[str, Any]:
        """Precision and recall, where the truth is at hand."""
        if self.truth is None:
            return {}
        from cdp_platform.components.identity_metadata import score_metadata
        from cdp_platform.identity.labelled import read_truth
        from cdp_platform.identity.pairs import score_people

        truth = read_truth(platform.home.root / self.truth, "record_key")
        return score_metadata(score_people(platform.warehouse, self.into, truth))


def _said(done: "Update") -> str:
    if done.resolution is None:
        return f"None of {done.record_count:,} records has changed; people are as they were."
    return (
        f"{done.changed_count:,} of {done.record_count:,} records changed, {done.gone_count:,} are gone; looked at"
        f" {done.resolution.record_count:,}: {done.resolution.minted_count:,} new people,"
        f" {done.resolution.merge_count:,} merges, {done.resolution.split_count:,} splits."
    )
