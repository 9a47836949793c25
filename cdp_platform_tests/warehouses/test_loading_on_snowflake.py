"""Loading into Snowflake's emulator: days are replaced exactly, no rows are none, tools are told of the account."""

import base64
import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cdp_platform.components.dlt_destination import dlt_destination
from cdp_platform.domain.home import Home
from cdp_platform.errors import ConfigError, WarehouseError
from cdp_platform.ingest.load import LoadResult, load_table
from cdp_platform.warehouse.accounts import SnowflakeAccount
from cdp_platform.warehouse.choice import dbt_environment
from cdp_platform.warehouse.snowflake import SnowflakeWarehouse
from cdp_platform.warehouse.snowflake_tools import dbt_variables, dlt_credentials
from cdp_platform_tests.warehouses.emulators import Fakesnow, NoSecrets, home_on

DAY, NEXT_DAY = date(2017, 12, 25), date(2017, 12, 26)
SCHEMA = pa.schema(
    {"day": pa.date32(), "name": pa.string(), "at": pa.timestamp("us", "UTC"), "amount": pa.decimal128(12, 2)}
)
Load = Callable[..., LoadResult]


def rows_of(*days: date) -> pa.Table:
    at = datetime(2017, 12, 25, 23, 30, tzinfo=UTC)
    rows = [{"day": day, "name": 'Zoë O\'Hara, "té"\n', "at": at, "amount": Decimal("9.90")} for day in days]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture
def home(tmp_path: Path, fakesnow: Fakesnow) -> Home:
    return home_on(fakesnow.new_account(), tmp_path)


@pytest.fixture
def load(home: Home) -> Load:
    def loaded(table: pa.Table, days: tuple[date, date] | None = (DAY, NEXT_DAY)) -> LoadResult:
        return load_table(
            table,
            name="sales",
            dataset="raw_shop",
            destination=dlt_destination(home, {}),
            pipelines_dir=home.dlt,
            replaced_days=("day", *days) if days else None,
        )

    return loaded


def there(home: Home) -> list[dict[str, Any]]:
    account = SnowflakeAccount.model_validate(json.loads((home.root / "warehouses.yaml").read_text())["snow"])
    with closing(SnowflakeWarehouse(account, NoSecrets())) as warehouse, warehouse.session("test") as session:
        return session.rows("select day, name, at, amount from raw_shop.sales order by day")


def test_days_are_replaced_exactly_and_values_arrive_as_they_are(home: Home, load: Load) -> None:
    load(rows_of(DAY, NEXT_DAY))
    load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(DAY, DAY), (DAY, DAY)).deleted_row_count == 1
    found = there(home)
    assert [row["day"] for row in found] == [DAY, DAY, NEXT_DAY]
    assert found[0]["name"] == 'Zoë O\'Hara, "té"\n' and found[0]["amount"] == Decimal("9.90")
    assert found[0]["at"] == datetime(2017, 12, 25, 23, 30, tzinfo=UTC)


def test_a_day_without_rows_is_an_empty_day_and_the_table_is_there_all_the_same(home: Home, load: Load) -> None:
    assert load(rows_of(), (DAY, DAY)).row_count == 0
    assert there(home) == []
    load(rows_of(DAY, NEXT_DAY))
    assert load(rows_of(), (DAY, DAY)).deleted_row_count == 1
    assert [row["day"] for row in there(home)] == [NEXT_DAY]


def test_a_changed_type_is_refused_before_anything_is_deleted(home: Home, load: Load) -> None:
    load(rows_of(DAY))
    other = rows_of(DAY)
    other = other.set_column(3, "amount", pa.array(["nine"]))
    with pytest.raises(WarehouseError, match=r"raw_shop\.sales was not loaded"):
        load(other)
    assert len(there(home)) == 1


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


def test_a_warehouse_without_an_account_is_refused_by_its_name(tmp_path: Path) -> None:
    home = Home(root=tmp_path, warehouse_kind="snowflake")
    with pytest.raises(ConfigError, match="the warehouse is snowflake, and nothing says where it is"):
        dlt_destination(home, {})
    with pytest.raises(ConfigError, match="the warehouse is snowflake, and nothing says where it is"):
        dbt_environment(home, {})
