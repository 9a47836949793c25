"""Columns from the destination to the raw rows, over the real project; every asset says what it is and holds."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.domain.home import Home
from cdp_platform_tests.components.conftest import ROOT

NO_TABLES = {"raw/demo/faces", "raw/demo/goods", "identity/health", "exposures/weekly_customer_review"}
"""Files, a report, and what somebody else looks at."""


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """The asset specs by key."""
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def made_of(specs: dict[str, dg.AssetSpec], asset: str, column: str) -> set[str]:
    """The columns that one column is directly made of."""
    lineage = specs[asset].metadata.get("dagster/column_lineage")
    deps = lineage.deps_by_column.get(column, ()) if lineage else ()
    return {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}


def ends_of(specs: dict[str, dg.AssetSpec], asset: str, column: str) -> Iterator[str]:
    """The columns at the ends of every way up."""
    above = made_of(specs, asset, column)
    if not above:
        yield f"{asset}.{column}"
    for one in above:
        parent, _, name = one.rpartition(".")
        yield from ends_of(specs, parent, name)


def test_the_lifetime_value_in_the_crm_is_followed_to_the_raw_receipts(specs: dict[str, dg.AssetSpec]) -> None:
    path = [
        "hubspot/crm_contacts.lifetime_value",
        "activation/sync_contacts__crm.lifetime_value",
        "marts/traits_rfm.lifetime_value",
        "marts/person_orders.merchandise_value",
        "marts/orders.merchandise_value",
        "marts/order_lines.sales_value",
        "intermediate/int_order_lines__priced.sales_value",
        "staging/stg_retail__transactions.sales_value",
        "raw/retail/transactions.sales_value",
    ]
    for below, above in pairwise(path):
        asset, _, column = below.rpartition(".")
        assert above in made_of(specs, asset, column), below
    ends = set(ends_of(specs, "hubspot/crm_contacts", "lifetime_value"))
    assert ends == {"raw/retail/transactions.sales_value", "raw/retail/products.department"}


def test_a_flag_in_the_crm_is_followed_through_its_audience_to_what_the_conditions_read(
    specs: dict[str, dg.AssetSpec],
) -> None:
    assert made_of(specs, "activation/sync_contacts__crm", "lapsed_loyalist_since") == {
        "audiences/lapsed_loyalists.entered_on",
        "audiences/lapsed_loyalists.left_on",
    }
    ends = set(ends_of(specs, "hubspot/crm_contacts", "lapsed_loyalist_since"))
    assert {"raw/retail/transactions.transaction_day", "raw/loop/clock.as_of_on"} <= ends


def test_persons_are_followed_through_identity_to_the_records(specs: dict[str, dg.AssetSpec]) -> None:
    found = made_of(specs, "identity/identity_clusters", "person_id")
    assert "intermediate/int_identity_records.email" in found
    assert "raw/loyalty/cards.email" in set(ends_of(specs, "hubspot/crm_contacts", "cdp_person_id"))


def test_a_computed_trait_is_followed_to_its_events(specs: dict[str, dg.AssetSpec]) -> None:
    found = made_of(specs, "traits/shopping_habits", "largest_receipt")
    assert "marts/person_orders.order_value" in found


def test_no_column_of_the_project_is_left_out(parsed_home: Path) -> None:
    lineage = DbtProject(folder=ROOT / "dbt_project", home=Home(root=parsed_home)).column_lineage()
    assert lineage.unresolved == {}
    assert sum(len(columns) for columns in lineage.columns.values()) > 400


def test_every_way_up_ends_at_a_source_a_seed_or_a_constant(specs: dict[str, dg.AssetSpec]) -> None:
    for spec in specs.values():
        lineage = spec.metadata.get("dagster/column_lineage")
        for column, deps in (lineage.deps_by_column if lineage else {}).items():
            for dep in deps:
                above = specs[dep.asset_key.to_user_string()]
                known = {one.name for one in above.metadata["dagster/column_schema"].columns}
                assert dep.column_name in known, f"{spec.key.to_user_string()}.{column} from {dep}"


def test_every_asset_says_what_it_is_who_answers_for_it_and_where_it_stands(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        assert spec.description and spec.owners and spec.group_name and spec.kinds, name


def test_every_table_tells_its_columns(specs: dict[str, dg.AssetSpec]) -> None:
    silent = {name for name, spec in specs.items() if "dagster/column_schema" not in spec.metadata}
    assert silent == NO_TABLES


def test_a_columns_description_says_what_it_is_made_of(specs: dict[str, dg.AssetSpec]) -> None:
    columns = {one.name: one for one in specs["marts/traits_rfm"].metadata["dagster/column_schema"].columns}
    assert str(columns["lifetime_value"].description).endswith("From marts/person_orders.merchandise_value.")
