"""One file names the accounts of all server warehouses, and no secret."""

from pathlib import Path

import pytest

from cdp_platform.connectors.credentials import EnvironmentSecrets, cdp_home
from cdp_platform.errors import AuthenticationFailed, ConfigError
from cdp_platform.warehouse.accounts import (
    Account,
    ApplicationDefault,
    BigQueryAccount,
    KeyPair,
    PostgresAccount,
    SnowflakeAccount,
    account_names,
    find_account,
)

FILE = """\
production:
  type: snowflake
  account: acme-analytics
  user: CDP
  warehouse: CDP_WH
  database: CDP
  authentication: {method: key_pair, private_key_env: SNOWFLAKE_KEY}
lake:
  type: bigquery
  project: acme
  location: EU
  authentication: {method: application_default}
server:
  type: postgres
  address: postgresql://cdp@db.example.com/cdp
  password_env: CDP_PASSWORD
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "warehouses.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def changed(file: Path, before: str, after: str) -> Path:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    return file


def read_account(file: Path, name: str) -> Account:
    found = find_account(file, name)
    assert found is not None
    return found


def test_each_kind_of_warehouse_has_its_fields(file: Path) -> None:
    assert account_names(file) == ["production", "lake", "server"]
    snowflake, bigquery, postgres = (read_account(file, name) for name in account_names(file))
    assert isinstance(snowflake, SnowflakeAccount)
    assert snowflake.authentication == KeyPair(method="key_pair", private_key_env="SNOWFLAKE_KEY")
    assert (snowflake.role, snowflake.temporary_schema) == (None, "cdp_session")
    assert isinstance(bigquery, BigQueryAccount)
    assert bigquery.authentication == ApplicationDefault(method="application_default")
    assert isinstance(postgres, PostgresAccount)


@pytest.mark.parametrize("account", ["production", "lake", "server"])
def test_every_kind_can_keep_the_state_beside_and_keeps_it_in_the_warehouse_by_itself(file: Path, account: str) -> None:
    assert read_account(file, account).state == "warehouse"
    told = changed(file, f"{account}:\n", f"{account}:\n  state: local\n")
    assert read_account(told, account).state == "local"


def test_a_state_elsewhere_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"yaml:\d+, field `state`.*local"):
        read_account(changed(file, "server:\n", "server:\n  state: locally\n"), "server")


def test_without_a_file_there_are_no_accounts(tmp_path: Path) -> None:
    assert account_names(tmp_path / "warehouses.yaml") == []
    assert account_names(None) == []
    assert find_account(tmp_path / "warehouses.yaml", "production") is None
    assert find_account(None, "production") is None


def test_a_name_that_the_file_does_not_have_is_no_account(file: Path) -> None:
    assert find_account(file, "staging") is None


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("warehouse: CDP_WH", "warehous: CDP_WH", r"yaml:5, field `warehous`.*`?warehouse`?"),
        ("  user: CDP\n", "", r"yaml:1, field `user`.*required"),
        ("type: snowflake", "type: snowflakes", r"yaml:2, field `production.type`.*snowflake"),
        ("  type: snowflake\n", "", r"field `production.type`.*required"),
        ("method: key_pair", "method: keypair", r"yaml:7, field `authentication`.*key_pair"),
        ("  user: CDP\n", "  user: CDP\n  api_endpoint: localhost\n", r"yaml:5, field `api_endpoint`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, before: str, after: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_account(changed(file, before, after), "production")


@pytest.mark.parametrize(
    ("account", "before", "after"),
    [
        ("production", "private_key_env: SNOWFLAKE_KEY", "private_key_env: canary-key"),
        ("production", "private_key_env: SNOWFLAKE_KEY", "private_key: canary"),
        ("server", "cdp@db", "cdp:canary@db"),
        ("server", "/cdp\n", "/cdp?password=canary\n"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(file: Path, account: str, before: str, after: str) -> None:
    with pytest.raises(ConfigError, match=r"warehouses\.yaml:") as failure:
        read_account(changed(file, before, after), account)
    assert "canary" not in str(failure.value)


def test_the_file_lies_beside_the_projects_file_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CDP_PROJECT", "CDP_WAREHOUSES"):
        monkeypatch.delenv(name, raising=False)
    assert cdp_home().warehouse_accounts == tmp_path / "warehouses.yaml"
    monkeypatch.setenv("CDP_WAREHOUSES", str(tmp_path / "elsewhere.yaml"))
    assert cdp_home().warehouse_accounts == tmp_path / "elsewhere.yaml"


def test_secrets_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDP_TEST_SECRET", raising=False)
    with pytest.raises(AuthenticationFailed, match="CDP_TEST_SECRET"):
        EnvironmentSecrets().text("CDP_TEST_SECRET")
    monkeypatch.setenv("CDP_TEST_SECRET", "two words")
    assert EnvironmentSecrets().text("CDP_TEST_SECRET") == "two words"
