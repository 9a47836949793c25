"""The columns of the models are followed on every engine, without asking a warehouse: none is there in these tests."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from cdp_platform.components.column_lineage import ColumnLineage
from cdp_platform.components.dbt_parsing import traced_project
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.domain.home import Home
from cdp_platform_tests.components.conftest import ROOT
from cdp_platform_tests.warehouses.emulators import NoSecrets

SNOWFLAKE = """
vendors:
  type: snowflake
  account: acme-crm
  user: CDP
  warehouse: CDP_WH
  database: SHOP
  authentication: {method: password, password_env: NOT_LOOKED_AT}
"""
BIGQUERY = """
vendors:
  type: bigquery
  project: acme-crm
  location: EU
  authentication: {method: application_default}
"""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> ColumnLineage:
    home = Home(root=tmp_path_factory.mktemp("embedded"))
    return DbtProject(folder=ROOT / "dbt_project", home=home).column_lineage()


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "account"), [("snowflake", SNOWFLAKE), ("bigquery", BIGQUERY)])
def test_the_columns_are_made_of_the_same_columns(
    embedded: ColumnLineage, tmp_path: Path, engine: str, account: str
) -> None:
    if find_spec(f"dbt.adapters.{engine}") is None:
        pytest.skip(f"the extra `{engine}` is not installed: its lineage was NOT tested")
    file = tmp_path / "warehouses.yaml"
    file.write_text(account, encoding="utf-8")
    home = Home(root=tmp_path / "cdp", warehouse_kind="vendors", warehouse_accounts=file, secrets=NoSecrets())

    found = DbtProject(folder=ROOT / "dbt_project", home=home).column_lineage()

    assert sum(map(len, embedded.columns.values())) > 500
    assert found.columns == embedded.columns
    assert found.unresolved_count == embedded.unresolved_count


def test_of_an_engine_that_is_not_known_every_column_counts_as_unresolved(tmp_path: Path) -> None:
    node = {"resource_type": "model", "relation_name": "`shop`.`orders`", "depends_on": {"nodes": []}}
    content = {"metadata": {"adapter_type": "elsewhere"}, "nodes": {"model.shop.orders": node}, "sources": {}}

    found = traced_project(content, None, tmp_path, tmp_path)

    assert (found.columns, found.unresolved_count) == ({"model.shop.orders": {}}, 1)
