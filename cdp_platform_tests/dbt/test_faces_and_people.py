"""The demo's faces are those of the people that dbt derives from the same households."""

from datetime import date

from cdp_platform.ingest.faces.people import bucket, derive_customer, read_name_parts
from cdp_platform_tests.dbt.conftest import Warehouse
from cdp_platform_tests.small_sources import NAME_PARTS, few_households


def test_a_customer_of_the_faces_is_the_customer_that_dbt_derives(warehouse: Warehouse) -> None:
    parts = read_name_parts(NAME_PARTS)
    derived = [derive_customer(household, parts) for household in few_households()]
    rows = warehouse.rows("select customer_number, first_name, last_name, email, phone from staging.stg_retail__people")
    assert len(rows) > 100
    assert sorted(rows) == sorted((one.number, one.first_name, one.last_name, one.email, one.phone) for one in derived)


def test_who_said_yes_at_the_first_purchase_is_known_to_the_faces(warehouse: Warehouse) -> None:
    assert warehouse.run_people(date(2017, 12, 20)).success
    yes = warehouse.rows(
        "select people.customer_number from intermediate.int_consent_events__unioned as events"
        " join staging.stg_retail__people as people on people.email = events.identifier"
        " where events.event_source = 'first_purchase' and events.status = 'granted'"
        " and events.purpose = 'email_marketing'"
    )
    assert yes
    assert all(bucket(number, "email_marketing", 100) < 82 for (number,) in yes)


def test_all_tickets_and_cards_stand_in_staging_once(warehouse: Warehouse) -> None:
    for relation, key in (("stg_support__tickets", "ticket_id"), ("stg_loyalty__cards", "card_number")):
        [(rows, keys)] = warehouse.rows(f"select count(*), count(distinct {key}) from staging.{relation}")
        assert rows == keys > 20
    wrong = "cast(opened_at at time zone 'America/New_York' as date) <> opened_on"
    assert warehouse.rows(f"select count(*) from staging.stg_support__tickets where {wrong}") == [(0,)]
