"""What a plan says before anything is sent."""

import random

import pytest

from cdp_platform.domain.syncs import FieldMapping
from cdp_platform.errors import CdpError, ConfigError, WarehouseError
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.syncs.preview import preview
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of


def test_the_first_plan_creates_everybody_who_may_be_written_to(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2), person_of(3, permission=None), person_of(4, permission="withdrawn")])
    plan = shop.plan()
    assert plan.operations == {"create": 2}
    assert plan.skipped == {"never_asked": 1, "withdrawn": 1}
    assert plan.planned == 4
    assert plan.is_allowed
    assert shop.account.arrived == []


def test_a_plan_names_changed_fields_with_old_and_new_value(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="lapsed", lifetime_value="12.50", email="New@example.com"), person_of(2)])
    plan = shop.plan()
    assert plan.operations == {"update": 1}
    assert plan.unchanged == 1
    changes = preview(shop.home, shop.warehouse, shop.spec, plan, rows=5)
    shown = {change.field: (change.old, change.new) for change in changes}
    assert shown == {
        "segment": ("loyal", "lapsed"),
        "lifetime_value": ("10.00", "12.50"),
        "email": ("P•••@•••.com", "N•••@•••.com"),
    }


def test_five_equal_plans_have_one_digest_and_one_file_whatever_the_order_of_rows(shop: Shop) -> None:
    people = [person_of(number) for number in range(30)]
    digests = set()
    for seed in range(5):
        random.Random(seed).shuffle(people)
        shop.people(people)
        digests.add(shop.plan().digest)
    assert len(digests) == 1
    (file,) = (shop.home.plans / "crm_contacts").iterdir()
    assert file == plan_path(shop.home, "crm_contacts", digests.pop())
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("people", "guard"),
    [
        ([], "model_not_empty"),
        ([person_of(1), person_of(2, person_id=None)], "keys_present"),
        ([person_of(1), person_of(2, person_id="  ")], "keys_present"),
        ([person_of(1), person_of(1, email="other@example.com")], "keys_unique"),
    ],
)
def test_a_guard_stops_a_model_that_cannot_be_right(shop: Shop, people: list[dict[str, object]], guard: str) -> None:
    shop.people(people or [person_of(1)])
    if not people:
        shop.sql("delete from activation.sync_contacts__crm")
    plan = shop.plan()
    assert guard in {verdict.code for verdict in plan.verdicts if not verdict.passed}
    with pytest.raises(CdpError, match=guard):
        shop.send(plan)
    assert shop.session.writes == []


def test_a_model_that_lost_more_than_half_of_its_rows_is_stopped(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(10)])
    shop.run()
    shop.people([person_of(number) for number in range(4)])
    failed = {verdict.code for verdict in shop.plan().verdicts if not verdict.passed}
    assert failed == {"model_not_shrunk", "consent_present"}


def test_an_emptied_consent_table_stops_the_plan(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.sql("delete from marts.consents")
    plan = shop.plan()
    assert [verdict.code for verdict in plan.verdicts if not verdict.passed] == ["consent_present"]


def test_a_missing_consent_table_means_no(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.sql("drop table marts.consents")
    with pytest.raises(WarehouseError, match="consents"):
        shop.plan()
    assert shop.session.writes == []


def test_a_field_that_the_destination_does_not_have_stops_the_plan(shop: Shop) -> None:
    shop.people([person_of(1)])
    wrong = FieldMapping(column="segment", field="no_such_field")
    shop.spec = spec_of(mapping=(*shop.spec.mapping, wrong))
    (verdict,) = [verdict for verdict in shop.plan().verdicts if not verdict.passed]
    assert verdict.code == "mapping_fits"
    assert verdict.parameters["fields"] == "no_such_field"


def test_a_column_that_the_model_does_not_have_is_named_with_those_it_has(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.spec = spec_of(mapping=(shop.spec.mapping[0], FieldMapping(column="emial", field="email")))
    with pytest.raises(ConfigError, match=r"no column `emial`.*person_id, email"):
        shop.plan()


def test_a_model_that_was_never_built_is_named(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.spec = spec_of(relation="activation.nowhere")
    with pytest.raises(ConfigError, match="not in the warehouse"):
        shop.plan()


def test_a_float_without_a_declared_type_is_refused(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.sql("alter table activation.sync_contacts__crm alter lifetime_value type double")
    undeclared = FieldMapping(column="lifetime_value", field="lifetime_value")
    shop.spec = spec_of(mapping=(*shop.spec.mapping[:4], undeclared))
    with pytest.raises(ConfigError, match="lifetime_value"):
        shop.plan()


def test_a_sync_that_is_off_plans_without_asking_the_destination_and_cannot_be_sent(shop: Shop) -> None:
    shop.people([person_of(1)])
    switch(shop.engine.journal, "crm_contacts", is_enabled=False)
    plan = shop.plan()
    assert plan.operations == {"create": 1}
    with pytest.raises(CdpError, match="switched off"):
        shop.send(plan)
    assert shop.session.requests == []
