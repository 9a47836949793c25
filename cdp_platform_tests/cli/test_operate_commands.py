"""`cdp pause`, `resume`, `rejected`, `replay`, `explain`, `resync`, `reset` and `status`, as a person meets them."""

import json

import pytest

from cdp_platform.syncs import controls
from cdp_platform_tests.cli.conftest import Cdp
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

SYNC = "crm_contacts"


@pytest.mark.parametrize(
    ("choice", "words"),
    [((SYNC,), f"sync {SYNC}"), (("--connection", "fake"), "connection fake"), (("--all",), "everything")],
)
def test_a_pause_is_seen_in_the_status_and_lifted_again(
    shop: Shop, cdp: Cdp, choice: tuple[str, ...], words: str
) -> None:
    shop.people([person_of(1)])
    shop.run()
    assert f"Paused: {words}." in cdp("pause", *choice).text
    status = cdp("status")
    assert "switched on, paused" in status.text and "Paused by" in status.text
    document = json.loads(cdp("status", "--json").text)
    assert document["syncs"][0]["paused"]["scope"] == document["paused"][0]["scope"]
    assert "Paused by" in cdp("plan", SYNC).text
    assert f"Resumed: {words}." in cdp("resume", *choice).text
    assert json.loads(cdp("status", "--json").text)["paused"] == []
    assert shop.run().counts.delivered == 0


def test_a_pause_is_told_even_where_nothing_was_planned(shop: Shop, cdp: Cdp) -> None:
    cdp("pause", "--all")
    assert "nothing is sent anywhere" in cdp("status").text


def test_a_second_pause_keeps_the_word_of_the_first(shop: Shop, cdp: Cdp) -> None:
    controls.pause(shop.engine.journal, "all", "all", paused_by="olive")
    cdp("pause", "--all")
    (held,) = controls.pauses(shop.engine.journal)
    assert held.paused_by == "olive"


def test_what_still_holds_is_told_after_resuming(shop: Shop, cdp: Cdp) -> None:
    cdp("pause", SYNC)
    cdp("pause", "--all")
    assert "Still paused: everything." in cdp("resume", SYNC).text


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (("crm_contcts",), "there is no sync 'crm_contcts'. Did you mean `crm_contacts`?"),
        (("--connection", "faek"), "there is no connection 'faek'. Did you mean `fake`?"),
        ((), "Give one of SYNC, --connection NAME or --all."),
        ((SYNC, "--all"), "Give one of SYNC, --connection NAME or --all."),
    ],
)
def test_a_pause_of_nothing_is_refused(shop: Shop, cdp: Cdp, choice: tuple[str, ...], says: str) -> None:
    assert says in str(cdp("pause", *choice).error)
    assert controls.pauses(shop.engine.journal) == []


def test_what_is_not_paused_cannot_be_resumed(shop: Shop, cdp: Cdp) -> None:
    cdp("pause", "--connection", "fake")
    assert "sync crm_contacts is not paused. Paused: connection fake." in str(cdp("resume", SYNC).error)


def test_rejected_rows_are_told_with_reason_field_and_next_try(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.session.reject("p-002", code="invalid_email", field="email")
    shop.run()
    told = cdp("rejected", SYNC)
    assert "p-002 (create, email = P•••@•••.com): attempt 1, tried again from" in told.text
    assert "does not accept the e-mail address" in told.text
    (row,) = json.loads(cdp("rejected", SYNC, "--json").text)["rejected"]
    assert (row["key"], row["field"], row["attempts"]) == ("p-002", "email", 1)
    assert "example.com" not in told.text + str(row)


def test_no_rejected_row_is_told_so(shop: Shop, cdp: Cdp) -> None:
    assert cdp("rejected", SYNC).text == f"No row of {SYNC} is rejected.\n"


def test_a_replayed_row_is_sent_by_the_next_run(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.session.reject("p-001")
    shop.run()
    shop.session.accept("p-001")
    assert "1 rejected row(s)" in cdp("replay", SYNC, "--key", "p-001").text
    assert shop.run().counts.delivered == 1
    assert "no row of sync crm_contacts" in str(cdp("replay", SYNC, "--key", "p-001").error)


def test_an_explanation_masks_people_unless_they_are_asked_for(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.run()
    shop.people([person_of(1, segment="lapsed")])
    told = cdp("explain", SYNC, "p-001")
    digest = shop.engine.journal.plan(SYNC).digest[:12]  # type: ignore[union-attr]
    assert "email ← sync_contacts__crm.email" in told.text
    assert f"plan {digest}, run run-1" in told.text
    assert "the model has lapsed now" in told.text
    assert "example.com" not in told.text
    assert "Person1@example.com" in cdp("explain", SYNC, "p-001", "--show").text


def test_one_field_is_explained_alone(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.run()
    document = json.loads(cdp("explain", SYNC, "p-001", "--field", "segment", "--json").text)
    (story,) = document["fields"]
    assert (story["column"], story["delivered"], story["now"], story["is_equal"]) == ("segment", "loyal", "loyal", True)
    assert document["deliveries"][0]["fields"] == {"segment": "loyal"}
    assert "Did you mean `segment`?" in str(cdp("explain", SYNC, "p-001", "--field", "segmnt").error)


def test_what_was_never_sent_is_explained(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1, permission=None), person_of(2)])
    controls.switch(shop.engine.journal, SYNC, is_enabled=False)
    told = cdp("explain", SYNC, "p-001")
    assert "nobody ever asked this person" in told.text
    assert "Nothing was ever delivered." in told.text
    assert "The sync is switched off" in told.text


def test_sending_everything_again_is_asked_first(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.run()
    assert cdp("resync", SYNC, typed="n\n").code == 1
    assert shop.run().counts.planned == 0
    assert "1 rows" in cdp("resync", SYNC, "--yes").text
    assert shop.run().operations == {"update": 1}


def test_forgetting_the_ledger_is_asked_first_and_switches_off(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.run()
    assert cdp("reset", SYNC, typed="\n").code == 1
    assert controls.is_enabled(shop.engine.journal, SYNC)
    assert "first_run: send_all" in cdp("reset", SYNC, "--yes").text
    assert not controls.is_enabled(shop.engine.journal, SYNC)


def test_taking_the_present_as_delivered_is_asked_first_and_sends_nothing(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1), person_of(2)])
    assert cdp("baseline", SYNC, typed="n\n").code == 1
    assert "2 rows of crm_contacts count as delivered" in cdp("baseline", SYNC, "--yes").text
    assert shop.run().counts.planned == 0
    assert shop.session.writes == []
