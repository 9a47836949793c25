"""A mirror into a user list, over HTTP, against an independent reading of Google's documents."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.connectors.protocol import Answer
from cdp_platform.connectors.registry import destination_of
from cdp_platform.destinations.google_status import read_status
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import Grant, OAuth
from cdp_platform.errors import CdpError, ConfigError, JobFailed
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.sandbox.google.account import ACCOUNT_ID, USER_LISTS
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.send import send_plan
from cdp_platform_tests.contracts.audience_shop import TOKEN, TOKEN_ENV, AudienceShop, hash_of, person

FIELDS = {"email": "emailAddress", "phone": "phoneNumber", "first_name": "givenName", "last_name": "familyName"}
LIST_ID = next(iter(USER_LISTS))
OPTIONS = {
    "account_id": ACCOUNT_ID,
    "user_list_id": LIST_ID,
    "phone_region": "US",
    "customer_match_terms": "accepted",
}


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token=TOKEN, port=0)) as served:
        yield served


@pytest.fixture
def shop(address: str, tmp_path: Path) -> AudienceShop:
    return AudienceShop(
        tmp_path / "home",
        address,
        vendor="google_audiences",
        object_name="audience",
        options=OPTIONS,
        fields=FIELDS,
        match_field="emailAddress",
    )


NOT_SIGNED = {
    "requestStatus": "FAILED",
    "errorInfo": {
        "errorCounts": [{"recordCount": "2", "reason": "PROCESSING_ERROR_REASON_DESTINATION_ACCOUNT_TERMS_NOT_SIGNED"}]
    },
}


def user_list(shop: AudienceShop) -> dict[str, Any]:
    return dict(shop.state("/sandbox/google/state")["lists"][0])


def members(shop: AudienceShop, kind: str) -> list[str]:
    return sorted(value for member in user_list(shop)["members"] for value in member.get(kind, []))


def test_people_are_added_by_hashes_once_their_job_has_ended(shop: AudienceShop) -> None:
    shop.people([person(1, email="A.da+shop@Gmail.com"), person(2)])
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert members(shop, "emailAddress") == sorted([hash_of("ada@gmail.com"), hash_of("person2@example.com")])
    assert members(shop, "phoneNumber") == sorted(hash_of(f"+1650555010{number}") for number in (1, 2))
    assert '"CONSENT_GRANTED"' in user_list(shop)["requests"][0]["consent"]
    assert shop.sleeps, "the first answer was that it goes on"


def test_who_left_the_model_or_withdrew_is_removed(shop: AudienceShop) -> None:
    shop.people([person(number) for number in (1, 2, 3)])
    shop.run()
    shop.people([person(1), person(3)], withdrawn=["person3@example.com"])
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert members(shop, "emailAddress") == [hash_of("person1@example.com")]


def test_an_address_that_a_person_no_longer_has_stops_matching(shop: AudienceShop) -> None:
    shop.people([person(1), person(2)])
    shop.run()
    shop.people([person(1, email="ada.new@example.com"), person(2)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert members(shop, "emailAddress") == sorted([hash_of("ada.new@example.com"), hash_of("person2@example.com")])
    removed, added = user_list(shop)["requests"][-2:]
    assert (removed["operation"], added["operation"], removed["records"]) == ("remove", "ingest", 1)


def test_a_person_whom_nothing_identifies_is_rejected_before_anything_is_sent(shop: AudienceShop) -> None:
    shop.people([person(1), person(2, email="none at all", phone="x"), person(3, email="also none")])
    assert shop.run().counts == Counts(planned=3, delivered=2, rejected=1)
    assert shop.rejected() == {"p-0002": "invalid_email"}


def test_one_record_that_refuses_a_request_is_found_by_halving(
    shop: AudienceShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdp_platform.destinations import google_audiences

    real = google_audiences.identifiers.sha256
    bad = "person3@example.com"
    monkeypatch.setattr(
        google_audiences.identifiers, "sha256", lambda text: "plain" if text in (bad, "+16505550103") else real(text)
    )
    shop.people([person(number) for number in range(1, 5)])
    assert shop.run().counts == Counts(planned=4, delivered=3, rejected=1)
    assert [*shop.rejected()] == ["p-0003"]
    assert user_list(shop)["size"] == 3


def test_a_run_that_ends_while_google_works_is_picked_up_by_the_next_one(shop: AudienceShop) -> None:
    shop.people([person(1), person(2)])
    plan = shop.plan()

    def stop(seconds: float) -> None:
        raise CdpError("the machine goes down")

    with pytest.raises(CdpError, match="goes down"):
        send_plan(shop.engine, shop.spec, plan, run_id=plan.run_id, timing=Timing(sleep=stop))
    assert shop.run().counts.planned == 0, "the job's rows are settled, and nothing is left to be sent"
    assert user_list(shop)["size"] == 2
    assert len(user_list(shop)["requests"]) == 1


def test_access_by_oauth_is_fetched_with_the_scope_of_the_data_manager(
    shop: AudienceShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLIENT_ID", "client")
    monkeypatch.setenv("GOOGLE_REFRESH", "refresh")
    oauth = OAuth(
        token_url=f"{shop.address}/google/token",
        grant=Grant.REFRESH_TOKEN,
        client_id_env="GOOGLE_CLIENT_ID",
        client_secret_env=TOKEN_ENV,
        refresh_token_env="GOOGLE_REFRESH",
        scope="https://www.googleapis.com/auth/datamanager",
    )
    shop.use(connection=dataclasses.replace(shop.spec.connection, token_env=None, oauth=oauth))
    shop.people([person(1)])
    assert shop.run().counts == Counts(planned=1, delivered=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"customer_match_terms": ""}, "terms of Customer Match"),
        ({"ad_user_data": "perhaps"}, "ad_user_data"),
        ({"user_list_id": "loyal"}, "user_list_id"),
        ({"list": "1"}, "no option 'list'"),
    ],
)
def test_options_that_cannot_work_are_told_at_load(shop: AudienceShop, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        destination_of(dataclasses.replace(shop.spec.connection, options=OPTIONS | changes))


def test_a_user_list_that_is_not_there_stops_the_run(shop: AudienceShop) -> None:
    shop.use(connection=dataclasses.replace(shop.spec.connection, options=OPTIONS | {"user_list_id": "1"}))
    shop.people([person(1)])
    with pytest.raises(ConfigError, match="user_list_id"):
        shop.run()


def test_consent_that_is_missing_for_all_is_no_fault_of_a_row() -> None:
    from cdp_platform.connectors.protocol import Answer
    from cdp_platform.destinations.google_status import read_status

    counts = [{"reason": "PROCESSING_ERROR_REASON_NO_CONSENT", "recordCount": "3"}]
    told = {"requestStatus": "FAILED", "errorInfo": {"errorCounts": counts}}
    with pytest.raises(JobFailed, match="NO_CONSENT"):
        read_status(Answer(status=200, headers={}, body={"requestStatusPerDestination": [told]}), 3)


def test_terms_that_nobody_signed_put_no_person_at_fault_and_say_where_to_look(shop: AudienceShop) -> None:
    answer = Answer(status=200, headers={}, body={"requestStatusPerDestination": [NOT_SIGNED]})
    with pytest.raises(JobFailed, match=r"NOT_SIGNED.*Look at the account's terms"):
        read_status(answer, 2)
