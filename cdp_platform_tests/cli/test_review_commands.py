"""`cdp plan`, `approve`, `approvals`, `send` and `revert`, as a person meets them."""

import json

import pytest

from cdp_platform.errors import CdpError, ConfigError, GuardTripped, TemporarilyDown
from cdp_platform.syncs import controls
from cdp_platform_tests.cli.conftest import Cdp
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

SYNC = "crm_contacts"


def waiting(shop: Shop) -> str:
    """A plan that waits for an approval; its digest."""
    shop.spec = spec_of(needs_approval=True)
    shop.people([person_of(1), person_of(2)])
    return shop.plan().digest


def test_a_plan_is_shown_with_counts_reasons_and_masked_values(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1), person_of(2), person_of(3, permission=None)])
    shop.run()
    shop.people([person_of(1, segment="lapsed", email="New@example.com"), person_of(2), person_of(3, permission=None)])
    told = cdp("plan", SYNC)
    assert told.code == 0
    assert "1 to send, 1 unchanged, 1 left out" in told.text
    assert "1 person was left out: nobody ever asked" in told.text
    assert "P•••@•••.com  N•••@•••.com" in told.text
    assert "example.com" not in told.text
    assert len(shop.session.writes) == 1


def test_a_plan_in_json_holds_all_of_it(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1), person_of(2, permission="withdrawn")])
    document = json.loads(cdp("plan", SYNC, "--json", "--rows", "1").text)
    assert document["operations"] == {"create": 1}
    assert document["skipped"] == {"withdrawn": 1}
    assert document["digest"] == shop.engine.journal.plan(SYNC).digest  # type: ignore[union-attr]
    assert {one["code"] for one in document["verdicts"]} >= {"keys_unique", "consent_present", "mapping_fits"}
    assert {"field": "segment", "old": "", "new": "loyal"}.items() <= document["changes"][3].items()
    assert document["may_be_sent"] is True and document["paused"] is None


def test_a_plan_that_its_guards_stopped_ends_with_exit_code_3(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1), person_of(1)])
    told = cdp("plan", SYNC)
    assert told.code == 3
    assert "1 row shares its person_id" in told.text
    assert "cdp approve" not in told.text


def test_a_sync_that_is_off_is_planned_as_a_dry_run(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    controls.switch(shop.engine.journal, SYNC, is_enabled=False)
    told = cdp("plan", SYNC)
    assert told.code == 0
    assert f"dry run. Switch it on: cdp enable {SYNC}" in told.text
    assert shop.session.requests == []


def test_a_plan_without_rows_to_show_shows_none(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    assert "segment" not in cdp("plan", SYNC, "--rows", "0").text


def test_an_unknown_sync_is_told_with_the_nearest_name(cdp: Cdp) -> None:
    told = cdp("plan", "crm_contact")
    assert isinstance(told.error, CdpError)
    assert str(told.error) == "there is no sync 'crm_contact'. Did you mean `crm_contacts`?"


def test_an_approval_is_asked_for_given_once_and_logged(shop: Shop, cdp: Cdp) -> None:
    digest = waiting(shop)
    told = cdp("approve", SYNC, digest[:8], "--by", "olive", typed="y\n")
    assert "would send: create 2" in told.text
    assert "Approve this plan as olive?" in told.text
    assert cdp("plan", SYNC).code == 0
    sent = cdp("send", SYNC, "--plan", digest[:12])
    assert "delivered 2" in sent.text
    assert f"{digest[:12]}  olive  used by run cdp-" in cdp("approvals", SYNC).text


def test_an_approval_that_is_not_confirmed_is_none(shop: Shop, cdp: Cdp) -> None:
    digest = waiting(shop)
    assert cdp("approve", SYNC, digest[:8], typed="n\n").code == 1
    assert cdp("approvals", SYNC).text == f"No plan of {SYNC} was ever approved.\n"
    assert isinstance(cdp("send", SYNC, "--plan", digest).error, GuardTripped)
    assert shop.session.writes == []


def test_the_user_of_the_machine_approves_where_nobody_is_named(shop: Shop, cdp: Cdp) -> None:
    cdp("approve", SYNC, waiting(shop), "--yes")
    (given,) = controls.approvals(shop.engine.journal, SYNC)
    assert given.approved_by


def test_one_person_is_sent_shown_and_answered(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(number) for number in range(4)])
    told = cdp("send", SYNC, "--only", "p-002")
    assert told.code == 0, told.error
    assert "P•••@•••.com" in told.text and "example.com" not in told.text
    assert "p-002: accepted by fake, record r-1" in told.text
    assert list(shop.account.records) == ["p-002"]
    assert shop.run().counts.delivered == 3


def test_values_are_shown_to_who_asks_for_them(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    assert "Person1@example.com" in cdp("send", SYNC, "--only", "p-001", "--show").text


def test_each_chosen_person_is_told_why_nothing_was_accepted(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1), person_of(2), person_of(3, permission=None)])
    shop.session.reject("p-002", code="invalid_email", field="email")
    shop.run()
    told = cdp("send", SYNC, *(part for key in ("p-001", "p-002", "p-003", "p-404") for part in ("--only", key)))
    assert "p-001: unchanged: the destination has it already" in told.text
    assert "p-002: fake refused 1 row: it does not accept the e-mail address." in told.text
    assert "p-003: Not sent: nobody ever asked" in told.text
    assert "p-404: The source model has no such row" in told.text


def test_a_limit_sends_that_many_rows(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(number) for number in range(15)])
    assert "delivered 3 + rejected 0 + unknown 0 + skipped 0 + pending 12" in cdp("send", SYNC, "--limit", "3").text
    assert len(shop.account.records) == 3


@pytest.mark.parametrize("choice", [("--only", "p-001"), ("--limit", "1")])
def test_nothing_is_sent_nor_planned_while_the_sync_is_off_or_paused(
    shop: Shop, cdp: Cdp, choice: tuple[str, str]
) -> None:
    shop.people([person_of(1)])
    controls.pause(shop.engine.journal, "all", "all", paused_by="olive")
    assert "paused by olive" in str(cdp("send", SYNC, *choice).error)
    controls.resume(shop.engine.journal, "all", "all")
    controls.switch(shop.engine.journal, SYNC, is_enabled=False)
    assert "switched off" in str(cdp("send", SYNC, *choice).error)
    assert shop.session.requests == [] and shop.engine.journal.plan(SYNC) is None


@pytest.mark.parametrize("choice", [(), ("--only", "p-001", "--limit", "1")])
def test_exactly_one_choice_says_what_is_sent(shop: Shop, cdp: Cdp, choice: tuple[str, ...]) -> None:
    assert "say what to send" in str(cdp("send", SYNC, *choice).error)


def test_a_plan_that_is_not_the_newest_is_not_sent(shop: Shop, cdp: Cdp) -> None:
    digest = waiting(shop)
    shop.people([person_of(3)])
    newest = shop.plan().digest
    assert f"The newest plan is {newest[:12]}" in str(cdp("send", SYNC, "--plan", digest).error)
    assert "not the newest" in str(cdp("send", SYNC, "--plan", "").error)


def test_a_destination_that_fails_is_an_error_and_the_rows_are_tried_again(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.session.fail_next_read(TemporarilyDown("the account does not answer"))
    assert isinstance(cdp("send", SYNC, "--only", "p-001").error, TemporarilyDown)
    assert cdp("send", SYNC, "--only", "p-001").code == 0
    assert list(shop.account.records) == ["p-001"]


def test_a_run_is_taken_back_once_it_is_approved(shop: Shop, cdp: Cdp) -> None:
    for segment in ("loyal", "lapsed"):
        shop.people([person_of(1, segment=segment)])
        shop.run()
    told = cdp("revert", SYNC, "run-2")
    assert f"{SYNC} is switched off" in told.text
    assert "p-001  update     segment  lapsed  loyal" in told.text
    digest = shop.engine.journal.plan(SYNC).digest[:12]  # type: ignore[union-attr]
    assert f"cdp approve {SYNC} {digest}" in told.text
    assert shop.records("segment") == {"p-001": "lapsed"}
    assert cdp("approve", SYNC, digest, "--yes").code == 0
    assert "delivered 1" in cdp("send", SYNC, "--plan", digest).text
    assert shop.records("segment") == {"p-001": "loyal"}


def test_a_revert_without_anything_to_take_back_leaves_the_sync_on(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.run()
    told = cdp("revert", SYNC, "run-1")
    assert "1 row was left out: what stood there before is not known" in told.text
    assert "There is nothing to take back" in told.text
    assert controls.is_enabled(shop.engine.journal, SYNC)


def test_a_model_that_is_not_there_is_told(shop: Shop, cdp: Cdp) -> None:
    assert isinstance(cdp("plan", SYNC).error, ConfigError)


def test_rows_that_are_sent_again_are_told_with_their_number_and_the_reason(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    assert "sent again" not in cdp("plan", SYNC).text
    shop.spec = spec_of(mapping=shop.spec.mapping[:-1])
    assert "2 rows are sent again only because the mapping of the sync changed." in cdp("plan", SYNC).text
    document = json.loads(cdp("plan", SYNC, "--json").text)
    assert (document["sent_again"]["reason"], document["sent_again"]["rows"]) == ("mapping_changed", 2)


def test_the_first_plan_for_a_new_account_shows_both_ways_on(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.run()
    shop.account.account_id = "fake-2"
    shop.people([person_of(1), person_of(2)])
    told = cdp("plan", SYNC)
    assert told.code == 3
    assert "leads to the account fake-2, which is new to crm_contacts; so far it delivered to fake-1" in told.text
    assert "cdp baseline crm_contacts" in told.text
    assert "cdp approve crm_contacts" in told.text
