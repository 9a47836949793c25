"""Insert never changes a record of Salesforce, update never makes one; over HTTP, against the sandbox."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_platform.destinations.salesforce import Salesforce
from cdp_platform.domain.outcomes import Counts, Operation
from cdp_platform.domain.syncs import Mode
from cdp_platform.errors import ConfigError
from cdp_platform_tests.contracts.salesforce_stage import TOKEN, Members, Organization, batch, member_of, row, serving


@pytest.fixture
def organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    monkeypatch.setenv("SALESFORCE_TOKEN", TOKEN)
    with serving(tmp_path / "sandbox") as served:
        yield served


def members_in(mode: Mode, organization: Organization, home: Path) -> Members:
    """A sync in a mode, beside one that has upserted the members 1 and 2; any number of rows would go as a job."""
    before = Members(home / "before", organization.url)
    before.write([member_of(1), member_of(2)])
    before.run()
    members = Members(home / "it", organization.url, bulk_from_rows=1)
    members.spec = replace(members.spec, mode=mode)
    return members


def rejected(members: Members) -> dict[str, str]:
    return {row["primary_key"]: row["code"] for row in members.sql("select primary_key, code from cdp.rejected_rows")}


def test_an_update_changes_what_is_there_and_a_missing_record_is_rejected_and_not_made(
    organization: Organization, tmp_path: Path
) -> None:
    members = members_in(Mode.UPDATE, organization, tmp_path)
    members.write([member_of(1, segment="lapsed"), member_of(2), member_of(3)])
    assert members.run().counts == Counts(planned=3, delivered=2, rejected=1)
    contacts = organization.contacts()
    assert {key: record["RFM_Segment__c"] for key, record in contacts.items()} == {
        "p-000001": "lapsed",
        "p-000002": "loyal",
    }
    assert rejected(members) == {"p-000003": "record_missing"}
    assert organization.jobs() == {}
    members.write([member_of(1, segment="new"), member_of(2), member_of(3)])
    assert members.run().counts.delivered == 1
    assert organization.contacts()["p-000001"]["RFM_Segment__c"] == "new"


def test_a_record_that_was_deleted_is_not_made_anew_by_an_update(organization: Organization, tmp_path: Path) -> None:
    members = members_in(Mode.UPDATE, organization, tmp_path)
    members.write([member_of(1), member_of(2)])
    assert members.run().counts.delivered == 2
    gone = organization.contacts()["p-000002"]["Id"]
    assert organization.ask("DELETE", f"/services/data/v67.0/sobjects/Contact/{gone}").status_code == 204
    members.write([member_of(1), member_of(2, segment="lapsed")])
    assert members.run().counts == Counts(planned=1, rejected=1)
    assert set(organization.contacts()) == {"p-000001"}


def test_an_insert_makes_what_is_new_and_leaves_what_is_there_as_it_was(
    organization: Organization, tmp_path: Path
) -> None:
    members = members_in(Mode.INSERT, organization, tmp_path)
    before = organization.contacts()
    members.write([member_of(1, segment="lapsed"), member_of(3), member_of(4)])
    assert members.run().counts == Counts(planned=3, delivered=2, rejected=1)
    after = organization.contacts()
    assert rejected(members) == {"p-000001": "record_exists"}
    assert set(after) == {"p-000001", "p-000002", "p-000003", "p-000004"}
    assert {key: after[key] for key in before} == before
    members.write([member_of(3, segment="lapsed"), member_of(4)])
    assert members.run().counts == Counts(), "a change is no new record"
    assert organization.contacts()["p-000003"]["RFM_Segment__c"] == "loyal"


def test_an_insert_without_an_answer_makes_no_second_record(organization: Organization, tmp_path: Path) -> None:
    members = members_in(Mode.INSERT, organization, tmp_path)
    members.write([member_of(3)])
    organization.fault({"path": "/services/data/v67.0/composite/sobjects", "method": "POST", "reset": True})
    counts = members.run().counts
    assert (counts.planned, counts.rejected) == (1, 1), "it is there, and nobody may say that this run has made it"
    found = organization.query("SELECT Id FROM Contact WHERE CDP_Person_Id__c = 'p-000003'")
    assert len(found) == 1


@pytest.mark.parametrize("mode", [Mode.INSERT, Mode.UPDATE])
def test_an_opt_out_changes_the_record_in_either_mode(mode: Mode) -> None:
    told = row(1, "p-1", Operation.WITHDRAW, HasOptedOutOfEmail=True)._replace(record_id="003000000000001AAA")
    request = Salesforce().in_mode(mode).encode("Contact", "CDP_Person_Id__c", batch(told))
    assert request.method == "PATCH"
    assert request.body["records"][0]["HasOptedOutOfEmail"] is True


def test_more_requests_at_once_are_an_option_and_quicken_the_pace() -> None:
    usual, many = (Salesforce().with_options(told).capabilities("Contact") for told in ({}, {"requests_at_once": "25"}))
    assert (usual.requests_at_once, usual.requests_per_second) == (5, 50.0)
    assert (many.requests_at_once, many.requests_per_second) == (25, 250.0)
    in_mode = Salesforce().with_options({"requests_at_once": "25"}).in_mode(Mode.UPDATE).capabilities("Contact")
    assert (in_mode.requests_at_once, in_mode.needs_record) == (25, True)


@pytest.mark.parametrize("options", [{"requests_at_once": "26"}, {"requests_at_once": "x"}, {"size": "small"}])
def test_options_that_cannot_be_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="requests_at_once"):
        Salesforce().with_options(options)
