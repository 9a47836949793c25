"""Where the platform runs, by one setting: `CDP_ENVIRONMENT`, else `environment` in `cdp.yaml`, else `embedded`.

A step of its own process imports Dagster and the definitions again, which costs more than most steps do.
"""

from collections.abc import Mapping
from typing import Final

import dagster as dg

from cdp_platform.components.resources import variable
from cdp_platform.connectors.credentials import cdp_project
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError

VARIABLE: Final = "CDP_ENVIRONMENT"
EXECUTORS: Final[Mapping[str, dg.ExecutorDefinition]] = {
    "embedded": dg.in_process_executor,
    "local": dg.multiprocess_executor,
}
"""Environment → where its steps run: in the run's own process, or in one process each."""


def current_environment() -> str:
    """Name the environment, `embedded` or `local`; raise ConfigError for a name that is neither."""
    if name := variable(VARIABLE):
        if name not in EXECUTORS:
            raise ConfigError(
                f"{VARIABLE} is {name!r}.", remedy=f"{nearest_of(name, EXECUTORS)} Or leave it unset: embedded."
            )
        return name
    project = cdp_project()
    return project.environment if project else "embedded"


def executor_of(environment: str) -> dg.ExecutorDefinition:
    """Choose where the steps of an environment run."""
    return EXECUTORS[environment]
