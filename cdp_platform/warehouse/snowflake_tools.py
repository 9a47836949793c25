"""Snowflake for tools that open it themselves, dbt and dlt: the account of `warehouses.yaml`, in their words."""

import base64
from collections.abc import Mapping
from typing import Any

from cdp_platform.domain.home import Secrets
from cdp_platform.warehouse.accounts import SnowflakeAccount
from cdp_platform.warehouse.snowflake_connecting import credential, endpoint, query_tag


def dbt_variables(account: SnowflakeAccount, secrets: Secrets) -> dict[str, str]:
    """Variables that the output `snowflake` of a dbt profile reads; DBT_ENV_SECRET keeps secrets out of dbt's logs.

    Raises AuthenticationFailed for a secret that is missing or a key that cannot be opened.
    """
    said, place = login(account, secrets), endpoint(account)
    given = {
        "CDP_DBT_TARGET": "snowflake",
        "CDP_SNOWFLAKE_ACCOUNT": account.account,
        "CDP_SNOWFLAKE_USER": account.user,
        "CDP_SNOWFLAKE_ROLE": account.role,
        "CDP_SNOWFLAKE_WAREHOUSE": account.warehouse,
        "CDP_SNOWFLAKE_DATABASE": account.database,
        "CDP_SNOWFLAKE_HOST": place.get("host"),
        "CDP_SNOWFLAKE_PORT": place.get("port", 0),
        "CDP_SNOWFLAKE_PROTOCOL": place.get("protocol"),
        "CDP_SNOWFLAKE_AUTHENTICATOR": said.get("authenticator"),
        "DBT_ENV_SECRET_CDP_SNOWFLAKE_PASSWORD": said.get("password"),
        "DBT_ENV_SECRET_CDP_SNOWFLAKE_TOKEN": said.get("token"),
        "DBT_ENV_SECRET_CDP_SNOWFLAKE_PRIVATE_KEY": said.get("private_key"),
    }
    # Those that this account has not must not be found from a run on another one.
    return {name: "" if value is None else str(value) for name, value in given.items()}


def login(account: SnowflakeAccount, secrets: Secrets) -> dict[str, Any]:
    """Who the platform is, as texts: `password`, or `authenticator` with `token` or `private_key` in base64.

    Raises AuthenticationFailed for a secret that is missing or a key that cannot be opened.
    """
    said = credential(account, secrets)
    key = said.get("private_key")
    return said if key is None else {**said, "private_key": base64.b64encode(key).decode("ascii")}


def dlt_credentials(account: SnowflakeAccount, secrets: Secrets) -> dict[str, Any]:
    """What dlt's `SnowflakeCredentials` are made of; holds secrets. Raises AuthenticationFailed as `login` does."""
    return {
        "host": account.account,
        "username": account.user,
        "database": account.database,
        "warehouse": account.warehouse,
        **({"role": account.role} if account.role else {}),
        **login(account, secrets),
        # dlt hands these to the connector as they are.
        "query": endpoint(account),
    }


def dlt_query_tag(work: Mapping[str, str]) -> str:
    """The query tag of what dlt runs; dlt would fill in what stands in braces."""
    return query_tag("load", work).replace("{", "{{").replace("}", "}}")
