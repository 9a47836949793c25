"""A sync in Dagster: the plan shows, the guards hold, the switch is obeyed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from cdp_platform.cli.declared_syncs import open_sync
from cdp_platform.components.loading import load_definitions
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.domain.home import Home
from cdp_platform.errors import AuthenticationFailed, CdpError, ConfigError, ConnectionFailed, GuardTripped
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.controls import approve, pause, resume, switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.revert import make_revert
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "cdp_platform" / "defs" / "syncs" / "crm_contacts" / "defs.yaml"
PLAN = dg.AssetKey(["plans", "crm_contacts"])
CONTACTS = dg.AssetKey(["hubspot", "crm_contacts"])
_COLUMNS = {
    "person_id": "varchar",
    "email": "varchar",
    "first_name": "varchar",
    "last_name": "varchar",
    "phone": "varchar",
    "email_permission": "varchar",
    "email_permission_changed_on": "date",
    "lapsed_loyalist": "boolean",
    "lapsed_loyalist_since": "date",
    "high_value_at_risk": "boolean",
    "coupon_lover": "boolean",
    "new_department_explorer": "boolean",
    "big_basket_family": "boolean",
    "rfm_segment": "varchar",
    "lifetime_value": "decimal(12,2)",
    "last_order_on": "date",
    "favourite_department": "varchar",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Path]:
    """One CDP_HOME for the module, in which dbt has parsed the project."""
    root = tmp_path_factory.mktemp("home")
    shutil.copytree(parsed_project, Home(root=root).dbt_target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDP_HOME", str(root))
        yield root


@pytest.fixture
def shop(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty account with a warehouse of two people; the address of the account."""
    for name in ("warehouse.duckdb", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"):
        (home / name).unlink(missing_ok=True)
    fill(["p-1", "p-2"])
    settings = SandboxSettings(state_path=tmp_path / "sandbox.sqlite", token="secret-token-of-the-test", port=0)
    with serve_sandbox(settings) as address:
        monkeypatch.setenv("HUBSPOT_BASE_URL", address)
        monkeypatch.setenv("HUBSPOT_TOKEN", settings.token)
        switch(Journal(cdp_home()), "crm_contacts", is_enabled=True)
        yield address


def fill(people: list[str]) -> None:
    """Write the source model and the consents of these people."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    with DuckDbWarehouse(cdp_home().warehouse).session("test") as session:
        session.execute("create schema if not exists activation")
        session.execute("create schema if not exists marts")
        session.execute(f"create or replace table activation.sync_contacts__crm ({columns})")
        session.execute(
            "create or replace table marts.consents (identifier varchar, entity varchar, channel varchar,"
            " purpose varchar, status varchar)"
        )
        session.execute(
            "create or replace table marts.suppressions (identifier varchar, channel varchar, entity varchar)"
        )
        for person in people:
            session.execute(
                "insert into activation.sync_contacts__crm (person_id, email, email_permission, rfm_segment,"
                " lapsed_loyalist, lifetime_value) values (?, ?, 'granted', 'loyal', true, 12.5)",
                [person, f"{person}@example.com"],
            )
            session.execute(
                "insert into marts.consents values (?, 'retail_us', 'email', 'email_marketing', 'granted')",
                [f"{person}@example.com"],
            )


def definitions(folder: Path, **changes: Any) -> dg.Definitions:
    """Load the project's models and its sync, with changed attributes."""
    content = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    content["attributes"] |= changes
    models = folder / "models" / "defs.yaml"
    models.parent.mkdir(parents=True)
    models.write_text((ROOT / "cdp_platform" / "defs" / "models" / "defs.yaml").read_text(encoding="utf-8"))
    sync = folder / "sync" / "defs.yaml"
    sync.parent.mkdir()
    sync.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return load_definitions(folder, project_root=ROOT)


def materialize(folder: Path, *keys: dg.AssetKey, **changes: Any) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("these", selection=dg.AssetSelection.assets(*keys))
    defs = dg.Definitions.merge(definitions(folder, **changes), dg.Definitions(jobs=[job]))
    return defs.resolve_job_def("these").execute_in_process(raise_on_error=True)


def requests_at(address: str) -> int:
    """How many requests for contacts the account has seen."""
    import requests

    return int(requests.get(f"{address}/sandbox/stats", timeout=5).json()["requests"])


def metadata_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_plan_and_send_show_their_counts_and_mask_people(shop: str, tmp_path: Path) -> None:
    result = materialize(tmp_path / "defs", PLAN, CONTACTS)
    plan, sent = metadata_of(result, PLAN), metadata_of(result, CONTACTS)
    assert plan["dagster/row_count"] == 2
    assert "| create | 2 |" in plan["planned"]
    assert "| p-1 | create | email | ∅ → p•••@•••.com |" in plan["preview"]
    assert "@example.com" not in str(plan) + str(sent)
    assert (sent["planned"], sent["delivered"], sent["digest"]) == (2, 2, plan["digest"])
    assert "| create | 2 |" in sent["operations"]
    assert (sent["requests"], sent["share_429"]) == (2, 0.0)
    assert 0 < sent["latency_p50_ms"] <= sent["latency_p95_ms"] <= sent["latency_p99_ms"]
    assert {check.check_name for check in result.get_asset_check_evaluations() if check.passed} >= {
        "keys_unique",
        "consent_present",
        "mapping_fits",
        "books_balance",
    }


def test_a_plan_tells_what_it_sends_again_and_why(shop: str, tmp_path: Path) -> None:
    first = materialize(tmp_path / "first", PLAN, CONTACTS)
    assert "sent_again" not in metadata_of(first, PLAN)
    mapping = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))["attributes"]["mapping"]
    fewer = [entry for entry in mapping if entry["column"] != "favourite_department"]
    told = metadata_of(materialize(tmp_path / "second", PLAN, mapping=fewer), PLAN)["sent_again"]
    assert told.startswith("2 rows are sent again only because the mapping of the sync changed.")


def test_the_destination_alone_after_a_failed_guard_makes_no_request(shop: str, tmp_path: Path) -> None:
    fill(["p-1", "p-1"])
    with pytest.raises(dg.DagsterError):
        materialize(tmp_path / "first", PLAN, CONTACTS)
    before = requests_at(shop)
    with pytest.raises(GuardTripped, match="keys_unique"):
        materialize(tmp_path / "second", CONTACTS)
    assert requests_at(shop) == before


def test_a_plan_that_waits_for_an_approval_stops_the_run_and_is_sent_alone_once_it_has_one(
    shop: str, tmp_path: Path
) -> None:
    with pytest.raises(dg.DagsterError, match="approved"):
        materialize(tmp_path / "first", PLAN, CONTACTS, approval="required")
    with pytest.raises(GuardTripped, match="waits for an approval"):
        materialize(tmp_path / "second", CONTACTS, approval="required")
    journal = Journal(cdp_home())
    waiting = journal.plan("crm_contacts")
    assert waiting is not None
    approve(journal, "crm_contacts", waiting.digest, approved_by="olive")
    sent = metadata_of(materialize(tmp_path / "third", CONTACTS, approval="required"), CONTACTS)
    assert (sent["delivered"], sent["digest"]) == (2, waiting.digest)


def test_an_approval_that_waits_for_the_send_is_shown_by_the_next_equal_plan(shop: str, tmp_path: Path) -> None:
    with pytest.raises(dg.DagsterError):
        materialize(tmp_path / "first", PLAN, CONTACTS, approval="required")
    journal = Journal(cdp_home())
    approve(journal, "crm_contacts", journal.plan("crm_contacts").digest, approved_by="olive")  # type: ignore[union-attr]
    result = materialize(tmp_path / "second", PLAN, CONTACTS, approval="required")
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "approved"]
    assert check.passed and "olive approved this plan" in str(check.description)
    assert metadata_of(result, CONTACTS)["delivered"] == 2


def test_a_paused_sync_plans_says_so_and_fails_where_it_would_send(shop: str, tmp_path: Path) -> None:
    pause(Journal(cdp_home()), "connection", "hubspot", paused_by="olive")
    plan = metadata_of(materialize(tmp_path / "first", PLAN), PLAN)
    assert "Paused by olive" in plan["paused"]
    with pytest.raises(CdpError, match=r"paused by olive.*cdp resume"):
        materialize(tmp_path / "second", CONTACTS)
    resume(Journal(cdp_home()), "connection", "hubspot")
    assert "paused" not in metadata_of(materialize(tmp_path / "third", PLAN), PLAN)


def test_a_revert_is_sent_by_the_destination_alone_while_the_sync_is_off(shop: str, tmp_path: Path) -> None:
    first = materialize(tmp_path / "first", PLAN, CONTACTS)
    with DuckDbWarehouse(cdp_home().warehouse).session("test") as session:
        session.execute("update activation.sync_contacts__crm set rfm_segment = 'lapsed' where person_id = 'p-1'")
    second = materialize(tmp_path / "second", PLAN, CONTACTS)
    assert first.run_id != second.run_id
    engine, spec = open_sync("crm_contacts")
    made = make_revert(engine, spec, second.run_id[:8], run_id="by-hand")
    assert made.operations == {"update": 1}
    approve(engine.journal, "crm_contacts", made.digest, approved_by="olive")
    sent = metadata_of(materialize(tmp_path / "third", CONTACTS), CONTACTS)
    assert (sent["delivered"], sent["digest"]) == (1, made.digest)
    assert materialize(tmp_path / "fourth", PLAN, CONTACTS).get_asset_materialization_events()[0].asset_key == PLAN


def test_guards_are_shown_where_they_judge(home: Path, tmp_path: Path) -> None:
    graph = definitions(tmp_path / "mirror", mode="mirror", removal="archive", approval="required")
    checks = {key.name for key in graph.resolve_asset_graph().get_check_keys_for_assets({PLAN})}
    assert checks >= {"keys_unique", "consent_present", "removals_within_limit", "approved"}
    plain = (
        definitions(tmp_path / "plain", key_moves=None, removal="keep")
        .resolve_asset_graph()
        .get_check_keys_for_assets({PLAN})
    )
    assert not {key.name for key in plain} & {"removals_within_limit", "approved"}


def test_a_sync_is_found_by_name_with_its_file(shop: str) -> None:
    _, spec = open_sync("crm_contacts")
    assert (spec.relation, spec.match_key.field) == ("activation.sync_contacts__crm", "cdp_person_id")
    assert spec.declared_in.endswith("crm_contacts/defs.yaml:1")
    with pytest.raises(CdpError, match=r"there is no sync .crm_contact.\. Did you mean `crm_contacts`"):
        open_sync("crm_contact")


def test_a_sync_that_is_off_plans_sends_nothing_and_asks_nothing(shop: str, tmp_path: Path) -> None:
    switch(Journal(cdp_home()), "crm_contacts", is_enabled=False)
    result = materialize(tmp_path / "defs", PLAN, CONTACTS)
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [PLAN]
    assert requests_at(shop) == 0


def test_a_missing_token_names_its_variable_and_what_to_do(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUBSPOT_TOKEN")
    with pytest.raises(AuthenticationFailed, match="HUBSPOT_TOKEN"):
        materialize(tmp_path / "defs", PLAN, CONTACTS)


def test_a_crm_that_is_down_is_named_and_no_token_is_shown(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSPOT_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionFailed) as failure:
        materialize(tmp_path / "defs", PLAN, CONTACTS)
    assert "hubspot" in str(failure.value).lower()
    assert "secret-token" not in str(failure.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source_model": "sync_contact__crm"}, r"source_model.*Did you mean `sync_contacts__crm`"),
        ({"mode": "append"}, r"field `mode`: hubspot contacts cannot append\. It can: mirror, upsert"),
        ({"mode": "upsrt"}, r"field `mode`.*upsrt"),
        ({"consent": None}, r"field `consent`.*email_marketing"),
        ({"mapping": [{"column": "email", "field": "email"}]}, r"field `mapping`: 0 fields are the match key"),
        ({"mapping": [{"column": "email", "feild": "email"}]}, r"mapping.*feild.*Did you mean `field`"),
        (
            {"mapping": [{"column": "person_id", "field": "id", "match_key": True, "type": "money"}]},
            r"a type is text, integer, decimal\(12,2\)",
        ),
        (
            {"destination": {"name": "hubspto", "object": "contacts"}},
            r"hubspto.*hubspot",
        ),
        ({"limits": {"shrunk_share": 3}}, r"limits\.shrunk_share.*3"),
        ({"porpose": "x"}, r"porpose.*Did you mean `purpose`"),
    ],
)
def test_a_wrong_definition_is_refused_with_file_line_and_field(
    home: Path, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as failure:
        definitions(tmp_path / "defs", **changes)
    assert "sync/defs.yaml:" in str(failure.value)
