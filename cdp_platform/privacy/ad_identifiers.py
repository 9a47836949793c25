"""What advertising platforms recognise people by: normalised as each asks for, and hashed before it leaves the process.

Meta, read 2026-11-22 under developers.facebook.com/docs/marketing-api:
conversions-api/parameters/customer-information-parameters, audiences/guides/custom-audiences. Google, read 2026-11-22:
developers.google.com/data-manager/api/devguides/concepts/formatting. Functions that begin with neither name hold for
both. '' means that nothing usable was left; no function raises on a value or repeats one.
"""

import hashlib
import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Final

import phonenumbers

from cdp_platform.privacy import normalise

_HASHED: Final = re.compile("[0-9a-f]{64}")
_CACHED_PHONES: Final = 20_000
_GMAIL: Final = ("gmail.com", "googlemail.com")
_SUFFIXES: Final = re.compile(r"[ ,]+(jr|sr|ii|iii|iv|phd|md)\.?$")
_TITLES: Final = re.compile(rf"^({'|'.join(normalise.TITLES)})\.? +")
_FEMALE: Final = frozenset({"f", "female", "w", "woman", "女", "女性"})
_MALE: Final = frozenset({"m", "male", "man", "男", "男性"})
_STATE_CODES: Final = """
al:alabama ak:alaska az:arizona ar:arkansas ca:california co:colorado ct:connecticut de:delaware fl:florida ga:georgia
hi:hawaii id:idaho il:illinois in:indiana ia:iowa ks:kansas ky:kentucky la:louisiana me:maine md:maryland
ma:massachusetts mi:michigan mn:minnesota ms:mississippi mo:missouri mt:montana ne:nebraska nv:nevada nh:newhampshire
nj:newjersey nm:newmexico ny:newyork nc:northcarolina nd:northdakota oh:ohio ok:oklahoma or:oregon pa:pennsylvania
ri:rhodeisland sc:southcarolina sd:southdakota tn:tennessee tx:texas ut:utah vt:vermont va:virginia wa:washington
wv:westvirginia wi:wisconsin wy:wyoming dc:districtofcolumbia
"""
_US_STATES: Final = {name: code for code, _, name in (pair.partition(":") for pair in _STATE_CODES.split())}


def sha256(text: str) -> str:
    """The SHA-256 of a normalised value in lower-case hexadecimal digits; '' of ''."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def is_hashed(text: str) -> bool:
    """Whether a value has the form of such a hash."""
    return _HASHED.fullmatch(text) is not None


@lru_cache(_CACHED_PHONES)
def phone(text: str, region: str) -> str:
    """Write a telephone number as E.164, read as people of `region` (ISO 3166, two letters) write theirs.

    '' for numbers whose length cannot be one of their country, and for national ones where `region` is ''.
    """
    try:
        number = phonenumbers.parse(unicodedata.normalize("NFKC", text), region.upper() or None)
    except phonenumbers.NumberParseException:
        return ""
    number.extension = None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def country(text: str) -> str:
    """An ISO 3166 country code in lower case; '' for anything but two letters."""
    found = normalise.lower(normalise.width(text))
    return found if re.fullmatch("[a-z]{2}", found) else ""


def gender(text: str) -> str:
    """`f` or `m`; '' for what is neither."""
    found = normalise.lower(normalise.width(text)).rstrip(".")
    return "f" if found in _FEMALE else "m" if found in _MALE else ""


def birth_date(text: str) -> str:
    """A date of birth as YYYYMMDD; '' for a date that does not exist or lies before 1900."""
    try:
        born_on = date.fromisoformat(normalise.date(text))
    except ValueError:
        return ""
    return f"{born_on:%Y%m%d}" if born_on.year >= 1900 else ""


def meta_phone(text: str, region: str) -> str:
    """Digits with the country code, without `+` and leading zeros."""
    return phone(text, region).removeprefix("+")


def meta_name(text: str) -> str:
    """Lower case without punctuation; letters of any script keep their marks (`valéry`)."""
    kept = (one for one in _lower(text) if not unicodedata.category(one).startswith(("P", "S")))
    return normalise.trim("".join(kept))


def meta_city(text: str) -> str:
    """Lower case, letters only."""
    return "".join(one for one in _lower(text) if unicodedata.category(one).startswith(("L", "M")))


def meta_state(text: str, country_code: str) -> str:
    """Lower case, letters only; a state of the United States as its two letters."""
    found = meta_city(text)
    return _US_STATES.get(found, found) if country_code in ("us", "") else found


def meta_postal(text: str, country_code: str) -> str:
    """Lower case without spaces and dashes; of the United States the first five digits."""
    found = re.sub(r"[\s-]", "", _lower(text))
    is_american = country_code == "us" or (not country_code and re.fullmatch("[0-9]{5}([0-9]{4})?", found))
    return found[:5] if is_american else found


def google_email(text: str) -> str:
    """Lower case without any space; for Gmail without the dots and the `+…` before the `@`."""
    found = normalise.email(normalise.compact(text))
    local, _, host = found.rpartition("@")
    if host not in _GMAIL:
        return found
    plain = local.partition("+")[0].replace(".", "")
    return f"{plain}@{host}" if plain else ""


def google_given_name(text: str) -> str:
    """Lower case, trimmed, without a title before it."""
    return _TITLES.sub("", _lower(text))


def google_family_name(text: str) -> str:
    """Lower case, trimmed, without a suffix such as Jr."""
    return _SUFFIXES.sub("", _lower(text))


def _lower(text: str) -> str:
    return normalise.lower(unicodedata.normalize("NFC", normalise.width(text)))
