"""Bring what people write about themselves into one form, so that equal things become equal text.

The SQL of `identity.normalisers` says the same for a warehouse; property tests hold the two together. All functions
take text and return text; '' means that nothing usable was left.
"""

import re
import unicodedata
from typing import Final

from cdp_platform.privacy.nicknames import NICKNAMES
from cdp_platform.privacy.phone_regions import PHONE_REGIONS

# Letters that Unicode does not take apart into a base letter and a mark.
SPELT_OUT: Final = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D",
    "ł": "l", "Ł": "L", "ħ": "h", "Ħ": "H", "ı": "i", "þ": "th", "Þ": "TH", "ð": "d", "Ð": "D",
}  # fmt: skip
SPACES: Final = " \\t\\r\\n\u00a0\u3000"
DROPPED: Final = "'’‘`´\""
SPACED: Final = "-‐‑–—.,;:/\\()[]_・·•"
TITLES: Final = ("mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir")
HONORIFICS: Final = ("先生", "小姐", "女士", "様", "サン", "殿")
SHORTEST_WITH_TYPO: Final = 4
"""Below this length one typing error would make strangers alike."""
LONGEST_WITH_TYPO: Final = 24
"""A typing error behind this character is not tolerated: each further character is a further key."""

_REST_OF_TIME: Final = "(?:[T ].*)?"
_DATE_SHAPES: Final = (
    ("([0-9]{4})([0-9]{2})([0-9]{2})", "ymd"),
    (f"([0-9]{{4}})[-/.年]([0-9]{{1,2}})[-/.月]([0-9]{{1,2}})日?{_REST_OF_TIME}", "ymd"),
    (f"([0-9]{{1,2}})[-/.]([0-9]{{1,2}})[-/.]([0-9]{{4}}){_REST_OF_TIME}", ""),
)
_SOUNDEX: Final = {
    letter: code
    for code, letters in {"1": "bfpv", "2": "cgjkqsxz", "3": "dt", "4": "l", "5": "mn", "6": "r"}.items()
    for letter in letters
}


def trim(text: str) -> str:
    """Take space off both ends, and make one space of several inside."""
    return re.sub(f"[{SPACES}]+", " ", text).strip(" ")


def width(text: str) -> str:
    """Write full-width Latin and half-width kana in their ordinary width (Unicode NFKC), and trim."""
    return trim(unicodedata.normalize("NFKC", text))


def kana(text: str) -> str:
    """Write hiragana as katakana, in ordinary width."""
    return "".join(chr(ord(one) + 0x60) if "ぁ" <= one <= "ゖ" else one for one in width(text))


def without_accents(text: str) -> str:
    """Take the marks off Latin letters (`é` → `e`, `ß` → `ss`); other scripts keep theirs."""
    return "".join(_base(one) for one in width(text) if not "\u0300" <= one <= "\u036f")


def lower(text: str) -> str:
    """Trim and write in lower case."""
    return "".join(one.lower() for one in trim(text))


def digits(text: str) -> str:
    """Keep the digits 0 to 9."""
    return re.sub("[^0-9]", "", width(text))


def compact(text: str) -> str:
    """Take all space out."""
    return re.sub(f"[{SPACES}]+", "", text)


def email(text: str) -> str:
    """Trim and lower an e-mail address; '' where it has not the shape of one. Dots and tags stay as they are."""
    found = lower(width(text))
    return found if re.fullmatch(r"[^@ ]+@[^@ ]+[.][^@ .]+", found) else ""


def phone(text: str, region: str) -> str:
    """Write a telephone number as E.164, read as people of `region` (a key of PHONE_REGIONS) write theirs.

    Extensions are left out. '' where it cannot be a number of the region nor an international one.
    """
    home = PHONE_REGIONS[region]
    written = re.sub("(ext|x|#|分機|轉|内線).*$", "", lower(width(text))).replace("(0)", "")
    number = re.sub("[^0-9+]", "", written)
    is_international, number = number.startswith("+"), number.replace("+", "")
    if is_international:
        return _international(number, region)
    for exit_code in home.exits:
        if number.startswith(exit_code) and len(number) >= len(exit_code) + 10:
            return _international(number[len(exit_code) :], region)
    for national in (_without(home.trunk, number), _without(home.trunk, _after(home.calling_code, number))):
        if home.shortest <= len(national) <= home.longest:
            return _international(f"{home.calling_code}{national}", region)
    return ""


def postal(text: str) -> str:
    """Write a postal code in lower case, letters and digits only."""
    return re.sub("[^0-9a-z]", "", lower(width(text)))


def name(text: str) -> str:
    """Fold width, kana, accents and case; titles, honorifics and punctuation go, the order of words stays."""
    folded = lower(without_accents(kana(text)))
    plain = trim(folded.translate(str.maketrans(SPACED, " " * len(SPACED), DROPPED)))
    untitled = re.sub(rf"^({'|'.join(TITLES)}) (.+)$", r"\2", plain)
    return re.sub(rf"^(.+)({'|'.join(HONORIFICS)})$", r"\1", untitled).strip()


def initials(text: str) -> str:
    """First letters of a name's words, sorted: `J. Smith` and `Smith, John` give `j s`."""
    return " ".join(sorted(word[0] for word in name(text).split()))


def any_order(text: str) -> str:
    """Put the words of a name in alphabetical order, so that family name first and last meet."""
    return " ".join(sorted(name(text).split()))


def first_word(text: str) -> str:
    """The first word of a name."""
    return name(text).partition(" ")[0]


def first_letter(text: str) -> str:
    """The first letter of a name."""
    return name(text)[:1]


def nickname(text: str) -> str:
    """The first word of a name, with its familiar form replaced (`bob` → `robert`)."""
    first = first_word(text)
    return NICKNAMES.get(first, first)


def soundex(text: str) -> str:
    """American Soundex of the Latin letters of a name; '' where there are none."""
    letters = re.sub("[^a-z]", "", name(text))
    if not letters:
        return ""
    coded, last = "", _SOUNDEX.get(letters[0], "")
    for letter in letters[1:]:
        code = _SOUNDEX.get(letter, "")
        if code and code != last:
            coded += code
        # H and W do not part two letters of one code; vowels do.
        last = last if letter in "hw" else code
    return (letters[0].upper() + coded + "000")[:4]


def date(text: str, order: str = "mdy") -> str:
    """Write a date as YYYY-MM-DD; '' for other shapes. `order` (`mdy`, `dmy`) reads dates that begin with no year.

    No calendar is asked: a date that does not exist still equals itself.
    """
    written = width(text)
    for shape, names in _DATE_SHAPES:
        if found := re.fullmatch(shape, written):
            parts = dict(zip(names or order, found.groups(), strict=False))
            return f"{parts['y']}-{parts['m']:0>2}-{parts['d']:0>2}"
    return ""


def year(text: str, order: str = "mdy") -> str:
    """The year of a date."""
    return date(text, order)[:4]


def swapped_date(text: str, order: str = "mdy") -> str:
    """A date with the smaller of day and month first, so that exchanged ones meet."""
    found = date(text, order)
    return "-".join([found[:4], *sorted((found[5:7], found[8:]))]) if found else ""


def prefix(text: str, length: int) -> str:
    """The first characters."""
    return text[:length]


def suffix(text: str, length: int) -> str:
    """The last characters."""
    return text[-length:]


def one_typo(text: str) -> frozenset[str]:
    """Keys of which two texts share one where they differ by a character more, less, other, or two exchanged.

    Texts that differ by two characters may share one, too. Short texts have themselves as their only key.
    """
    if len(text) < SHORTEST_WITH_TYPO:
        return frozenset({text} - {""})
    places = range(min(len(text), LONGEST_WITH_TYPO))
    return frozenset({text, *(text[:place] + text[place + 1 :] for place in places)})


def _base(one: str) -> str:
    if one in SPELT_OUT:
        return SPELT_OUT[one]
    base = unicodedata.normalize("NFD", one)[0]
    return base if base.isascii() else one


def _without(start: str, number: str) -> str:
    return number[len(start) :] if start and number.startswith(start) else number


def _after(start: str, number: str) -> str:
    return number[len(start) :] if number.startswith(start) else ""


def _international(number: str, region: str) -> str:
    """With the region's trunk prefix taken out where somebody left it in (`+886 0912…`)."""
    home = PHONE_REGIONS[region]
    doubled = home.calling_code + home.trunk
    if home.trunk == "0" and number.startswith(doubled):
        number = home.calling_code + number[len(doubled) :]
    return f"+{number}" if 8 <= len(number) <= 15 else ""
