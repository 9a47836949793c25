"""Permission in a plan: the market's rule, the reasons why somebody is left out, and what a withdrawal does."""

from dataclasses import replace

import pytest

from cdp_platform.domain.permission import ConsentRule, ObjectKind
from cdp_platform.domain.syncs import FirstRun, Limits, Mode, Removal
from cdp_platform.errors import GuardTripped, WarehouseError
from cdp_platform.syncs.explain import explain
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

EVERY_REASON = {"withdrawn": 1, "suppressed": 1, "other_brand": 1, "never_asked": 1}


def ruled(shop: Shop, rule: ConsentRule) -> None:
    assert shop.spec.consent is not None
    shop.spec = replace(shop.spec, consent=replace(shop.spec.consent, rule=rule))


def spoken_of(shop: Shop) -> None:
    """Six people: 1 said yes, 2 confirmed it, 3 withdrew, 4 is suppressed, 5 said yes to another brand, 6 nothing."""
    shop.people([person_of(number, permission="granted" if number in (1, 4) else None) for number in range(1, 7)])
    answer(shop, 2, "confirmed")
    answer(shop, 3, "withdrawn")
    suppress(shop, "person4@example.com")
    answer(shop, 5, "confirmed", entity="other")


def answer(shop: Shop, number: int, status: str, *, entity: str = "shop") -> None:
    address = f"person{number}@example.com"
    shop.sql(f"delete from marts.consents where identifier = '{address}' and entity = '{entity}'")
    shop.sql(f"insert into marts.consents values ('{address}', '{entity}', 'email', 'email_marketing', '{status}')")


def suppress(shop: Shop, identifier: str, *, channel: str = "email", entity: str | None = None) -> None:
    brand = f"'{entity}'" if entity else "null"
    shop.sql(f"insert into marts.suppressions values ('{identifier}', '{channel}', {brand})")


def sending(shop: Shop, mode: Mode, kind: ObjectKind, removal: Removal = Removal.KEEP) -> None:
    shop.destination = FakeDestination(batch_rows=10, modes=frozenset(Mode))
    shop.destination._capabilities = replace(shop.capabilities, is_membership=kind is ObjectKind.MEMBERSHIP)
    shop.spec = spec_of(mode=mode, removal=removal)


@pytest.mark.parametrize(
    ("rule", "created", "skipped"),
    [
        (ConsentRule.OPT_IN, 2, EVERY_REASON),
        (ConsentRule.DOUBLE_OPT_IN, 1, EVERY_REASON | {"not_confirmed": 1}),
        (ConsentRule.OPT_OUT, 4, {"withdrawn": 1, "suppressed": 1}),
    ],
)
def test_each_rule_lets_its_people_pass_and_counts_the_reasons_apart(
    shop: Shop, rule: ConsentRule, created: int, skipped: dict[str, int]
) -> None:
    spoken_of(shop)
    ruled(shop, rule)
    plan = shop.plan()
    assert (plan.operations, plan.skipped) == ({"create": created}, skipped)
    assert plan.is_allowed
    assert shop.send(plan).counts.delivered == created


def test_under_opt_out_nobody_is_contacted_without_an_address(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2, email=None), person_of(3, email="  ")])
    ruled(shop, ConsentRule.OPT_OUT)
    assert (shop.plan().operations, shop.plan().skipped) == ({"create": 1}, {"never_asked": 2})


def test_under_opt_out_there_may_be_no_answer_yet(shop: Shop) -> None:
    shop.people([person_of(1, permission=None)])
    ruled(shop, ConsentRule.OPT_OUT)
    assert shop.plan().is_allowed
    ruled(shop, ConsentRule.OPT_IN)
    assert not shop.plan().is_allowed


@pytest.mark.parametrize("written", ["PERSON1@Example.com", "  person1@example.com ", "person1@example.com"])
def test_a_suppression_in_another_case_or_form_counts(shop: Shop, written: str) -> None:
    shop.people([person_of(1)])
    suppress(shop, written)
    assert shop.plan().skipped == {"suppressed": 1}


def test_an_accent_that_is_written_in_two_ways_is_one_address(shop: Shop) -> None:
    shop.people([person_of(1, email="ren\u00e9e@example.com")])
    suppress(shop, "rene\u0301e@example.com")
    assert shop.plan().skipped == {"suppressed": 1}


@pytest.mark.parametrize(
    ("channel", "entity", "is_left_out"),
    [("email", None, True), ("email", "shop", True), ("email", "other", False), ("sms", None, False)],
)
def test_a_suppression_counts_on_its_channel_and_for_its_brand_or_all(
    shop: Shop, channel: str, entity: str | None, is_left_out: bool
) -> None:
    shop.people([person_of(1)])
    suppress(shop, "person1@example.com", channel=channel, entity=entity)
    assert shop.plan().skipped == ({"suppressed": 1} if is_left_out else {})


@pytest.mark.parametrize("reason", ["withdrawn", "suppressed"])
@pytest.mark.parametrize(
    ("mode", "removal"),
    [
        (Mode.INSERT, Removal.KEEP),
        (Mode.UPDATE, Removal.KEEP),
        (Mode.UPSERT, Removal.KEEP),
        (Mode.MIRROR, Removal.DELETE),
        (Mode.MIRROR, Removal.ARCHIVE),
        (Mode.MIRROR, Removal.CLEAR),
    ],
)
def test_in_every_mode_a_record_stays_and_gets_its_opt_out_and_no_marketing_field(
    shop: Shop, mode: Mode, removal: Removal, reason: str
) -> None:
    sending(shop, mode, ObjectKind.RECORD, removal)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    ended(shop, 1, reason)
    record = shop.run()
    assert (record.operations, record.skipped_reasons) == ({"withdraw": 1}, {})
    assert shop.sent_rows()[-1]["operation"] == "withdraw"
    assert set(shop.sent_rows()[-1]["fields"]) <= {"email_permission"}
    assert shop.records("segment") == {"p-001": "loyal", "p-002": "loyal"}
    assert shop.run().counts.planned == 0


@pytest.mark.parametrize("reason", ["withdrawn", "suppressed"])
@pytest.mark.parametrize(
    ("mode", "removal"),
    [(Mode.INSERT, Removal.KEEP), (Mode.UPSERT, Removal.KEEP), (Mode.MIRROR, Removal.DELETE)],
)
def test_in_every_mode_a_membership_is_removed(shop: Shop, mode: Mode, removal: Removal, reason: str) -> None:
    sending(shop, mode, ObjectKind.MEMBERSHIP, removal)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    ended(shop, 1, reason)
    plan = shop.plan()
    assert (plan.operations, plan.unchanged) == ({"withdraw": 1}, 1)
    shop.send(plan)
    assert list(shop.account.records) == ["p-002"]
    assert shop.run().counts.planned == 0


@pytest.mark.parametrize("reason", ["withdrawn", "suppressed"])
def test_an_event_of_who_withdrew_is_not_sent(shop: Shop, reason: str) -> None:
    sending(shop, Mode.APPEND, ObjectKind.RECORD)
    shop.people([person_of(1), person_of(2)])
    ended(shop, 1, reason)
    record = shop.run()
    assert (record.operations, record.skipped_reasons) == ({"create": 1}, {reason: 1})
    assert shop.account.processed == ["p-002"]


def ended(shop: Shop, number: int, reason: str) -> None:
    """Let somebody withdraw, or put the address on the list."""
    address = f"person{number}@example.com"
    shop.sql(
        f"update activation.sync_contacts__crm set email_permission = 'withdrawn' where lower(email) = '{address}'"
    )
    if reason == "withdrawn":
        answer(shop, number, "withdrawn")
    else:
        suppress(shop, address)


def test_a_mass_withdrawal_passes_the_brake_and_what_is_not_found_any_more_does_not(shop: Shop) -> None:
    sending(shop, Mode.MIRROR, ObjectKind.MEMBERSHIP, Removal.DELETE)
    shop.spec = replace(shop.spec, limits=Limits(removed_rows=1, removed_share=0.1, shrunk_share=0.9))
    shop.people([person_of(number) for number in range(20)])
    shop.run()
    shop.sql(
        "update marts.consents set entity = 'other' where identifier in (select identifier from marts.consents limit 9)"
    )
    plan = shop.plan()
    assert plan.operations == {"remove": 9}
    assert [one.code for one in plan.verdicts if not one.passed] == ["removals_within_limit"]
    with pytest.raises(GuardTripped, match="removals_within_limit"):
        shop.send(plan)
    shop.sql("update marts.consents set entity = 'shop', status = 'withdrawn' where entity = 'other'")
    assert shop.run().counts.delivered == 9
    assert len(shop.account.records) == 11


def test_one_withdrawal_takes_effect_while_the_brake_holds_everything_else(shop: Shop) -> None:
    sending(shop, Mode.MIRROR, ObjectKind.RECORD, Removal.DELETE)
    shop.people([person_of(number) for number in range(10)])
    shop.run()
    ended(shop, 1, "withdrawn")
    assert shop.run().operations == {"withdraw": 1}
    assert len(shop.account.records) == 10


@pytest.mark.parametrize("table", ["consents", "suppressions"])
@pytest.mark.parametrize("gone", ["true", "md5(identifier) < 'b'"])
@pytest.mark.parametrize("kind", [ObjectKind.RECORD, ObjectKind.MEMBERSHIP])
def test_an_emptied_or_halved_table_sends_nothing_and_removes_nothing(
    shop: Shop, table: str, gone: str, kind: ObjectKind
) -> None:
    sending(shop, Mode.MIRROR, kind, Removal.DELETE)
    shop.people([person_of(number) for number in range(60)])
    for number in range(30):
        suppress(shop, f"person{number}@example.com")
    shop.run()
    before = len(shop.account.arrived)
    shop.sql(f"delete from marts.{table} where {gone}")
    plan = shop.plan()
    guard = {"consents": "consent_present", "suppressions": "suppressions_present"}[table]
    assert guard in [one.code for one in plan.verdicts if not one.passed]
    with pytest.raises(GuardTripped, match=guard):
        shop.send(plan)
    assert (len(shop.account.arrived), len(shop.account.records)) == (before, 30)


def test_answers_of_another_brand_do_not_hide_that_the_own_ones_are_gone(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(10)])
    shop.run()
    shop.sql("update marts.consents set entity = 'other'")
    failed = [one for one in shop.plan().verdicts if not one.passed]
    assert [(one.code, one.parameters["rows"]) for one in failed] == [("consent_present", 0)]


def test_a_missing_list_of_suppressions_means_no(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.sql("drop table marts.suppressions")
    with pytest.raises(WarehouseError, match="suppressions"):
        shop.plan()
    assert shop.session.writes == []


def test_every_reason_is_told_of_a_person(shop: Shop) -> None:
    spoken_of(shop)
    ruled(shop, ConsentRule.DOUBLE_OPT_IN)
    shop.run()
    told = {number: explain(shop.warehouse, shop.spec, f"p-{number:03}").reason for number in range(1, 7)}
    assert told == {
        1: "not_confirmed",
        2: None,
        3: "withdrawn",
        4: "suppressed",
        5: "other_brand",
        6: "never_asked",
    }
    suppress(shop, "person2@example.com")
    assert explain(shop.warehouse, shop.spec, "p-002").reason == "suppressed_there"


def test_a_confirmation_that_comes_later_is_taken_up(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    ruled(shop, ConsentRule.DOUBLE_OPT_IN)
    assert shop.run().skipped_reasons == {"not_confirmed": 2}
    answer(shop, 1, "confirmed")
    assert shop.run().counts.delivered == 1


def test_a_baseline_takes_nobody_as_delivered_who_may_not_be_written_to(shop: Shop) -> None:
    spoken_of(shop)
    shop.spec = replace(shop.spec, first_run=FirstRun.BASELINE)
    shop.run()
    found = shop.sql("select primary_key from cdp.delivered_rows order by primary_key")
    assert [row["primary_key"] for row in found] == ["p-001", "p-002", "p-003", "p-004"]
