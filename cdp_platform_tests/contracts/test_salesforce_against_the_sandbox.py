"""The Salesforce destination by collections, over HTTP, against an independent reading of Salesforce's documents."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_platform.connectors.http import HttpSession
from cdp_platform.connectors.protocol import OutgoingRow
from cdp_platform.destinations.salesforce import Salesforce
from cdp_platform.domain.outcomes import Counts, Operation, Outcome, RowOutcome, RunStatus
from cdp_platform.domain.syncs import FieldKind, FieldMapping, Removal
from cdp_platform.errors import AuthenticationFailed, ConfigError, RateLimited, Refused
from cdp_platform.syncs.value_rules import misfits, rules_of
from cdp_platform.texts import rejected_text
from cdp_platform_tests.contracts.salesforce_stage import (
    DATA,
    Members,
    Organization,
    batch,
    member_of,
    members_spec,
    row,
    serving,
    session_with,
)

DESTINATION = Salesforce()
TIERS = ("Gold", "Platinum", "Bronze", "Golden")


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_TOKEN", "secret-of-the-sandbox")


@pytest.fixture
def organization(tmp_path: Path) -> Iterator[Organization]:
    with serving(tmp_path / "sandbox") as served:
        yield served


@pytest.fixture
def session(organization: Organization, tmp_path: Path) -> Iterator[HttpSession]:
    with session_with(organization.url, tmp_path / "home") as opened:
        yield opened


def deliver(session: HttpSession, *rows: OutgoingRow) -> dict[int, RowOutcome]:
    answer = session.send(DESTINATION.encode("Contact", "CDP_Person_Id__c", batch(*rows)))
    return {outcome.ordinal: outcome for outcome in DESTINATION.read(batch(*rows), answer)}


def codes(outcomes: dict[int, RowOutcome]) -> dict[int, str | None]:
    return {ordinal: outcome.code for ordinal, outcome in outcomes.items()}


def test_the_account_and_its_fields_are_told(session: HttpSession) -> None:
    assert DESTINATION.account_id(session).startswith("00D")
    fields = {field.name: field for field in DESTINATION.describe(session, "Contact")}
    assert fields["CDP_Person_Id__c"].is_unique
    assert fields["Lifetime_Value__c"].kind is FieldKind.DECIMAL
    assert not fields["CreatedDate"].is_writable
    assert fields["Account.CDP_Id__c"].is_writable and not fields["Account.CDP_Id__c"].is_unique
    tiers = {field.name: field.options for field in DESTINATION.describe(session, "Account")}
    assert tiers["Tier__c"] == ("Gold", "Silver", "Bronze")


def test_a_full_collection_is_delivered_with_its_ids(session: HttpSession, organization: Organization) -> None:
    rows = [row(ordinal, f"p-{ordinal:06}", LastName="Wei", Lifetime_Value__c=812.5) for ordinal in range(200)]
    outcomes = deliver(session, *rows)
    assert {outcome.outcome for outcome in outcomes.values()} == {Outcome.DELIVERED}
    ids = {record["CDP_Person_Id__c"]: record["Id"] for record in organization.contacts().values()}
    assert {rows[ordinal].match_value: told.record_id for ordinal, told in outcomes.items()} == ids


def test_every_reason_is_told_by_its_row_and_the_others_are_written(session: HttpSession) -> None:
    deliver(session, row(1, "p-1", LastName="Lindqvist", Email="ada.lindqvist@example.com"))
    told = deliver(
        session,
        row(2, "p-2", LastName="Wei"),
        row(3, "p-3", FirstName="Nobody"),
        row(4, "p-4", LastName="Wei", Email="nowhere"),
        row(5, "p-5", LastName="W" * 81),
        row(6, "p-6", LastName="Wei", Email="ADA.lindqvist@example.com"),
        row(7, "p-7", LastName="Wei", Lifetime_Value__c=-1),
        row(8, "p-8", LastName="Wei", Lifetime_Value__c="much"),
        row(9, "p-9", LastName="Wei", **{"Account.CDP_Id__c": "nobody"}),
        row(10, "p-10", LastName="Wei", CreatedDate="2017-12-25T10:00:00Z"),
    )
    assert codes(told) == {
        2: None,
        3: "required_field_missing",
        4: "invalid_email",
        5: "text_too_long",
        6: "duplicates_detected",
        7: "validation_rule",
        8: "invalid_value",
        9: "parent_not_found",
        10: "read_only_field",
    }
    assert told[3].parameters == {} and told[4].parameters == {"field": "Email"}


def test_a_lookup_goes_by_the_parents_external_id_and_is_emptied_by_null(
    session: HttpSession, organization: Organization
) -> None:
    organization.ask("PATCH", f"{DATA}/sobjects/Account/CDP_Id__c/a-1", json={"Name": "Alder Foods"})
    deliver(session, row(1, "p-1", LastName="Wei", **{"Account.CDP_Id__c": "a-1"}))
    assert organization.contacts()["p-1"]["Account"]["Name"] == "Alder Foods"
    deliver(session, row(1, "p-1", Operation.UPDATE, **{"Account.CDP_Id__c": None}))
    assert organization.contacts()["p-1"]["Account"] is None


def test_null_clears_a_field_and_fields_left_out_keep_their_value(
    session: HttpSession, organization: Organization
) -> None:
    deliver(session, row(1, "p-1", LastName="Wei", Email="wei@example.com", RFM_Segment__c="loyal"))
    deliver(session, row(1, "p-1", Operation.UPDATE, RFM_Segment__c=None))
    contact = organization.contacts()["p-1"]
    assert (contact["Email"], contact["RFM_Segment__c"]) == ("wei@example.com", None)


def test_a_field_that_salesforce_does_not_have_stops_the_run_and_is_named(session: HttpSession) -> None:
    with pytest.raises(ConfigError, match=r"INVALID_FIELD.*Nickname__c"):
        deliver(session, row(1, "p-1", LastName="Wei", Nickname__c="W"))


def test_an_object_that_salesforce_does_not_have_is_a_config_error(session: HttpSession) -> None:
    with pytest.raises(ConfigError, match="NOT_FOUND"):
        DESTINATION.describe(session, "Subscription__c")


def test_ids_are_looked_up_whatever_the_case_and_quotes_of_the_match_values(session: HttpSession) -> None:
    quoted = "p-'; DROP \\ o'neil"
    told = deliver(session, row(1, quoted, LastName="Wei"), row(2, "P-2", LastName="Wei"))
    found = DESTINATION.find(session, "Contact", "CDP_Person_Id__c", [quoted, "p-2", "p-3"])
    assert found == {quoted: told[1].record_id, "p-2": told[2].record_id}


def test_many_ids_are_looked_up_in_portions(session: HttpSession) -> None:
    values = [f"p-{number:0>60}" for number in range(150)]
    deliver(session, *(row(ordinal, value, LastName="Wei") for ordinal, value in enumerate(values)))
    assert DESTINATION.find(session, "Contact", "CDP_Person_Id__c", values).keys() == set(values)
    assert session.traffic.request_count == 1 + 3


def test_an_expired_session_stops_a_static_token(organization: Organization, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as environment, session_with(organization.url, tmp_path / "home") as session:
        environment.setenv("SALESFORCE_TOKEN", "old")
        with pytest.raises(AuthenticationFailed) as caught:
            DESTINATION.account_id(session)
    assert caught.value.status == 401


def test_a_day_that_is_used_up_is_no_question_of_permission(tmp_path: Path) -> None:
    with serving(tmp_path / "sandbox", daily_limit=1) as served, session_with(served.url, tmp_path / "home") as session:
        DESTINATION.account_id(session)
        with pytest.raises(RateLimited) as caught:
            DESTINATION.account_id(session)
    assert caught.value.retry_after_seconds == 86_400


def test_a_run_ends_as_deferred_before_the_day_is_used_up_and_goes_on_later(tmp_path: Path) -> None:
    with serving(tmp_path / "sandbox", daily_limit=100) as served:
        members = Members(tmp_path / "home", served.url)
        members.write([member_of(number) for number in range(2_400)])
        for _ in range(86):
            served.ask("GET", f"{DATA}/limits")
        with pytest.raises(RateLimited, match="nearly used up"):
            members.run()
        used = served.stats()["requests"]
    assert used["refused"] == 0 and used["accepted"] >= 95
    (run,) = members.sql("select status, delivered, pending from cdp.sync_runs")
    assert run["status"] == RunStatus.DEFERRED and run["delivered"] > 0
    assert run["delivered"] + run["pending"] == 2_400
    with serving(tmp_path / "sandbox", daily_limit=1_000) as served:
        members.spec = members_spec(served.url)
        assert members.run().counts.delivered == run["pending"]
        assert len(served.contacts()) == 2_400


@pytest.mark.parametrize("bulk_from_rows", [10_000, 1], ids=["collections", "bulk"])
def test_a_text_that_is_longer_than_its_field_is_told_without_a_request(
    organization: Organization, tmp_path: Path, bulk_from_rows: int
) -> None:
    members = Members(tmp_path / "home", organization.url, bulk_from_rows=bulk_from_rows)
    members.write([member_of(1), member_of(2, segment="s" * 41), member_of(3)])
    assert members.run().counts == Counts(planned=3, delivered=2, rejected=1)
    (kept,) = members.sql("select primary_key, code, parameters, request_id from cdp.rejected_rows")
    assert (kept["primary_key"], kept["code"], kept["request_id"]) == ("p-000002", "value_too_long", None)
    assert json.loads(kept["parameters"]) == {"field": "RFM_Segment__c", "longest": "40"}
    assert set(organization.contacts()) == {"p-000001", "p-000003"}


def test_what_salesforce_lists_of_a_picklist_is_what_the_sandbox_takes(session: HttpSession, tmp_path: Path) -> None:
    fields = DESTINATION.describe(session, "Account")
    spec = replace(
        members_spec("http://127.0.0.1"),
        object="Account",
        mapping=(
            FieldMapping(column="id", field="CDP_Id__c", match_key=True),
            FieldMapping(column="t", field="Tier__c"),
        ),
    )
    rows = batch(*(row(ordinal, f"a-{ordinal}", Name="Alder", Tier__c=tier) for ordinal, tier in enumerate(TIERS)))
    judged = {
        ordinal: told.code for ordinal, told in misfits(rules_of(DESTINATION, spec, fields), "CDP_Id__c", rows).items()
    }
    answer = session.send(DESTINATION.encode("Account", "CDP_Id__c", rows))
    refused = {told.ordinal for told in DESTINATION.read(rows, answer) if told.code == "not_in_picklist"}
    assert judged == dict.fromkeys(refused, "value_not_listed")
    assert refused == {1, 3}


def test_a_locked_row_is_sent_once_more_alone(organization: Organization, tmp_path: Path) -> None:
    members = Members(tmp_path / "home", organization.url)
    members.write([member_of(number) for number in range(5)])
    members.run()
    members.write([member_of(number, segment="lapsed") for number in range(5)])
    organization.lock("p-000003", 1)
    assert members.run().counts == Counts(planned=5, delivered=5)
    assert {contact["RFM_Segment__c"] for contact in organization.contacts().values()} == {"lapsed"}


def test_a_row_that_stays_locked_is_pending_and_goes_with_the_next_run(
    organization: Organization, tmp_path: Path
) -> None:
    members = Members(tmp_path / "home", organization.url)
    members.write([member_of(number) for number in range(5)])
    members.run()
    members.write([member_of(number, segment="lapsed") for number in range(5)])
    organization.lock("p-000003", 2)
    assert members.run().counts == Counts(planned=5, delivered=4, pending=1)
    assert members.run().counts == Counts(planned=1, delivered=1)


@pytest.mark.parametrize("bulk_from_rows", [10_000, 1], ids=["collections", "bulk"])
def test_who_left_the_model_is_deleted_also_where_the_id_is_not_known_or_the_record_is_gone(
    organization: Organization, tmp_path: Path, bulk_from_rows: int
) -> None:
    members = Members(tmp_path / "home", organization.url, bulk_from_rows=bulk_from_rows, removal=Removal.DELETE)
    members.write([member_of(number) for number in range(4)])
    assert members.run().counts == Counts(planned=4, delivered=4)
    (ledger,) = members.sql("select ledger_id from cdp.ledgers")
    members.sql(f"update cdp.ledger_side_{ledger['ledger_id']} set record_id = null where match_value = 'p-000001'")
    gone = organization.contacts()["p-000002"]["Id"]
    assert organization.ask("DELETE", f"{DATA}/sobjects/Contact/{gone}").status_code == 204
    members.write([member_of(0)])
    assert members.run().counts == Counts(planned=3, delivered=3)
    assert set(organization.contacts()) == {"p-000000"}


@pytest.mark.parametrize("bulk_from_rows", [10_000, 1], ids=["collections", "bulk"])
def test_clearing_keeps_the_record(organization: Organization, tmp_path: Path, bulk_from_rows: int) -> None:
    members = Members(tmp_path / "home", organization.url, bulk_from_rows=bulk_from_rows, removal=Removal.CLEAR)
    without_names = [entry for entry in members.spec.mapping if entry.field != "LastName"]
    members.write([member_of(number) for number in range(3)])
    members.run()
    members.spec = replace(members.spec, mapping=tuple(without_names))
    members.run()
    members.write([member_of(number) for number in range(2)])
    assert members.run().counts == Counts(planned=1, delivered=1)
    left = organization.contacts()["p-000002"]
    assert (left["LastName"], left["Email"], left["RFM_Segment__c"]) == ("Okafor 2", None, None)


@pytest.mark.parametrize("bulk_from_rows", [10_000, 1], ids=["collections", "bulk"])
def test_a_record_that_was_deleted_in_salesforce_is_made_anew_with_every_field(
    organization: Organization, tmp_path: Path, bulk_from_rows: int
) -> None:
    members = Members(tmp_path / "home", organization.url, bulk_from_rows=bulk_from_rows)
    members.write([member_of(1)])
    members.run()
    old = organization.contacts()["p-000001"]["Id"]
    organization.ask("DELETE", f"{DATA}/sobjects/Contact/{old}")
    members.write([member_of(1, last_name="Okafor")])
    assert members.run().counts == Counts(planned=1, pending=1)
    assert members.run().counts == Counts(planned=1, delivered=1)
    made = organization.contacts()["p-000001"]
    assert (made["LastName"], made["Email"]) == ("Okafor", "member1@example.com")
    assert made["Id"] != old
    assert members.run().counts == Counts()


@pytest.mark.parametrize("bulk_from_rows", [10_000, 1], ids=["collections", "bulk"])
def test_a_match_value_that_changes_goes_to_the_same_record_and_makes_no_twin(
    organization: Organization, tmp_path: Path, bulk_from_rows: int
) -> None:
    members = Members(tmp_path / "home", organization.url, bulk_from_rows=bulk_from_rows)
    members.spec = replace(
        members.spec,
        mapping=(FieldMapping(column="email", field="CDP_Person_Id__c", match_key=True), *members.spec.mapping[1:2]),
    )
    members.write([member_of(1), member_of(2)])
    members.run()
    before = organization.contacts()
    members.write([member_of(1, email="other@example.com"), member_of(2)])
    assert members.run().counts == Counts(planned=1, delivered=1)
    after = organization.contacts()
    assert set(after) == {"other@example.com", "member2@example.com"}
    assert after["other@example.com"]["Id"] == before["member1@example.com"]["Id"]


@pytest.mark.parametrize("bulk_from_rows", [10_000, 1], ids=["collections", "bulk"])
def test_a_match_value_that_changes_of_a_record_that_is_gone_makes_a_new_one(
    organization: Organization, tmp_path: Path, bulk_from_rows: int
) -> None:
    members = Members(tmp_path / "home", organization.url, bulk_from_rows=bulk_from_rows)
    members.spec = replace(
        members.spec,
        mapping=(FieldMapping(column="email", field="CDP_Person_Id__c", match_key=True), *members.spec.mapping[1:2]),
    )
    members.write([member_of(1)])
    members.run()
    organization.ask("DELETE", f"{DATA}/sobjects/Contact/{organization.contacts()['member1@example.com']['Id']}")
    members.write([member_of(1, email="other@example.com")])
    assert members.run().counts == Counts(planned=1, delivered=1)
    assert organization.contacts()["other@example.com"]["LastName"] == "Okafor 1"


def test_two_records_with_one_external_id_are_a_question_to_the_administrator(
    session: HttpSession, organization: Organization
) -> None:
    for _ in range(2):
        made = organization.ask("POST", f"{DATA}/sobjects/Account", json={"Name": "Alder Foods", "Legacy_Id__c": "7"})
        assert made.status_code == 201
    rows = batch(row(1, "7", Name="Alder"), row(2, "8", Name="Birch"))
    answer = session.send(DESTINATION.encode("Account", "Legacy_Id__c", rows))
    assert {told.ordinal: told.code for told in DESTINATION.read(rows, answer)} == {1: "several_records", 2: None}
    alone = organization.ask("PATCH", f"{DATA}/sobjects/Account/Legacy_Id__c/7", json={"Name": "Alder"})
    error = DESTINATION.error_of(alone.status_code, alone.headers, alone.json())
    assert isinstance(error, Refused) and (error.status, error.code) == (300, "several_records")
    assert "keeps one" in rejected_text("several_records", 1, "en", destination="salesforce")


@pytest.mark.parametrize("bulk_from_rows", [10_000, 1], ids=["collections", "bulk"])
def test_an_object_that_the_user_may_not_write_stops_the_run_and_puts_no_row_at_fault(
    organization: Organization, tmp_path: Path, bulk_from_rows: int
) -> None:
    members = Members(tmp_path / "home", organization.url, bulk_from_rows=bulk_from_rows)
    members.write([member_of(1), member_of(2)])
    error = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}]
    paths = [f"{DATA}/composite/sobjects", f"{DATA}/jobs/ingest"]
    organization.fault(*({"path": path, "status": 403, "body": error, "count": 99} for path in paths))
    with pytest.raises(AuthenticationFailed, match="the object's permissions"):
        members.run()
    assert members.sql("select * from cdp.rejected_rows") == []
    organization.fault()
    assert members.run().counts == Counts(planned=2, delivered=2)
