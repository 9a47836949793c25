import re

import pytest

from cdp_platform.sandbox.hubspot.texts import LANGUAGES, Texts
from cdp_platform_tests.unit.sandbox.conftest import Account, Open, person

HOSTILE = "<script>alert('x')</script>\"&"


def page(account: Account, path: str) -> str:
    answer = account.call("GET", path, token=None)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    return answer.text


def test_an_empty_account_says_so_and_shows_that_it_is_a_stand_in(account: Account) -> None:
    html = page(account, "/")

    assert "<title>Sandbox CRM</title>" in html
    assert "fictional" in html
    assert "No contact fits" in html


def test_the_page_loads_nothing_from_elsewhere_and_its_policy_forbids_it(account: Account) -> None:
    answer = account.call("GET", "/", token=None)

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
    assert "<script" not in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_values_and_searches_are_escaped(account: Account, language: str) -> None:
    contact_id = account.upsert(person(1, firstname=HOSTILE)).json()["results"][0]["id"]
    for path in (f"/?lang={language}", f"/contacts/{contact_id}?lang={language}"):
        html = page(account, path)
        assert "&lt;script&gt;" in html
        assert "<script>" not in html
    hostile = dict.fromkeys(("q", "lang", "filter", "page"), HOSTILE)
    answer = account.call("GET", "/", token=None, params=hostile)
    assert (answer.status_code, "<script>" in answer.text) == (200, False)


def test_search_and_filters_narrow_the_table(open_account: Open) -> None:
    account = open_account(unsubscribe_share=0.0, email_change_share=1.0)
    account.upsert(
        person(1, firstname="Anna", lapsed_loyalist="true", hs_email_optout="true"),
        person(2, firstname="Ben"),
    )
    account.turn_clock("2017-03-01")

    def shown(query: str) -> list[str]:
        html = page(account, f"/?{query}")
        return [name for name in ("Anna", "Ben") if f">{name}</a>" in html]

    assert shown("") == ["Anna", "Ben"]
    assert shown("q=p2@example.com") == []
    assert shown("q=ben") == shown("filter=changed_email") == ["Ben"]
    assert shown("q=p1") == shown("filter=lapsed") == shown("filter=opted_out") == ["Anna"]


def test_the_table_is_paged_and_keeps_search_and_language(account: Account) -> None:
    account.upsert(*(person(number) for number in range(60)))
    html = page(account, "/?q=person&lang=zh-Hant&page=2")

    assert "第 26 至 50 筆，共 60 筆" in html
    assert 'href="/?q=person&amp;page=3&amp;lang=zh-Hant"' in html
    assert "51 to 60 of 60" in page(account, "/?page=999")


def test_a_contact_shows_what_changed_and_by_whom(open_account: Open) -> None:
    account = open_account(unsubscribe_share=1.0, email_change_share=0.0)
    contact_id = account.upsert(person(1, lifetime_value="10")).json()["results"][0]["id"]
    account.upsert(person(1, lifetime_value="20"))
    account.turn_clock("2017-03-01")
    html = page(account, f"/contacts/{contact_id}")

    assert re.search(r'Lifetime value: <span class="soft">10</span> → <strong>20</strong>', html)
    assert "by the sync" in html
    assert "by the person" in html
    assert "business day 2017-03-01" in html
    assert "由本人變更" in page(account, f"/contacts/{contact_id}?lang=zh-Hant")


@pytest.mark.parametrize("key", ["1", "nobody", "%00", "9" * 40])
def test_a_contact_that_is_not_there_has_a_page_that_says_so(shared_account: Account, key: str) -> None:
    answer = shared_account.call("GET", f"/contacts/{key}", token=None)

    assert (answer.status_code, "no such contact" in answer.text) == (404, True)


def test_both_languages_have_the_same_texts() -> None:
    english, chinese = (set(Texts(language)._texts) for language in LANGUAGES)

    assert english == {key for key in chinese if not key.startswith("property.")}
