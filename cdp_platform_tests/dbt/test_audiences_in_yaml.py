"""The audiences in YAML on the real data: what the catalogue says of the models is true, and the rules hold people."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from cdp_platform.audiences.catalogue import Catalogue, Event, Kind, Relation
from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.sizes import measure
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse
from cdp_platform_tests.dbt.conftest import AUDIENCES, Warehouse, read_audience

DAY = date(2017, 11, 21)
FLAGS = (
    "lapsed_loyalist", "high_value_at_risk", "coupon_lover", "new_department_explorer", "big_basket_family",
)  # fmt: skip
KINDS = {"VARCHAR": Kind.TEXT, "DATE": Kind.DATE, "BOOLEAN": Kind.BOOLEAN}


@pytest.fixture(scope="module")
def described(restore: Callable[[], Warehouse]) -> Warehouse:
    """The warehouse with people as of a day."""
    warehouse = restore()
    assert warehouse.run_people(DAY).success
    return warehouse


@pytest.fixture(scope="module")
def known(described: Warehouse) -> Catalogue:
    return described.catalogue()


def columns(session: DuckDbSession, relation: Relation) -> dict[str, Kind]:
    types = session.columns(f"{relation.schema}.{relation.name}")
    assert types
    return {name: KINDS.get(kind, Kind.NUMBER) for name, kind in types.items() if not kind.startswith("TIMESTAMP")}


def test_the_kind_of_every_trait_and_field_is_the_one_that_the_warehouse_has(
    described: Warehouse, known: Catalogue
) -> None:
    with DuckDbWarehouse(described.path).session("test") as session:
        for trait in known.traits.values():
            assert columns(session, trait.relation)[trait.column] is trait.kind, trait.name
        for event in known.events.values():
            assert set(_own_columns(event)) <= set(session.columns(f"{event.relation.schema}.{event.relation.name}"))
            for one in event.fields.values():
                assert columns(session, event.relation)[one.column] is one.kind, one.name


def test_every_name_that_two_models_have_must_be_qualified_and_can_be(known: Catalogue) -> None:
    assert {"first_order_on", "favourite_department", "as_of_on"} <= set(known.unusable)
    assert {"profiles.first_order_on", "traits_rfm.first_order_on"} <= set(known.traits)


def test_lapsed_loyalists_are_who_came_often_stayed_away_and_may_be_written_to(described: Warehouse) -> None:
    by_hand = described.rows(
        "select person_id from marts.traits_rfm join marts.profiles using (person_id) where orders_180d_to_last >= 12"
        " and days_since_last_order >= 28 and email_permission = 'granted' order by 1"
    )
    assert len(by_hand) > 2
    assert described.rows("select person_id from audiences.lapsed_loyalists order by 1") == by_hand


def test_every_shipped_audience_holds_somebody_and_not_everybody(described: Warehouse) -> None:
    found = described.take_over(DAY)
    pairs = set(described.rows("select audience, person_id from audiences.audience_members"))
    assert {name for name, taken in found.items() if 0 < taken.sizes.members < taken.sizes.people / 2} == set(AUDIENCES)
    assert len(pairs) == sum(taken.sizes.members for taken in found.values())
    for first, second in (("high_value_at_risk", "coupon_lovers"), ("coupon_lovers", "big_basket_families")):
        assert not {person for name, person in pairs if name == first} & {p for n, p in pairs if n == second}


def test_the_crm_is_told_of_every_member_who_is_not_held_out_and_of_nobody_else(described: Warehouse) -> None:
    fields = dict(zip(AUDIENCES, FLAGS, strict=True))
    for name, flag in fields.items():
        shown = set(described.rows(f"select person_id from activation.sync_contacts__crm where {flag}"))
        members = f"select person_id from audiences.audience_members where audience = '{name}'"
        assert shown == set(described.rows(f"{members} and not is_held_out"))
    held_out = described.rows("select count(*) from audiences.audience_members where is_held_out")
    assert held_out > [(0,)]


def test_the_part_that_keeps_an_audience_small_is_the_one_without_which_most_would_be_left(
    described: Warehouse, known: Catalogue
) -> None:
    definition = read_audience("lapsed_loyalists", known)
    with DuckDbWarehouse(described.path).session("test") as session:
        sizes = measure(session, compile_audience(definition, known, as_of=DAY))
    parts = sizes.conditions[1:]
    assert [part.still for part in parts][-1] == sizes.members
    assert all(part.without is not None and part.without >= sizes.members for part in parts)
    assert max(parts, key=lambda part: part.without or 0).step.number == 1


def _own_columns(event: Event) -> list[Any]:
    return [name for name in (event.person_key, event.day, event.moment, event.only) if name]
