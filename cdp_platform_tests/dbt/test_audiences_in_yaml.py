"""The audiences in YAML on the real data: what the catalogue says of the models is true, and the rules hold people."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_platform.audiences.catalogue import Catalogue, Event, Kind, Relation
from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.definition import Definition
from cdp_platform.audiences.membership import take_over
from cdp_platform.audiences.sizes import measure
from cdp_platform.components.audience_blocks import TopBlock
from cdp_platform.components.audience_catalogue import read_catalogue
from cdp_platform.components.audience_definition import make_definition
from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse
from cdp_platform_tests.dbt.conftest import Warehouse

ROOT = Path(__file__).parents[2]
DAY = date(2017, 11, 21)
SHIPPED = ("high_value_at_risk", "coupon_lovers", "new_department_explorers", "big_basket_families")
EXAMPLE = ROOT / "examples" / "audiences" / "lapsed_loyalists" / "defs.yaml"
KINDS = {"VARCHAR": Kind.TEXT, "DATE": Kind.DATE, "BOOLEAN": Kind.BOOLEAN}


@pytest.fixture(scope="module")
def described(restore: Callable[[], Warehouse]) -> Warehouse:
    """The warehouse with people as of a day."""
    warehouse = restore()
    assert warehouse.run_people(DAY).success
    return warehouse


@pytest.fixture(scope="module")
def known(described: Warehouse) -> Catalogue:
    return read_catalogue(DbtManifest.read(described.folder / "target" / "manifest.json"))


def read(file: Path, known: Catalogue) -> Definition:
    said = yaml.safe_load(file.read_text(encoding="utf-8"))["attributes"]
    return make_definition(
        name=said["name"],
        members=said["members"],
        catalogue=known,
        top=TopBlock(**said["top"]) if "top" in said else None,
        yields_to=said.get("yields_to", ()),
        holdout_share=said.get("holdout_share"),
    )


def shipped(known: Catalogue) -> list[Definition]:
    folder = ROOT / "cdp_platform" / "defs" / "audiences"
    return [read(folder / name / "defs.yaml", known) for name in SHIPPED]


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


def test_lapsed_loyalists_in_yaml_has_the_very_members_of_the_dbt_model(described: Warehouse, known: Catalogue) -> None:
    definition = read(EXAMPLE, known)
    with DuckDbWarehouse(described.path).session("test") as session:
        compiled = compile_audience(definition, known, as_of=DAY)
        rows = session.rows(f"select person_id from ({compiled.sql}) as judged where is_member", compiled.parameters)
        of_dbt = session.rows("select person_id from audiences.lapsed_loyalists")
    assert len(of_dbt) > 2
    assert sorted(row["person_id"] for row in rows) == sorted(row["person_id"] for row in of_dbt)


def test_every_shipped_audience_holds_somebody_and_not_everybody(described: Warehouse, known: Catalogue) -> None:
    with DuckDbWarehouse(described.path).session("test") as session:
        dialect = DuckDbWarehouse(described.path).dialect
        found = {
            definition.name: take_over(session, dialect, definition, known, as_of=DAY) for definition in shipped(known)
        }
        members = session.rows("select audience, person_id from audiences.audience_members")
    assert {name for name, taken in found.items() if 0 < taken.sizes.members < taken.sizes.people / 2} == set(SHIPPED)
    pairs = {(row["audience"], row["person_id"]) for row in members}
    assert len(pairs) == sum(taken.sizes.members for taken in found.values())
    for first, second in (("high_value_at_risk", "coupon_lovers"), ("coupon_lovers", "big_basket_families")):
        assert not {person for name, person in pairs if name == first} & {p for n, p in pairs if n == second}


def test_the_part_that_keeps_an_audience_small_is_the_one_without_which_most_would_be_left(
    described: Warehouse, known: Catalogue
) -> None:
    definition = read(EXAMPLE, known)
    with DuckDbWarehouse(described.path).session("test") as session:
        sizes = measure(session, compile_audience(definition, known, as_of=DAY))
    parts = sizes.conditions[1:]
    assert [part.still for part in parts][-1] == sizes.members
    assert all(part.without is not None and part.without >= sizes.members for part in parts)
    assert max(parts, key=lambda part: part.without or 0).step.number == 2


def _own_columns(event: Event) -> list[Any]:
    return [name for name in (event.person_key, event.day, event.moment, event.only) if name]
