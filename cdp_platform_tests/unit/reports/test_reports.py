"""The daily report tells what the books hold, to people who do not open Dagster."""

import re
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.reports import pages, write_reports
from cdp_platform.reports.daily import SHOWN, read_days
from cdp_platform.reports.values import DayReport
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.reports.books import FIRST, SECOND, Books

TODAY = date(2026, 11, 22)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "warehouse.duckdb")


def read(books: Books) -> dict[str, DayReport]:
    return {report.day.isoformat(): report for report in read_days(books.warehouse, TODAY)}


def written(books: Books, day: str, language: str = "en") -> str:
    folder = books.path.parent / "reports"
    write_reports(books.warehouse, folder)
    return (folder / f"{day}.{language}.html").read_text(encoding="utf-8")


def test_a_warehouse_without_any_table_gives_an_index_that_says_so(tmp_path: Path) -> None:
    files = write_reports(DuckDbWarehouse(tmp_path / "new.duckdb"), tmp_path / "reports")
    assert [file.name for file in files] == ["index.en.html", "index.zh-Hant.html"]
    assert "No day has been run yet" in files[0].read_text(encoding="utf-8")
    assert "還沒有執行過任何一天" in files[1].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "missing",
    [
        "cdp.sync_runs",
        "cdp.sync_log",
        "cdp.rejected_rows",
        "marts.profiles",
        "audiences.audience_sizes",
        "audiences.audience_membership_changes",
        "raw_hubspot.contacts",
    ],
)
def test_a_missing_table_leaves_the_rest_of_the_page_standing(books: Books, missing: str) -> None:
    books.run(FIRST, planned=1, delivered=1, operations={"create": 1})
    books.sent("p-1", FIRST, "create", {}, {"email": "a@example.com"})
    books.audience(FIRST)
    books.contact("p-1", FIRST)
    books.run_sql(f"drop table {missing}")
    assert "Who entered and who left" in written(books, FIRST)


WORDS: dict[str, Any] = {
    "en": {
        "title": "Lapsed loyal customers",
        "rule": "days since the last purchase is at least 28; marketing e-mail allowed.",
        "conditions": {
            "2": {"entered": "last purchase {value} days ago", "left": "visited again: {value} days ago"},
            "3": {"entered": "allowed", "left": "not allowed", "values": {"withdrawn": "withdrew", "": "never asked"}},
        },
    }
}


def told(page: str) -> dict[str, str]:
    """Who entered or left, and what is said of it."""
    found = re.findall(r"<li><b>(.*?)</b>\s*<span[^>]*>– (.*?)</span>", page)
    return {name: re.sub(r"<[^>]+>", "", why) for name, why in found}


def test_who_entered_and_who_left_is_told_with_the_values_behind_the_reason(books: Books) -> None:
    books.person("p-1", "Amelia", "Hart")
    books.person("p-2", "Bruno", "Okafor")
    books.audience(SECOND, members=7, entered=1, left=3, **WORDS)
    books.change("p-1", SECOND, "entered", "condition", 2, "28")
    books.change("p-2", SECOND, "left", "condition", 2, "0")
    books.change("p-3", SECOND, "left", "condition", 3, "withdrawn")
    books.change("p-4", SECOND, "left", "condition", 3, None)
    page = written(books, SECOND)
    assert "1 person entered and 3 people left the audience “Lapsed loyal customers”, which now has 7 members" in page
    assert "marketing e-mail allowed." in page
    assert told(page) == {
        "Amelia Hart": "last purchase 28 days ago",
        "Bruno Okafor": "visited again: 0 days ago",
        "p-3": "withdrew",
        "p-4": "never asked",
    }


def test_a_reason_that_is_no_condition_is_told_too_and_one_without_words_by_its_code(books: Books) -> None:
    books.audience(SECOND, entered=1, left=3, **WORDS)
    books.change("p-1", SECOND, "entered", "new_person")
    books.change("p-2", SECOND, "left", "rank")
    books.change("p-3", SECOND, "left", "condition", 9, "5")
    books.change("p-4", SECOND, "left", "definition")
    assert told(written(books, SECOND)) == {
        "p-1": "is known for the first time",
        "p-2": "is no longer among the first that are taken",
        "p-3": "condition",
        "p-4": "the rule of the audience was changed",
    }


def test_nobody_enters_an_audience_that_is_looked_at_for_the_first_time(books: Books) -> None:
    books.audience(FIRST)
    assert "is looked at for the first time and has 1 member." in written(books, FIRST)


def test_an_audience_without_members_is_told_as_one(books: Books) -> None:
    books.audience(SECOND, members=0, entered=0, left=4)
    assert "which now has 0 members" in written(books, SECOND)


def test_more_people_than_fit_are_counted_and_not_listed(books: Books) -> None:
    books.audience(SECOND, entered=SHOWN + 3, left=0)
    for number in range(SHOWN + 3):
        books.change(f"p-{number:03}", SECOND, "entered", "new_person")
    report = read(books)[SECOND]
    assert report.audiences is not None
    assert (len(report.audiences[0].entered), report.audiences[0].entered_count) == (SHOWN, SHOWN + 3)
    assert "and 3 more" in written(books, SECOND)


def test_a_change_is_told_field_by_field_with_old_and_new(books: Books) -> None:
    books.person("p-1", "Amelia", "Hart")
    books.run(FIRST, planned=1, delivered=1, operations={"withdraw": 1})
    books.sent("p-1", FIRST, "withdraw", {"hs_email_optout": False}, {"hs_email_optout": True})
    row = re.findall(r"<tr><td>.*?</tr>", written(books, FIRST))
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row[0])]
    assert cells == ["Amelia Hart", "permission withdrawn", "Opted out of e-mail", "no", "yes"]


def test_the_rarest_changes_come_first(books: Books) -> None:
    books.run(FIRST, planned=4, delivered=4, operations={"update": 4})
    for number in range(3):
        books.sent(f"p-{number}", FIRST, "update", {"last_order_on": "2017-12-01"}, {"last_order_on": "2017-12-25"})
    books.sent("p-9", FIRST, "update", {"email": "a@example.com"}, {"email": "b@example.com"})
    syncs = read(books)[FIRST].syncs
    assert syncs is not None
    assert [(change.person.person_id, change.field) for change in syncs[0].field_changes][:2] == [
        ("p-9", "email"),
        ("p-0", "last_order_on"),
    ]


def test_changes_beyond_the_limit_are_counted(books: Books) -> None:
    books.run(FIRST, planned=SHOWN + 5, delivered=SHOWN + 5, operations={"update": SHOWN + 5})
    for number in range(SHOWN + 5):
        books.sent(f"p-{number:03}", FIRST, "update", {"phone": "1"}, {"phone": "2"})
    syncs = read(books)[FIRST].syncs
    assert syncs is not None
    assert (len(syncs[0].field_changes), syncs[0].records_not_shown) == (SHOWN, 5)


def test_two_runs_of_a_day_add_up_what_was_sent_and_keep_what_stands(books: Books) -> None:
    books.run(FIRST, "2026-11-22 10:00:00+00", planned=7, delivered=5, skipped=2, reasons={"never_asked": 2})
    books.run(FIRST, "2026-11-22 11:00:00+00", planned=4, delivered=1, skipped=3, reasons={"never_asked": 3})
    syncs = read(books)[FIRST].syncs
    assert syncs is not None
    assert (syncs[0].delivered, syncs[0].skipped, syncs[0].planned) == (6, 3, 9)
    assert syncs[0].skipped_reasons == {"never_asked": 3}


def test_a_run_without_a_partition_stands_on_the_day_it_ran(books: Books) -> None:
    books.run(None, "2026-11-22 10:00:00+00", planned=1, delivered=1)
    assert list(read(books)) == ["2026-11-22"]


def test_who_was_left_out_is_told_with_who_can_mend_it(books: Books) -> None:
    books.run(FIRST, planned=3, skipped=3, reasons={"never_asked": 3})
    page = written(books, FIRST)
    assert "3 people were left out: nobody ever asked them" in page
    assert "Customer service or the sign-up form can ask" in page


def test_who_was_left_out_is_told_by_sync_and_its_changes_in_the_destinations_own_words(books: Books) -> None:
    ads = {"sync": "lapsed_ads", "destination": "meta_audiences"}
    books.run(FIRST, planned=3, skipped=3, reasons={"never_asked": 3})
    books.run(FIRST, planned=2, skipped=2, reasons={"never_asked": 2}, **ads)
    books.run(FIRST, "2026-11-22 11:00:00+00", planned=0, sync="sales", destination="salesforce")
    page = written(books, FIRST)
    left_out = page[page.index("Who was left out") :]
    assert "3 people were left out" in left_out and "2 people were left out" in left_out
    assert left_out.count("lapsed_ads") == 1 and "sales" not in left_out


def test_two_syncs_to_one_vendor_are_told_apart_by_their_names_and_one_alone_needs_none(books: Books) -> None:
    books.run(FIRST, planned=3, delivered=3)
    books.run(FIRST, "2026-11-22 11:00:00+00", planned=2, delivered=2, sync="sales", destination="salesforce")
    alone = written(books, FIRST)
    assert "HubSpot confirmed 3 changes" in alone and "Salesforce confirmed 2 changes" in alone
    books.run(FIRST, "2026-11-22 12:00:00+00", planned=5, delivered=4, rejected=1, sync="products_crm")
    books.rejected("p-1", "invalid_email", field="email")
    page = written(books, FIRST)
    assert "HubSpot (crm_contacts) confirmed 3 changes" in page
    assert "HubSpot (products_crm) confirmed 4 changes" in page and "Salesforce confirmed 2 changes" in page
    assert "HubSpot (crm_contacts) refused 1 row" in page


def test_rejected_rows_stand_on_the_newest_day_by_reason_and_field(books: Books) -> None:
    books.person("p-1", "Amelia", "Hart")
    books.run(FIRST, planned=2, rejected=2)
    books.run(SECOND, planned=0)
    books.rejected("p-1", "invalid_email", field="email")
    books.rejected("p-2", "unknown_field", field="rfm_segment")
    newest = written(books, SECOND)
    assert "HubSpot refused 1 row: it does not accept the e-mail address." in newest
    assert "HubSpot refused 1 row: it does not know Customer segment." in newest
    assert "Concerns: Amelia Hart" in newest
    assert "Concerns" not in written(books, FIRST)


def test_what_came_back_is_what_the_day_before_did_not_say(books: Books) -> None:
    for person in ("p-1", "p-2"):
        books.contact(person, FIRST, opt_out=person == "p-1")
    books.contact("p-1", SECOND, opt_out=True)
    books.contact("p-2", SECOND, confirmed_on=SECOND)
    first, second = read(books)[FIRST].feedback, read(books)[SECOND].feedback
    assert first is not None and second is not None
    assert [person.person_id for person in first.opt_outs] == ["p-1"]
    assert (second.opt_out_count, second.email_count) == (0, 1)
    assert (second.emails[0].old, second.emails[0].new) == ("p-2@example.com", "p-2.new@example.com")


def test_a_day_that_was_run_long_after_it_passed_says_that_it_is_a_replay(books: Books) -> None:
    books.run(FIRST, planned=0)
    books.run("2026-11-21", planned=0)
    assert "This is a replay of the year 2017" in written(books, FIRST)
    assert "replay" not in written(books, "2026-11-21")


def test_days_link_to_their_neighbours_and_to_the_other_language(books: Books) -> None:
    books.run(FIRST)
    books.run(SECOND)
    assert {f"{SECOND}.en.html", f"{FIRST}.zh-Hant.html", "index.en.html"} == set(
        re.findall(r'href="([^"]+)"', written(books, FIRST))
    )
    assert f'href="{FIRST}.zh-Hant.html" rel="prev"' in written(books, SECOND, "zh-Hant")


def test_every_link_of_the_report_leads_to_a_page_of_it(books: Books) -> None:
    books.run(FIRST)
    books.run(SECOND)
    files = write_reports(books.warehouse, books.path.parent / "reports")
    links = {link for file in files for link in re.findall(r'href="([^"]+)"', file.read_text(encoding="utf-8"))}
    assert links <= {file.name for file in files}


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
def test_a_hostile_name_is_text_and_nothing_else(books: Books, language: str) -> None:
    books.person("p-1", "<script>alert(1)</script>", '" onload="x')
    hostile = {language: {"conditions": {"0": {"entered": "<script>{value}"}}} for language in ("en", "zh-Hant")}
    books.audience(SECOND, entered=1, left=0, **hostile)
    books.change("p-1", SECOND, "entered", "condition", 0, "<script>alert(2)</script>")
    page = written(books, SECOND, language)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_page_loads_nothing_and_allows_nothing_but_its_own_style(books: Books) -> None:
    books.run(FIRST)
    page = written(books, FIRST)
    assert re.search(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'", page)
    assert not re.search(r"https?://|src=|@import|url\(|<script|style=", page)


def test_pages_are_for_their_owner_only(books: Books) -> None:
    books.run(FIRST)
    files = write_reports(books.warehouse, books.path.parent / "reports")
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_write_that_fails_leaves_the_old_page_and_no_rest(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.run(FIRST)
    folder = books.path.parent / "reports"
    before = {file.name: file.read_bytes() for file in write_reports(books.warehouse, folder)}
    replaced: list[Path] = []

    def refuse(self: Path, target: Path) -> Path:
        replaced.append(target)
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(pages.Path, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write_reports(books.warehouse, folder)
    assert replaced
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("fill", [lambda books: books.run(FIRST, operations={"create": 0}), lambda books: None])
def test_a_day_on_which_nothing_happened_is_a_day_all_the_same(books: Books, fill: Callable[[Books], None]) -> None:
    books.contact("p-1", FIRST)
    fill(books)
    assert "Nothing on this day." in written(books, FIRST)
