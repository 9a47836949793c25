"""Dagster's web pages as people open them: an asset, its partitions, the graph with its groups closed or open."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from playwright.sync_api import FloatRect, Page

_SECONDS: Final = 60_000
"""Milliseconds that a page may take: a busy machine draws the graph slowly."""
_NODES: Final = """() => {
    const boxes = [...document.querySelectorAll('svg foreignObject')].map(node => node.getBoundingClientRect())
        .filter(box => box.width > 0 && box.height > 0);
    if (!boxes.length) return null;
    return {left: Math.min(...boxes.map(box => box.left)), top: Math.min(...boxes.map(box => box.top)),
            right: Math.max(...boxes.map(box => box.right)), bottom: Math.max(...boxes.map(box => box.bottom))};
}"""
_MARGIN: Final = 24


class DagsterPages:
    """The pages of one web server, in one browser page."""

    def __init__(self, page: Page, address: str) -> None:
        self._page = page
        self._address = address

    def asset(self, key: str, view: str = "overview") -> Page:
        """Open an asset; `view` is the tab: overview, partitions, events, checks, lineage."""
        self._page.goto(f"{self._address}/assets/{key}?{urlencode({'view': view})}", wait_until="domcontentloaded")
        self._page.get_by_text(key.rpartition("/")[2], exact=True).first.wait_for(timeout=_SECONDS)
        return self._page

    def graph(self, waits_for: str, open_groups: Sequence[str] = ()) -> Page:
        """Open the whole graph; ends when the node `waits_for` is drawn and nothing moves any more."""
        expanded = ",".join(f"global@global:{group}" for group in open_groups)
        query = f"?{urlencode({'expanded': expanded})}" if expanded else ""
        self._page.goto(f"{self._address}/asset-groups{query}", wait_until="domcontentloaded")
        self._page.locator("svg foreignObject").filter(has_text=waits_for).first.wait_for(timeout=_SECONDS)
        self._page.get_by_text("fetching statuses").first.wait_for(state="detached", timeout=_SECONDS)
        before = None
        while (now := self._page.evaluate(_NODES)) != before:
            before = now
            self._page.wait_for_timeout(1_500)
        return self._page

    def nodes(self) -> FloatRect:
        """The rectangle around all nodes of the graph, for a picture of it."""
        box = self._page.evaluate(_NODES)
        view = self._page.viewport_size or {"width": 0, "height": 0}
        left, top = max(box["left"] - _MARGIN, 0), max(box["top"] - _MARGIN, 0)
        right, bottom = min(box["right"] + _MARGIN, view["width"]), min(box["bottom"] + _MARGIN, view["height"])
        return {"x": left, "y": top, "width": right - left, "height": bottom - top}
