"""Audiences and traits on BigQuery's emulator say of everybody what a plain reading of their definitions says."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from hypothesis import HealthCheck, given, settings

from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.compile_traits import compile_traits
from cdp_platform.audiences.computed import Aggregate
from cdp_platform.audiences.definition import Condition, Definition
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.bigquery import BigQueryWarehouse
from cdp_platform_tests.unit.audiences.market import AS_OF, Market, fill, fill_members, holds
from cdp_platform_tests.unit.audiences.test_compiled import CATALOGUE, CONDITIONS, MARKETS
from cdp_platform_tests.unit.audiences.test_computed import evaluated, one_of_each
from cdp_platform_tests.warehouses.bigquery_server import Crucible
from cdp_platform_tests.warehouses.emulators import NoSecrets

pytestmark = pytest.mark.slow
_FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.fixture(scope="module")
def session(crucible: Crucible) -> Iterator[Session]:
    warehouse = BigQueryWarehouse(crucible.new_account(), NoSecrets())
    with closing(warehouse), warehouse.session("test") as opened:
        yield opened


def filled(session: Session, market: Market) -> None:
    with session.transaction():
        fill(session, market)
        fill_members(session, market.members)


@_FEW
@given(market=MARKETS, condition=CONDITIONS)
def test_members_and_every_condition_are_what_a_plain_reading_says(
    session: Session, market: Market, condition: Condition
) -> None:
    filled(session, market)
    definition = Definition(name="tried", members=condition, version="v1")
    compiled = compile_audience(definition, replace(CATALOGUE, policy=market.policy), as_of=AS_OF)
    rows = {row["person_id"]: row for row in session.rows(compiled.sql, compiled.parameters)}
    assert rows.keys() == {person.person_id for person in market.people}
    for person in market.people:
        row = rows[person.person_id]
        assert row["is_member"] is holds(condition, person, market)
        for step in compiled.steps:
            assert row[f"condition_{step.number}"] is holds(step.condition, person, market), step


@_FEW
@given(market=MARKETS)
def test_a_computed_trait_is_what_a_plain_reading_of_the_events_says(session: Session, market: Market) -> None:
    filled(session, market)
    traits = one_of_each()
    compiled = compile_traits(traits, CATALOGUE, as_of=AS_OF)
    rows = {row["person_id"]: row for row in session.rows(compiled.sql, compiled.parameters)}
    for person in market.people:
        for trait in traits:
            value, expected = rows[person.person_id][trait.name], evaluated(trait, person, market)
            if trait.aggregate is Aggregate.AVERAGE and expected is not None:
                assert abs(value - expected) <= Decimal("0.00005"), trait
            else:
                assert value == expected, trait
