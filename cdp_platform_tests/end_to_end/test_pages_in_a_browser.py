"""The pages that people open, in a real browser: they can be read, used, and break no rule of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page

from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform_tests.browser import CHROMIUM, browser_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, which .ci/run installs")


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    """A sandbox with two contacts."""
    settings = SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)
    with serve_sandbox(settings) as address:
        people = [("p-0000001", "Ada", "Birch", "true"), ("p-0000002", "Bo", "<b>Cedar</b>", "false")]
        inputs = [
            {
                "id": person,
                "idProperty": "cdp_person_id",
                "properties": {
                    "cdp_person_id": person,
                    "email": f"{first.lower()}@example.com",
                    "firstname": first,
                    "lastname": last,
                    "lapsed_loyalist": member,
                },
            }
            for person, first, last, member in people
        ]
        answer = requests.post(
            f"{address}/crm/v3/objects/contacts/batch/upsert",
            json={"inputs": inputs},
            headers={"Authorization": "Bearer secret"},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        yield address


def complaints_of(page: Page) -> list[str]:
    """What the browser complains about from now on: scripts, styles and files that the page may not load."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def test_a_contact_is_found_by_name_and_shows_its_history(page: Page, sandbox: str) -> None:
    complaints = complaints_of(page)
    page.goto(sandbox)
    assert page.locator("tbody tr").count() == 2
    page.locator("input:visible").first.fill("Ada")
    page.keyboard.press("Enter")
    page.locator("tbody tr a").first.click()
    assert "Ada Birch" in page.inner_text("body")
    assert page.locator(".timeline li").count() > 0
    assert not [complaint for complaint in complaints if "favicon" not in complaint]


def test_a_name_is_text_and_never_markup(page: Page, sandbox: str) -> None:
    page.goto(sandbox)
    assert "<b>Cedar</b>" in page.inner_text("tbody")


def test_the_page_speaks_traditional_chinese(page: Page, sandbox: str) -> None:
    page.goto(f"{sandbox}/?lang=zh-Hant")
    assert page.locator("html").get_attribute("lang") == "zh-Hant"
    assert "聯絡人" in page.inner_text("body")
