"""Where the platform runs, by one setting: `CDP_ENVIRONMENT`, else `environment` in `cdp.yaml`, else `embedded`.

A step of its own process imports Dagster and the definitions again, which costs more than most steps do.
"""

from typing import Any, Final

import dagster as dg

from cdp_platform.components.resources import variable
from cdp_platform.connectors.credentials import cdp_project
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError

VARIABLE: Final = "CDP_ENVIRONMENT"
ENVIRONMENTS: Final = ("embedded", "local", "cluster")
"""Where steps run: in the run's own process; in one process each; by Celery's workers, on several hosts."""
BROKER: Final = "CDP_BROKER"
"""The variable with the address of the Redis through which runs hand steps to workers."""
CELERY_SETTINGS: Final[dict[str, Any]] = {
    # Redis hands out again what nobody has begun within this time: a day, while others' steps are waited for.
    "broker_transport_options": {"visibility_timeout": 86_400},
    "worker_prefetch_multiplier": 1,
    # A worker that is at work takes no step that another could begin.
    "worker_disable_prefetch": True,
    "broker_connection_retry_on_startup": True,
    "task_default_queue": "dagster",
    "task_default_priority": 5,
}


def current_environment() -> str:
    """Name the environment, one of ENVIRONMENTS; raise ConfigError for another name."""
    if name := variable(VARIABLE):
        if name not in ENVIRONMENTS:
            raise ConfigError(
                f"{VARIABLE} is {name!r}.", remedy=f"{nearest_of(name, ENVIRONMENTS)} Or leave it unset: embedded."
            )
        return name
    project = cdp_project()
    return project.environment if project else "embedded"


def executor_of(environment: str) -> dg.ExecutorDefinition:
    """Choose where the steps of an environment run. Raises ConfigError where what it needs is not installed."""
    if environment == "cluster":
        return _celery()
    return dg.multiprocess_executor if environment == "local" else dg.in_process_executor


def _celery() -> dg.ExecutorDefinition:
    try:
        import redis  # noqa: F401
        from dagster_celery import celery_executor
    except ImportError:
        raise ConfigError(
            "The environment `cluster` needs Celery and Redis, which are not installed.",
            remedy="Install cdp-platform[cluster].",
        ) from None
    # The address is read by who runs, and stands in no run's configuration.
    place = {"env": BROKER}
    configured: dg.ExecutorDefinition = celery_executor.configured(
        {"broker": place, "backend": place, "config_source": CELERY_SETTINGS}, name="celery"
    )
    return configured
