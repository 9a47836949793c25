"""Members of a request: read, and refused as a whole where one is not formatted, hashed or whole.

Vendor's pages: developers.google.com/data-manager/api/devguides/concepts/formatting and .../understand-errors (read
2026-11-22). What was hashed cannot be seen; that it was hashed, and with what around it, can.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from cdp_platform.sandbox.google.answers import violation

MOST_MEMBERS: Final = 10_000
MOST_IDENTIFIERS: Final = 10
_HASHED: Final = re.compile("[0-9a-fA-F]{64}")
_REGION: Final = re.compile("[A-Z]{2}")
_OF_NOTHING: Final = hashlib.sha256(b"").hexdigest()

Identifier = tuple[str, str]
"""Kind and value; of an address all of its parts."""


def read_members(body: Mapping[str, Any]) -> list[list[Identifier]]:
    """Return the identifiers of each member. Raises DataManagerError naming the first place that is wrong."""
    if body.get("encoding") != "HEX":
        raise violation("encoding", "The sandbox takes HEX")
    members = body.get("audienceMembers")
    if not isinstance(members, list) or not members:
        raise violation("audience_members", "At least one is required")
    if len(members) > MOST_MEMBERS:
        raise violation("audience_members", f"At most {MOST_MEMBERS} are taken in one request")
    return [_member(f"audience_members.audience_members[{place}]", told) for place, told in enumerate(members)]


def _member(place: str, told: Any) -> list[Identifier]:
    data = told.get("userData") if isinstance(told, Mapping) else None
    named = data.get("userIdentifiers") if isinstance(data, Mapping) else None
    where = f"{place}.user_data.user_identifiers"
    if not isinstance(named, list) or not named:
        raise violation(where, "At least one is required")
    if len(named) > MOST_IDENTIFIERS:
        raise violation(where, f"At most {MOST_IDENTIFIERS} are taken")
    return [_identifier(f"{where}.user_identifiers[{nth}]", one) for nth, one in enumerate(named)]


def _identifier(place: str, told: Any) -> Identifier:
    if not isinstance(told, Mapping) or len(told) != 1:
        raise violation(place, "Exactly one of email_address, phone_number and address is required")
    (kind, value) = next(iter(told.items()))
    if kind in ("emailAddress", "phoneNumber"):
        return kind, _hash(f"{place}.{kind}", value)
    if kind != "address" or not isinstance(value, Mapping):
        raise violation(place, "Unknown kind of identifier")
    names = [_hash(f"{place}.address.{name}", value.get(name)) for name in ("givenName", "familyName")]
    region, postal = value.get("regionCode"), value.get("postalCode")
    if not isinstance(region, str) or not _REGION.fullmatch(region):
        raise violation(f"{place}.address.region_code", "A two-letter code in capitals is required")
    if not isinstance(postal, str) or not postal.strip() or _HASHED.fullmatch(postal):
        raise violation(f"{place}.address.postal_code", "A postal code that is not hashed is required")
    return "address", "|".join([*names, region, postal])


def _hash(place: str, value: Any) -> str:
    if not isinstance(value, str) or not _HASHED.fullmatch(value):
        raise violation(place, "The value is not a SHA-256 in the encoding that was given")
    if value.lower() == _OF_NOTHING:
        raise violation(place, "The value is the hash of nothing")
    return value.lower()
