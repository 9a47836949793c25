"""Which warehouse the platform works on: one setting, read with the home folder; nobody else names an engine."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from cdp_platform.domain.home import Home, Secrets
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.accounts import (
    TYPES,
    Account,
    BigQueryAccount,
    PostgresAccount,
    SnowflakeAccount,
    account_names,
    find_account,
)
from cdp_platform.warehouse.base import AtWork, Source, Warehouse, at_nothing
from cdp_platform.warehouse.local_state import LocalStateWarehouse

DUCKDB: Final = "duckdb"
POSTGRES: Final = "postgres"
KINDS: Final = (DUCKDB, POSTGRES)
_SNOWFLAKES: Final[dict[tuple[SnowflakeAccount, AtWork], Warehouse]] = {}
_BIGQUERIES: Final[dict[tuple[BigQueryAccount, AtWork], Warehouse]] = {}


def open_warehouse(home: Home, at_work: AtWork = at_nothing) -> Warehouse:
    """Name the warehouse of a home folder; nothing is opened yet. Statements are tagged with what it is `at_work` on.

    An account in the home's file of accounts goes before an engine of the same name. Raises ConfigError for an engine
    or an account that there is none of, for a wrong account, without an address where one is needed, and where the
    engine's extra is not installed.
    """
    if home.warehouse_kind == DUCKDB:
        from cdp_platform.warehouse.duckdb import DuckDbWarehouse

        return DuckDbWarehouse(home.warehouse, memory=home.duckdb_memory)
    if account := chosen_account(home):
        warehouse = _of_account(home, account, at_work)
        return _only_read(home, warehouse) if account.state == "local" else warehouse
    if home.warehouse_kind == POSTGRES:
        return _postgres(home.warehouse_address)
    raise _unknown(home)


def chosen_account(home: Home) -> Account | None:
    """The account that the setting names; None where it names no account. Raises ConfigError for a wrong one."""
    return find_account(home.warehouse_accounts, home.warehouse_kind)


def engine_of(home: Home) -> str:
    """The warehouse: `duckdb`, `postgres`, `snowflake` or `bigquery`. Raises ConfigError for a wrong account."""
    account = None if home.warehouse_kind == DUCKDB else chosen_account(home)
    return home.warehouse_kind if account is None else account.type


def postgres_address(home: Home) -> str | None:
    """Where the PostgreSQL server is, as libpq reads it; holds the account's password. None: nobody says it."""
    account = chosen_account(home)
    return _address_of(home, account) if isinstance(account, PostgresAccount) else home.warehouse_address


def bigquery_account(home: Home) -> tuple[BigQueryAccount, Secrets]:
    """The account of BigQuery's that the setting names, with what opens it. Raises ConfigError where it names none."""
    account = chosen_account(home)
    if not isinstance(account, BigQueryAccount):
        raise _unknown(home)
    return account, _secrets(home)


def dbt_environment(home: Home, environment: Mapping[str, str]) -> dict[str, str]:
    """Say to dbt's profile where the warehouse is, in variables that it reads; `environment` is this process's.

    CDP_DBT_TARGET names the output. Raises ConfigError for an address that is missing or none.
    """
    match engine_of(home):
        case "bigquery":
            return _bigquery_variables(home)
        case "snowflake":
            return _snowflake_variables(home)
        case "postgres":
            return _postgres_variables(home, environment)
    return {"CDP_DBT_TARGET": DUCKDB, "CDP_WAREHOUSE_PATH": str(home.warehouse)}


def require_written(home: Home, what: str) -> None:
    """Raise ConfigError, naming `what`, where the warehouse's account says `state: local`, so that it is only read."""
    if is_only_read(home):
        raise ConfigError(
            f"{what} would write into the warehouse, and its account `{home.warehouse_kind}` says `state: local`.",
            remedy="Make the tables with tools of your own there: syncs read them.",
        )


def is_only_read(home: Home) -> bool:
    """Whether the warehouse's account says `state: local`. Raises ConfigError for a wrong account."""
    account = None if home.warehouse_kind == DUCKDB else chosen_account(home)
    return account is not None and account.state == "local"


def _only_read(home: Home, warehouse: Warehouse) -> Warehouse:
    if not isinstance(warehouse, Source):
        raise ConfigError(
            f"the account `{home.warehouse_kind}` says `state: local`, and its warehouse cannot be only read yet.",
            remedy="Take the line out, and grant the platform a schema of its own.",
        )
    from cdp_platform.warehouse.duckdb import DuckDbWarehouse

    state = DuckDbWarehouse(home.state, memory=home.duckdb_memory)
    return LocalStateWarehouse(state=state, source=warehouse)


def _of_account(home: Home, account: Account, at_work: AtWork) -> Warehouse:
    match account:
        case PostgresAccount():
            return _postgres(_address_of(home, account))
        case SnowflakeAccount():
            return _snowflake(account, _secrets(home), at_work)
        case BigQueryAccount():
            return _bigquery(account, _secrets(home), at_work)


def _secrets(home: Home) -> Secrets:
    if home.secrets is None:
        raise ConfigError("the account's secrets cannot be read here.", remedy="Name the home by `cdp_home`.")
    return home.secrets


def _address_of(home: Home, account: PostgresAccount) -> str:
    password = _secrets(home).text(account.password_env) if account.password_env else None
    return _with_password(account.address, password)


def _with_password(address: str, password: str | None) -> str:
    if password is None:
        return address
    return f"{address}{'&' if '?' in address else '?'}password={quote(password, safe='')}"


def _unknown(home: Home) -> ConfigError:
    name = home.warehouse_kind
    if name in TYPES:
        return ConfigError(
            f"the warehouse is {name}, and nothing says where it is.",
            remedy=f"Put an account of the name `{name}` into {home.warehouse_accounts or 'warehouses.yaml'}.",
        )
    known = {*KINDS, *account_names(home.warehouse_accounts)}
    return ConfigError(f"there is no warehouse {name!r}.", remedy=nearest_of(name, known))


def _snowflake(account: SnowflakeAccount, secrets: Secrets, at_work: AtWork = at_nothing) -> Warehouse:
    try:
        from cdp_platform.warehouse.snowflake import SnowflakeWarehouse
    except ImportError as error:
        raise ConfigError(
            "the warehouse is Snowflake, and its connector is not installed.",
            remedy='Install the extra: pip install "cdp-platform[snowflake]".',
        ) from error
    # One for each account and process: its connections wait there for the next session.
    if (account, at_work) not in _SNOWFLAKES:
        _SNOWFLAKES[account, at_work] = SnowflakeWarehouse(account, secrets, at_work)
    return _SNOWFLAKES[account, at_work]


def snowflake_login(home: Home) -> tuple[SnowflakeAccount, Secrets]:
    """The account of the chosen warehouse, with its secrets, for a tool that opens it itself.

    Raises ConfigError where it is none of Snowflake's, or its connector is not installed.
    """
    account = chosen_account(home)
    if not isinstance(account, SnowflakeAccount):
        raise _unknown(home)
    secrets = _secrets(home)
    _snowflake(account, secrets)
    return account, secrets


def _snowflake_variables(home: Home) -> dict[str, str]:
    account, secrets = snowflake_login(home)
    from cdp_platform.warehouse.snowflake_tools import dbt_variables

    return dbt_variables(account, secrets)


def _bigquery(account: BigQueryAccount, secrets: Secrets, at_work: AtWork = at_nothing) -> Warehouse:
    try:
        from cdp_platform.warehouse.bigquery import BigQueryWarehouse
    except ImportError as error:
        raise ConfigError(
            "the warehouse is BigQuery, and its client is not installed.",
            remedy='Install the extra: pip install "cdp-platform[bigquery]".',
        ) from error
    # One for each account and process: it knows which datasets and tables are there.
    return _BIGQUERIES.setdefault((account, at_work), BigQueryWarehouse(account, secrets, at_work))


def _bigquery_variables(home: Home) -> dict[str, str]:
    from cdp_platform.warehouse.bigquery_dbt import dbt_variables

    return {"CDP_DBT_TARGET": "bigquery", **dbt_variables(*bigquery_account(home))}


def _postgres_variables(home: Home, environment: Mapping[str, str]) -> dict[str, str]:
    # Says what is missing, the driver, too.
    open_warehouse(home)
    from cdp_platform.warehouse.postgres_address import libpq_environment

    server = libpq_environment(postgres_address(home), environment)
    # dbt keeps what has this prefix out of its logs. Of days and times it must think as the platform does.
    secret = {"DBT_ENV_SECRET_CDP_POSTGRES_PASSWORD": server["PGPASSWORD"]}
    return {**server, **secret, "CDP_DBT_TARGET": POSTGRES, "PGTZ": "UTC", "PGDATESTYLE": "ISO, YMD"}


def _postgres(address: str | None) -> Warehouse:
    try:
        from cdp_platform.warehouse.postgres import PostgresWarehouse
        from cdp_platform.warehouse.postgres_address import checked_address
    except ImportError as error:
        raise ConfigError(
            "the warehouse is PostgreSQL, and its driver is not installed.",
            remedy='Install the extra: pip install "cdp-platform[postgres]".',
        ) from error
    return PostgresWarehouse(checked_address(address))
