"""The SQL of an audience, as each engine is told it: each table once, and nothing but names and values."""

from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.definition import Comparison, Condition, Definition, Operator, Top
from cdp_platform.errors import WarehouseError
from cdp_platform_tests.unit.audiences.market import AS_OF, TABLES, Market, Person, catalogue, connected
from cdp_platform_tests.warehouses.listening import ENGINES, said_on


def compared(operator: Operator, *values: Any) -> Comparison:
    return Comparison(operator=operator, values=values)


def everything(known: Catalogue, text: str = "Taipei") -> Definition:
    """A definition with every kind of condition; two ask the same events, two the same traits' table."""
    visits, clicks = known.events["visits"], known.events["clicks"]
    in_shop = tree.FieldCondition(field=visits.fields["shop"], comparison=compared(Operator.STARTS_WITH, text))
    conditions: tuple[Condition, ...] = (
        tree.TraitCondition(trait=known.traits["spent"], comparison=compared(Operator.AT_LEAST, 10)),
        tree.AnyOf(
            conditions=(
                tree.TraitCondition(trait=known.traits["city"], comparison=compared(Operator.CONTAINS, text)),
                tree.Not(
                    condition=tree.TraitCondition(
                        trait=known.traits["is_vip"], comparison=compared(Operator.IS_KNOWN, True)
                    )
                ),
            )
        ),
        tree.EventCondition(
            occurrence=tree.Occurrence(event=visits, where=(in_shop,), within_days=90),
            operator=Operator.AT_LEAST,
            count=2,
        ),
        tree.EventCondition(occurrence=tree.Occurrence(event=visits), operator=Operator.AT_MOST, count=40),
        tree.SequenceCondition(
            first=tree.Occurrence(event=clicks), then=tree.Occurrence(event=visits, where=(in_shop,)), gap_days=14
        ),
        tree.ConsentCondition(purpose=text, channel="email"),
        tree.MembershipCondition(audience=text),
    )
    return Definition(
        name="everything",
        members=tree.All(conditions=conditions),
        version="v1",
        top=Top(count=20, by=known.traits["spent"]),
        yields_to=("first",),
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_one_select_that_reads_each_table_once(engine: str) -> None:
    compiled = compile_audience(everything(catalogue()), catalogue(), as_of=AS_OF)
    [statement] = sqlglot.parse(said_on(engine, compiled.sql, compiled.parameters), dialect=engine)
    assert isinstance(statement, exp.Select)
    read = sorted(f"{table.db}.{table.name}".lower() for table in statement.find_all(exp.Table) if table.db)
    assert read == ["audiences.audience_members", *(f"marts.{name}" for name in sorted(TABLES))]


def test_no_value_stands_in_the_sql() -> None:
    compiled = compile_audience(everything(catalogue(), "kept_out"), catalogue(), as_of=AS_OF)
    assert "kept_out" in compiled.parameters.values()
    assert "kept_out" not in compiled.sql
    assert "2017" not in compiled.sql


def test_a_window_bounds_what_is_read_only_where_every_condition_has_one() -> None:
    visits = catalogue().events["visits"]
    recent = tree.EventCondition(
        occurrence=tree.Occurrence(event=visits, within_days=30), operator=Operator.AT_LEAST, count=1
    )
    ever = tree.EventCondition(occurrence=tree.Occurrence(event=visits), operator=Operator.AT_LEAST, count=1)

    def bounds(*conditions: Condition) -> int:
        definition = Definition(name="x", members=tree.All(conditions=conditions), version="v1")
        sql = compile_audience(definition, catalogue(), as_of=AS_OF).sql
        tables = sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.CTE)
        happened = next(table for table in tables if table.alias == "happened_1")
        return len(list(happened.this.args["where"].find_all(exp.GT)))

    assert (bounds(recent), bounds(recent, ever)) == (1, 0)


HOSTILE = st.one_of(
    st.sampled_from(
        ["'; drop table canary; --", '" or 1=1 --', "$value_a", "?", "%s", ":1", "@value_a", "/*", "*/", "`; select 1"]
    ),
    st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
)
MARKET = Market(people=[Person(person_id="p1", city="Taipei", email="a@x.com")])


def lived_and_visited(known: Catalogue, text: str = "Taipei") -> Definition:
    """A definition of a text of a person's and one of an event's."""
    visits = known.events["visits"]
    in_shop = tree.FieldCondition(field=visits.fields["shop"], comparison=compared(Operator.EQUALS, text))
    conditions: tuple[Condition, ...] = (
        tree.TraitCondition(trait=known.traits["city"], comparison=compared(Operator.CONTAINS, text)),
        tree.EventCondition(
            occurrence=tree.Occurrence(event=visits, where=(in_shop,)), operator=Operator.AT_LEAST, count=1
        ),
    )
    return Definition(name="x", members=tree.All(conditions=conditions), version="v1")


@settings(max_examples=40, deadline=None)
@given(HOSTILE)
def test_a_hostile_value_is_a_value_on_each_engine(text: str) -> None:
    compiled = compile_audience(lived_and_visited(catalogue(), text), catalogue(), as_of=AS_OF)
    assert compiled.sql == compile_audience(lived_and_visited(catalogue()), catalogue(), as_of=AS_OF).sql
    for engine in ENGINES:
        found = sqlglot.parse(said_on(engine, compiled.sql, compiled.parameters), dialect=engine)
        assert len(found) == 1 and isinstance(found[0], exp.Select)
        assert text in {one.this for one in found[0].find_all(exp.Literal)}, engine


@settings(max_examples=20, deadline=None)
@given(HOSTILE)
def test_a_hostile_value_runs_and_the_canary_survives(text: str) -> None:
    compiled = compile_audience(everything(catalogue(), text), catalogue(), as_of=AS_OF)
    with connected(MARKET) as connection:
        connection.execute("create table canary as select 1 as alive")
        assert len(connection.execute(compiled.sql, dict(compiled.parameters)).fetchall()) == 1
        assert connection.execute("select alive from canary").fetchall() == [(1,)]


@settings(max_examples=30, deadline=None)
@given(st.lists(HOSTILE, min_size=3, max_size=3, unique_by=lambda name: name.casefold()))
def test_a_hostile_name_of_a_column_or_table_is_a_name_on_each_engine(names: list[str]) -> None:
    known = catalogue(dict(zip(("city", "visits", "shop"), names, strict=True)))
    compiled = compile_audience(lived_and_visited(known), known, as_of=AS_OF)
    for engine in ENGINES:
        if engine == "bigquery" and any("." in name for name in names):
            with pytest.raises(WarehouseError, match="BigQuery cannot have the name"):
                said_on(engine, compiled.sql, compiled.parameters)
            continue
        found = sqlglot.parse(said_on(engine, compiled.sql, compiled.parameters), dialect=engine)
        assert len(found) == 1 and isinstance(found[0], exp.Select)
        tables, columns = found[0].find_all(exp.Table), found[0].find_all(exp.Column)
        assert any(table.name.lower() == names[1].lower() for table in tables)
        assert any(column.name.lower() == names[2].lower() for column in columns)


def test_a_hostile_name_that_the_warehouse_has_is_read_and_the_canary_survives() -> None:
    name = 'city"; drop table canary; --'
    known = catalogue({"city": name})
    compiled = compile_audience(everything(known), known, as_of=AS_OF)
    with connected(MARKET) as connection:
        quoted = name.replace('"', '""')
        connection.execute(f'alter table marts.people rename column city to "{quoted}"')
        connection.execute("create table canary as select 1 as alive")
        assert len(connection.execute(compiled.sql, dict(compiled.parameters)).fetchall()) == 1
        assert connection.execute("select alive from canary").fetchall() == [(1,)]


def test_a_name_that_the_warehouse_does_not_have_is_an_error_and_nobody_is_a_member() -> None:
    known = catalogue({"city": "gone"})
    compiled = compile_audience(everything(known), known, as_of=AS_OF)
    with connected(MARKET) as connection, pytest.raises(duckdb.BinderException):
        connection.execute(compiled.sql, dict(compiled.parameters))
