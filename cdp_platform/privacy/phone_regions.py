"""How telephone numbers are written at home, by region: what is needed to turn them into E.164.

Calling codes and lengths are those of the regions' numbering plans as published by the ITU (E.164 and its annexes).
Lengths count the national significant number: without the trunk prefix, mobile and fixed lines together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class PhoneRegion:
    """`trunk` is dialled before a national number, `exits` before an international one; '' where there is none."""

    calling_code: str
    trunk: str
    exits: tuple[str, ...]
    shortest: int
    longest: int


def _region(calling_code: str, trunk: str, exits: str, shortest: int, longest: int) -> PhoneRegion:
    return PhoneRegion(
        calling_code=calling_code, trunk=trunk, exits=tuple(exits.split()), shortest=shortest, longest=longest
    )


PHONE_REGIONS: Final[Mapping[str, PhoneRegion]] = {
    "AU": _region("61", "0", "0011", 9, 9),
    "BR": _region("55", "0", "00", 10, 11),
    "CA": _region("1", "1", "011", 10, 10),
    "CN": _region("86", "0", "00", 10, 11),
    "DE": _region("49", "0", "00", 6, 11),
    "ES": _region("34", "", "00", 9, 9),
    "FR": _region("33", "0", "00", 9, 9),
    "GB": _region("44", "0", "00", 9, 10),
    "HK": _region("852", "", "001", 8, 8),
    "ID": _region("62", "0", "00 001", 8, 12),
    "IN": _region("91", "0", "00", 10, 10),
    "IT": _region("39", "", "00", 6, 11),
    "JP": _region("81", "0", "010", 9, 10),
    "KR": _region("82", "0", "00 001 002", 8, 10),
    "MX": _region("52", "", "00", 10, 10),
    "MY": _region("60", "0", "00", 8, 10),
    "NL": _region("31", "0", "00", 9, 9),
    "NZ": _region("64", "0", "00", 8, 10),
    "PH": _region("63", "0", "00", 8, 10),
    "SG": _region("65", "", "000 001", 8, 8),
    "TH": _region("66", "0", "001 00", 8, 9),
    "TW": _region("886", "0", "002 009", 8, 9),
    "US": _region("1", "1", "011", 10, 10),
    "VN": _region("84", "0", "00", 9, 10),
}
