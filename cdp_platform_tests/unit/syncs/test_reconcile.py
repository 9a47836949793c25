"""The ledger against a read-back: what is missing there, what is extra, and which fields are others than we wrote."""

import pytest

from cdp_platform.errors import ConfigError
from cdp_platform.syncs.reconcile import Reading, Reconciliation, reconcile
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

READING = Reading(relation="raw_hubspot.contacts", key="person", columns={"email": "address", "segment": "segment"})
LATER, LATER_STILL = "2999-01-01 00:00:00+00", "2999-01-02 00:00:00+00"


def read_back(shop: Shop, rows: list[tuple[str | None, str, str]], at: str = LATER) -> None:
    """Add what was seen there at an instant: the person's key, the address, the segment."""
    with shop.warehouse.session("test") as session:
        session.execute("create schema if not exists raw_hubspot")
        session.execute(
            "create table if not exists raw_hubspot.contacts"
            " (person varchar, address varchar, segment varchar, read_at timestamptz)"
        )
        for row in rows:
            session.execute("insert into raw_hubspot.contacts values (?, ?, ?, ?)", [*row, at])


def compared(shop: Shop, reading: Reading = READING) -> Reconciliation | None:
    with shop.warehouse.session("test") as session:
        return reconcile(session, shop.warehouse.dialect, shop.spec.name, reading)


def sent(shop: Shop, count: int) -> list[tuple[str | None, str, str]]:
    """Send so many people, and return what a faithful destination would show of them."""
    people = [person_of(number) for number in range(1, count + 1)]
    shop.people(people)
    shop.run()
    return [(person["person_id"], person["email"].upper(), person["segment"]) for person in people]


def test_a_faithful_destination_agrees_whatever_the_case_of_its_letters(shop: Shop) -> None:
    read_back(shop, sent(shop, 3))
    found = compared(shop)
    assert found is not None
    assert (found.known, found.there, found.missing, found.extra, found.different) == (3, 3, 0, 0, 0)


def test_what_is_gone_added_and_changed_there_is_counted_apart(shop: Shop) -> None:
    first, second, _ = sent(shop, 3)
    read_back(shop, [first, (second[0], second[1], "vip"), ("stranger", "a@example.com", "x"), (None, "b", "y")])
    found = compared(shop)
    assert found is not None
    assert (found.known, found.missing, found.extra, found.different) == (3, 1, 1, 1)
    assert found.by_field == {"segment": 1}
    assert found.different_share == pytest.approx(1 / 3)


def test_only_the_newest_reading_counts(shop: Shop) -> None:
    people = sent(shop, 2)
    read_back(shop, people)
    read_back(shop, people[:1], LATER_STILL)
    found = compared(shop)
    assert found is not None
    assert (found.known, found.missing) == (2, 1)


def test_rows_that_were_delivered_after_the_reading_are_not_missing(shop: Shop) -> None:
    people = sent(shop, 2)
    read_back(shop, people[:1], "2001-01-01 00:00:00+00")
    found = compared(shop)
    assert found is not None
    assert (found.known, found.missing, found.extra) == (0, 0, 0)


def test_numbers_are_compared_as_numbers(shop: Shop) -> None:
    people = sent(shop, 1)
    with shop.warehouse.session("test") as session:
        [row] = session.rows("select json_extract_string(payload, 'lifetime_value') as v from cdp.delivered_rows")
    read_back(shop, [(people[0][0], "", f"{float(row['v']):.6f}")])
    reading = Reading(relation=READING.relation, key="person", columns={"lifetime_value": "segment"})
    found = compared(shop, reading)
    assert row["v"] and found is not None
    assert found.different == 0


def test_before_the_first_send_and_the_first_reading_nothing_is_said(shop: Shop) -> None:
    assert compared(shop) is None
    sent(shop, 1)
    assert compared(shop) is None


def test_a_column_that_the_read_back_does_not_have_is_an_error_that_names_it(shop: Shop) -> None:
    read_back(shop, sent(shop, 1))
    with pytest.raises(ConfigError, match="has no column 'nickname'"):
        compared(shop, Reading(relation=READING.relation, key="person", columns={"segment": "nickname"}))
