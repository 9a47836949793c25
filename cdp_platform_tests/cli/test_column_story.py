"""`cdp explain` above the source model: the columns that a field is made of, with the files of their SQL."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cdp_platform.cli.column_story import column_documents, ends_of, show_columns
from cdp_platform.components.column_lineage import LINEAGE_FILE, ColumnLineage
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform_tests.cli.conftest import Cdp
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

ORDERS = "source.shop.raw.orders"


def model(name: str) -> dict[str, Any]:
    """A model as the manifest holds it."""
    return {
        "name": name, "alias": name, "schema": "marts", "resource_type": "model", "package_name": "shop",
        "config": {"schema": "marts"}, "original_file_path": f"models/{name}.sql", "depends_on": {"nodes": []},
    }  # fmt: skip


@pytest.fixture
def parsed(shop: Shop) -> Home:
    """A home in which dbt has parsed two models above the shop's sync and built one of them."""
    schema, _, source = shop.spec.relation.partition(".")
    source_model = model(source) | {"schema": schema, "config": {"schema": schema}}
    nodes = {f"model.shop.{source}": source_model, "model.shop.spending": model("spending")}
    declared = {"source_name": "raw", "name": "orders", "meta": {"dagster": {"asset_key": ["raw", "shop", "orders"]}}}
    target = shop.home.dbt_target
    (target / "build" / "compiled" / "shop" / "models").mkdir(parents=True)
    (target / "build" / "compiled" / "shop" / "models" / "spending.sql").write_text("select 1", encoding="utf-8")
    (target / "manifest.json").write_text(json.dumps({"nodes": nodes, "sources": {ORDERS: declared}}), encoding="utf-8")
    column = first_field(shop.spec).column
    ColumnLineage(
        columns={
            f"model.shop.{source}": {column: [("model.shop.spending", "value"), ("model.shop.spending", "largest")]},
            "model.shop.spending": {"value": [(ORDERS, "price")], "largest": [(ORDERS, "price")]},
        }
    ).write(target / LINEAGE_FILE)
    return shop.home


def first_field(spec: SyncSpec) -> Any:
    return spec.mapping[1]


def test_a_field_is_followed_to_the_raw_columns_with_the_files_between(parsed: Home, shop: Shop) -> None:
    tree = column_documents(parsed, shop.spec)[first_field(shop.spec).field]
    assert ends_of(tree) == ["raw/shop/orders.price"]
    [value, _] = tree["made_of"]
    assert (value["asset"], value["column"], value["sql"]) == ("marts/spending", "value", "models/spending.sql")
    assert Path(value["compiled_sql"]).read_text(encoding="utf-8") == "select 1"
    assert tree["compiled_sql"] is None


def test_the_tree_is_printed_with_what_each_column_is_made_of_below_it(parsed: Home, shop: Shop) -> None:
    field = first_field(shop.spec).field
    out = StringIO()
    show_columns(Console(file=out, width=300, highlight=False), field, column_documents(parsed, shop.spec)[field])
    lines = out.getvalue().splitlines()
    assert lines[0] == f"{field} is made of"
    assert lines[2].strip("│├─└ ").startswith("marts/spending.value  (") and "spending.sql" in lines[2]
    assert lines[3].strip("│├─└ ") == "raw/shop/orders.price"


def test_explain_names_the_ends_for_every_field_and_the_tree_for_one(parsed: Home, shop: Shop, cdp: Cdp) -> None:
    field = first_field(shop.spec).field
    shop.people([person_of(1)])
    told = json.loads(cdp("explain", shop.spec.name, "p-001", "--json").text)
    [one] = [story for story in told["fields"] if story["field"] == field]
    assert ends_of(one["made_of"]) == ["raw/shop/orders.price"]
    assert "is made of" in cdp("explain", shop.spec.name, "p-001", "--field", field).text


def test_without_a_parsed_project_nothing_is_told_of_columns(shop: Shop) -> None:
    assert column_documents(shop.home, shop.spec) == {}
