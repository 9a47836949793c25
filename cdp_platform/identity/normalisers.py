"""The normalisers a rule may name: for each the steps in SQL, and the function of `privacy.normalise` that they equal.

A step takes a column by name and answers an expression; the next step sees its result as a column again, so that an
expression may name its input often. A blank answer means that the value cannot be used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cdp_platform.errors import ConfigError
from cdp_platform.identity import folding
from cdp_platform.identity.expressions import replaced, sorted_words
from cdp_platform.privacy import normalise
from cdp_platform.privacy.nicknames import NICKNAMES
from cdp_platform.privacy.phone_regions import PHONE_REGIONS

Step = Callable[[str], str]
_ORDERS: Final = ("mdy", "dmy")
_LONGEST_CUT: Final = 20
_CALL_SHAPE: Final = "name or name(argument)"


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """One normaliser with its argument in place.

    `is_coarse` marks what strangers share by the thousand, so that it cannot be a rule alone. `has_many` marks the
    one that answers several keys for a value; it comes last in its chain.
    """

    written: str
    steps: tuple[Step, ...] = field(compare=False)
    in_python: Callable[[str], str] = field(compare=False)
    is_coarse: bool = False
    has_many: bool = False


def parse_normaliser(written: str) -> Normaliser:
    """Read `name` or `phone(TW)`. Raises ConfigError naming what is allowed."""
    called, bracket, argument = written.strip().partition("(")
    if bracket and not argument.endswith(")"):
        raise ConfigError(f"{written!r} is not of the shape {_CALL_SHAPE}.")
    make = _MAKERS.get(called)
    if make is None:
        raise UnknownNormaliser(called)
    return make(written.strip(), argument.rstrip(")").strip())


class UnknownNormaliser(ConfigError):
    """There is no normaliser of this name. `named` is the name."""

    def __init__(self, named: str) -> None:
        super().__init__(f"there is no normaliser {named!r}.")
        self.named = named


def _plain(in_python: Callable[[str], str], *steps: Step, is_coarse: bool = False) -> "_Maker":
    def make(written: str, argument: str) -> Normaliser:
        if argument:
            raise ConfigError(f"{written!r}: this normaliser takes no argument.")
        return Normaliser(written=written, steps=steps, in_python=in_python, is_coarse=is_coarse)

    return make


def _phone(written: str, argument: str) -> Normaliser:
    if argument not in PHONE_REGIONS:
        known = ", ".join(sorted(PHONE_REGIONS))
        raise ConfigError(f"{written!r} needs a region, as in phone(TW).", remedy=f"Choose from {known}.")
    return Normaliser(
        written=written,
        steps=(folding.width, folding.lower, folding.bare_number, *folding.e164(argument)),
        in_python=lambda text: normalise.phone(text, argument),
    )


def _cut(in_python: Callable[[str, int], str], sql: str, shortest_alone: int) -> "_Maker":
    def make(written: str, argument: str) -> Normaliser:
        if not (argument.isdigit() and 1 <= int(argument) <= _LONGEST_CUT):
            raise ConfigError(f"{written!r} needs a length from 1 to {_LONGEST_CUT}, as in prefix(3).")
        length = int(argument)
        return Normaliser(
            written=written,
            steps=(lambda text: sql.format(text=text, length=length),),
            in_python=lambda text: in_python(text, length),
            is_coarse=length < shortest_alone,
        )

    return make


def _dated(in_python: Callable[[str, str], str], *steps: Step, is_coarse: bool = False) -> "_Maker":
    def make(written: str, argument: str) -> Normaliser:
        order = argument or "mdy"
        if order not in _ORDERS:
            raise ConfigError(f"{written!r}: the order of a date is mdy or dmy.")
        return Normaliser(
            written=written,
            steps=(folding.width, *folding.date(order), *steps),
            in_python=lambda text: in_python(text, order),
            is_coarse=is_coarse,
        )

    return make


def _one_typo(written: str, argument: str) -> Normaliser:
    if argument:
        raise ConfigError(f"{written!r}: this normaliser takes no argument.")
    # The keys are made where records meet positions, in `edges`; the chain itself leaves the text as it is.
    return Normaliser(written=written, steps=(), in_python=lambda text: text, has_many=True)


_Maker = Callable[[str, str], Normaliser]
_NAME: Final = folding.NAME
_MAKERS: Final[Mapping[str, _Maker]] = {
    "trim": _plain(normalise.trim, folding.trim),
    "lower": _plain(normalise.lower, folding.trim, folding.lower),
    "width": _plain(normalise.width, folding.width),
    "kana": _plain(normalise.kana, folding.width, folding.kana),
    "accents": _plain(normalise.without_accents, folding.width, folding.accents),
    "compact": _plain(normalise.compact, folding.compact),
    "digits": _plain(normalise.digits, folding.width, lambda text: replaced(text, "[^0-9]+", "")),
    "email": _plain(normalise.email, folding.width, folding.lower, folding.email),
    "phone": _phone,
    "postal": _plain(
        normalise.postal,
        folding.width,
        folding.lower,
        lambda text: replaced(text, "[^0-9a-z]+", ""),
    ),
    "name": _plain(normalise.name, *_NAME),
    "any_order": _plain(normalise.any_order, *_NAME, sorted_words),
    "initials": _plain(
        normalise.initials,
        *_NAME,
        lambda text: replaced(text, "([^ ])[^ ]*", r"\1"),
        sorted_words,
        is_coarse=True,
    ),
    "first_word": _plain(normalise.first_word, *_NAME, folding.first_word),
    "first_letter": _plain(normalise.first_letter, *_NAME, lambda text: f"substr({text}, 1, 1)", is_coarse=True),
    "nickname": _plain(normalise.nickname, *_NAME, folding.first_word, folding.looked_up(NICKNAMES), is_coarse=True),
    "soundex": _plain(normalise.soundex, *_NAME, *folding.SOUNDEX, is_coarse=True),
    "date": _dated(normalise.date),
    "swapped_date": _dated(normalise.swapped_date, folding.swapped),
    "year": _dated(normalise.year, lambda text: f"substr({text}, 1, 4)", is_coarse=True),
    "prefix": _cut(normalise.prefix, "substr({text}, 1, {length})", 6),
    "suffix": _cut(normalise.suffix, "right({text}, {length})", 6),
    "one_typo": _one_typo,
}
NAMES: Final = tuple(_MAKERS)
