"""Take the pictures of docs/images anew: `python -m cdp_platform_tests.docs.pictures`, with `cdp ui` over a whole demo.

Needs chromium. It opens pages and changes nothing.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from playwright.sync_api import Page

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform_tests.browser import browser_page
from cdp_platform_tests.dagster_pages import DagsterPages

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
_ALL_BUT_MODELS: Final = ("sources", "audiences", "plans", "destinations", "feedback")
_WIDEST: Final = 1_700
_SETTLE: Final = 2_500
"""Milliseconds for what a page still draws by itself."""


def take_pictures(ui: str, sandbox: str, reports: Path, into: Path) -> list[Path]:
    """Write one PNG for each picture; return their paths."""
    pictures: dict[str, tuple[tuple[int, int], Callable[[Page], bytes]]] = {
        "graph.png": ((2200, 900), lambda page: _graph(DagsterPages(page, ui), "feedback")),
        "graph-open.png": ((3000, 2900), lambda page: _graph(DagsterPages(page, ui), "crm_contacts", _ALL_BUT_MODELS)),
        "plan.png": ((1500, 1038), lambda page: _asset(DagsterPages(page, ui), "plans/crm_contacts")),
        "plan-preview.png": ((2300, 1400), lambda page: _preview(DagsterPages(page, ui))),
        "backfill.png": ((1500, 1100), lambda page: _backfill(DagsterPages(page, ui), "raw/retail/transactions")),
        "crm.png": ((1280, 800), partial(_opened, address=f"{sandbox}/?filter=lapsed")),
        "crm-contact.png": ((1100, 900), partial(_contact, sandbox=sandbox)),
        "meta.png": ((1280, 800), partial(_opened, address=f"{sandbox}/meta")),
        "salesforce.png": ((1280, 800), partial(_opened, address=f"{sandbox}/salesforce")),
        "zoho.png": ((1280, 800), partial(_opened, address=f"{sandbox}/zoho")),
        "report.png": ((1350, 1125), partial(_opened, address=(reports / "2017-12-31.en.html").as_uri())),
        "report.zh-Hant.png": ((1350, 1125), partial(_opened, address=(reports / "2017-12-31.zh-Hant.html").as_uri())),
    }
    written = []
    for name, ((width, height), take) in pictures.items():
        # A picture of the whole graph would be larger than what it tells.
        with browser_page(width=width, height=height, scale=min(1.0, _WIDEST / width)) as page:
            (into / name).write_bytes(take(page))
        written.append(into / name)
    return written


def _graph(pages: DagsterPages, waits_for: str, open_groups: tuple[str, ...] = ()) -> bytes:
    page = pages.graph(waits_for, open_groups)
    return page.screenshot(clip=pages.nodes())


def _asset(pages: DagsterPages, key: str) -> bytes:
    page = pages.asset(key)
    page.wait_for_timeout(_SETTLE)
    return page.screenshot()


def _preview(pages: DagsterPages) -> bytes:
    page = pages.asset("plans/crm_contacts")
    cell = page.locator("tr", has_text="preview").last
    cell.scroll_into_view_if_needed()
    page.wait_for_timeout(_SETTLE)
    return cell.screenshot()


def _backfill(pages: DagsterPages, key: str) -> bytes:
    page = pages.asset(key, "partitions")
    page.get_by_text("Materialize…").first.click()
    page.get_by_text("Launch backfill").wait_for()
    page.wait_for_timeout(_SETTLE)
    return page.screenshot()


def _contact(page: Page, *, sandbox: str) -> bytes:
    """Somebody who said no."""
    page.goto(f"{sandbox}/?filter=opted_out")
    page.locator("tbody tr a").first.click()
    return page.screenshot(full_page=True)


def _opened(page: Page, *, address: str) -> bytes:
    page.goto(address)
    return page.screenshot()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ui", default="http://127.0.0.1:3000", help="address of Dagster's web server")
    parser.add_argument("--sandbox", default="http://127.0.0.1:8790", help="address of the sandbox")
    parser.add_argument("--into", type=Path, default=IMAGES, help="folder of the pictures")
    chosen = parser.parse_args()
    for path in take_pictures(chosen.ui, chosen.sandbox, cdp_home().reports, chosen.into):
        print(path.name)


if __name__ == "__main__":
    main()
