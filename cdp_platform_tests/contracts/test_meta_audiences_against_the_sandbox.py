"""A mirror into a custom audience, over HTTP, against an independent reading of Meta's documents."""

import dataclasses
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.outcomes import Counts
from cdp_platform.errors import AuthenticationFailed, ConfigError, RateLimited, TemporarilyDown
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.sandbox.meta.account import ACCOUNT_ID
from cdp_platform_tests.contracts.audience_shop import TOKEN, TOKEN_ENV, AudienceShop, hash_of, person

FIELDS = {"person_id": "EXTERN_ID", "email": "EMAIL", "phone": "PHONE", "first_name": "FN", "last_name": "LN"}
OPTIONS = {"ad_account_id": f"act_{ACCOUNT_ID}", "audience": "Loyal people", "phone_region": "US"}


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
        vendor="meta_audiences",
        object_name="audience",
        options=OPTIONS,
        fields=FIELDS,
        match_field="EXTERN_ID",
        base_path="/v26.0",
    )


def audience(shop: AudienceShop) -> dict[str, Any]:
    (found,) = shop.state("/sandbox/meta/state")["audiences"]
    return dict(found)


def members(shop: AudienceShop, key: str) -> list[str]:
    return sorted(value for member in audience(shop)["members"] for value in member.get(key, []))


def test_people_are_added_by_hashes_and_the_audience_is_made_once(shop: AudienceShop) -> None:
    shop.people([person(1, email=" Person1@Example.com"), person(2)])
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert members(shop, "EMAIL") == sorted(hash_of(f"person{number}@example.com") for number in (1, 2))
    assert members(shop, "PHONE") == sorted(hash_of(f"1650555010{number}") for number in (1, 2))
    assert members(shop, "LN") == sorted(hash_of(f"lindqvist{number}") for number in (1, 2))
    assert members(shop, "EXTERN_ID") == ["p-0001", "p-0002"]
    shop.people([person(number) for number in (1, 2, 3)])
    shop.run()
    assert audience(shop)["size"] == 3


def test_who_left_the_model_is_removed(shop: AudienceShop) -> None:
    shop.people([person(1), person(2)])
    shop.run()
    shop.people([person(1)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert members(shop, "EXTERN_ID") == ["p-0001"]


def test_who_withdrew_is_removed_past_the_brake_and_the_others_stay(shop: AudienceShop) -> None:
    shop.people([person(1), person(2), person(3)])
    shop.run()
    shop.people([person(1), person(2, last_name="Changed"), person(3)], withdrawn=["person3@example.com"])
    shop.use(limits=dataclasses.replace(shop.spec.limits, removed_rows=0, removed_share=0.0))
    assert shop.run().counts.delivered == 2
    assert members(shop, "EXTERN_ID") == ["p-0001", "p-0002"]
    assert hash_of("changed") in members(shop, "LN")


def test_an_address_that_a_person_no_longer_has_stops_matching(shop: AudienceShop) -> None:
    shop.people([person(1), person(2)])
    shop.run()
    shop.people([person(1, email="ada.new@example.com"), person(2)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert members(shop, "EMAIL") == sorted([hash_of("ada.new@example.com"), hash_of("person2@example.com")])
    assert audience(shop)["size"] == 2


def pass_the_time(shop: AudienceShop) -> None:
    """Let a circuit that is open be closed again."""
    with closing(sqlite3.connect(shop.home.rate_limits)) as paces, paces:
        paces.execute("delete from circuits")


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_it_stops_matching_also_where_nobody_knows_what_became_of_the_first_try(
    shop: AudienceShop, method: str
) -> None:
    shop.people([person(1), person(2)])
    shop.run()
    rule = {"path": f"/v26.0/{audience(shop)['id']}/users", "method": method, "status": 503, "count": 5}
    assert requests.post(f"{shop.address}/sandbox/faults", json={"rules": [rule]}, timeout=5).ok
    shop.people([person(1, email="moved@example.com"), person(2)])
    with pytest.raises(TemporarilyDown):
        shop.run()
    pass_the_time(shop)
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert members(shop, "EMAIL") == sorted(map(hash_of, ("moved@example.com", "person2@example.com")))


def test_who_leaves_is_removed_by_what_was_last_delivered_also_after_a_try_without_an_answer(
    shop: AudienceShop,
) -> None:
    shop.people([person(1), person(2)])
    shop.run()
    rule = {"path": f"/v26.0/{audience(shop)['id']}/users", "method": "DELETE", "status": 503, "count": 5}
    assert requests.post(f"{shop.address}/sandbox/faults", json={"rules": [rule]}, timeout=5).ok
    shop.people([person(2)])
    with pytest.raises(TemporarilyDown):
        shop.run()
    pass_the_time(shop)
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert members(shop, "EMAIL") == [hash_of("person2@example.com")]


def test_a_person_whom_nothing_identifies_is_rejected_before_anything_is_sent(shop: AudienceShop) -> None:
    # A blank address has no permission either, so that is not asked for here.
    shop.spec = dataclasses.replace(shop.spec, consent=None)
    no_name = {"first_name": None, "last_name": None}
    shop.use(consent=None)
    shop.people(
        [
            person(1),
            person(2, email="not an address", phone=None, **no_name),
            person(3, email="", phone="12", **no_name),
            person(4, email="also none", phone="650 555 0104"),
        ]
    )
    assert shop.run().counts == Counts(planned=4, delivered=2, rejected=2)
    assert shop.rejected() == {"p-0002": "invalid_email", "p-0003": "invalid_phone"}
    (upload,) = audience(shop)["uploads"]
    assert (upload["received"], upload["invalid"]) == (2, 0)


def test_an_entry_that_meta_calls_invalid_is_found_among_the_good_ones(
    shop: AudienceShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdp_platform.destinations import meta_people

    real = meta_people.hashed
    bad = "person5@example.com"
    monkeypatch.setattr(meta_people, "hashed", lambda name, value: value if value == bad else real(name, value))
    shop.people([person(number) for number in range(1, 9)])
    assert shop.run().counts == Counts(planned=8, delivered=7, rejected=1)
    assert shop.rejected() == {"p-0005": "invalid_identifier"}
    assert members(shop, "EXTERN_ID") == [f"p-000{number}" for number in (1, 2, 3, 4, 6, 7, 8)]
    assert len(audience(shop)["uploads"]) == 1 + 2 * 3, "halved three times"


def test_no_plain_value_stands_in_the_bookkeeping(shop: AudienceShop) -> None:
    canary = "canary.value@example.com"
    shop.people([person(1, email=canary), person(2, email="canary at nowhere", phone=None, first_name=None)])
    assert shop.run().counts.rejected == 1
    assert shop.files_hold("canary") == []


def test_a_full_request_holds_ten_thousand_people_and_the_next_one_the_rest(shop: AudienceShop) -> None:
    with shop.warehouse.session("test") as session:
        session.execute("create schema if not exists activation")
        session.execute(
            """create table activation.members as select 'p-' || i as person_id, 'p' || i || '@example.com' as email,
            cast(null as varchar) as phone, cast(null as varchar) as first_name, cast(null as varchar) as last_name
            from range(10001) as numbers(i)"""
        )
    shop.use(consent=None)
    assert shop.run().counts == Counts(planned=10_001, delivered=10_001)
    assert sorted(upload["received"] for upload in audience(shop)["uploads"]) == [1, 10_000]
    assert audience(shop)["size"] == 10_001


def test_a_limit_of_meta_is_waited_for_and_is_not_a_rejection(shop: AudienceShop) -> None:
    shop.people([person(1)])
    plan = shop.plan()
    requests.put(f"{shop.address}/sandbox/meta/limit", json={"calls": 1, "seconds": 3600}, timeout=5)
    with pytest.raises(RateLimited) as caught:
        shop.send(plan)
    assert caught.value.retry_after_seconds is not None and caught.value.retry_after_seconds >= 15
    assert shop.rejected() == {}
    requests.put(f"{shop.address}/sandbox/meta/limit", json={"calls": 1000, "seconds": 3600}, timeout=5)


def test_usage_near_the_limit_makes_everybody_pause(shop: AudienceShop) -> None:
    requests.put(f"{shop.address}/sandbox/meta/limit", json={"calls": 100, "seconds": 3600}, timeout=5)
    for _ in range(94):
        requests.get(f"{shop.address}/v26.0/me", params={"access_token": TOKEN}, timeout=5)
    destination = destination_of(shop.spec.connection)
    session = open_session(shop.spec.connection, destination, shop.home, "audience", pace_seconds=0.0)
    with pytest.raises(RateLimited) as caught:
        destination.account_id(session)
    session.close()
    assert caught.value.status is None, "our own pace stops it, no answer of Meta"


def test_a_wrong_token_stops_the_run(shop: AudienceShop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.people([person(1)])
    monkeypatch.setenv(TOKEN_ENV, "canary-wrong")
    with pytest.raises(AuthenticationFailed) as caught:
        shop.run()
    assert "canary" not in str(caught.value)
    assert shop.state("/sandbox/meta/state")["audiences"] == []


def test_an_audience_that_meta_has_flagged_stops_the_run_and_says_what_to_do(shop: AudienceShop) -> None:
    connection = dataclasses.replace(shop.spec.connection, options=OPTIONS | {"audience": "Health problems"})
    shop.use(connection=connection)
    shop.people([person(1)])
    with pytest.raises(ConfigError, match="Audience Manager"):
        shop.run()
    assert shop.rejected() == {}


def test_two_audiences_of_one_name_are_a_question_to_a_person(shop: AudienceShop) -> None:
    path = f"{shop.address}/v26.0/act_{ACCOUNT_ID}/customaudiences"
    body = {"name": "Loyal people", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    made = [requests.post(path, data=body | {"access_token": TOKEN}, timeout=5).json()["id"] for _ in range(2)]
    shop.people([person(1)])
    with pytest.raises(ConfigError, match="2 audiences"):
        shop.run()
    options = {name: value for name, value in OPTIONS.items() if name != "audience"} | {"audience_id": made[1]}
    shop.use(connection=dataclasses.replace(shop.spec.connection, options=options))
    assert shop.run().counts == Counts(planned=1, delivered=1)
    sizes = {found["id"]: found["size"] for found in shop.state("/sandbox/meta/state")["audiences"]}
    assert sizes == {int(made[0]): 0, int(made[1]): 1}


@pytest.mark.parametrize(
    ("code", "what_to_do"), [(2655, "accepts the terms"), (200, "ads_management"), (190, "make a new one")]
)
def test_terms_that_nobody_accepted_a_missing_right_and_a_dead_token_put_no_person_at_fault(
    shop: AudienceShop, code: int, what_to_do: str
) -> None:
    shop.people([person(1)])
    shop.run()
    shop.people([person(1), person(2)])
    error = {"error": {"message": "no", "type": "OAuthException", "code": code}}
    rule = {"path": "/v26.0/", "method": "POST", "status": 403, "body": error, "count": 1_000}
    assert requests.post(f"{shop.address}/sandbox/faults", json={"rules": [rule]}, timeout=5).ok
    with pytest.raises(AuthenticationFailed, match=what_to_do):
        shop.run()
    assert shop.rejected() == {}
    assert requests.post(f"{shop.address}/sandbox/faults", json={"rules": []}, timeout=5).ok
    assert shop.run().counts == Counts(planned=1, delivered=1)
