"""The rules of the house, held over the parsed project."""

import re
from collections.abc import Iterator

from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode, ModelNode, SeedNode

from cdp_platform.erasure.holdings import parse_person_key
from cdp_platform_tests.lineage.test_lineage import KEYS_FILE

MAY_READ = {
    "staging": {"source", "seed"},
    "intermediate": {"staging"},
    "identity": {"staging"},
    "marts": {"intermediate", "identity", "marts"},
    "activation": {"marts", "source"},
}
ASSET_KEYS = {
    "cdp.loop_clock": ["raw", "loop", "clock"],
    **{
        f"audiences.{name}": ["audiences", name]
        for name in (
            "big_basket_families", "coupon_lovers", "high_value_at_risk", "lapsed_loyalists",
            "new_department_explorers",
        )
    },
    "audiences.audience_membership_history": ["audiences", "lapsed_loyalists"],
    "identity.identity_clusters": ["identity", "identity_clusters"],
    "identity.identity_person_ids": ["identity", "identity_person_ids"],
    "raw_hubspot.contacts": ["feedback", "hubspot", "contacts_history"],
    "raw_hubspot.records": ["raw", "hubspot", "records"],
    "raw_web.events": ["raw", "web", "events"],
    "audiences.audience_assignments": ["audiences", "lapsed_loyalists"],
    "cdp.deliveries": ["feedback", "loop", "deliveries_history"],
    "raw_meta.insights": ["raw", "meta", "insights"],
    "raw_zoho.items": ["raw", "zoho", "items"],
    "raw_zoho.sales_orders": ["raw", "zoho", "sales_orders"],
    "raw_salesforce.accounts": ["raw", "salesforce", "accounts"],
    "raw_salesforce.opportunities": ["raw", "salesforce", "opportunities"],
    "raw_salesforce.opportunity_lines": ["raw", "salesforce", "opportunity_lines"],
    "raw_loyalty.cards": ["raw", "loyalty", "cards"],
    "raw_support.tickets": ["raw", "support", "tickets"],
    **{
        f"raw_retail.{table}": ["raw", "retail", table]
        for table in (
            "transactions", "products", "demographics", "campaigns", "campaign_descriptions", "coupons",
            "coupon_redemptions",
        )
    },
}  # fmt: skip


def test_each_layer_reads_only_the_layers_it_may(manifest: Manifest) -> None:
    wrong = [
        f"{model.name} ({_layer(model)}) reads {parent}"
        for model in _models(manifest)
        for parent in model.depends_on.nodes
        if _kind(manifest, parent) not in MAY_READ[_layer(model)]
    ]
    assert wrong == []


def test_only_activation_reads_audiences_and_only_sources_of_its_own(manifest: Manifest) -> None:
    readers = {
        (_layer(model), parent.split(".")[2])
        for model in _models(manifest)
        for parent in model.depends_on.nodes
        if parent.startswith("source.")
    }
    assert {layer for layer, source in readers if source == "audiences"} == {"activation"}
    assert {source for layer, source in readers if layer == "activation"} == {"audiences"}


def test_each_model_is_either_a_fact_of_a_day_or_of_people_as_of_the_clock(manifest: Manifest) -> None:
    assert [model.name for model in _models(manifest) if len({"facts", "person"} & set(model.tags)) != 1] == []


def test_no_fact_reads_what_depends_on_the_clock(manifest: Manifest) -> None:
    wrong = [
        f"{model.name} reads {parent}"
        for model in _models(manifest)
        for parent in model.depends_on.nodes
        if "facts" in model.tags and (parent in manifest.nodes and "person" in manifest.nodes[parent].tags)
    ]
    assert wrong == []


def test_each_description_ends_with_the_grain(manifest: Manifest) -> None:
    assert [
        model.name for model in _models(manifest) if not re.search(r"Grain: one row.*\.$", model.description.strip())
    ] == []


def test_each_column_is_described(manifest: Manifest) -> None:
    assert [
        f"{model.name}.{column.name}"
        for model in _models(manifest)
        for column in model.columns.values()
        if not column.description
    ] == []


def test_each_mart_and_activation_model_tests_a_key_for_being_unique_and_there(manifest: Manifest) -> None:
    tested = {
        (node.attached_node, node.column_name, node.test_metadata.name)
        for node in manifest.nodes.values()
        if isinstance(node, GenericTestNode) and node.config.severity.lower() == "error"
    }
    keys = {model for model, column, name in tested if name == "unique" and (model, column, "not_null") in tested}
    assert [
        model.name
        for model in _models(manifest)
        if _layer(model) in {"marts", "activation"} and model.unique_id not in keys
    ] == []


def test_each_source_table_names_its_asset(manifest: Manifest) -> None:
    assert {
        f"{source.source_name}.{source.name}": source.config.meta["dagster"]["asset_key"]
        for source in manifest.sources.values()
    } == ASSET_KEYS


def test_each_raw_table_that_is_loaded_is_a_source_so_that_it_says_whose_rows_it_holds() -> None:
    """One that is none is not loaded any more once somebody was forgotten."""
    loaded = {key for key in KEYS_FILE.read_text(encoding="utf-8").split() if key.startswith("raw/")}
    files = {key for key in loaded if key.startswith("raw/demo/")}
    assert files
    assert {"/".join(key) for key in ASSET_KEYS.values() if key[0] == "raw"} == loaded - files


def test_each_model_seed_and_source_says_whose_rows_it_holds(manifest: Manifest) -> None:
    tables = [*_models(manifest), *_seeds(manifest), *manifest.sources.values()]
    keys = {table.name: table.config.meta.get("person_key") for table in tables}
    assert sorted(name for name, key in keys.items() if key is None) == []
    for name, key in keys.items():
        assert parse_person_key(key, place=name) is not None


def test_the_columns_of_a_person_key_are_columns_of_the_model(manifest: Manifest) -> None:
    wrong = [
        f"{model.name}.{column}"
        for model in _models(manifest)
        for column in parse_person_key(model.config.meta["person_key"], place=model.name)
        if column not in model.columns
    ]
    assert wrong == []


def test_models_are_short_and_select_named_columns_at_the_end(manifest: Manifest) -> None:
    long = [model.name for model in _models(manifest) if len(model.raw_code.splitlines()) > 120]
    starred = [model.name for model in _models(manifest) if re.match(r"(distinct\s+)?(\w+\.)?\*", _last_select(model))]
    assert (long, starred) == ([], [])


def _models(manifest: Manifest) -> Iterator[ModelNode]:
    return (node for node in manifest.nodes.values() if isinstance(node, ModelNode))


def _seeds(manifest: Manifest) -> Iterator[SeedNode]:
    return (node for node in manifest.nodes.values() if isinstance(node, SeedNode))


def _layer(model: ModelNode) -> str:
    return model.fqn[1]


def _kind(manifest: Manifest, unique_id: str) -> str:
    node = manifest.nodes.get(unique_id)
    return _layer(node) if isinstance(node, ModelNode) else unique_id.split(".")[0]


def _last_select(model: ModelNode) -> str:
    return re.split(r"^select\b", model.raw_code, flags=re.MULTILINE)[-1].strip()
