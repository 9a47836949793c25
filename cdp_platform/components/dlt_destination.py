"""The warehouse that is set, as dlt names it; where it is stands in the home alone, never in dlt's own files."""

from collections.abc import Mapping
from typing import Any

from cdp_platform.components.at_work import at_work
from cdp_platform.domain.home import Home
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.choice import (
    bigquery_account,
    engine_of,
    open_warehouse,
    postgres_address,
    require_written,
    snowflake_login,
)


def dlt_destination(home: Home, environment: Mapping[str, str]) -> Any:
    """Name the warehouse to dlt; load only inside `warehouse.exclusive`. `environment` is this process's.

    Raises ConfigError for a warehouse into which nothing is loaded, and without an address where one is needed.
    """
    import dlt

    engine = engine_of(home)
    require_written(home, "loading of sources")
    match engine:
        case "duckdb":
            return dlt.destinations.duckdb(str(home.warehouse))
        case "postgres":
            return dlt.destinations.postgres(_credentials(home, environment))
        case "bigquery":
            return _bigquery(home)
        case "snowflake":
            return _snowflake(home)
    raise ConfigError(f"sources are not loaded into {engine} yet.", remedy="Load them with another tool.")


def _bigquery(home: Home) -> Any:
    # Says what is missing, the client's package, too.
    open_warehouse(home)
    from cdp_platform.components.dlt_bigquery import BigQueryOfAccount
    from cdp_platform.warehouse.bigquery_connecting import tool_client

    (account, secrets), work = bigquery_account(home), at_work()
    return BigQueryOfAccount(
        project=account.project,
        location=account.location,
        opened=lambda: tool_client(account, secrets, "loading of sources", work),
    )


def _credentials(home: Home, environment: Mapping[str, str]) -> Any:
    """All but the names goes into the query, where libpq reads it: a host may be a socket's folder, or none."""
    from dlt.destinations.impl.postgres.configuration import PostgresCredentials

    from cdp_platform.warehouse.postgres_address import address_parts, libpq_environment

    address = postgres_address(home)
    parts, server = address_parts(address), libpq_environment(address, environment)
    others = {name: value for name, value in parts.items() if name not in ("user", "password", "dbname", "port")}
    return PostgresCredentials(
        {
            # dlt asks for one; the query's goes before it.
            "host": "localhost",
            "port": int(server["PGPORT"]),
            "username": server["PGUSER"],
            "password": server["PGPASSWORD"],
            "database": server["PGDATABASE"],
            "query": {**others, "host": server["PGHOST"]},
        }
    )


def _snowflake(home: Home) -> Any:
    """Names in upper case, as dbt's are. What is staged holds rows, so it goes when it is loaded."""
    import dlt

    account, secrets = snowflake_login(home)
    from dlt.destinations.impl.snowflake.configuration import SnowflakeCredentials

    from cdp_platform.warehouse.snowflake_tools import dlt_credentials, dlt_query_tag

    given = SnowflakeCredentials(dlt_credentials(account, secrets))
    return dlt.destinations.snowflake(given, keep_staged_files=False, query_tag=dlt_query_tag(at_work()))
