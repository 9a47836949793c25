"""Chromium for tests and pictures: headless, and asking nobody but the pages that it is sent to."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Page, sync_playwright

CHROMIUM: Final = shutil.which("chromium")
_ARGUMENTS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def browser_page(*, width: int = 1280, height: int = 800, scale: float = 1.0) -> Iterator[Page]:
    """A page of a browser of its own; sizes in CSS pixels, of which a picture has `scale` as many."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
        browser.close()
