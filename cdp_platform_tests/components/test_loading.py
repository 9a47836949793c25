"""A wrong `defs.yaml` is told apart by file, line, field, wrong value and the nearest valid one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from cdp_platform.components.loading import load_definitions, load_syncs
from cdp_platform.components.resources import Platform
from cdp_platform.domain.syncs import Grant, OAuth
from cdp_platform.errors import ConfigError

ROOT = Path(__file__).parents[2]
SYNC = "syncs/crm_contacts"


@pytest.fixture
def folder(parsed_home: Path, tmp_path: Path) -> Path:
    """A copy of our own `defs/`, to be spoiled; its sync removes nothing and follows no merges."""
    copied = Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))
    spoil(copied / SYNC, "  key_moves: identity.identity_merges\n  removal: archive\n", "")
    return copied


def test_the_project_loads_without_a_secret(definitions: dg.Definitions) -> None:
    assert definitions.resolve_asset_graph().get_all_asset_keys()


@pytest.mark.parametrize(
    ("sync", "line", "field", "told"),
    [
        ("sales_accounts", "read_back:", "read_back", "policies of fields"),
        ("lapsed_loyalists_ads", "source_model:", "source_model", "an audience as its source"),
    ],
)
def test_what_a_warehouse_that_is_only_read_cannot_do_is_refused_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, sync: str, line: str, field: str, told: str
) -> None:
    monkeypatch.setattr(Platform, "is_only_read", property(lambda platform: True))
    others = [path for path in (folder / "syncs").iterdir() if path.name != sync]
    for path in [*others, folder / "feedback", folder / "automation", folder / "checks"]:
        shutil.rmtree(path)
    with pytest.raises(ConfigError, match=told) as caught:
        load_syncs(folder, ROOT)
    lines = (folder / "syncs" / sync / "defs.yaml").read_text(encoding="utf-8").splitlines()
    number = next(number for number, text in enumerate(lines, 1) if text.strip().startswith(line))
    assert (caught.value.place, caught.value.field) == (f"{folder / 'syncs' / sync / 'defs.yaml'}:{number}", field)


def test_an_unknown_field_is_named_with_its_line_and_the_nearest_field(folder: Path) -> None:
    spoil(folder / SYNC, "primary_key:", "primary_kee:")
    error = problem(folder)
    assert error.place == f"{folder / SYNC / 'defs.yaml'}:5"
    assert error.field == "primary_kee"
    assert "Did you mean `primary_key`?" in str(error)


def test_an_unknown_field_deep_inside_is_found(folder: Path) -> None:
    spoil(folder / SYNC, "{column: email, field: email}", "{column: email, feild: email}")
    error = problem(folder)
    assert error.field == "mapping.1.feild"
    assert "Did you mean `field`?" in str(error)


def test_a_wrong_type_is_shown_with_its_value(folder: Path) -> None:
    spoil(folder / SYNC, "freshness_hours: 36", "freshness_hours: soon")
    error = problem(folder)
    assert error.field == "freshness_hours"
    assert "'soon'" in str(error)
    assert "integer" in str(error)


def test_a_value_outside_of_the_list_names_the_list(folder: Path) -> None:
    spoil(folder / SYNC, "mode: upsert", "mode: upsurt")
    error = problem(folder)
    assert error.field == "mode"
    assert "'upsert'" in str(error)


def test_a_missing_field_is_named(folder: Path) -> None:
    spoil(folder / SYNC, "  primary_key: person_id\n", "")
    assert "required" in str(problem(folder))
    assert problem(folder).field == "primary_key"


def test_an_unknown_component_names_the_nearest(folder: Path) -> None:
    spoil(folder / SYNC, "components.SyncComponent", "components.SinkComponent")
    error = problem(folder)
    assert error.place.endswith("defs.yaml:1")
    assert "Did you mean `cdp_platform.components.SyncComponent`?" in str(error)


def test_an_unknown_model_names_the_nearest(folder: Path) -> None:
    spoil(folder / SYNC, "source_model: sync_contacts__crm", "source_model: sync_contact__crm")
    error = problem(folder)
    assert error.place == f"{folder / SYNC / 'defs.yaml'}:4"
    assert error.field == "source_model"
    assert "Did you mean `sync_contacts__crm`?" in str(error)


def test_two_syncs_of_one_name_are_refused_naming_both_files(folder: Path) -> None:
    shutil.copytree(folder / SYNC, folder / "syncs" / "crm_contacts_again")
    message = str(problem(folder))
    assert str(folder / SYNC / "defs.yaml") in message
    assert str(folder / "syncs" / "crm_contacts_again" / "defs.yaml") in message


def second_sync(folder: Path, *replaced: tuple[str, str]) -> Path:
    """Add a sync of another name to the same object, which maps its match key alone; return its file."""
    content = yaml.safe_load((folder / SYNC / "defs.yaml").read_text(encoding="utf-8"))
    content["attributes"] |= {"name": "crm_again", "mapping": content["attributes"]["mapping"][:1]}
    file = folder / "syncs" / "crm_again" / "defs.yaml"
    file.parent.mkdir()
    text = yaml.safe_dump(content, sort_keys=False)
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")
    return file


def test_two_syncs_may_share_an_object_and_its_match_key(folder: Path) -> None:
    shipped = set(load_syncs(folder, ROOT))
    second_sync(folder)
    assert set(load_syncs(folder, ROOT)) == shipped | {"crm_again"} != shipped


@pytest.mark.parametrize("connection", ["name: hubspot", "name: hubspot\n    connection: another_name"])
def test_two_syncs_that_write_one_field_are_refused_naming_both_files(folder: Path, connection: str) -> None:
    mapped = ("  mapping:\n", "  mapping:\n  - column: email\n    field: email\n")
    file = second_sync(folder, mapped, ("name: hubspot", connection))
    error = problem(folder)
    assert "the field `email`" in str(error)
    assert str(file) in str(error) or str(folder / SYNC) in error.place
    assert str(folder / SYNC / "defs.yaml") in str(error)
    with pytest.raises(ConfigError, match="the field `email`"):
        load_syncs(folder, ROOT)


def test_two_syncs_of_two_accounts_may_write_one_field(folder: Path) -> None:
    mapped = ("  mapping:\n", "  mapping:\n  - column: email\n    field: email\n")
    other = ("name: hubspot", "name: hubspot\n    connection: hubspot_other")
    second_sync(folder, mapped, other, ("token_env: HUBSPOT_TOKEN", "token_env: HUBSPOT_OTHER_TOKEN"))
    assert {"crm_contacts", "crm_again"} <= set(load_syncs(folder, ROOT))


OAUTH = """oauth: {token_url: "https://api.example.com/oauth/token", grant: refresh_token,
      client_id_env: CRM_CLIENT_ID, client_secret_env: CRM_CLIENT_SECRET, refresh_token_env: CRM_REFRESH_TOKEN}"""


def test_oauth_stands_in_place_of_a_token(folder: Path) -> None:
    spoil(folder / SYNC, "token_env: HUBSPOT_TOKEN", OAUTH)
    connection = load_syncs(folder, ROOT)["crm_contacts"].connection
    assert connection.token_env is None
    assert connection.oauth == OAuth(
        token_url="https://api.example.com/oauth/token",
        grant=Grant.REFRESH_TOKEN,
        client_id_env="CRM_CLIENT_ID",
        client_secret_env="CRM_CLIENT_SECRET",
        refresh_token_env="CRM_REFRESH_TOKEN",
    )


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("oauth:", "token_env: HUBSPOT_TOKEN, oauth:", "destination.oauth", "not both"),
        ("grant: refresh_token", "grant: password", "destination.oauth.grant", "refresh_token"),
        ("grant: refresh_token", "grant: client_credentials", "destination.oauth.refresh_token_env", "no other grant"),
        (", refresh_token_env: CRM_REFRESH_TOKEN", "", "destination.oauth", "needs the name of a variable"),
        ("https://api.example.com", "http://api.example.com", "destination.oauth.token_url", "must begin with https"),
        ("https://api.example.com", "https://user:canary@example.com", "destination.oauth.token_url", "user or pass"),
        ("client_id_env:", "client_id_emv:", "destination.oauth.client_id_emv", "Did you mean `client_id_env`?"),
    ],
)
def test_a_wrong_credential_is_told_apart(folder: Path, old: str, new: str, field: str, says: str) -> None:
    spoil(folder / SYNC, "token_env: HUBSPOT_TOKEN", OAUTH)
    spoil(folder / SYNC, old, new)
    error = problem(folder)
    assert error.field == field
    assert says in str(error)
    assert error.place
    assert "canary" not in str(error)


def test_two_syncs_of_one_oauth_client_may_not_write_one_field(folder: Path) -> None:
    spoil(folder / SYNC, "token_env: HUBSPOT_TOKEN", OAUTH)
    mapped = ("  mapping:\n", "  mapping:\n  - column: email\n    field: email\n")
    second_sync(folder, mapped, ("name: hubspot", "name: hubspot\n    connection: another_name"))
    assert "the field `email`" in str(problem(folder))


def test_two_mirrors_of_one_object_are_refused_naming_both_files(folder: Path) -> None:
    mirror = ("mode: upsert", "mode: mirror\n  removal: archive")
    file = second_sync(folder, mirror)
    spoil(folder / SYNC, *mirror)
    error = problem(folder)
    assert error.field == "removal"
    assert str(file) in str(error) and str(folder / SYNC / "defs.yaml") in str(error)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("mode: mirror", "field `removal`: a mirror must say"),
        ("mode: upsert\n  removal: archive", "field `removal`: the mode upsert removes nothing"),
        ("mode: mirror\n  removal: delete", "field `removal`: hubspot contacts cannot delete"),
        ("mode: upsert\n  key_moves: merges; drop", "field `key_moves`: 'merges; drop' is no table"),
        ("mode: upsert\n  approval: always", "field `approval`"),
        ("mode: upsert\n  first_run: some", "field `first_run`"),
    ],
)
def test_a_wrong_word_about_removals_approvals_or_the_first_run_is_refused(
    folder: Path, written: str, says: str
) -> None:
    spoil(folder / SYNC, "mode: upsert", written)
    assert says in str(problem(folder))


def test_the_words_of_the_file_reach_the_spec(folder: Path) -> None:
    spoil(
        folder / SYNC,
        "mode: upsert",
        "mode: mirror\n  removal: archive\n  approval: required\n  first_run: baseline\n  key_moves: identity.merges",
    )
    spec = load_syncs(folder, ROOT)["crm_contacts"]
    assert (spec.mode, spec.removal, spec.needs_approval, spec.first_run) == ("mirror", "archive", True, "baseline")
    assert spec.key_moves == "identity.merges"


def test_two_documents_in_a_file_are_refused(folder: Path) -> None:
    file = folder / SYNC / "defs.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "---\ntype: another\n", encoding="utf-8")
    assert "2 documents instead of one" in str(problem(folder))


def test_broken_yaml_is_named_with_its_line(folder: Path) -> None:
    spoil(folder / "loop", "  days:", "  days: [")
    error = problem(folder)
    assert "this is not YAML" in str(error)
    assert error.place.startswith(f"{folder / 'loop' / 'defs.yaml'}:")


@pytest.mark.parametrize("content", ["", "just a text\n", "- a\n- list\n"])
def test_a_file_of_another_shape_is_refused(folder: Path, content: str) -> None:
    (folder / "loop" / "defs.yaml").write_text(content, encoding="utf-8")
    assert str(folder / "loop" / "defs.yaml") in str(problem(folder))


def test_a_field_beside_type_and_attributes_is_refused(folder: Path) -> None:
    spoil(folder / "loop", "attributes:", "atributes:")
    assert "Did you mean `attributes`?" in str(problem(folder))


def test_days_that_end_before_they_start_are_refused(folder: Path) -> None:
    spoil(folder / "ingest/retail", "end: 2017-12-31", "end: 2016-12-31")
    error = problem(folder)
    assert error.field == "days.end"
    assert "2016-12-31" in str(error)


def test_an_unknown_time_zone_names_the_nearest(folder: Path) -> None:
    spoil(folder / "ingest/retail", "America/New_York", "America/New_Yorc")
    assert "Did you mean `America/New_York`?" in str(problem(folder))


def test_an_unknown_source_table_names_the_nearest(folder: Path) -> None:
    spoil(folder / "ingest/retail", "{transactions: 36}", "{transaction: 36}")
    assert "Did you mean `transactions`?" in str(problem(folder))


def test_the_replay_is_announced_to_this_machine_only(folder: Path) -> None:
    spoil(folder / "loop", "http://127.0.0.1:8790", "http://crm.example.com")
    assert problem(folder).field == "replay.announce_to"


def test_a_check_of_an_asset_that_nothing_makes_is_refused(folder: Path) -> None:
    spoil(folder / "checks", "{asset: marts/profiles}", "{asset: marts/profile}")
    assert "there is no asset 'marts/profile'. Did you mean `marts/profiles`?" in str(problem(folder))
    assert problem(folder).field == "row_count.0.asset"


def test_an_unknown_environment_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_ENVIRONMENT", "locall")
    assert "CDP_ENVIRONMENT is 'locall'. Did you mean `local`?" in str(problem(folder))


def test_loading_imports_nothing_that_only_a_run_needs(parsed_home: Path, definitions: dg.Definitions) -> None:
    heavy = ("dagster_dbt", "dlt", "dbt", "pandas", "sqlglot", "snowflake.connector", "google.cloud.bigquery")
    program = f"import sys, cdp_platform.definitions; print([name for name in {heavy!r} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_ordinary_loader_reads_the_same_files(parsed_home: Path, definitions: dg.Definitions) -> None:
    program = (
        "from pathlib import Path; import dagster as dg;"
        "defs = dg.load_from_defs_folder(path_within_project=Path.cwd());"
        "print(len(defs.resolve_asset_graph().get_all_asset_keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) == len(definitions.resolve_asset_graph().get_all_asset_keys())


def spoil(folder: Path, old: str, new: str) -> None:
    """Replace text in a folder's `defs.yaml`."""
    file = folder / "defs.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def problem(folder: Path) -> ConfigError:
    """Load the folder and return what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        load_definitions(folder, project_root=ROOT)
    return caught.value
