"""On DuckDB a model takes the place of its former self in one statement, and nothing that hangs on it goes."""

from cdp_platform_tests.dbt.conftest import Warehouse

MODELS = ("int_products__classified", "products")


def test_a_view_and_a_table_are_built_anew_and_what_hangs_on_them_stays(warehouse: Warehouse) -> None:
    warehouse.execute("create view counted as select count(*) as products from marts.products")
    [(before,)] = warehouse.rows("from counted")
    warehouse.execute("delete from marts.products")

    assert warehouse.run("run", "--select", *MODELS).success

    assert warehouse.rows("from counted") == [(before,)]
    assert before > 100
    assert warehouse.rows("select table_name from information_schema.tables where contains(table_name, '__dbt')") == []


def test_a_build_that_fails_leaves_the_table_as_it_was(warehouse: Warehouse) -> None:
    before = warehouse.rows("select * from marts.products order by all")
    warehouse.execute("alter table raw_retail.products rename to elsewhere")

    assert not warehouse.run("run", "--select", "products").success

    assert warehouse.rows("select * from marts.products order by all") == before
    assert before


def test_what_was_a_table_becomes_the_view_that_it_is_now(warehouse: Warehouse) -> None:
    warehouse.execute("drop view intermediate.int_products__classified")
    warehouse.execute("create table intermediate.int_products__classified as select 1 as nothing")

    assert warehouse.run("run", "--select", *MODELS).success

    kinds = warehouse.rows(
        "select table_type from information_schema.tables where table_name = 'int_products__classified'"
    )
    assert kinds == [("VIEW",)]
