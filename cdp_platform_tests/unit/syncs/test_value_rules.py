"""Rows with a value that the destination's field does not take are rejected before anything is sent; the others go."""

from dataclasses import replace
from typing import ClassVar

import pytest

from cdp_platform.connectors.protocol import DestinationField
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FieldKind
from cdp_platform.domain.value_rules import ValueRule
from cdp_platform.syncs.rejected import read_rejected
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


class Describing(FakeDestination):
    """A destination whose description of a field is its own rule."""

    option_separator: ClassVar[str] = ";"


@pytest.fixture
def describing(shop: Shop) -> Shop:
    """Its segments are listed, its e-mail addresses have 30 characters at most."""
    told = {"segment": {"options": ("new", "loyal")}, "email": {"longest_characters": 30}}
    shop.account.fields = tuple(
        DestinationField(name=field.name, kind=FieldKind.TEXT, is_unique=field.is_unique, **told.get(field.name, {}))
        for field in shop.account.fields
    )
    shop.destination = Describing(batch_rows=10)
    return shop


def test_a_row_with_a_wrong_value_is_rejected_by_itself_and_never_sent(describing: Shop) -> None:
    shop = describing
    shop.people([person_of(1, segment="loyal"), person_of(2, segment="loyl"), person_of(3, email="a" * 31)])
    assert shop.run().counts == Counts(planned=3, delivered=1, rejected=2)
    assert shop.account.processed == ["p-001"]
    told = {row.key: (row.code, dict(row.parameters)) for row in read_rejected(shop.warehouse, shop.spec)}
    assert told == {
        "p-002": ("value_not_listed", {"field": "segment", "nearest": "loyal"}),
        "p-003": ("value_too_long", {"field": "email", "longest": "30"}),
    }


def test_a_value_that_was_mended_goes_with_the_next_run(describing: Shop) -> None:
    shop = describing
    shop.people([person_of(1, segment="loyl")])
    assert shop.run().counts == Counts(planned=1, rejected=1)
    assert shop.session.writes == []
    shop.people([person_of(1, segment="loyal")])
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_an_option_that_was_added_there_is_known_to_the_next_plan(describing: Shop) -> None:
    shop = describing
    shop.people([person_of(1, segment="vip"), person_of(2, segment="new")])
    assert shop.run().counts == Counts(planned=2, delivered=1, rejected=1)
    added = {"segment": ("new", "loyal", "vip")}
    shop.account.fields = tuple(
        replace(field, options=added.get(field.name, field.options)) for field in shop.account.fields
    )
    with shop.warehouse.session("replay") as session:
        session.execute("update cdp.rejected_rows set next_at = current_timestamp")
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_the_rules_stand_in_the_plan_and_are_read_back_as_they_were(describing: Shop) -> None:
    shop = describing
    shop.people([person_of(1)])
    plan = shop.plan()
    assert plan.value_rules == (
        ValueRule(field="email", longest_characters=30, kind=FieldKind.TEXT),
        ValueRule(field="segment", options=("new", "loyal"), kind=FieldKind.TEXT),
    )
    assert shop.engine.journal.plan(shop.spec.name) == plan


def test_a_destination_that_does_not_describe_values_is_sent_all_of_them(describing: Shop) -> None:
    shop = describing
    shop.destination = FakeDestination(batch_rows=10)
    shop.people([person_of(1, segment="loyl")])
    assert shop.run().counts == Counts(planned=1, delivered=1)
