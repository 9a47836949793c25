"""A sync as two assets: `plans/<sync>`, what it is about to do, and `<connection>/<sync>`, what was accepted there.

The send takes the plan of its own run; materialized alone, the newest one, and only if that is still valid. The guards'
verdict is stored with the plan: the checks here show it, the engine obeys it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import Field, PrivateAttr

from cdp_platform.components import sync_metadata as shown
from cdp_platform.components.clock import read_clock
from cdp_platform.components.consent_policy import read_policy
from cdp_platform.components.dbt_manifest import DbtManifest, key_of
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.destination import DestinationAccount
from cdp_platform.components.read_back import ReadBackRule
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.components.sync_definition import ConsentRule, MappingEntry, SyncLimits, make_spec
from cdp_platform.components.sync_partitions import (
    SyncDays,
    SyncSplit,
    check_partitions,
    outside_results,
    outside_specs,
    partition_metadata,
    partition_of,
    partitioning_of,
    partitions_of,
    require_partition,
    split_in_view,
    tags_of,
)
from cdp_platform.components.sync_source import Source, find_source
from cdp_platform.components.traits import TraitsComponent
from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.permission import ConsentPolicy
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs.account import Engine, kind_at
from cdp_platform.syncs.approval import may_be_approved
from cdp_platform.syncs.audience_source import held_out_count
from cdp_platform.syncs.bringing import require_possible
from cdp_platform.syncs.controls import Approval, is_enabled, pause_of, waiting_approval
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.preview import preview
from cdp_platform.syncs.send import send_plan
from cdp_platform.texts.catalogue import text

_PREVIEW_ROWS = 3
_PROGRESS_ROWS = 1_000
_ONE_BY_ONE = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


class SyncComponent(dg.Component, dg.Model, dg.Resolvable):
    """Bring a source model's rows to a destination's object."""

    name: str = Field(description="The sync's name, as crm_contacts; it names its assets, ledger and plans.")
    source_model: str = Field(
        description="The dbt model, or the audience, whose rows are sent; one row per primary key."
    )
    primary_key: str = Field(description="The column that makes a row unique; of an audience the person's key.")
    destination: DestinationAccount = Field(description="Where the rows go.")
    mode: Literal["insert", "update", "upsert", "mirror", "append"] = Field(
        default="upsert", description="Which rows may be created, changed or removed."
    )
    purpose: str = Field(description="The consent that a row must carry; `none`, written out, where it is no person.")
    consent: ConsentRule | None = Field(default=None, description="Whose consent is asked for.")
    mapping: list[MappingEntry] = Field(description="Columns and the fields they are written to.", min_length=1)
    removal: Literal["keep", "delete", "archive", "clear"] = Field(
        default="keep",
        description="What becomes of records that left the model; a mirror says it. With key_moves, in mode upsert and"
        " update: of the second record of persons who were merged; kept ones are counted in each plan.",
    )
    key_moves: str | None = Field(
        default=None,
        description="The log of merged persons, as identity.identity_merges, where the primary key is the person's id:"
        " a merge then moves the record to the id that stays, and makes no second one.",
    )
    first_run: Literal["send_all", "baseline"] = Field(
        default="send_all", description="Send every row the first time, or take the present rows as delivered."
    )
    approval: Literal["required", "brake"] = Field(
        default="brake", description="A person approves each plan, or only plans that a brake has stopped."
    )
    read_back: ReadBackRule | None = Field(
        default=None, description="What the destination was seen to hold; for fields with a `policy`."
    )
    limits: SyncLimits = Field(default_factory=SyncLimits, description="When to stop and ask.")
    days: SyncDays | None = Field(
        default=None, description="Cut into local days: a run plans and sends the rows of one day."
    )
    split: SyncSplit | None = Field(
        default=None, description="Cut by a value, as the market: a run plans and sends the rows of one value."
    )
    project: str = Field(default="dbt_project", description="The dbt project's folder, relative to the project's root.")
    freshness_hours: int | None = Field(default=None, description="Hours after which the destination counts as stale.")
    owner: str = Field(default="team:crm", description="Who answers for the sync: team:… or an e-mail.")

    _beside: list[TraitsComponent] | None = PrivateAttr(default=None)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the plan and the destination asset; raise ConfigError for a sync that cannot work."""
        if self._beside is None:
            self.stands_beside(context.component_tree.get_all_components(of_type=TraitsComponent))
        spec = self.spec(context.project_root, read_policy(context.defs_module_path))
        source, manifest = self.source(context.project_root), self._manifest(context.project_root)
        asked = [self.consent.consents_model] if self.consent and spec.consent else []
        if self.consent and spec.consent and spec.consent.suppressions:
            asked.append(self.consent.suppressions_model)
        keys = {node["name"]: key_of(node) for node in manifest.models.values()}
        upstream = [*source.keys, *(keys[name] for name in asked)]
        if self.read_back:
            upstream.append(self.read_back.upstream(keys))
        return dg.Definitions(
            assets=[self._plan(spec, source, upstream), self._send(spec, source)], resources={"platform": PLATFORM}
        )

    def spec(self, project_root: Path, policy: ConsentPolicy) -> SyncSpec:
        """Make the engine's spec; raise ConfigError for a sync that cannot work."""
        source, models = self.source(project_root), self._manifest(project_root).models.values()
        relations = {node["name"]: f"{node['schema']}.{node['alias']}" for node in models}
        spec = make_spec(
            name=self.name,
            source_model=self.source_model,
            relations=relations | {self.source_model: source.relation},
            primary_key=self.primary_key,
            account=self.destination,
            mode=self.mode,
            purpose=self.purpose,
            consent=source.asked(self.consent),
            mapping=source.mapped(self.mapping),
            limits=self.limits,
            approval=self.approval,
            removal=self.removal,
            first_run=self.first_run,
            policy=policy,
            key_moves=self.key_moves,
            read_back=self.read_back,
        )
        split = split_in_view(self.split, dict(source.columns) if source.view else None)
        spec = replace(
            spec, audiences=source.audiences, view=source.view, partitioning=partitioning_of(self.days, split)
        )
        check_partitions(spec, kind_at(destination_of(spec.connection), spec))
        if PLATFORM.is_only_read:
            require_possible(spec)
        return spec

    def stands_beside(self, traits: list[TraitsComponent]) -> None:
        """Tell which traits the project computes; a sync of an audience may send them."""
        self._beside = traits

    def source(self, project_root: Path) -> Source:
        """Find the model or the audience whose rows are sent; raise ConfigError for what it does not have."""
        return find_source(
            self._manifest(project_root),
            sync=self.name,
            source_model=self.source_model,
            primary_key=self.primary_key,
            mode=self.mode,
            mapping=self.mapping,
            consent=self.consent,
            beside=self._beside or [],
        )

    def model_names(self, project_root: Path) -> list[str]:
        """Name the dbt models that could be the source."""
        return [node["name"] for node in self._manifest(project_root).models.values()]

    def _manifest(self, project_root: Path) -> DbtManifest:
        return DbtProject(folder=(project_root / self.project).resolve(), home=PLATFORM.home).manifest()

    def _plan(self, spec: SyncSpec, source: Source, upstream: list[dg.AssetKey]) -> dg.AssetsDefinition:
        key = dg.AssetKey(["plans", spec.name])
        guards = shown.guards_of(spec, destination_of(spec.connection).capabilities(spec.object))

        @dg.asset(
            key=key,
            deps=dict.fromkeys(upstream),
            group_name="plans",
            description=(
                f"What the next send of {spec.name} would create and change at {spec.connection.name}: computed, "
                "stored under a digest and judged by its guards before anything is sent."
            ),
            owners=[self.owner],
            kinds={"parquet", PLATFORM.engine},
            code_version=spec.mapping_version,
            tags=tags_of(self.days, self.split),
            partitions_def=partitions_of(self.days, self.split),
            backfill_policy=_ONE_BY_ONE if spec.partitioning else None,
            check_specs=[*_guard_specs(key, guards), *outside_specs(key, spec.partitioning)],
            metadata=shown.field_columns(spec, source),
            op_tags={"room": "syncs"},
        )
        def plan(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult[Any]]:
            engine, part = engine_of(platform, spec), partition_of(context, spec.partitioning)
            made = make_plan(engine, spec, run_id=context.run.run_id, partition=part or _clock(platform))
            context.log.info(f"To send: {dict(made.operations)}; left out: {shown.skipped_note(made.skipped)}.")
            changes = preview(platform.home, platform.warehouse, spec, made, rows=_PREVIEW_ROWS)
            judged = _judged(key, made, waiting_approval(engine.journal, spec.name, made.digest))
            held = pause_of(engine.journal, spec.name, spec.connection.name)
            yield dg.MaterializeResult(
                metadata=shown.plan_metadata(made, changes, held, _held_out(platform, spec))
                | shown.consent_metadata(spec)
                | partition_metadata(made),
                check_results=[
                    *(judged.get(guard) or _not_asked(key, guard) for guard in guards),
                    *outside_results(key, spec.partitioning, made),
                ],
            )

        return plan

    def _destination(self, key: dg.AssetKey, spec: SyncSpec, source: Source) -> dg.AssetSpec:
        hours = self.freshness_hours
        return dg.AssetSpec(
            key=key,
            deps=[dg.AssetKey(["plans", spec.name])],
            group_name="destinations",
            description=f"The {spec.object} as {spec.connection.name} has accepted them, by exactly one plan.",
            owners=[self.owner],
            kinds={spec.connection.vendor},
            code_version=spec.mapping_version,
            tags=tags_of(self.days, self.split),
            partitions_def=partitions_of(self.days, self.split),
            skippable=True,
            metadata=shown.field_columns(spec, source),
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)) if hours else None,
        )

    def _send(self, spec: SyncSpec, source: Source) -> dg.AssetsDefinition:
        key = dg.AssetKey([spec.connection.name, spec.name])

        @dg.multi_asset(
            name="__".join(key.path),
            specs=[self._destination(key, spec, source)],
            check_specs=[
                dg.AssetCheckSpec(name="books_balance", asset=key, description="Every planned row has one outcome."),
                dg.AssetCheckSpec(name="rejected_share", asset=key, description="Rows that the destination rejected."),
                dg.AssetCheckSpec(
                    name="unknown_rows", asset=key, description="Rows of which nobody knows the outcome."
                ),
            ],
            can_subset=True,
            backfill_policy=_ONE_BY_ONE if spec.partitioning else None,
            op_tags={"room": "syncs"},
        )
        def send(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult[Any]]:
            engine, part = engine_of(platform, spec), partition_of(context, spec.partitioning)
            made = engine.journal.plan(spec.name, run_id=context.run.run_id) or engine.journal.plan(spec.name)
            is_undo = made is not None and made.reverts is not None
            if not is_undo and not is_enabled(engine.journal, spec.name):
                context.log.info(f"{spec.name} is switched off: nothing is sent. Switch it on: cdp enable {spec.name}")
                return
            if made is None:
                raise CdpError(f"sync {spec.name} was never planned.", remedy=f"Materialize plans/{spec.name} first.")
            if not is_undo:
                require_partition(made, part)
            record = send_plan(engine, spec, made, run_id=context.run.run_id, on_progress=_progress(context))
            yield dg.MaterializeResult(
                metadata=shown.run_metadata(record), check_results=shown.run_checks(key, spec, record)
            )

        return send


def _guard_specs(key: dg.AssetKey, guards: list[str]) -> Iterator[dg.AssetCheckSpec]:
    for guard in guards:
        label = text(f"guard.{guard}.label", "en")
        yield dg.AssetCheckSpec(name=guard, asset=key, blocking=True, description=label)


def _clock(platform: Platform) -> str | None:
    """The day that the whole model describes, where the project has a clock."""
    day = read_clock(platform.warehouse)
    return day.isoformat() if day else None


def engine_of(platform: Platform, spec: SyncSpec) -> Engine:
    """Put together what the engine needs; nothing is opened yet but the journal."""
    return Engine(
        home=platform.home,
        warehouse=platform.warehouse,
        journal=Journal(platform.home),
        destination=destination_of(spec.connection),
        open_session=open_session,
    )


def _progress(context: dg.AssetExecutionContext) -> Any:
    def log(done: int, total: int) -> None:
        if done == total or done % _PROGRESS_ROWS < 1:
            context.log.info(f"Sent {done:,} of {total:,} rows.")

    return log


def _held_out(platform: Platform, spec: SyncSpec) -> int:
    if spec.view is None:
        return 0
    with platform.warehouse.session(f"who is held out of {spec.source_model}") as session:
        return held_out_count(session, spec.source_model)


def _judged(asset: dg.AssetKey, plan: Plan, given: Approval | None) -> dict[str, dg.AssetCheckResult]:
    """The guards' verdicts as checks; an approval that waits for the send passes those that it overrules."""
    overruled = given if may_be_approved(plan) else None
    return {
        verdict.code: shown.verdict_result(asset, verdict)
        if verdict.passed or overruled is None
        else shown.approved_result(asset, verdict, overruled)
        for verdict in plan.verdicts
    }


def _not_asked(asset: dg.AssetKey, guard: str) -> dg.AssetCheckResult:
    """A guard that asks the destination, of a plan that has nothing to send or is not switched on."""
    return dg.AssetCheckResult(
        asset_key=asset, check_name=guard, passed=True, description="Nothing is sent, so the destination was not asked."
    )
