import pytest

from cdp_platform.sandbox.hubspot.contacts import Contact
from cdp_platform.sandbox.hubspot.people import PeopleRule
from cdp_platform_tests.unit.sandbox.conftest import CONTACTS, Account, Open, person


def fill(account: Account, count: int) -> None:
    for first in range(0, count, 100):
        account.upsert(*(person(number) for number in range(first, min(first + 100, count))))


def read_all(account: Account) -> None:
    account.call("GET", CONTACTS)


def acts(account: Account) -> list[dict[str, object]]:
    kept = ("day", "cdp_person_id", "properties")
    return [{name: item[name] for name in kept} for item in account.writes() if item["actor"] == "person"]


def test_nobody_acts_while_no_day_is_set(open_account: Open) -> None:
    account = open_account(unsubscribe_share=1.0, email_change_share=0.0)
    fill(account, 3)
    read_all(account)

    assert acts(account) == []
    assert account.call("GET", "/sandbox/clock", token=None).json() == {"day": None}


def test_people_act_once_a_day_when_contacts_are_read(open_account: Open) -> None:
    account = open_account(unsubscribe_share=0.5, email_change_share=0.5)
    fill(account, 40)
    account.turn_clock("2017-03-01")
    assert acts(account) == []

    read_all(account)
    first = acts(account)
    read_all(account)
    account.search(query="p1")
    account.call("GET", "/", token=None)

    assert len(first) == 40
    assert acts(account) == first


def test_the_first_read_already_shows_what_people_did(open_account: Open) -> None:
    account = open_account(unsubscribe_share=1.0, email_change_share=0.0)
    fill(account, 1)
    account.turn_clock("2017-03-01")

    assert account.contact("p0")["properties"]["hs_email_optout"] == "true"


def test_contacts_created_later_the_same_day_act_at_the_next_read(open_account: Open) -> None:
    account = open_account(unsubscribe_share=1.0, email_change_share=0.0)
    account.turn_clock("2017-03-01")
    account.upsert(person(1))
    read_all(account)
    account.upsert(person(2))
    read_all(account)

    assert [act["cdp_person_id"] for act in acts(account)] == ["p1", "p2"]


def test_a_changed_email_is_new_derived_from_the_old_one_and_confirmed_that_day(open_account: Open) -> None:
    account = open_account(unsubscribe_share=0.0, email_change_share=1.0)
    account.upsert(person(1, email="anna@work.example"))
    emails = []
    for day in ("2017-03-01", "2017-03-02"):
        account.turn_clock(day)
        properties = account.contact("p1")["properties"]
        emails.append(properties["email"])
        assert properties["email_confirmed_on"] == day
        assert properties["email"].startswith("anna.new")
        assert properties["email"].endswith("@example.com")

    assert len({"anna@work.example", *emails}) == 3
    freed = account.upsert(person(2, email=emails[0]))
    assert freed.status_code == 200


def test_who_has_opted_out_does_not_act_any_more(open_account: Open) -> None:
    account = open_account(unsubscribe_share=0.0, email_change_share=1.0)
    account.upsert(person(1, hs_email_optout="true"))
    for day in ("2017-03-01", "2017-03-02"):
        account.turn_clock(day)
        read_all(account)

    assert acts(account) == []


def test_who_opted_out_earlier_the_same_day_does_not_act_that_day_even_when_let_in_again(open_account: Open) -> None:
    account = open_account(unsubscribe_share=0.0, email_change_share=1.0)
    account.turn_clock("2017-03-01")
    account.upsert(person(1, hs_email_optout="true"))
    account.upsert(person(1, hs_email_optout="false"))
    read_all(account)
    assert acts(account) == []

    account.turn_clock("2017-03-02")
    read_all(account)
    assert [act["day"] for act in acts(account)] == ["2017-03-02"]


def test_the_clock_goes_forward_only(account: Account) -> None:
    days = [account.turn_clock(day) for day in ("2017-03-02", "2017-03-01", "2017-03-02", "2017-12-25")]

    assert days == ["2017-03-02", "2017-03-02", "2017-03-02", "2017-12-25"]


@pytest.mark.parametrize("day", ["", "tomorrow", "2017-02-30", "25.12.2017"])
def test_a_day_that_is_none_is_refused(account: Account, day: str) -> None:
    assert account.call("PUT", "/sandbox/clock", {"day": day}, token=None).status_code == 400
    assert account.stats()["day"] is None


def test_the_shares_are_met_and_depend_on_seed_person_and_day_alone() -> None:
    people = [
        Contact(
            id=number,
            properties={"cdp_person_id": f"p{number}", "email": "x@example.com"},
            created_at="",
            updated_at="",
        )
        for number in range(20_000)
    ]

    def decisions(seed: int, day: str) -> list[str | None]:
        rule = PeopleRule(seed=seed, unsubscribe_share=0.006, email_change_share=0.004)
        return [rule.decide(contact, day) for contact in people]

    base = decisions(2017, "2017-03-01")
    assert base == decisions(2017, "2017-03-01")
    assert base != decisions(2018, "2017-03-01")
    assert base != decisions(2017, "2017-03-02")
    assert 0.005 < base.count("unsubscribe") / len(base) < 0.007
    assert 0.003 < base.count("change_email") / len(base) < 0.005
