"""Facts belong to a local day; a run replaces its days and nothing else."""

from datetime import date

from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY
from cdp_platform_tests.dbt.conftest import Warehouse

DAY = date(2017, 6, 14)
OTHER_DAY = date(2017, 6, 15)

FACTS_BY_DAY = """
    select order_day, 'lines', count(*), sum(sales_value), bit_xor(hash(order_line_id, sales_value, ordered_at))
    from marts.order_lines group by order_day
    union all
    select order_day, 'orders', count(*), sum(order_value), bit_xor(hash(order_id, order_value, line_count, ordered_at))
    from marts.orders group by order_day
    order by 1, 2
"""


def test_every_local_day_of_the_source_is_a_day_of_the_facts_the_first_and_the_last_too(warehouse: Warehouse) -> None:
    by_day = "select transaction_day, count(*) from raw_retail.transactions group by 1 order by 1"
    facts = warehouse.rows("select order_day, count(*) from marts.order_lines group by 1 order by 1")

    assert facts == warehouse.rows(by_day)
    assert (facts[0][0], facts[-1][0]) == (FIRST_DAY, LAST_DAY)
    assert date(2017, 12, 25) not in {day for day, _ in facts}


def test_an_evening_in_new_york_stays_on_its_day_though_utc_is_already_on_the_next(warehouse: Warehouse) -> None:
    evenings = warehouse.rows(
        "select count(*) from marts.orders where cast(ordered_at at time zone 'UTC' as date) = order_day + 1"
    )
    assert evenings[0][0] > 0
    assert warehouse.rows(
        "select count(*) from marts.orders where cast(ordered_at at time zone 'America/New_York' as date) <> order_day"
    ) == [(0,)]


def test_a_day_that_became_empty_is_emptied_and_its_rerun_from_the_old_rows_restores_it(warehouse: Warehouse) -> None:
    before = warehouse.rows(FACTS_BY_DAY)
    warehouse.execute("create table kept as select * from raw_retail.transactions")
    warehouse.execute(f"delete from raw_retail.transactions where transaction_day in ('{DAY}', '{OTHER_DAY}')")

    assert warehouse.run_facts(DAY, DAY).success

    assert warehouse.rows(FACTS_BY_DAY) == [row for row in before if row[0] != DAY]

    warehouse.execute("delete from raw_retail.transactions")
    warehouse.execute("insert into raw_retail.transactions select * from kept order by random()")

    assert warehouse.run_facts(DAY, OTHER_DAY).success

    assert warehouse.rows(FACTS_BY_DAY) == before
