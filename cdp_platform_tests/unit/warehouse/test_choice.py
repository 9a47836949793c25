"""One setting chooses the warehouse."""

import sys
from pathlib import Path

import pytest

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.domain.home import Home
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.base import ReadsElsewhere
from cdp_platform.warehouse.choice import dbt_environment, is_only_read, open_warehouse, require_written
from cdp_platform.warehouse.duckdb import DuckDbWarehouse


@pytest.fixture(autouse=True)
def no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CDP_HOME", "CDP_PROJECT", "CDP_WAREHOUSE", "CDP_POSTGRES", "CDP_WAREHOUSES"):
        monkeypatch.delenv(name, raising=False)


def write_project(folder: Path, warehouse: str) -> None:
    (folder / "defs").mkdir()
    (folder / "cdp.yaml").write_text(f"defs: defs\nwarehouse: {warehouse}\n", encoding="utf-8")


def test_the_default_is_the_embedded_one() -> None:
    assert isinstance(open_warehouse(cdp_home()), DuckDbWarehouse)


def test_the_memory_of_the_embedded_one_is_set_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    monkeypatch.setenv("CDP_DUCKDB_MEMORY", "512MB")
    with open_warehouse(cdp_home()).session("test") as session:
        assert session.rows("select current_setting('memory_limit') as told") == [{"told": "488.2 MiB"}]
    monkeypatch.setenv("CDP_DUCKDB_MEMORY", "much")
    with pytest.raises(ConfigError, match=r"'much' is no size of memory.*CDP_DUCKDB_MEMORY as 512MB"):
        open_warehouse(cdp_home())


def test_the_environment_chooses_and_goes_before_the_projects_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, "postgres")
    assert cdp_home().warehouse_kind == "postgres"
    monkeypatch.setenv("CDP_WAREHOUSE", "duckdb")
    assert cdp_home().warehouse_kind == "duckdb"


def test_an_account_that_is_only_read_keeps_its_state_in_a_file_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDP_WAREHOUSE", "theirs")
    (tmp_path / "warehouses.yaml").write_text(
        "theirs: {type: postgres, address: postgresql://cdp@db.example.com/shop, state: local}", encoding="utf-8"
    )
    warehouse = open_warehouse(cdp_home())
    assert isinstance(warehouse, ReadsElsewhere)
    assert (warehouse.dialect.name, warehouse.source.dialect.name) == ("duckdb", "postgres")
    with warehouse.session("test") as session:
        session.execute("create schema cdp")
    assert cdp_home().state.is_file()
    assert is_only_read(cdp_home())
    for what in ("dbt build", "loading of sources"):
        with pytest.raises(ConfigError, match=f"{what} would write into the warehouse"):
            require_written(cdp_home(), what)


def test_a_path_in_the_projects_file_is_a_duckdb_file(tmp_path: Path) -> None:
    write_project(tmp_path, "dbt/dev.duckdb")
    home = cdp_home()
    assert (home.warehouse_kind, home.warehouse) == ("duckdb", tmp_path / "dbt" / "dev.duckdb")


def test_an_unknown_engine_is_refused_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_WAREHOUSE", "postgresql")
    with pytest.raises(ConfigError, match=r"'postgresql'.*postgres"):
        open_warehouse(cdp_home())


def test_a_server_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_WAREHOUSE", "postgres")
    with pytest.raises(ConfigError, match="CDP_POSTGRES"):
        open_warehouse(cdp_home())


def test_a_server_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cdp_platform.warehouse.postgres", None)
    home = Home(root=Path("nowhere"), warehouse_kind="postgres", warehouse_address="postgresql://x")
    with pytest.raises(ConfigError, match=r"cdp-platform\[postgres\]"):
        open_warehouse(home)


def test_an_address_with_a_password_is_not_printed_with_the_home() -> None:
    home = Home(root=Path("nowhere"), warehouse_kind="postgres", warehouse_address="postgresql://u:canary@h/d")
    assert "canary" not in repr(home)


def test_dbt_is_told_where_the_warehouse_is() -> None:
    told = dbt_environment(Home(root=Path("nowhere")), {})
    assert told == {"CDP_DBT_TARGET": "duckdb", "CDP_WAREHOUSE_PATH": "nowhere/warehouse.duckdb"}


def test_dbt_reads_a_servers_address_in_libpqs_variables_and_the_password_in_one_that_it_does_not_log() -> None:
    address = "postgresql://anna:s%20cret@db.example.com:6000/cdp?sslmode=require&connect_timeout=3"
    home = Home(root=Path("nowhere"), warehouse_kind="postgres", warehouse_address=address)
    told = dbt_environment(home, {"PGSSLROOTCERT": "root.pem", "PGHOST": "elsewhere", "PATH": "/bin"})
    assert told["CDP_DBT_TARGET"] == "postgres"
    assert (told["PGHOST"], told["PGPORT"], told["PGUSER"], told["PGDATABASE"]) == (
        "db.example.com", "6000", "anna", "cdp",
    )  # fmt: skip
    assert (told["PGSSLMODE"], told["PGCONNECT_TIMEOUT"], told["PGSSLROOTCERT"]) == ("require", "3", "root.pem")
    assert told["DBT_ENV_SECRET_CDP_POSTGRES_PASSWORD"] == "s cret"
    assert told["PGTZ"] == "UTC" and "PATH" not in told


def test_what_the_address_leaves_out_comes_from_the_environment() -> None:
    home = Home(root=Path("nowhere"), warehouse_kind="postgres", warehouse_address="postgresql:///cdp?host=/tmp/socket")
    told = dbt_environment(home, {"PGUSER": "anna", "PGPASSWORD": "secret", "PGPORT": "6001"})
    assert (told["PGHOST"], told["PGUSER"], told["PGPORT"]) == ("/tmp/socket", "anna", "6001")
    assert told["DBT_ENV_SECRET_CDP_POSTGRES_PASSWORD"] == "secret"


def test_what_is_no_address_is_refused_without_being_repeated() -> None:
    home = Home(root=Path("nowhere"), warehouse_kind="postgres", warehouse_address="postgresql://u:canary@h/d?what=it")
    with pytest.raises(ConfigError, match="no address of a PostgreSQL server") as failure:
        open_warehouse(home)
    assert "canary" not in str(failure.value)


def write_accounts(folder: Path, text: str) -> Home:
    (folder / "warehouses.yaml").write_text(text, encoding="utf-8")
    return cdp_home()


def test_an_account_is_chosen_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_WAREHOUSE", "server")
    monkeypatch.setenv("SHOP_PASSWORD", "it's a&canary")
    home = write_accounts(tmp_path, "server: {type: postgres, address: postgresql:///x, password_env: SHOP_PASSWORD}")
    warehouse = open_warehouse(home)
    assert "canary" not in repr(home) + repr(warehouse)
    assert vars(warehouse)["_address"] == "postgresql:///x?password=it%27s%20a%26canary"


def test_dbt_is_told_of_an_account_and_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_WAREHOUSE", "server")
    monkeypatch.setenv("SHOP_PASSWORD", "it's a&secret")
    home = write_accounts(tmp_path, "server: {type: postgres, address: postgresql://h/x, password_env: SHOP_PASSWORD}")
    told = dbt_environment(home, {})
    assert (told["CDP_DBT_TARGET"], told["PGHOST"], told["PGDATABASE"]) == ("postgres", "h", "x")
    assert told["DBT_ENV_SECRET_CDP_POSTGRES_PASSWORD"] == "it's a&secret"
    require_written(home, "identity")


def test_a_server_engine_without_an_account_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_WAREHOUSE", "snowflake")
    with pytest.raises(ConfigError, match=r"`snowflake`.*warehouses\.yaml"):
        open_warehouse(cdp_home())


def test_an_unknown_name_is_compared_with_the_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_WAREHOUSE", "servr")
    home = write_accounts(tmp_path, "server: {type: postgres, address: postgresql:///x}")
    with pytest.raises(ConfigError, match="Did you mean `server`"):
        open_warehouse(home)
