"""A sync whose source model is an audience: its members reach the destination, and nobody else ever does."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
import yaml

from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.loading import load_definitions, load_syncs
from cdp_platform.components.resources import PLATFORM
from cdp_platform.errors import ConfigError, GuardTripped
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform_tests.components.conftest import ROOT
from cdp_platform_tests.components.retail import DAY, Retail

EXAMPLE = ROOT / "examples" / "syncs" / "coupon_lovers_contacts"
AUDIENCE = dg.AssetKey(["audiences", "shoppers"])
PLAN = dg.AssetKey(["plans", "shoppers_contacts"])
CONTACTS = dg.AssetKey(["hubspot", "shoppers_contacts"])
PEOPLE = {"lover", "away", "quiet"}


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A warehouse with three people, an audience of them, its sync, and an empty account."""

    folder: Path
    retail: Retail
    address: str

    def declare(self, *, audience: dict[str, Any] | None = None, **sync: Any) -> None:
        """Write the audience, everybody with a coupon or none, and its sync, with changed attributes."""
        members = {"trait": "coupons_redeemed", "at_least": 0}
        self._write("audiences/shoppers", "AudienceComponent", {"name": "shoppers", "members": members}, audience or {})
        self._write("syncs/shoppers_contacts", "SyncComponent", SYNC, sync)

    def run(self, *keys: dg.AssetKey) -> dg.ExecuteInProcessResult:
        job = dg.define_asset_job("these", selection=dg.AssetSelection.assets(*keys))
        loaded = dg.Definitions.merge(load_definitions(self.folder, project_root=ROOT), dg.Definitions(jobs=[job]))
        return loaded.resolve_job_def("these").execute_in_process(raise_on_error=False)

    def contacts(self) -> dict[str, dict[str, Any]]:
        """What stands in the account, by person."""
        answer = requests.get(
            f"{self.address}/crm/v3/objects/contacts?limit=100&properties=cdp_person_id,lifetime_value",
            headers={"Authorization": "Bearer secret-token-of-the-test"},
            timeout=5,
        )
        return {one["properties"]["cdp_person_id"]: one["properties"] for one in answer.json()["results"]}

    def request_count(self) -> int:
        return int(requests.get(f"{self.address}/sandbox/stats", timeout=5).json()["requests"])

    def _write(self, place: str, component: str, attributes: dict[str, Any], changes: dict[str, Any]) -> None:
        file = self.folder / place / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"type": f"cdp_platform.components.{component}", "attributes": attributes | changes}
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


SYNC: dict[str, Any] = {
    "name": "shoppers_contacts",
    "source_model": "shoppers",
    "primary_key": "person_id",
    "destination": {
        "name": "hubspot", "object": "contacts", "entity": "retail_us", "token_env": "HUBSPOT_TOKEN",
        "base_url_env": "HUBSPOT_BASE_URL",
    },
    "mode": "mirror",
    "removal": "archive",
    "purpose": "email_marketing",
    "consent": {"identifier": "email", "channel": "email"},
    "mapping": [
        {"column": "person_id", "field": "cdp_person_id", "match_key": True, "personal": False},
        {"column": "email", "field": "email"},
        {"column": "entered_on", "field": "lapsed_loyalist_since", "personal": False},
        {"column": "traits_rfm.favourite_department", "field": "favourite_department", "personal": False},
        {"column": "lifetime_value", "field": "lifetime_value", "type": "decimal(12,2)", "personal": False},
    ],
    "limits": {"removed_share": 0.9, "shrunk_share": 0.9},
}  # fmt: skip


@pytest.fixture
def shop(parsed_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    home = PLATFORM.home
    for name in ("warehouse.duckdb", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"):
        (home.warehouse.parent / name).unlink(missing_ok=True)
    retail = Retail(home.warehouse, DbtProject(folder=ROOT / "dbt_project", home=home).manifest())
    retail.build()
    settings = SandboxSettings(state_path=tmp_path / "sandbox.sqlite", token="secret-token-of-the-test", port=0)
    with serve_sandbox(settings) as address:
        monkeypatch.setenv("HUBSPOT_BASE_URL", address)
        monkeypatch.setenv("HUBSPOT_TOKEN", settings.token)
        switch(Journal(home), "shoppers_contacts", is_enabled=True)
        found = Shop(folder=tmp_path / "defs", retail=retail, address=address)
        models = found.folder / "models" / "defs.yaml"
        models.parent.mkdir(parents=True)
        shutil.copy(ROOT / "cdp_platform" / "defs" / "models" / "defs.yaml", models)
        found.declare()
        yield found


def shown(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_the_members_reach_the_account_with_columns_of_people_and_who_leaves_is_removed(shop: Shop) -> None:
    first = shop.run(AUDIENCE, PLAN, CONTACTS)
    assert shown(first, CONTACTS)["delivered"] == 3
    assert {name: one["lifetime_value"] for name, one in shop.contacts().items()} == dict.fromkeys(PEOPLE, "100.00")
    shop.retail.build(DAY + timedelta(days=1), coupons=-1)
    second = shop.run(AUDIENCE, PLAN, CONTACTS)
    assert "| remove | 1 |" in shown(second, PLAN)["planned"]
    assert set(shop.contacts()) == PEOPLE - {"lover"}


def test_an_upsert_keeps_who_leaves(shop: Shop) -> None:
    shop.declare(mode="upsert", removal="keep")
    assert shop.run(AUDIENCE, PLAN, CONTACTS).success
    shop.retail.build(DAY + timedelta(days=1), coupons=-1)
    assert shop.run(AUDIENCE, PLAN, CONTACTS).success
    assert set(shop.contacts()) == PEOPLE


def test_who_is_held_out_is_never_sent_and_is_counted_where_the_plan_is_shown(shop: Shop) -> None:
    shop.declare(audience={"holdout_share": 0.5})
    result = shop.run(AUDIENCE, PLAN, CONTACTS)
    held = {name for (name,) in shop.retail.rows("select person_id from audiences.audience_members where is_held_out")}
    assigned = shop.retail.rows("select person_id, arm from audiences.audience_assignments")
    assert 0 < len(held) < 3
    assert {name for name, arm in assigned if arm == "held_out"} == held
    assert set(shop.contacts()) == PEOPLE - held
    assert shown(result, PLAN)["skipped_holdout"] == len(held)


def test_a_share_that_changes_on_the_way_moves_nobody_in_or_out_of_the_account(shop: Shop) -> None:
    shop.declare(audience={"holdout_share": 0.5})
    assert shop.run(AUDIENCE, PLAN, CONTACTS).success
    reached = set(shop.contacts())
    for day, share in ((1, 0.99), (2, 0.01)):
        shop.declare(audience={"holdout_share": share})
        shop.retail.build(DAY + timedelta(days=day))
        plan = shown(shop.run(AUDIENCE, PLAN, CONTACTS), PLAN)
        assert plan["dagster/row_count"] == 0
    assert set(shop.contacts()) == reached


def test_an_empty_audience_stops_the_sync_and_removes_nobody(shop: Shop) -> None:
    assert shop.run(AUDIENCE, PLAN, CONTACTS).success
    shop.declare(audience={"members": {"trait": "coupons_redeemed", "at_least": 99}})
    result = shop.run(AUDIENCE, PLAN, CONTACTS)
    assert not result.success
    assert checks(result)["model_not_empty"] is False
    assert set(shop.contacts()) == PEOPLE


def test_a_size_out_of_its_bounds_stops_the_run_and_what_is_run_alone_after_it(shop: Shop) -> None:
    shop.declare(audience={"size": {"at_most": 2}})
    together = shop.run(AUDIENCE, PLAN, CONTACTS)
    assert not together.success
    assert {event.asset_key for event in together.get_asset_materialization_events()} == {AUDIENCE}
    plan_alone = shop.run(PLAN)
    assert checks(plan_alone)["audience_expected"] is False
    before = shop.request_count()
    job = load_definitions(shop.folder, project_root=ROOT).resolve_implicit_global_asset_job_def()
    with pytest.raises(GuardTripped, match="out of the bounds that it declares"):
        job.execute_in_process(asset_selection=[CONTACTS])
    assert shop.request_count() == before
    assert shop.contacts() == {}


def test_the_bounds_mended_and_the_audience_run_again_the_sync_goes_on(shop: Shop) -> None:
    shop.declare(audience={"size": {"at_most": 2}})
    assert not shop.run(AUDIENCE, PLAN, CONTACTS).success
    shop.declare(audience={"size": {"at_most": 3}})
    result = shop.run(AUDIENCE, PLAN, CONTACTS)
    assert result.success and checks(result)["audience_expected"]
    assert set(shop.contacts()) == PEOPLE


def test_an_audience_that_was_never_computed_is_named_with_what_to_do(shop: Shop) -> None:
    [failure] = [event for event in shop.run(PLAN).all_events if event.is_step_failure]
    assert "Materialize audiences/shoppers first" in str(failure.step_failure_data.error)


def test_the_plan_lies_below_the_audience_and_the_models_whose_columns_it_takes(shop: Shop) -> None:
    loaded = load_definitions(shop.folder, project_root=ROOT)
    graph = loaded.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get(PLAN).parent_keys} == {
        "audiences/shoppers", "marts/profiles", "marts/traits_rfm", "marts/consents", "marts/suppressions",
    }  # fmt: skip
    lineage = graph.get(CONTACTS).metadata["dagster/column_lineage"].deps_by_column
    found = {field: [(d.asset_key.to_user_string(), d.column_name) for d in deps] for field, deps in lineage.items()}
    assert found == {
        "cdp_person_id": [("audiences/shoppers", "person_id")],
        "email": [("marts/profiles", "email")],
        "lapsed_loyalist_since": [("audiences/shoppers", "entered_on")],
        "favourite_department": [("marts/traits_rfm", "favourite_department")],
        "lifetime_value": [("marts/traits_rfm", "lifetime_value")],
    }


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"source_model": "shopper"}, "source_model", "Did you mean `shoppers`?"),
        ({"source_model": "sync_contacts_crm"}, "source_model", "Did you mean `sync_contacts__crm`?"),
        ({"primary_key": "email"}, "primary_key", "their key is 'person_id'"),
        ({"mode": "append", "removal": "keep"}, "mode", "`mode: upsert` or `mode: mirror`"),
        ({"consent": {"identifier": "emial"}}, "consent.identifier", "Did you mean `email`?"),
        ({"mapping": [SYNC["mapping"][0], {"column": "lifetime_valu", "field": "lifetime_value"}]},
         "mapping.1.column", "Did you mean `lifetime_value`?"),
        ({"mapping": [SYNC["mapping"][0], {"column": "favourite_department", "field": "favourite_department"}]},
         "mapping.1.column", "`traits_rfm.favourite_department`"),
        ({"mapping": [SYNC["mapping"][0], {"column": 'x" from t; --', "field": "email"}]},
         "mapping.1.column", "have no column"),
    ],
)  # fmt: skip
def test_what_the_people_of_an_audience_do_not_have_is_refused_at_load(
    shop: Shop, changes: dict[str, Any], field: str, says: str
) -> None:
    shop.declare(**changes)
    for load in (load_definitions, load_syncs):
        with pytest.raises(ConfigError) as caught:
            load(shop.folder, project_root=ROOT)
        assert caught.value.field == field
        assert says in str(caught.value)
        file, _, line = caught.value.place.rpartition(":")
        assert Path(file) == shop.folder / "syncs" / "shoppers_contacts" / "defs.yaml"
        assert int(line) > 1


def test_the_demos_sync_knows_the_audiences_above_its_model(parsed_home: Path) -> None:
    spec = load_syncs(ROOT / "cdp_platform" / "defs", ROOT)["crm_contacts"]
    names = {file.parent.name for file in (ROOT / "cdp_platform" / "defs" / "audiences").glob("*/defs.yaml")}
    assert set(spec.audiences) == names
    assert len(names) == 5


def test_the_example_loads_beside_what_is_shipped(parsed_home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))
    shutil.copytree(EXAMPLE, folder / "syncs" / EXAMPLE.name)
    graph = load_definitions(folder, project_root=ROOT).resolve_asset_graph()
    assert dg.AssetKey(["audiences", "coupon_lovers"]) in graph.get(dg.AssetKey(["plans", EXAMPLE.name])).parent_keys
    assert load_syncs(folder, ROOT)[EXAMPLE.name].audiences == ("coupon_lovers",)
