"""Snowflake for tools that open it themselves, dbt and dlt: what they are told of an account, by example."""

import base64
from pathlib import Path

import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cdp_platform.warehouse.accounts import SnowflakeAccount
from cdp_platform.warehouse.choice import dbt_environment
from cdp_platform.warehouse.snowflake_tools import dbt_variables, dlt_credentials
from cdp_platform_tests.warehouses.emulators import Fakesnow, home_on


class Key:
    """Secrets of which each is the same text; the key is one that was made just now."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def text(self, env_name: str) -> str:
        return f"value of {env_name}"

    def private_key(self, env_name: str) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"value of PASSPHRASE"),
        ).decode()


def account_with(**authentication: str) -> SnowflakeAccount:
    given = {"type": "snowflake", "account": "acme-a", "user": "CDP", "warehouse": "WH", "database": "SHOP"}
    return SnowflakeAccount.model_validate(given | {"authentication": authentication})


def test_dbt_and_dlt_are_told_a_key_without_its_passphrase() -> None:
    account = account_with(method="key_pair", private_key_env="KEY", passphrase_env="PASSPHRASE")
    secrets = Key()
    variables, credentials = dbt_variables(account, secrets), dlt_credentials(account, secrets)
    told = variables["DBT_ENV_SECRET_CDP_SNOWFLAKE_PRIVATE_KEY"]
    opened = serialization.load_der_private_key(base64.b64decode(told), None)
    assert isinstance(opened, rsa.RSAPrivateKey)
    assert opened.private_numbers() == secrets.key.private_numbers()
    assert credentials["private_key"] == told and credentials["authenticator"] == "SNOWFLAKE_JWT"
    assert variables["CDP_SNOWFLAKE_AUTHENTICATOR"] == "SNOWFLAKE_JWT"


def test_secrets_are_told_to_dbt_in_variables_that_it_keeps_out_of_its_logs() -> None:
    for account in (
        account_with(method="oauth", token_env="TOKEN"),
        account_with(method="password", password_env="PASSWORD"),
    ):
        variables = dbt_variables(account, Key())
        [name] = [name for name, value in variables.items() if "value of" in value]
        assert name.startswith("DBT_ENV_SECRET_")
        # What another account has told is not left standing.
        assert variables["DBT_ENV_SECRET_CDP_SNOWFLAKE_PRIVATE_KEY"] == "" and variables["CDP_SNOWFLAKE_ROLE"] == ""


def test_dbt_is_told_where_an_emulator_is(fakesnow: Fakesnow, tmp_path: Path) -> None:
    variables = dbt_environment(home_on(fakesnow.new_account(), tmp_path), {})
    assert variables["CDP_SNOWFLAKE_HOST"] == "127.0.0.1" and variables["CDP_SNOWFLAKE_PORT"] == str(fakesnow.port)
    assert variables["CDP_SNOWFLAKE_PROTOCOL"] == "http" and variables["CDP_DBT_TARGET"] == "snowflake"
