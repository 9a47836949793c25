"""One graph from the source to the CRM and back: nothing hangs loose, nothing is a stub."""

from pathlib import Path

import dagster as dg

KEYS_FILE = Path(__file__).parent / "all_asset_keys.txt"
TRANSACTIONS = dg.AssetKey(["raw", "retail", "transactions"])
FEEDBACK = dg.AssetKey(["feedback", "hubspot", "contacts"])
DASHBOARD = dg.AssetKey(["exposures", "weekly_customer_review"])
HISTORY = dg.AssetKey(["feedback", "hubspot", "contacts_history"])
DELIVERIES = dg.AssetKey(["feedback", "loop", "deliveries_history"])


def test_the_asset_keys_are_the_ones_written_down(definitions: dg.Definitions) -> None:
    """On purpose? Then write the new list: one key a line, in order."""
    keys = sorted(key.to_user_string() for key in graph_of(definitions).get_all_asset_keys())
    assert keys == KEYS_FILE.read_text(encoding="utf-8").split()


def test_the_graph_is_one_connected_piece(definitions: dg.Definitions) -> None:
    assert reached_from(definitions, TRANSACTIONS, upstream=True, downstream=True) == keys_of(definitions)


def test_feedback_lies_downstream_of_the_source(definitions: dg.Definitions) -> None:
    assert FEEDBACK in reached_from(definitions, TRANSACTIONS, upstream=False, downstream=True)


def test_the_models_read_the_history_of_the_feedback_and_never_the_feedback(definitions: dg.Definitions) -> None:
    graph = graph_of(definitions)
    assert graph.get(FEEDBACK).child_keys == set()
    assert dg.AssetKey(["staging", "stg_hubspot__contacts"]) in graph.get(HISTORY).child_keys


def test_only_the_history_of_the_feedback_and_what_reads_the_marts_are_made_outside_of_the_graph(
    definitions: dg.Definitions,
) -> None:
    graph = graph_of(definitions)
    outside = {key for key in keys_of(definitions) if not graph.get(key).is_materializable}
    assert outside == {HISTORY, DELIVERIES, DASHBOARD}


def test_a_dashboard_stands_below_the_marts_that_it_reads_with_its_address_and_owner(
    definitions: dg.Definitions,
) -> None:
    node = graph_of(definitions).get(DASHBOARD)
    assert {key.to_user_string() for key in node.parent_keys} == {
        "marts/profiles", "marts/traits_rfm", "marts/campaign_results",
    }  # fmt: skip
    assert node.owners == ["marketing@example.com"]
    assert node.metadata["url"].value.startswith("https://lookerstudio.google.com/")
    assert {"dashboard", "dbt"} <= node.kinds


def test_the_model_of_every_sync_is_produced_and_is_a_table_or_an_audience(definitions: dg.Definitions) -> None:
    graph = graph_of(definitions)
    plans = [key for key in keys_of(definitions) if key.path[0] == "plans"]
    assert plans
    for plan in plans:
        parents = graph.get(plan).parent_keys
        assert parents
        for parent in parents:
            assert graph.get(parent).is_materializable
            is_table = graph.get(parent).metadata.get("dbt/materialized") in ("table", "incremental")
            is_read_back = parent == dg.AssetKey(["raw", "salesforce", "accounts"])
            assert is_table or is_read_back or graph.get(parent).group_name == "audiences"


def test_every_sync_sends_exactly_what_its_plan_says(definitions: dg.Definitions) -> None:
    graph = graph_of(definitions)
    for plan in (key for key in keys_of(definitions) if key.path[0] == "plans"):
        [destination] = [key for key in graph.get(plan).child_keys if graph.get(key).group_name == "destinations"]
        assert graph.get(destination).parent_keys == {plan}


def test_groups_are_the_words_of_the_flow_and_who_reads_beside_it(definitions: dg.Definitions) -> None:
    graph = graph_of(definitions)
    groups = {graph.get(key).group_name for key in keys_of(definitions)}
    assert groups == {"sources", "models", "audiences", "plans", "destinations", "feedback", "dashboards"}


def test_every_asset_says_what_it_is_and_who_answers_for_it(definitions: dg.Definitions) -> None:
    graph = graph_of(definitions)
    assert [key for key in keys_of(definitions) if not graph.get(key).description] == []
    assert [key for key in keys_of(definitions) if not graph.get(key).owners] == []


def test_freshness_is_watched_where_the_flow_begins_and_ends(definitions: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    watched = [TRANSACTIONS, dg.AssetKey(["marts", "profiles"]), dg.AssetKey(["hubspot", "crm_contacts"]), FEEDBACK]
    assert all(specs[key].freshness_policy is not None for key in watched)


def keys_of(definitions: dg.Definitions) -> set[dg.AssetKey]:
    return set(graph_of(definitions).get_all_asset_keys())


def graph_of(definitions: dg.Definitions):  # type: ignore[no-untyped-def]
    return definitions.resolve_asset_graph()


def reached_from(
    definitions: dg.Definitions, start: dg.AssetKey, *, upstream: bool, downstream: bool
) -> set[dg.AssetKey]:
    graph = graph_of(definitions)
    found: set[dg.AssetKey] = set()
    waiting = [start]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += graph.get(key).child_keys if downstream else ()
            waiting += graph.get(key).parent_keys if upstream else ()
    return found
