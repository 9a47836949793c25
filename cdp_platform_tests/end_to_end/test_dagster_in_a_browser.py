"""Dagster's pages over a replayed day, in a real browser: the loop as one graph, a plan, a backfill."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, Page

from cdp_platform_tests.browser import CHROMIUM, browser_page
from cdp_platform_tests.dagster_pages import DagsterPages
from cdp_platform_tests.end_to_end.conftest import Demo, free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, which .ci/run installs"),
]


@pytest.fixture(scope="module")
def ui(shared_demo: Demo) -> Iterator[str]:
    """The address of the UI over a demo of one day."""
    done = shared_demo.cdp(*shared_demo.demo_arguments("2017-12-25"))
    assert done.returncode == 0, done.stdout + done.stderr
    port = free_port()
    process = shared_demo.start("ui", "--port", str(port), "--sandbox-port", str(shared_demo.port))
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page(width=1800, height=1200) as page:
        yield page


@pytest.fixture
def pages(page: Page, ui: str) -> DagsterPages:
    for _ in range(60):
        try:
            page.goto(ui, wait_until="domcontentloaded")
            break
        except Error as error:
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            page.wait_for_timeout(1_000)
    return DagsterPages(page, ui)


def test_the_graph_leads_from_the_sources_to_the_feedback(pages: DagsterPages) -> None:
    page = pages.graph("feedback")
    drawn = page.locator("svg foreignObject").all_text_contents()
    for group in ("sources", "models", "audiences", "plans", "destinations", "feedback"):
        assert any(group in text for text in drawn), group


def test_a_plan_shows_what_it_would_send_with_its_checks(pages: DagsterPages) -> None:
    page = pages.asset("plans/crm_contacts")
    page.get_by_text("digest", exact=True).first.wait_for()
    told = page.inner_text("body")
    assert re.search(r"\b[0-9a-f]{64}\b", told)
    assert "create" in told and "never_asked" in told


def test_a_range_of_days_can_be_filled_from_the_page_of_partitions(pages: DagsterPages) -> None:
    page = pages.asset("raw/retail/transactions", "partitions")
    page.get_by_text("Materialize…").first.click()
    page.get_by_text("Launch backfill").wait_for()
    assert "Backfills all partitions in a single run" in page.inner_text("body")
