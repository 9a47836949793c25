"""Accounts and opportunities of Salesforce as assets: a day holds what was last changed on it, and is replaced."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests

from cdp_platform.components.loading import load_definitions
from cdp_platform.components.resources import PLATFORM
from cdp_platform.components.source_account import SourceAccount
from cdp_platform.connectors.protocol import Answer
from cdp_platform.errors import ConfigError, ContractBroken
from cdp_platform.ingest import salesforce
from cdp_platform_tests.contracts.salesforce_stage import DATA, TOKEN, Organization, serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "sources" / "salesforce" / "defs.yaml"


@pytest.fixture
def organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SALESFORCE_TOKEN", TOKEN)
    (tmp_path / "home").mkdir()
    folder = tmp_path / "project" / "defs" / "salesforce"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(EXAMPLE.read_text())
    with serving(tmp_path / "sandbox") as served:
        monkeypatch.setenv("SALESFORCE_BASE_URL", served.url)
        yield served


def load(project: Path, table: str, first: str, last: str | None = None) -> None:
    definitions = load_definitions(project / "defs", project)
    assets = definitions.resolve_asset_graph().assets_defs
    (asset,) = [one for one in assets if one.key == dg.AssetKey(["raw", "salesforce", table])]
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last or first}
    dg.materialize([asset], tags=tags)


def rows(table: str, order: str) -> list[dict[str, Any]]:
    with PLATFORM.warehouse.session("test") as session:
        return list(session.rows(f"select * from raw_salesforce.{table} order by {order}"))


def test_days_hold_what_was_changed_on_them_and_loading_one_twice_changes_nothing(
    organization: Organization, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    load(project, "accounts", "2017-01-01", "2017-12-31")
    known = rows("accounts", "account_id")
    assert len(known) == 40 and known[0]["name"] == "Alder Grocers"
    assert all(row["modified_at"].date() == row["modified_on"] for row in known)
    load(project, "accounts", str(known[0]["modified_on"]))
    again = rows("accounts", "account_id")
    assert again[0]["read_at"] > known[0]["read_at"]
    assert [{**row, "read_at": None} for row in again] == [{**row, "read_at": None} for row in known]


def test_an_account_that_changes_or_goes_is_told_by_the_day_of_it(organization: Organization, tmp_path: Path) -> None:
    project = tmp_path / "project"
    load(project, "accounts", "2017-01-01", "2017-12-31")
    changed, gone = rows("accounts", "account_id")[:2]
    organization.ask("PATCH", f"{DATA}/sobjects/Account/{changed['account_id']}", json={"Industry": "Hospitality"})
    for deal in organization.query(f"SELECT Id FROM Opportunity WHERE AccountId = '{gone['account_id']}'"):
        organization.ask("DELETE", f"{DATA}/sobjects/Opportunity/{deal['Id']}")
    assert organization.ask("DELETE", f"{DATA}/sobjects/Account/{gone['account_id']}").status_code == 204
    by_id = {row["account_id"]: row for row in read(organization, datetime.now(UTC).date().isoformat())}
    assert by_id[changed["account_id"]]["industry"] == "Hospitality"
    assert by_id[gone["account_id"]]["is_deleted"] is True


def test_an_account_of_ours_is_known_again_by_the_field_that_the_option_names(organization: Organization) -> None:
    organization.ask("PATCH", f"{DATA}/sobjects/Account/CDP_Id__c/p-1", json={"Name": "Okafor"})
    today = datetime.now(UTC).date().isoformat()
    [named] = read(organization, today, external_id="CDP_Id__c")
    [unnamed] = read(organization, today)
    assert (named["name"], named["external_id"], unnamed["external_id"]) == ("Okafor", "p-1", None)
    assert named["read_at"].date().isoformat() == today


def test_an_option_that_the_source_does_not_know_is_named() -> None:
    with pytest.raises(ConfigError, match="external_ids"):
        salesforce.SOURCE.check_options({"external_ids": "CDP_Id__c"})


def test_while_a_day_is_replayed_records_are_made_and_changed_on_it(organization: Organization) -> None:
    assert requests.put(f"{organization.url}/sandbox/clock", json={"day": "2017-12-26"}, timeout=10).ok
    organization.ask("PATCH", f"{DATA}/sobjects/Account/CDP_Id__c/p-1", json={"Name": "Okafor"})
    [found] = read(organization, "2017-12-26")
    assert found["created_at"].date() == found["modified_on"] == date(2017, 12, 26)
    requests.put(f"{organization.url}/sandbox/clock", json={"day": "2017-12-27"}, timeout=10)
    assert organization.ask("DELETE", f"{DATA}/sobjects/Account/{found['account_id']}").status_code == 204
    [gone] = read(organization, "2017-12-27")
    assert gone["is_deleted"] and gone["created_at"] == found["created_at"]


def read(organization: Organization, day: str, **options: str) -> list[dict[str, Any]]:
    account = SourceAccount(token_env="SALESFORCE_TOKEN", base_url=organization.url, options=options)
    days = date.fromisoformat(day), date.fromisoformat(day)
    found: list[dict[str, Any]] = account.read(
        salesforce.SOURCE, "salesforce", "accounts", PLATFORM, days
    ).rows.to_pylist()
    return found


def test_many_records_are_read_page_by_page(organization: Organization, tmp_path: Path) -> None:
    records = [{"attributes": {"type": "Account"}, "Name": f"Shop {number}"} for number in range(200)]
    for _ in range(11):
        organization.ask("POST", f"{DATA}/composite/sobjects", json={"records": records})
    assert len(read(organization, datetime.now(UTC).date().isoformat())) == 2_200


@pytest.mark.parametrize(
    "body", [None, [], {"records": [1], "done": True}, {"records": []}, {"records": [], "nextRecordsUrl": "https://x"}]
)
def test_a_page_that_cannot_be_read_is_not_taken_for_the_last(body: Any) -> None:
    table = salesforce.SOURCE.tables["accounts"]
    with pytest.raises(ContractBroken):
        table.read_page(Answer(status=200, headers={}, body=body))
