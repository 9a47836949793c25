"""What the CRM says back: a snapshot a day, and no request while the sync is switched off."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

CONTACTS = dg.AssetKey(["feedback", "hubspot", "contacts"])
HISTORY = dg.AssetKey(["feedback", "hubspot", "contacts_history"])


@pytest.fixture
def account(parsed_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An account without contacts; its address."""
    settings = SandboxSettings(state_path=tmp_path / "sandbox.sqlite", token="token-of-the-test", port=0)
    with serve_sandbox(settings) as address:
        monkeypatch.setenv("HUBSPOT_BASE_URL", address)
        monkeypatch.setenv("HUBSPOT_TOKEN", settings.token)
        yield address


def test_switched_off_nothing_is_asked_and_nothing_is_claimed(
    definitions: dg.Definitions, parsed_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUBSPOT_TOKEN", raising=False)
    switch(Journal(cdp_home()), "crm_contacts", is_enabled=False)
    with dg.DagsterInstance.ephemeral() as instance:
        result = read_back(definitions, instance, "2017-12-25")
        assert result.success
        assert result.get_asset_materialization_events() == []


def test_a_day_is_read_back_once_however_often_it_is_run(definitions: dg.Definitions, account: str) -> None:
    switch(Journal(cdp_home()), "crm_contacts", is_enabled=True)
    with dg.DagsterInstance.ephemeral() as instance:
        for day in ("2017-12-25", "2017-12-25", "2017-12-26"):
            assert read_back(definitions, instance, day).success
        assert instance.get_materialized_partitions(HISTORY) == {"2017-12-25", "2017-12-26"}
        assert instance.get_materialized_partitions(CONTACTS) == {"2017-12-25", "2017-12-26"}
    with DuckDbWarehouse(cdp_home().warehouse).session("test") as session:
        assert "email_opt_out" in session.columns("raw_hubspot.contacts")


def test_without_a_token_the_read_back_fails_and_names_the_variable(
    definitions: dg.Definitions, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch(Journal(cdp_home()), "crm_contacts", is_enabled=True)
    monkeypatch.delenv("HUBSPOT_TOKEN")
    with dg.DagsterInstance.ephemeral() as instance:
        result = read_back(definitions, instance, "2017-12-25")
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert "HUBSPOT_TOKEN" in str(failure.step_failure_data.error)
        assert instance.get_materialized_partitions(HISTORY) == set()


def test_a_range_of_days_asks_nobody_and_notes_what_was_read_back_on_each(
    definitions: dg.Definitions, parsed_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSPOT_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("HUBSPOT_TOKEN", raising=False)
    asset = definitions.resolve_asset_graph().assets_def_for_key(CONTACTS)
    tags = {"dagster/asset_partition_range_start": "2017-03-01", "dagster/asset_partition_range_end": "2017-03-03"}
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([asset], instance=instance, tags=tags).success
        days = {"2017-03-01", "2017-03-02", "2017-03-03"}
        assert instance.get_materialized_partitions(CONTACTS) == days
        assert instance.get_materialized_partitions(HISTORY) == days


def read_back(definitions: dg.Definitions, instance: dg.DagsterInstance, day: str) -> dg.ExecuteInProcessResult:
    asset = definitions.resolve_asset_graph().assets_def_for_key(CONTACTS)
    return dg.materialize([asset], instance=instance, partition_key=day, raise_on_error=False)
