"""What runs by itself, and in which environment: one place for all of it.

A sync that no rule names runs only when somebody asks. Every rule is a sensor that is stopped until somebody starts it;
and a send still needs its sync switched on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from cdp_platform.components.environment import ENVIRONMENTS, current_environment
from cdp_platform.components.resources import PLATFORM
from cdp_platform.components.sync import SyncComponent
from cdp_platform.components.sync_sensors import journal_sensors
from cdp_platform.components.watching import WatchRule, watch_sensor
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError


class RunRule(dg.Model, dg.Resolvable):
    """Syncs that are planned and sent by themselves."""

    syncs: list[str] = Field(min_length=1, description="The syncs, by name.")
    cron: str | None = Field(
        default=None, description="When, as `0 6 * * *`; left out: whenever what they read is new."
    )
    time_zone: str = Field(default="UTC", description="The time zone of `cron`.")
    environments: list[str] | None = Field(default=None, description="Where it runs; left out: everywhere.")

    @property
    def condition(self) -> dg.AutomationCondition[Any]:
        """When an asset of the rule is asked for.

        Unlike `eager()` it does not wait for every day of a daily model, and it looks at checks of earlier runs, too.
        """
        fresh: dg.AutomationCondition[Any] = dg.AutomationCondition.any_deps_updated()
        if self.cron:
            tick = dg.AutomationCondition.cron_tick_passed(self.cron, self.time_zone)
            # The destination follows its plan, which nothing else updates by itself.
            fresh = (tick & dg.AutomationCondition.in_latest_time_window()) | _plan_updated()
        return (
            dg.AutomationCondition.in_latest_time_window()
            & fresh.since_last_handled()
            & ~dg.AutomationCondition.any_deps_in_progress()
            & ~dg.AutomationCondition.in_progress()
            & dg.AutomationCondition.all_deps_blocking_checks_passed()
        )


def _plan_updated() -> dg.AutomationCondition[Any]:
    return dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.newly_updated() | dg.AutomationCondition.will_be_requested()
    ).allow(dg.AssetSelection.groups("plans"))


class AutomationComponent(dg.Component, dg.Model, dg.Resolvable):
    """Say what runs by itself: syncs by rules, and assets when something that is watched has changed."""

    run: dict[str, RunRule] = Field(default_factory=dict, description="Rules for syncs, by name.")
    watch: dict[str, WatchRule] = Field(default_factory=dict, description="What is watched, by name.")
    take_up_sends: bool = Field(default=True, description="Make the sensors for cut-off sends and approved plans.")

    _beside: list[SyncComponent] | None = PrivateAttr(default=None)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make a sensor for each rule of this environment; raise ConfigError for a rule that cannot work."""
        beside = self._beside
        if beside is None:
            beside = context.component_tree.get_all_components(of_type=SyncComponent)
        syncs = {sync.name: dg.AssetKey([sync.destination.as_connection().name, sync.name]) for sync in beside}
        self._check(syncs)
        here = current_environment()
        rules = {name: rule for name, rule in self.run.items() if _is_meant(rule.environments, here)}
        watches = {name: rule for name, rule in self.watch.items() if _is_meant(rule.environments, here)}
        return dg.Definitions(
            sensors=[
                *(_rule_sensor(name, rule, syncs) for name, rule in rules.items()),
                *(watch_sensor(name, rule, context.project_root) for name, rule in watches.items()),
                *(journal_sensors(syncs) if self.take_up_sends else []),
            ],
            resources={"platform": PLATFORM},
        )

    def stands_beside(self, syncs: list[SyncComponent]) -> None:
        """Tell which syncs the project has."""
        self._beside = syncs

    def _check(self, syncs: Iterable[str]) -> None:
        """Raise ConfigError for a sync or environment that is not there, and for two rules that run one sync."""
        known = list(syncs)
        for name, rule in self.run.items():
            _check_environments(rule.environments, f"run.{name}")
            for sync in rule.syncs:
                if sync not in known:
                    raise ConfigError(
                        f"there is no sync {sync!r}.", remedy=nearest_of(sync, known), field=f"run.{name}.syncs"
                    )
        for name, watched in self.watch.items():
            _check_environments(watched.environments, f"watch.{name}")
            watched.check(name)
        refuse_double(list(self.run.items()))


def refuse_double(rules: Sequence[tuple[str, RunRule]]) -> None:
    """Raise ConfigError, naming both, where two rules would run one sync in one environment."""
    runs: dict[tuple[str, str], str] = {}
    for name, rule in rules:
        for environment in rule.environments or ENVIRONMENTS:
            for sync in rule.syncs:
                other = runs.setdefault((environment, sync), name)
                if other != name:
                    raise ConfigError(
                        f"the sync {sync!r} is run by {other!r} and by {name!r} in the environment {environment!r}.",
                        remedy="Name it in one of the two rules, or give the rules different `environments`.",
                        field=f"run.{name}.syncs",
                    )


def _check_environments(environments: Sequence[str] | None, field: str) -> None:
    for name in environments or ():
        if name not in ENVIRONMENTS:
            raise ConfigError(
                f"there is no environment {name!r}.",
                remedy=nearest_of(name, ENVIRONMENTS),
                field=f"{field}.environments",
            )


def _is_meant(environments: Sequence[str] | None, here: str) -> bool:
    return environments is None or here in environments


def _rule_sensor(name: str, rule: RunRule, syncs: Mapping[str, dg.AssetKey]) -> dg.SensorDefinition:
    keys = [key for sync in rule.syncs for key in (dg.AssetKey(["plans", sync]), syncs[sync])]
    return dg.AutomationConditionSensorDefinition(
        name=name,
        target=dg.AssetSelection.assets(*keys),
        default_condition=rule.condition,
        use_user_code_server=True,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Plans and sends {', '.join(rule.syncs)} "
        + (f"at {rule.cron} ({rule.time_zone})." if rule.cron else "when what they read is new and its checks passed."),
    )
