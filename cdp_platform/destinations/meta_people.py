"""A person as Meta matches one: which fields a mapping may name, and their values normalised and hashed.

The rules are those of `privacy.ad_identifiers`. A mapping names the fields of Meta's audience schema, and `DOB` for a
whole date of birth; the same names serve conversions, which say them shorter on the wire.
"""

from collections.abc import Mapping
from typing import Final

from cdp_platform.connectors.protocol import DestinationField, Json
from cdp_platform.domain.syncs import FieldKind
from cdp_platform.privacy import ad_identifiers as identifiers
from cdp_platform.privacy import normalise

FIELDS: Final = ("EMAIL", "PHONE", "FN", "LN", "GEN", "DOB", "CT", "ST", "ZIP", "COUNTRY", "MADID", "EXTERN_ID")
KEYS: Final = ("EMAIL", "PHONE", "MADID", "EXTERN_ID")
"""The fields of which each alone points at one person."""
_PLAIN: Final = frozenset({"MADID", "EXTERN_ID"})
"""Sent as they are: Meta takes no hash of an advertising id, and needs none of our own id."""


def normalised(fields: Mapping[str, Json], region: str) -> dict[str, str]:
    """Normalise what a row says of a person; what is not usable is left out. `DOB` becomes YYYYMMDD."""
    told = {name: str(fields[name]) for name in FIELDS if fields.get(name) is not None}
    country = identifiers.country(told.get("COUNTRY", ""))
    found = {
        "EMAIL": normalise.email(told.get("EMAIL", "")),
        "PHONE": identifiers.meta_phone(told.get("PHONE", ""), region or country.upper()),
        "FN": identifiers.meta_name(told.get("FN", "")),
        "LN": identifiers.meta_name(told.get("LN", "")),
        "GEN": identifiers.gender(told.get("GEN", "")),
        "DOB": identifiers.birth_date(told.get("DOB", "")),
        "CT": identifiers.meta_city(told.get("CT", "")),
        "ST": identifiers.meta_state(told.get("ST", ""), country),
        "ZIP": identifiers.meta_postal(told.get("ZIP", ""), country),
        "COUNTRY": country,
        "MADID": normalise.lower(told.get("MADID", "")),
        "EXTERN_ID": told.get("EXTERN_ID", ""),
    }
    return {name: value for name, value in found.items() if value}


def hashed(name: str, value: str) -> str:
    """What is sent of a normalised value."""
    return value if name in _PLAIN else identifiers.sha256(value)


def fault_of(fields: Mapping[str, Json], found: Mapping[str, str]) -> tuple[str, str] | None:
    """Say why a person cannot be matched, as code and field; None where one can: `found` is what was usable.

    It takes an address, a telephone number or an advertising id, or first and last name together. What else is not
    usable is left out of a row that can be matched.
    """
    if {"EMAIL", "PHONE", "MADID"} & found.keys() or {"FN", "LN"} <= found.keys():
        return None
    told = [name for name in ("EMAIL", "PHONE") if fields.get(name) not in (None, "")]
    return {"EMAIL": ("invalid_email", "EMAIL"), "PHONE": ("invalid_phone", "PHONE")}.get(
        told[0] if told else "", ("no_identifier", "")
    )


def declared(unique: tuple[str, ...] = KEYS) -> list[DestinationField]:
    """The fields as a destination declares them."""
    return [DestinationField(name=name, kind=FieldKind.TEXT, is_unique=name in unique) for name in FIELDS]
