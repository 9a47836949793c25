"""HTML that is safe by construction: text is escaped where it enters, and only `Markup` is written as it is."""

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib import resources
from typing import NewType

Markup = NewType("Markup", str)

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src '{style_hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def element(name: str, *content: Markup, kind: str = "", **attributes: str) -> Markup:
    """Build one element; `kind` is its class. Content is Markup: escape text with `words` first."""
    given = ({"class": kind} if kind else {}) | attributes
    written = "".join(f' {key}="{escape(value)}"' for key, value in given.items())
    return Markup(f"<{name}{written}>{''.join(content)}</{name}>")


def words(text: object) -> Markup:
    """Escape text."""
    return Markup(escape(str(text)))


def joined(parts: Iterable[Markup]) -> Markup:
    """Put parts after one another."""
    return Markup("\n".join(part for part in parts if part))


def page(*, title: str, language: str, body: Markup) -> str:
    """Build a whole page that loads nothing: its style is inside, and the policy allows that style by its hash."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _PAGE.format(
        language=escape(language), title=escape(title), style=style, style_hash=f"sha256-{digest}", body=body
    )


@cache
def _style() -> str:
    return resources.files("cdp_platform.reports").joinpath("report.css").read_text(encoding="utf-8").strip()
