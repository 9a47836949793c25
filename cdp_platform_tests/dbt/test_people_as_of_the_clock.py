"""People, consent and audiences are described as of the clock, with the feedback of the days before it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY
from cdp_platform_tests.dbt.conftest import Warehouse

DAY = date(2017, 12, 19)
NEXT_DAY = DAY + timedelta(days=1)

CONTACTS = "select * from activation.sync_contacts__crm order by person_id"
HISTORY = "select * from audiences.audience_membership_history order by all"
SIZES = (
    "select as_of_on, member_count, entered_count, left_count from audiences.audience_sizes"
    " where audience = 'lapsed_loyalists' order by 1"
)
CONSENT = 3
"""The place of the consent among the conditions of lapsed_loyalists."""


def test_without_a_clock_the_build_fails_and_names_the_way_out(warehouse: Warehouse) -> None:
    missing = warehouse.run("run", "--select", "stg_loop__clock")
    warehouse.execute("create schema if not exists cdp")
    warehouse.execute("create table cdp.loop_clock (as_of_on date)")
    empty = warehouse.run("run", "--select", "stg_loop__clock")

    for result in (missing, empty):
        assert not result.success
        assert "raw/loop/clock" in _messages(result)


@dataclass(frozen=True, kw_only=True)
class TwoDays:
    """What the models and the audiences said at the clock DAY and at NEXT_DAY."""

    warehouse: Warehouse
    opted_out: tuple[str, str]
    """person_id and e-mail of a member who said no in the CRM on DAY."""
    readdressed: str
    """person_id of a member who confirmed the address `new@example.com` in the CRM on DAY."""
    contacts: dict[date, dict[str, dict[str, Any]]]
    consents: dict[date, dict[str, tuple[str, date]]]
    changes: dict[date, list[tuple[Any, ...]]]
    members: dict[date, set[str]]


@pytest.fixture(scope="module")
def two_days(restore: Callable[[], Warehouse]) -> TwoDays:
    warehouse = restore()
    days = TwoDays(
        warehouse=warehouse, opted_out=("", ""), readdressed="", contacts={}, consents={}, changes={}, members={}
    )
    assert warehouse.run_people(DAY).success
    members = warehouse.rows(
        "select person_id, email from audiences.lapsed_loyalists join marts.profiles using (person_id) order by 1"
    )
    opted_out, readdressed = members[0], members[1]
    warehouse.read_back(
        [
            {"feedback_day": DAY, "contact_id": "1", "cdp_person_id": opted_out[0],
             "email": f" {opted_out[1].upper()} ", "email_opt_out": True},
            {"feedback_day": DAY, "contact_id": "2", "cdp_person_id": readdressed[0],
             "email": "New@example.com", "email_opt_out": False, "email_confirmed_on": DAY},
        ]
    )  # fmt: skip
    assert warehouse.run_people(DAY).success
    _remember(days, DAY)
    assert warehouse.run_people(NEXT_DAY).success
    _remember(days, NEXT_DAY)
    return TwoDays(**{**days.__dict__, "opted_out": opted_out, "readdressed": readdressed[0]})


def test_an_opt_out_read_back_on_a_day_counts_from_the_next_clock_day(two_days: TwoDays) -> None:
    person_id, email = two_days.opted_out

    assert two_days.consents[DAY][email][0] == "granted"
    assert two_days.consents[NEXT_DAY][email] == ("withdrawn", DAY)
    assert two_days.contacts[NEXT_DAY][person_id]["email_permission"] == "withdrawn"
    assert two_days.contacts[NEXT_DAY][person_id]["email_permission_changed_on"] == DAY


def test_who_opts_out_leaves_the_audience_with_the_reason(two_days: TwoDays) -> None:
    person_id, _ = two_days.opted_out
    contact = two_days.contacts[NEXT_DAY][person_id]

    assert (person_id, "left", "condition", CONSENT, "withdrawn") in two_days.changes[NEXT_DAY]
    assert (contact["lapsed_loyalist"], contact["lapsed_loyalist_since"]) == (False, NEXT_DAY)


def test_a_confirmed_address_replaces_the_old_one_and_carries_its_own_permission(two_days: TwoDays) -> None:
    contact = two_days.contacts[NEXT_DAY][two_days.readdressed]

    assert two_days.contacts[DAY][two_days.readdressed]["email"] != "new@example.com"
    assert contact["email"] == "new@example.com"
    assert (contact["email_permission"], contact["email_permission_changed_on"]) == ("granted", DAY)
    assert two_days.readdressed in two_days.members[NEXT_DAY]


def test_the_first_day_is_a_baseline_without_changes(two_days: TwoDays) -> None:
    assert two_days.changes[DAY] == []
    assert {two_days.contacts[DAY][member]["lapsed_loyalist_since"] for member in two_days.members[DAY]} == {DAY}


def test_changes_explain_the_difference_between_two_days_exactly(two_days: TwoDays) -> None:
    before, after = two_days.members[DAY], two_days.members[NEXT_DAY]
    by_change = {
        change: {row[0] for row in two_days.changes[NEXT_DAY] if row[1] == change} for change in ("entered", "left")
    }
    assert by_change == {"entered": after - before, "left": before - after}


def test_a_day_that_is_run_again_gives_the_same_contacts_and_rewrites_no_history(two_days: TwoDays) -> None:
    warehouse = two_days.warehouse
    history, sizes = warehouse.rows(HISTORY), warehouse.rows(SIZES)

    assert warehouse.run_people(NEXT_DAY).success

    assert _contacts(warehouse) == two_days.contacts[NEXT_DAY]
    assert warehouse.rows(HISTORY) == history
    assert warehouse.rows(SIZES) == sizes


def test_an_audience_that_became_empty_is_one_of_nobody(two_days: TwoDays) -> None:
    warehouse = two_days.warehouse
    everybody_out = [
        {"feedback_day": DAY, "contact_id": f"9{number}", "email": email, "email_opt_out": True}
        for number, (email,) in enumerate(warehouse.rows("select email from marts.profiles"))
    ]
    warehouse.read_back([*everybody_out, {**everybody_out[0], "contact_id": "8", "email": "new@example.com"}])

    assert warehouse.run_people(NEXT_DAY).success

    left = {row[0] for row in _changes(warehouse, NEXT_DAY) if row[1:] == ("left", "condition", CONSENT, "withdrawn")}
    assert warehouse.rows(SIZES)[-1] == (NEXT_DAY, 0, 0, len(left))
    assert left == two_days.members[DAY]


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_rebuilding_from_shuffled_rows_changes_no_value(restore: Callable[[], Warehouse], times: int) -> None:
    warehouse = restore()
    assert warehouse.run_people(DAY).success
    seen = [warehouse.rows(CONTACTS)]
    for _ in range(times):
        warehouse.execute(
            "create or replace table shuffled as select * from raw_retail.transactions order by random();"
            "delete from raw_retail.transactions; insert into raw_retail.transactions from shuffled"
        )
        assert warehouse.run_facts(FIRST_DAY, LAST_DAY).success
        assert warehouse.run_people(DAY).success
        seen.append(warehouse.rows(CONTACTS))

    assert len(seen[0]) > 100
    assert all(rows == seen[0] for rows in seen)


def _remember(days: TwoDays, day: date) -> None:
    warehouse = days.warehouse
    days.contacts[day] = _contacts(warehouse)
    answers = warehouse.rows(
        "select identifier, status, changed_on from marts.consents where purpose = 'email_marketing'"
    )
    days.consents[day] = {identifier: (status, changed_on) for identifier, status, changed_on in answers}
    days.changes[day] = _changes(warehouse, day)
    days.members[day] = {row[0] for row in warehouse.rows("select person_id from audiences.lapsed_loyalists")}


def _changes(warehouse: Warehouse, day: date) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "select person_id, change, reason, condition_number, value from audiences.audience_membership_changes"
        f" where changed_on = '{day}' and audience = 'lapsed_loyalists'"
    )


def _contacts(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    names = [row[0] for row in warehouse.rows("describe activation.sync_contacts__crm")]
    return {row[0]: dict(zip(names, row, strict=True)) for row in warehouse.rows(CONTACTS)}


def _messages(result: Any) -> str:
    return " ".join(str(run.message) for run in result.result)
