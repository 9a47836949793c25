"""What each column of a select is made of: followed to the parents' columns, or left out and named."""

from cdp_platform.components.column_lineage import ColumnLineage
from cdp_platform.components.column_tracing import trace

ORDERS, PEOPLE = "source.shop.raw.orders", "source.shop.raw.people"
MODEL, NEXT = "model.shop.first", "model.shop.second"
RELATIONS = {
    ORDERS: '"w"."raw"."orders"',
    PEOPLE: '"w"."raw"."people"',
    MODEL: '"w"."main"."first"',
    NEXT: '"w"."main"."second"',
}


def traced(sql: str, following: str = "") -> ColumnLineage:
    """Trace one model, and another that reads it."""
    return trace(RELATIONS, {MODEL: sql} | ({NEXT: following} if following else {}))


def test_an_expression_is_made_of_each_column_in_it_through_imports_and_parts() -> None:
    found = traced("""
        with source as (select * from "w"."raw"."orders" where day > '2017-01-01'),
        summed as (select customer, sum(price * count) as value from source group by customer)
        select customer as customer_id, round(value, 2) as value from summed
    """)
    assert found.columns[MODEL] == {
        "customer_id": [(ORDERS, "customer")],
        "value": [(ORDERS, "count"), (ORDERS, "price")],
    }
    assert found.unresolved_count == 0


def test_a_column_that_is_renamed_to_itself_is_the_sources_and_not_the_new_one() -> None:
    found = traced("""
        with source as (select * from "w"."raw"."orders")
        select coalesce(kind, 'none') as kind, kind = 'fuel' as is_fuel from source
    """)
    assert found.columns[MODEL] == {"kind": [(ORDERS, "kind")], "is_fuel": [(ORDERS, "kind")]}


def test_a_star_over_a_model_is_each_of_its_columns() -> None:
    found = traced(
        'select id, name from "w"."raw"."people"', 'with f as (select * from "w"."main"."first") select * from f'
    )
    assert found.columns[NEXT] == {"id": [(MODEL, "id")], "name": [(MODEL, "name")]}


def test_joined_and_unioned_columns_come_from_every_side_and_a_constant_from_none() -> None:
    found = traced("""
        with orders as (select * from "w"."raw"."orders"), people as (select * from "w"."raw"."people")
        select coalesce(people.email, orders.email) as email, 1 as one
        from orders left join people on people.id = orders.customer
        union all
        select mail, 2 from "w"."raw"."people"
    """)
    assert found.columns[MODEL] == {
        "email": [(ORDERS, "email"), (PEOPLE, "email"), (PEOPLE, "mail")],
        "one": [],
    }


def test_a_column_of_two_unknown_tables_is_left_out_and_named() -> None:
    found = traced("""
        with orders as (select * from "w"."raw"."orders"), people as (select * from "w"."raw"."people")
        select orders.day, whose from orders join people on people.id = orders.customer
    """)
    assert found.columns[MODEL] == {"day": [(ORDERS, "day")]}
    assert found.unresolved == {MODEL: ["whose"]}


def test_a_table_that_dbt_does_not_know_leaves_its_columns_out() -> None:
    found = traced('select elsewhere.id from "w"."other"."elsewhere" as elsewhere')
    assert (found.columns[MODEL], found.unresolved[MODEL]) == ({}, ["id"])


def test_what_cannot_be_read_is_one_unresolved_model_and_stops_no_other() -> None:
    found = traced("this is (no select", 'select id from "w"."raw"."people"')
    assert found.unresolved == {MODEL: ["*"]}
    assert found.columns[NEXT] == {"id": [(PEOPLE, "id")]}
    assert found.unresolved_count == 1
