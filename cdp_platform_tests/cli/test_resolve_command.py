"""`cdp resolve`: what nobody knows is listed, and what a person says of it is believed."""

import json

import pytest

from cdp_platform.errors import TemporarilyDown
from cdp_platform_tests.cli.conftest import Cdp
from cdp_platform_tests.unit.syncs.conftest import Shop
from cdp_platform_tests.unit.syncs.events import DAY_SECONDS, events_of, unknown_keys, write_events

SYNC = "crm_contacts"


def lose_an_answer(shop: Shop) -> None:
    events_of(shop)
    write_events(shop, range(2))
    shop.session.fail_next(TemporarilyDown("timeout"), is_processed=True)
    shop.run()


def test_unknown_rows_are_listed_with_the_request_that_sent_them(shop: Shop, cdp: Cdp) -> None:
    lose_an_answer(shop)
    digest = shop.engine.journal.plan(SYNC).digest[:12]  # type: ignore[union-attr]
    told = cdp("resolve", SYNC).text
    assert "p-000: create sent 20" in told
    assert f"(plan {digest}, run run-1, batch 1, request –)" in told
    document = json.loads(cdp("resolve", SYNC, "--json").text)
    assert [row["key"] for row in document["unknown"]] == ["p-000", "p-001"]


def test_until_when_a_row_is_repeated_by_itself_is_told(shop: Shop, cdp: Cdp) -> None:
    events_of(shop, key_seconds=DAY_SECONDS)
    write_events(shop, range(1))
    shop.session.fail_next(TemporarilyDown("timeout"), times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    assert "repeated by the next run until 20" in cdp("resolve", SYNC).text


def test_delivered_is_asked_first_and_said_by_somebody(shop: Shop, cdp: Cdp) -> None:
    lose_an_answer(shop)
    assert cdp("resolve", SYNC, "--unknown", "delivered", typed="n\n").code == 1
    assert len(unknown_keys(shop)) == 2
    told = cdp("resolve", SYNC, "--unknown", "delivered", "--by", "olive", "--yes").text
    assert told == f"2 row(s) of {SYNC} stand as delivered, as olive says.\n"
    assert cdp("resolve", SYNC).text == f"Of every row of {SYNC} it is known what became of it.\n"


def test_one_row_may_be_sent_again(shop: Shop, cdp: Cdp) -> None:
    lose_an_answer(shop)
    told = cdp("resolve", SYNC, "--unknown", "not-delivered", "--key", "p-001", "--by", "olive", typed="y\n").text
    assert "1 row(s) of crm_contacts were not delivered and may be sent again?" in told
    assert unknown_keys(shop) == ["p-000"]
    assert shop.run().counts.delivered == 1


def test_a_word_that_means_nothing_is_refused(shop: Shop, cdp: Cdp) -> None:
    lose_an_answer(shop)
    assert cdp("resolve", SYNC, "--unknown", "perhaps", "--yes").code == 2
    assert "no row with this key" in str(cdp("resolve", SYNC, "--unknown", "delivered", "--key", "p-9", "--yes").error)


def test_the_status_and_the_explanation_say_what_to_do(shop: Shop, cdp: Cdp) -> None:
    lose_an_answer(shop)
    status = cdp("status").text
    assert "+ unknown 2 +" in status
    assert "Of 2 rows nobody knows whether they arrived" in status
    assert f"cdp resolve {SYNC}" in status
    assert json.loads(cdp("status", "--json").text)["syncs"][0]["unresolved"] == 2
    told = cdp("explain", SYNC, "p-000").text
    assert "nobody knows whether it arrived" in told
    assert "run run-1, batch 1" in told
    assert "the next run sends every field again" not in told
