"""A plan says how many rows it sends again though their values did not change, and why."""

import pytest

from cdp_platform.connectors.protocol import DestinationField
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import FieldKind, FieldMapping, FieldType
from cdp_platform.errors import TemporarilyDown
from cdp_platform.syncs.reset import resync
from cdp_platform.syncs.send import send_plan
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


def told(plan: Plan) -> tuple[str | None, int, int]:
    return plan.resend_reason, plan.resent_rows, plan.to_send


def delivered(shop: Shop, count: int = 3, **fields: str) -> None:
    shop.people([person_of(number, **fields) for number in range(count)])
    shop.run()


def test_an_ordinary_plan_sends_nothing_again(shop: Shop) -> None:
    delivered(shop)
    shop.people([person_of(0, segment="lapsed"), person_of(1), person_of(2), person_of(3)])
    assert told(shop.plan()) == (None, 0, 2)


def test_another_hash_of_the_warehouse_sends_everything_again_once(shop: Shop) -> None:
    delivered(shop)
    ledger = shop.plan().ledger_id
    shop.sql(f"update cdp.ledger_{ledger} set fingerprint = xor(fingerprint, 1)")
    shop.sql("update cdp.ledgers set probe = 'what another version of the warehouse made of it'")
    shop.people([person_of(0, segment="lapsed"), person_of(1), person_of(2)])
    assert told(shop.plan()) == ("hash_changed", 2, 3)
    shop.run()
    assert told(shop.plan()) == (None, 0, 0)
    shop.people([person_of(0, segment="lapsed"), person_of(1, segment="lapsed"), person_of(2)])
    assert told(shop.plan()) == (None, 0, 1)


def test_a_new_field_of_the_mapping_is_the_reason_for_the_rows_that_differ_in_nothing_else(shop: Shop) -> None:
    added = FieldMapping(column="lifetime_value", field="value_text", type=FieldType(kind=FieldKind.TEXT))
    shop.account.fields = (*shop.account.fields, DestinationField(name="value_text", kind=FieldKind.TEXT))
    delivered(shop)
    shop.spec = spec_of(mapping=(*shop.spec.mapping, added))
    shop.people([person_of(0, segment="lapsed"), person_of(1), person_of(2)])
    plan = shop.plan()
    assert told(plan) == ("mapping_changed", 2, 3)
    shop.send(plan)
    assert shop.sent_rows()[-1]["fields"] == {"value_text": "10.0000"}
    assert told(shop.plan()) == (None, 0, 0)


def test_a_field_taken_out_of_the_mapping_sends_the_rows_again(shop: Shop) -> None:
    delivered(shop)
    shop.spec = spec_of(mapping=shop.spec.mapping[:-1])
    assert told(shop.plan()) == ("mapping_changed", 3, 3)


def test_a_mapping_that_changed_and_was_sent_in_part_only_is_still_the_reason_for_the_rest(shop: Shop) -> None:
    delivered(shop, 25)
    shop.spec = spec_of(mapping=shop.spec.mapping[:-1])
    plan = shop.plan()
    shop.session.after_send = lambda request, answer: shop.session.fail_next(TemporarilyDown("no answer"), times=5)
    with pytest.raises(TemporarilyDown):
        shop.send(plan)
    shop.session = type(shop.session)(shop.account)
    reason, _, to_send = told(shop.plan())
    assert (reason, to_send) == ("mapping_changed", 15)


def test_a_column_of_another_type_is_the_reason_where_the_text_changes_with_it(shop: Shop) -> None:
    shop.spec = spec_of(
        mapping=(*shop.spec.mapping[:-1], FieldMapping(column="lifetime_value", field="lifetime_value"))
    )
    delivered(shop, lifetime_value="10.25")
    shop.sql("alter table activation.sync_contacts__crm alter lifetime_value type decimal(14,1)")
    plan = shop.plan()
    assert told(plan) == ("types_changed", 3, 3)
    shop.send(plan)
    assert told(shop.plan()) == (None, 0, 0)


def test_a_column_of_another_type_that_says_the_same_sends_nothing(shop: Shop) -> None:
    delivered(shop)
    shop.sql("alter table activation.sync_contacts__crm alter lifetime_value type decimal(18,4)")
    assert told(shop.plan()) == (None, 0, 0)


def test_who_asks_for_everything_again_is_told_so(shop: Shop) -> None:
    delivered(shop)
    resync(shop.engine, shop.spec)
    assert told(shop.plan()) == ("asked", 3, 3)
    assert shop.run().counts == Counts(planned=3, delivered=3)
    assert told(shop.plan()) == (None, 0, 0)


def test_a_mapping_taken_back_after_a_part_was_sent_is_the_reason_for_that_part(shop: Shop) -> None:
    added = FieldMapping(column="lifetime_value", field="value_text", type=FieldType(kind=FieldKind.TEXT))
    shop.account.fields = (*shop.account.fields, DestinationField(name="value_text", kind=FieldKind.TEXT))
    delivered(shop, 25)
    shop.spec = spec_of(mapping=(*shop.spec.mapping, added))
    plan = shop.plan()
    send_plan(shop.engine, shop.spec, plan, run_id=plan.run_id, limit=10)
    shop.spec = spec_of()
    assert told(shop.plan()) == ("mapping_changed", 10, 10)
    shop.run()
    assert told(shop.plan()) == (None, 0, 0)
