"""The frame of every web page of the sandbox: head, notice, language, and the way from one vendor to the next.

Pure functions from what is to be shown to a document. Every value is escaped here.
"""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Final
from urllib.parse import urlencode

LANGUAGES: Final = {"en": "English", "zh-Hant": "繁體中文"}
PAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "/": {"en": "CRM", "zh-Hant": "CRM"},
    "/zoho": {"en": "Inventory", "zh-Hant": "庫存"},
    "/meta": {"en": "Meta", "zh-Hant": "Meta"},
    "/google": {"en": "Google", "zh-Hant": "Google"},
    "/salesforce": {"en": "Salesforce", "zh-Hant": "Salesforce"},
}
"""The first page of each vendor, and what people call it by language, in the order of the menu."""
_CSS: Final = resources.files("cdp_platform.sandbox").joinpath("page.css").read_text(encoding="utf-8")
_DEFAULTS: Final = {("filter", "all"), ("page", "1")}


def content_security_policy() -> str:
    """Return the policy that allows the page's own inline style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def document(body: str, *, title: str, notice: str, language: str, path: str, query: Mapping[str, str]) -> str:
    """Return a whole page; `path` and `query` are its own, for the switch to the other language."""
    other = next(each for each in LANGUAGES if each != language)
    switch = link(path, other, **query)
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{_CSS}</style></head><body>"
        f'<p class="notice">{escape(notice)}</p><div class="frame"><header>'
        f'<h1><a href="{link(_home_of(path), language)}">{escape(title)}</a></h1>{_menu(path, language)}'
        f'<a href="{switch}" lang="{other}" hreflang="{other}">{LANGUAGES[other]}</a></header>'
        f"<main>{body}</main></div></body></html>"
    )


def link(path: str, language: str, **query: str) -> str:
    """Return an address within the sandbox, escaped; what is the default is left out."""
    kept = {name: value for name, value in query.items() if value and (name, value) not in _DEFAULTS}
    if language != "en":
        kept["lang"] = language
    return escape(f"{path}?{urlencode(kept)}" if kept else path)


def _home_of(path: str) -> str:
    """The vendor's first page, that a page belongs to: the longest that its path begins with."""
    return max((home for home in PAGES if path.startswith(home)), key=len, default="/")


def _menu(path: str, language: str) -> str:
    if len(PAGES) < 2:
        return ""
    here = _home_of(path)
    links = (_menu_link(home, names[language], language, is_here=home == here) for home, names in PAGES.items())
    return f'<nav class="vendors">{"".join(links)}</nav>'


def _menu_link(home: str, name: str, language: str, *, is_here: bool) -> str:
    current = ' aria-current="page"' if is_here else ""
    return f'<a href="{link(home, language)}"{current}>{escape(name)}</a>'
