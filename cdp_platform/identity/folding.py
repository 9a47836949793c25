"""The steps of the normalisers in SQL: expressions that equal the functions of `privacy.normalise`.

Unicode is folded by tables, as Snowflake has neither NFKC nor a folding of accents: characters that become one other
by `translate`, those that become several by `replace`. Only text with a character beyond ASCII pays for it.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from cdp_platform.identity.expressions import matches, replaced
from cdp_platform.privacy import normalise
from cdp_platform.privacy.phone_regions import PHONE_REGIONS
from cdp_platform.warehouse.literals import literal

_LATIN: Final = "".join(map(chr, (*range(0x00C0, 0x0250), *range(0x1E00, 0x1F00))))
_WIDE: Final = "".join(map(chr, (0x00A0, *range(0x2000, 0x200B), 0x202F, 0x3000, *range(0xFF01, 0xFFA0))))
_HIRAGANA: Final = "".join(map(chr, range(0x3041, 0x3097)))
_KATAKANA: Final = "".join(chr(ord(one) + 0x60) for one in _HIRAGANA)
_COMBINING: Final = "".join(map(chr, range(0x0300, 0x0370)))
_FIRST_GROUP: Final = r"\1"
_SPACES: Final = f"[{normalise.SPACES}]+"
_CODED: Final = ("aeiouybfpvcgjkqsxzdtlmnr", "000000111122222222334556", "hw")


def trim(text: str) -> str:
    """One space for several, none at the ends."""
    return f"trim({replaced(text, _SPACES, ' ')})"


def lower(text: str) -> str:
    """Lower case."""
    return f"lower({text})"


def width(text: str) -> str:
    """Full-width Latin and half-width kana in their ordinary width, trimmed."""
    folded = _translated(text, {one: unicodedata.normalize("NFKC", one) for one in _WIDE})
    for pair, single in _voiced().items():
        folded = f"replace({folded}, {literal(pair)}, {literal(single)})"
    return trim(_beyond_ascii(text, f"nfc_normalize({folded})"))


def kana(text: str) -> str:
    """Hiragana as katakana."""
    return _beyond_ascii(text, _translated(text, dict(zip(_HIRAGANA, _KATAKANA, strict=True))))


def accents(text: str) -> str:
    """Latin letters without their marks."""
    bases = {one: normalise.without_accents(one) for one in _LATIN}
    folded = _translated(text, {one: base for one, base in bases.items() if len(base) == 1}, _COMBINING)
    for one, base in bases.items():
        if len(base) > 1:
            folded = f"replace({folded}, {literal(one)}, {literal(base)})"
    return _beyond_ascii(text, folded)


def compact(text: str) -> str:
    """No space at all."""
    return replaced(text, _SPACES, "")


def plain_words(text: str) -> str:
    """Words without punctuation."""
    return trim(_translated(text, dict.fromkeys(normalise.SPACED, " "), normalise.DROPPED))


def untitled(text: str) -> str:
    """A name without the title before it."""
    return replaced(text, f"^({'|'.join(normalise.TITLES)}) (.+)$", r"\2")


def without_honorific(text: str) -> str:
    """A name without the honorific behind it."""
    pattern = f"^(.+)({'|'.join(normalise.HONORIFICS)})$"
    return f"trim({replaced(text, pattern, _FIRST_GROUP)})"


def first_word(text: str) -> str:
    """Everything before the first space."""
    return replaced(text, " .*$", "")


def email(text: str) -> str:
    """The text where it has the shape of an address."""
    return _kept(text, "^[^@ ]+@[^@ ]+[.][^@ .]+$")


def looked_up(table: Mapping[str, str]) -> Callable[[str], str]:
    """What a table has for the text, or the text."""

    def step(text: str) -> str:
        cases = " ".join(f"when {literal(a)} then {literal(b)}" for a, b in table.items())
        return f"case {text} {cases} else {text} end"

    return step


def bare_number(text: str) -> str:
    """The digits of a telephone number, with at most one plus sign before them."""
    dialled = replaced(text, "(ext|x|#|分機|轉|内線).*$", "")
    dialled = replaced(f"replace({dialled}, '(0)', '')", "[^0-9+]+", "")
    return f"concat(substr({dialled}, 1, 1), replace(substr({dialled}, 2), '+', ''))"


def e164(region: str) -> tuple[Callable[[str], str], ...]:
    """Bare number → E.164, read at home in a region."""
    home = PHONE_REGIONS[region]
    code, low, high = home.calling_code, home.shortest, home.longest
    national = f"[0-9]{{{low},{high}}}"
    if home.trunk:
        other = f"[{''.join(digit for digit in '0123456789' if digit != home.trunk)}]"
        national = f"({home.trunk}{national}|{other}[0-9]{{{low - 1},{high - 1}}})"

    def completed(text: str) -> str:
        exits = "".join(
            f" when substr({text}, 1, {len(exit_code)}) = '{exit_code}' and length({text}) >= {len(exit_code) + 10}"
            f" then concat('+', substr({text}, {len(exit_code) + 1}))"
            for exit_code in home.exits
        )
        return (
            f"case when substr({text}, 1, 1) = '+' then {text}{exits}"
            f" when {matches(text, f'^{national}$')}"
            f" then concat('+{code}', {replaced(text, _started_with('', home.trunk), '')})"
            f" when {matches(text, f'^{code}{national}$')}"
            f" then concat('+{code}', {replaced(text, _started_with(code, home.trunk), '')}) else '' end"
        )

    def corrected(text: str) -> str:
        return replaced(text, f"^[+]{code}0", f"+{code}") if home.trunk == "0" else text

    return completed, corrected, lambda text: _kept(text, "^[+][0-9]{8,15}$")


def date(order: str) -> tuple[Callable[[str], str], ...]:
    """A date as YYYY-MM-DD."""
    rest = "([T ].*)?"
    late = r"\3-\1-\2" if order == "mdy" else r"\3-\2-\1"
    shapes = (
        ("^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3"),
        (f"^([0-9]{{4}})[-/.年]([0-9]{{1,2}})[-/.月]([0-9]{{1,2}})日?{rest}$", r"\1-\2-\3"),
        (f"^([0-9]{{1,2}})[-/.]([0-9]{{1,2}})[-/.]([0-9]{{4}}){rest}$", late),
    )

    def arranged(text: str) -> str:
        cases = " ".join(f"when {matches(text, shape)} then {replaced(text, shape, new)}" for shape, new in shapes)
        return f"case {cases} else '' end"

    def padded(text: str) -> str:
        return replaced(replaced(text, "-([0-9])-", r"-0\1-"), "-([0-9])$", r"-0\1")

    return arranged, padded


def swapped(text: str) -> str:
    """A date with the smaller of day and month first."""
    one, other = f"substr({text}, 6, 2)", f"substr({text}, 9, 2)"
    ordered = f"concat(substr({text}, 1, 5), least({one}, {other}), '-', greatest({one}, {other}))"
    return f"case when {text} = '' then '' else {ordered} end"


def _soundex_letters(text: str) -> str:
    return replaced(text, "[^a-z]+", "")


def _soundex_coded(text: str) -> str:
    letters, codes, deleted = _CODED
    coded = f"translate({text}, '{letters}{deleted}', '{codes}')"
    for code in "123456":
        coded = replaced(coded, f"{code}+", code)
    return f"concat(substr({text}, 1, 1), {coded})"


def _soundex_written(text: str) -> str:
    # The first letter stands for its own code; vowels were only needed to part equal codes.
    coded = replaced(replaced(text, "^([bcdfgjklmnpqrstvxz])[1-6]", r"\1"), "0+", "")
    return f"case when {text} = '' then '' else substr(concat(upper({coded}), '000'), 1, 4) end"


def _started_with(code: str, trunk: str) -> str:
    return f"^{code}{trunk}?" if trunk else f"^{code}"


NAME: Final = (width, kana, accents, lower, plain_words, untitled, without_honorific)
SOUNDEX: Final = (_soundex_letters, _soundex_coded, _soundex_written)


def _kept(text: str, pattern: str) -> str:
    return f"case when {matches(text, pattern)} then {text} else '' end"


def _beyond_ascii(text: str, folded: str) -> str:
    return f"case when {matches(text, '^[ -~]*$')} then {text} else {folded} end"


def _translated(text: str, table: Mapping[str, str], deleted: Iterable[str] = "") -> str:
    changed = {one: other for one, other in table.items() if one != other and len(other) == 1}
    source = "".join((*changed, *deleted))
    return f"translate({text}, {literal(source)}, {literal(''.join(changed.values()))})"


def _voiced() -> dict[str, str]:
    """Katakana and hiragana with a mark of their own → the one character."""
    pairs = (letter + mark for letter in _HIRAGANA + _KATAKANA + "ワヰヱヲ" for mark in "\u3099\u309a")
    composed = {pair: unicodedata.normalize("NFC", pair) for pair in pairs}
    return {pair: single for pair, single in composed.items() if len(single) == 1}
