"""Which warehouse the platform works on: one setting, read with the home folder; nobody else names an engine."""

from typing import Final

from cdp_platform.domain.home import Home
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.base import Warehouse

DUCKDB: Final = "duckdb"
POSTGRES: Final = "postgres"
KINDS: Final = (DUCKDB, POSTGRES)


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


def require_embedded(home: Home, what: str) -> None:
    """Raise ConfigError, naming `what`, for a part of the platform that runs on the embedded warehouse only, as yet."""
    if home.warehouse_kind != DUCKDB:
        raise ConfigError(
            f"{what} does not run on {home.warehouse_kind} yet: only syncs do.",
            remedy="Make the tables with tools of your own there, or unset CDP_WAREHOUSE.",
        )


def _postgres(home: Home) -> Warehouse:
    if not home.warehouse_address:
        raise ConfigError(
            "the warehouse is PostgreSQL, and nothing says where it is.",
            remedy="Set CDP_POSTGRES to its address, as postgresql://user@host/database, PGPASSWORD to the password.",
        )
    try:
        from cdp_platform.warehouse.postgres import PostgresWarehouse
    except ImportError as error:
        raise ConfigError(
            "the warehouse is PostgreSQL, and its driver is not installed.",
            remedy='Install the extra: pip install "cdp-platform[postgres]".',
        ) from error
    return PostgresWarehouse(home.warehouse_address)
