"""Look texts up by code and language, and put their parameters in.

Codes are dotted paths into the two JSON files beside this module, which hold the same codes. A text with numbers in it
may have two forms, `one` and `other`; the parameter `count` chooses. Numbers and dates are written as in the language.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any

from cdp_platform.domain.plans import Verdict
from cdp_platform.errors import CdpError

LANGUAGES = ("en", "zh-Hant")
_FILES = {"en": "en.json", "zh-Hant": "zh_hant.json"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Text = str | Mapping[str, str]


class TextMissing(CdpError):
    """A code or a parameter that the catalogue does not have: a fault of the code that asked."""


def text(code: str, language: str, **parameters: object) -> str:
    """Say what `code` means in `language` (`en`, `zh-Hant`). Raises TextMissing; parameters left over are ignored."""
    form = _form(code, language, parameters.get("count"))
    written = {name: written_value(value, language) for name, value in parameters.items()}
    try:
        return Formatter().vformat(form, (), written)
    except KeyError as error:
        raise TextMissing(f"the text `{code}` needs the parameter {error}.") from None


def has_text(code: str) -> bool:
    """Whether the catalogue holds `code`."""
    return code in catalogue("en")


def skipped_text(reason: str, count: int, language: str) -> str:
    """Say how many rows were left out and why; the second line says who can mend it and how. Raises TextMissing."""
    return _two_lines(f"skipped.{reason}", language, {"count": count})


def rejected_text(
    code: str, count: int, language: str, *, destination: str = "", parameters: Mapping[str, object] | None = None
) -> str:
    """Say how many rows the destination rejected and why; the second line says who can mend it and how.

    A code that only the vendor knows is told as a refusal without a reason.
    """
    code = code if has_text(f"rejected.{code}.text") else "refused"
    given = {name: value for name, value in (parameters or {}).items() if value not in (None, "")}
    unnamed = {"field": text("rejected.unnamed_field", language)}
    return _two_lines(
        f"rejected.{code}", language, unnamed | given | {"count": count, "destination": name_of(destination, language)}
    )


def verdict_text(verdict: Verdict, language: str) -> str:
    """Say what a guard found; where it failed, the second line says who can mend it and how."""
    code, given = f"guard.{verdict.code}", dict(verdict.parameters)
    if "rows" in given:
        given["count"] = given["rows"]
    if "destination" in given:
        given["destination"] = name_of(str(given["destination"]), language)
    parts = ("passed",) if verdict.passed else ("failed", "remedy")
    return "\n".join(text(f"{code}.{part}", language, **given) for part in parts)


def operation_text(operation: str, count: int, language: str, *, destination: str = "") -> str:
    """Say how many records an operation touched, in the destination's own words where it has some."""
    own = f"operation.{operation}.{destination}"
    return text(own if has_text(own) else f"operation.{operation}.count", language, count=count)


def resend_text(reason: str, count: int, language: str) -> str:
    """Say how many rows are sent again and why; the second line says what to do. Raises TextMissing."""
    return _two_lines(f"resend.{reason}", language, {"count": count})


def name_of(destination: str, language: str) -> str:
    """Write a destination's name as its vendor does; without a name, speak of the destination."""
    if not destination:
        return text("destination.unnamed", language)
    return text(f"destination.{destination}", language) if has_text(f"destination.{destination}") else destination


def written_value(value: object, language: str) -> str:
    """Write one value as the language does: 1,234 · 25 Dec 2017 · 2017年12月25日 · yes · 是."""
    match value:
        case None:
            return _form("value.empty", language, None)
        case bool():
            return _form("value.true" if value else "value.false", language, None)
        case int() | Decimal():
            return f"{value:,}"
        case date():
            if language == "en":
                return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"
            return f"{value.year}年{value.month}月{value.day}日"
        case _:
            return str(value)


@cache
def catalogue(language: str) -> Mapping[str, Text]:
    """All texts of one language by code."""
    if language not in _FILES:
        raise TextMissing(f"there are no texts in `{language}`; there are {', '.join(LANGUAGES)}.")
    document = resources.files("cdp_platform.texts").joinpath(_FILES[language]).read_text(encoding="utf-8")
    return _flat(json.loads(document))


def placeholders(code: str, language: str) -> frozenset[str]:
    """Names of the parameters that any form of a text uses."""
    entry = catalogue(language)[code]
    forms = [entry] if isinstance(entry, str) else entry.values()
    return frozenset(name for form in forms for _, name, _, _ in Formatter().parse(form) if name)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Text]:
    found: dict[str, Text] = {}
    for name, entry in tree.items():
        is_text = isinstance(entry, str) or set(entry) == {"one", "other"}
        found |= {prefix + name: entry} if is_text else _flat(entry, f"{prefix}{name}.")
    return found


def _form(code: str, language: str, count: object) -> str:
    try:
        entry = catalogue(language)[code]
    except KeyError:
        raise TextMissing(f"the catalogue has no text `{code}`.") from None
    if isinstance(entry, str):
        return entry
    return entry["one" if count == 1 else "other"]


def _two_lines(code: str, language: str, parameters: Mapping[str, object]) -> str:
    return "\n".join(text(f"{code}.{part}", language, **parameters) for part in ("text", "remedy"))
