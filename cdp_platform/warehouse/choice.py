"""Which warehouse the platform works on: one setting, read with the home folder; nobody else names an engine."""

from collections.abc import Mapping
from typing import Final

from cdp_platform.domain.home import Home
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.base import Warehouse

DUCKDB: Final = "duckdb"
POSTGRES: Final = "postgres"
KINDS: Final = (DUCKDB, POSTGRES)
_WHOLE: Final = (DUCKDB, POSTGRES)
"""The engines on which everything runs: loading, models, identity, audiences, syncs, reports, erasure."""


def open_warehouse(home: Home) -> Warehouse:
    """Name the warehouse of a home folder; nothing is opened yet.

    Raises ConfigError for an engine that there is none of, without an address where one is needed, and where the
    engine's extra is not installed.
    """
    match home.warehouse_kind:
        case "duckdb":
            from cdp_platform.warehouse.duckdb import DuckDbWarehouse

            return DuckDbWarehouse(home.warehouse)
        case "postgres":
            return _postgres(home)
        case unknown:
            raise ConfigError(f"there is no warehouse {unknown!r}.", remedy=nearest_of(unknown, KINDS))


def dbt_environment(home: Home, environment: Mapping[str, str]) -> dict[str, str]:
    """Say to dbt's profile where the warehouse is, in variables that it reads; `environment` is this process's.

    CDP_DBT_TARGET names the output. Raises ConfigError for an address that is missing or none.
    """
    if home.warehouse_kind != POSTGRES:
        return {"CDP_DBT_TARGET": home.warehouse_kind, "CDP_WAREHOUSE_PATH": str(home.warehouse)}
    open_warehouse(home)
    from cdp_platform.warehouse.postgres_address import libpq_environment

    server = libpq_environment(home.warehouse_address, environment)
    # dbt keeps what has this prefix out of its logs. Of days and times it must think as the platform does.
    secret = {"DBT_ENV_SECRET_CDP_POSTGRES_PASSWORD": server["PGPASSWORD"]}
    return {**server, **secret, "CDP_DBT_TARGET": POSTGRES, "PGTZ": "UTC", "PGDATESTYLE": "ISO, YMD"}


def require_whole(home: Home, what: str) -> None:
    """Raise ConfigError, naming `what`, for a part of the platform that was not shown to run on every engine."""
    if home.warehouse_kind not in _WHOLE:
        raise ConfigError(
            f"{what} does not run on {home.warehouse_kind} yet: only syncs do.",
            remedy="Make the tables with tools of your own there, or unset CDP_WAREHOUSE.",
        )


def _postgres(home: Home) -> Warehouse:
    try:
        from cdp_platform.warehouse.postgres import PostgresWarehouse
        from cdp_platform.warehouse.postgres_address import address_parts
    except ImportError as error:
        raise ConfigError(
            "the warehouse is PostgreSQL, and its driver is not installed.",
            remedy='Install the extra: pip install "cdp-platform[postgres]".',
        ) from error
    address_parts(home.warehouse_address)
    return PostgresWarehouse(str(home.warehouse_address))
