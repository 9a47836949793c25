"""What the fields of a destination take, as it says so itself: which values, how long, of which type.

A value is called wrong only where the description rules it out for certain; what is doubtful the destination judges.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any, Final

from cdp_platform.domain.syncs import FieldKind

NOT_LISTED: Final = "value_not_listed"
TOO_LONG: Final = "value_too_long"
OTHER_TYPE: Final = "value_of_other_type"
"""Codes of the reasons in the catalogue of texts."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_EPOCH: Final = re.compile(r"-?\d+", re.ASCII)
_TRUTH: Final = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0"})


@dataclass(frozen=True, kw_only=True)
class WrongValue:
    """Why a field does not take a value. `code` is the reason's in the catalogue, `parameters` what its text needs."""

    code: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ValueRule:
    """What one field takes."""

    field: str
    options: tuple[str, ...] = ()
    """The values that there are; empty: any. Compared without regard to case, which some vendors overlook."""
    separator: str = ""
    """What stands between the options of a field that takes several; empty: it takes one."""
    longest_characters: int | None = None
    """None: any length."""
    kind: FieldKind | None = None
    """The type that a text must be readable as; None or text: any."""

    @property
    def says_nothing(self) -> bool:
        """Whether it takes everything."""
        return not self.options and self.longest_characters is None and self.kind in (None, FieldKind.TEXT)

    @cached_property
    def surely_takes(self) -> Callable[[Any], bool]:
        """A quick word on most values; where it is False, `wrong` has to be asked."""
        if self.options:
            return frozenset(self.options).__contains__ if self.longest_characters is None else _never
        if self.kind not in (None, FieldKind.TEXT):
            return _never
        longest = self.longest_characters or 0
        return lambda value: value.__class__ is str and len(value) <= longest

    def wrong(self, value: Any) -> WrongValue | None:
        """Say why the field does not take a value, or None. Nothing and the empty text clear a field."""
        texts = [_text(item) for item in value] if isinstance(value, list) else [_text(value)]
        told = [text for text in texts if text.strip()]
        if not told:
            return None
        if self.longest_characters is not None and sum(len(text.strip()) for text in told) > self.longest_characters:
            return WrongValue(code=TOO_LONG, parameters=self._named(longest=str(self.longest_characters)))
        if self.options and (stranger := self._stranger(told)) is not None:
            nearest = _nearest(stranger.casefold(), self.options)
            return WrongValue(code=NOT_LISTED, parameters=self._named(nearest=nearest))
        if self.kind is not None and not all(_is_readable(text.strip(), self.kind) for text in told):
            return WrongValue(code=OTHER_TYPE, parameters=self._named(type=self.kind.value))
        return None

    def _stranger(self, texts: Iterable[str]) -> str | None:
        """The first value that is no option."""
        known = _folded(self.options)
        parts = (part for text in texts for part in (text.split(self.separator) if self.separator else [text]))
        return next((part for part in parts if part.strip() and part.strip().casefold() not in known), None)

    def _named(self, **more: str) -> dict[str, str]:
        return {"field": self.field, **more}


def _never(value: Any) -> bool:
    return False


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
    return str(value)


def _is_readable(text: str, kind: FieldKind) -> bool:
    match kind:
        case FieldKind.INTEGER | FieldKind.DECIMAL:
            return _NUMBER.fullmatch(text) is not None
        case FieldKind.BOOLEAN:
            return text.casefold() in _TRUTH
        case FieldKind.DATE | FieldKind.TIMESTAMP:
            return _EPOCH.fullmatch(text) is not None or _begins_with_date(text)
    return True


def _begins_with_date(text: str) -> bool:
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


@lru_cache(maxsize=64)
def _folded(options: tuple[str, ...]) -> frozenset[str]:
    return frozenset(option.strip().casefold() for option in options)


@lru_cache(maxsize=4_096)
def _nearest(wrong: str, options: tuple[str, ...]) -> str:
    by_fold = {option.casefold(): option for option in options}
    return by_fold[get_close_matches(wrong, list(by_fold), n=1, cutoff=0.0)[0]]
