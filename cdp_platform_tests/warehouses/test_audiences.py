"""Audiences and computed traits behind a server: what a plain reading of the definitions says, and what DuckDB has."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.compile_traits import compile_traits
from cdp_platform.audiences.computed import Aggregate
from cdp_platform.audiences.definition import Condition, Definition
from cdp_platform.errors import CdpError
from cdp_platform.warehouse.base import Session, Warehouse
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.audiences.conftest import NEXT_DAY, Shop, spenders
from cdp_platform_tests.unit.audiences.market import AS_OF, Market, fill, fill_members, holds
from cdp_platform_tests.unit.audiences.test_compiled import CATALOGUE, CONDITIONS, MARKETS
from cdp_platform_tests.unit.audiences.test_computed import evaluated, one_of_each
from cdp_platform_tests.warehouses.homes import on

NUMBER = re.compile(r"\d+\.\d+")
EXAMPLES = {"postgres": 30, "snowflake": 6, "bigquery": 8}
"""How many markets are tried: an emulator is slow."""


def few(engine: str) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=EXAMPLES[engine], deadline=None, suppress_health_check=slow)


def filled(session: Session, market: Market, engine: str) -> None:
    # Snowflake makes no table within a transaction; for the others one is quicker.
    with nullcontext() if engine == "snowflake" else session.transaction():
        fill(session, market)
        fill_members(session, market.members)


@on()
def test_members_and_every_condition_are_what_a_plain_reading_says(shared_session: Session, engine: str) -> None:
    @few(engine)
    @given(market=MARKETS, condition=CONDITIONS)
    def tried(market: Market, condition: Condition) -> None:
        filled(shared_session, market, engine)
        definition = Definition(name="tried", members=condition, version="v1")
        compiled = compile_audience(definition, replace(CATALOGUE, policy=market.policy), as_of=AS_OF)
        rows = {row["person_id"]: row for row in shared_session.rows(compiled.sql, compiled.parameters)}
        assert rows.keys() == {person.person_id for person in market.people}
        for person in market.people:
            row = rows[person.person_id]
            assert row["is_member"] is holds(condition, person, market)
            for step in compiled.steps:
                assert row[f"condition_{step.number}"] is holds(step.condition, person, market), step

    tried()


@on()
def test_a_computed_trait_is_what_a_plain_reading_of_the_events_says(shared_session: Session, engine: str) -> None:
    traits = one_of_each()
    compiled = compile_traits(traits, CATALOGUE, as_of=AS_OF)

    @few(engine)
    @given(market=MARKETS)
    def tried(market: Market) -> None:
        filled(shared_session, market, engine)
        rows = {row["person_id"]: row for row in shared_session.rows(compiled.sql, compiled.parameters)}
        for person in market.people:
            for trait in traits:
                value, expected = rows[person.person_id][trait.name], evaluated(trait, person, market)
                if trait.aggregate is Aggregate.AVERAGE and expected is not None:
                    assert abs(value - expected) <= Decimal("0.00005"), trait
                else:
                    assert value == expected, trait

    tried()


@pytest.fixture
def session(warehouse: Warehouse) -> Iterator[Session]:
    with warehouse.session("test") as opened:
        yield opened


def everything(shop: Shop) -> list[list[tuple[Any, ...]]]:
    return [sorted((tuple(map(plain, row)) for row in rows), key=str) for rows in shop.everything()]


def plain(value: object) -> object:
    """The same value; of a number in a text, which each warehouse ends as it likes, without zeros at its end."""
    return value.rstrip("0").rstrip(".") if isinstance(value, str) and NUMBER.fullmatch(value) else value


def lived(session: Session, warehouse: Warehouse) -> list[Any]:
    """Three runs of an audience on two days, the last on corrected data; what they said and what they left."""
    shop = Shop(session, warehouse)
    shop.spent(stays=20, leaves=20, enters=0, gone=20, other=5)
    told: list[Any] = [shop.run(spenders(holdout_share=0.5))]
    shop.spent(stays=20, leaves=0, enters=20, new=30, other=5)
    told += [shop.run(spenders(holdout_share=0.5), NEXT_DAY), everything(shop)]
    shop.spent(stays=20, leaves=20, enters=20, new=0, other=15)
    told += [shop.run(spenders(holdout_share=0.5), NEXT_DAY), everything(shop), shop.members()]
    told += [sorted(shop.rows("select * from audiences.audience_conditions"))]
    told += [shop.run(spenders(15, name="others"), NEXT_DAY, before=spenders(name="others"))]
    return [replace(one, compile_seconds=0.0) if hasattr(one, "compile_seconds") else one for one in told]


@on()
def test_members_reasons_and_arms_are_kept_as_on_duckdb(session: Session, warehouse: Warehouse, tmp_path: Path) -> None:
    embedded = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    with embedded.session("test") as known:
        expected = lived(known, embedded)
    found = lived(session, warehouse)
    assert found == expected
    assert "condition" in str(expected[2])


@on()
def test_a_table_in_the_place_of_an_audiences_view_is_refused_and_not_replaced(
    session: Session, warehouse: Warehouse
) -> None:
    session.execute("create schema if not exists audiences")
    session.execute("create or replace table audiences.mine as select 'kept' as word")
    shop = Shop(session, warehouse)
    shop.spent(one=20)
    with pytest.raises(CdpError, match=r"audiences\.mine is a table"):
        shop.run(spenders(name="mine"))
    assert session.rows("select word from audiences.mine") == [{"word": "kept"}]
    assert not session.rows("select audience from audiences.audience_sizes where audience = 'mine'")
