"""`cdp init` in a project that is there already: what it finds, what it writes, what it says where it cannot."""

import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.connectors.credentials import cdp_home, cdp_project
from cdp_platform.domain.home import Home
from cdp_platform.errors import ConfigError
from cdp_platform_tests.cli.conftest import Told

MODEL = "select cast(i as varchar) as customer_id, i || '@example.com' as email, i * 1.5 as spent from range(3) t(i)"
TESTS = """\
version: 2
models:
  - name: customers
    columns: [{name: customer_id, data_tests: [unique, not_null]}]
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster project `shop`, a dbt project beside it that is parsed, and what dbt has built."""
    folder = tmp_path_factory.mktemp("adopted")
    root, dbt = folder / "shop", folder / "shop_dbt"
    (root / "src" / "shop" / "defs").mkdir(parents=True)
    (root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n', encoding="utf-8")
    (root / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    (dbt / "models").mkdir(parents=True)
    (dbt / "dbt_project.yml").write_text("name: shop_dbt\nversion: '1.0'\nprofile: shop\n", encoding="utf-8")
    write_profile(dbt, {"type": "duckdb", "path": "shop.duckdb"})
    (dbt / "models" / "customers.sql").write_text(MODEL, encoding="utf-8")
    (dbt / "models" / "models.yml").write_text(TESTS, encoding="utf-8")
    with duckdb.connect(str(dbt / "shop.duckdb")) as connection:
        connection.execute(f"create table customers as {MODEL}")
    DbtProject(folder=dbt, home=Home(root=root / ".cdp")).manifest()
    return folder


@pytest.fixture
def project(tmp_path: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of both projects, with the Dagster project as the current folder."""
    shutil.copytree(parsed, tmp_path, dirs_exist_ok=True)
    for name in ("CDP_HOME", "CDP_PROJECT", "HUBSPOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def write_profile(dbt: Path, output: dict[str, str]) -> None:
    profile = {"shop": {"target": "dev", "outputs": {"dev": output}}}
    (dbt / "profiles.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")


def refused(*arguments: str) -> ConfigError:
    """Run `cdp init` with these arguments; return the error that it must end with."""
    error = Told("init", *arguments).error
    assert isinstance(error, ConfigError), error
    return error


def test_a_first_sync_is_written_and_its_first_plan_is_dry_without_a_token(project: Path) -> None:
    told = Told("init", "--model", "customers")
    assert told.code == 0, told.error
    assert "The sync hubspot_customers is switched off" in told.text
    file = project / "src" / "shop" / "defs" / "hubspot_customers" / "defs.yaml"
    attributes = yaml.safe_load(file.read_text(encoding="utf-8"))["attributes"]
    assert (attributes["primary_key"], attributes["project"]) == ("customer_id", "../shop_dbt")
    assert [entry["field"] for entry in attributes["mapping"]] == ["cdp_customer_id", "email", "spent"]
    assert (project / ".gitignore").read_text(encoding="utf-8") == "__pycache__/\n.cdp/\n"

    planned = Told("plan", "hubspot_customers")
    assert planned.code == 0, planned.error
    assert "3 to send" in planned.text
    assert "this is a dry run" in planned.text


def test_the_platforms_state_and_warehouse_are_the_projects_own_from_any_folder_of_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Told("init", "--model", "customers").code == 0
    monkeypatch.chdir(project / "src" / "shop")
    assert cdp_home().root == project / ".cdp"
    assert cdp_home().warehouse == project.parent / "shop_dbt" / "shop.duckdb"
    monkeypatch.chdir(project.parent)
    assert cdp_project() is None
    monkeypatch.setenv("CDP_PROJECT", str(project))
    assert cdp_home().root == project / ".cdp"


def test_a_folder_named_as_the_project_that_is_none_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_PROJECT", str(project))
    with pytest.raises(ConfigError, match=r"a folder without cdp\.yaml"):
        cdp_home()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("defz: src\n", "cdp.yaml:1, field `defz`: there is no such field. Did you mean `defs`?"),
        ("state: .cdp\ndefs: nowhere\n", "cdp.yaml:2, field `defs`: there is no such folder."),
    ],
)
def test_a_wrong_project_file_is_an_error_with_its_line(project: Path, text: str, told: str) -> None:
    (project / "cdp.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        cdp_home()
    assert told in str(caught.value)


def test_a_second_sync_leaves_the_project_file_as_it_is(project: Path) -> None:
    assert Told("init", "--model", "customers").code == 0
    before = (project / "cdp.yaml").read_text(encoding="utf-8")
    assert "cdp.yaml" not in Told("init", "--model", "customers", "--name", "second").text
    assert (project / "cdp.yaml").read_text(encoding="utf-8") == before
    assert "this file is there already" in str(refused("--model", "customers"))


def test_a_model_that_is_not_there_is_told_with_the_nearest_one(project: Path) -> None:
    assert "Did you mean `customers`?" in str(refused("--model", "custmers"))
    assert "There are: customers." in str(refused())


def test_a_model_without_a_tested_key_asks_for_it(project: Path) -> None:
    (project.parent / "shop_dbt" / "models" / "models.yml").unlink()
    assert "There are: customer_id, email, spent." in str(refused("--model", "customers"))
    assert Told("init", "--model", "customers", "--key", "email").code == 0
    assert "has no column 'mail'" in str(refused("--model", "customers", "--key", "mail", "--name", "b"))


def test_a_model_that_is_neither_built_nor_documented_says_to_build_it(project: Path) -> None:
    (project.parent / "shop_dbt" / "shop.duckdb").unlink()
    (project.parent / "shop_dbt" / "models" / "models.yml").unlink()
    assert "Build it first" in str(refused("--model", "customers"))


def test_outside_of_a_dagster_project_it_says_how_to_make_one(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text("[project]\nname = 'shop'\n", encoding="utf-8")
    assert "create-dagster project" in str(refused("--model", "customers"))
    (project / "pyproject.toml").write_text("[[", encoding="utf-8")
    assert "this is not TOML" in str(refused("--model", "customers"))


def test_two_dbt_projects_or_none_are_told(project: Path) -> None:
    dbt = project.parent / "shop_dbt"
    dbt.rename(project / "one")
    (project / "two").mkdir()
    (project / "two" / "dbt_project.yml").write_text("name: two\n", encoding="utf-8")
    assert "more than one dbt project is near" in str(refused("--model", "customers"))
    assert Told("init", "--model", "customers", "--dbt", "one").code == 0
    assert "there is no dbt project in" in str(refused("--model", "customers", "--dbt", "three"))
    (project / "one").rename(project / ".hidden")
    (project / "two" / "dbt_project.yml").unlink()
    assert "no dbt project was found" in str(refused("--model", "customers"))


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ({"type": "snowflake", "account": "x"}, "warehouse is snowflake; `cdp init` knows duckdb only"),
        ({"type": "duckdb", "path": "{{ env_var('PLACE') }}"}, "--warehouse FILE"),
    ],
)
def test_a_profile_that_leads_to_no_file_is_told(project: Path, output: dict[str, str], told: str) -> None:
    write_profile(project.parent / "shop_dbt", output)
    assert told in str(refused("--model", "customers"))


def test_an_unknown_destination_is_told_with_the_nearest(project: Path) -> None:
    assert "Did you mean 'hubspot'?" in str(refused("--model", "customers", "--destination", "hubspott"))


def test_components_of_dagsters_own_packages_do_not_disturb_the_commands(project: Path) -> None:
    assert Told("init", "--model", "customers").code == 0
    theirs = project / "src" / "shop" / "defs" / "warehouse"
    theirs.mkdir()
    text = 'type: dagster_dbt.DbtProjectComponent\nattributes: {project: "{{ project_root }}/.."}\nrequirements: {}\n'
    (theirs / "defs.yaml").write_text(text, encoding="utf-8")
    assert Told("plan", "hubspot_customers").code == 0
