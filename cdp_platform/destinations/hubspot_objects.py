"""The objects of a HubSpot account that a sync can write to, by name, and how fast: what `hubspot.py` stands on.

Vendor pages, read 2026-11-22, under https://developers.hubspot.com/docs: understanding-the-crm (object types),
api-reference/crm-associations-v4/guide, api-reference/crm-lists-v3, developer-tooling/platform/usage-guidelines.

- Records: contacts, companies, deals, products (page crm/objects/products/batch/upsert-products, read 2026-11-22), and
  custom objects by their qualified name (`p12345_car`) or type id (`2-67890`).
- Pairs: `contacts_to_companies`, any two of them; a row is one association. With a label its type stands behind:
  `contacts_to_companies_user_type_36`, `…_hubspot_type_1`.
- Lists: `list_123`, by the list's id; a row is one member.
- Rows of one request: 100 records. Third parties name 2,000 pairs and 100,000 members, which the pages read do not
  confirm: half of the former, and far below the latter, are sent.
- Apps with OAuth are said to have 110 requests in 10 seconds and account, which is not confirmed either: whoever
  installs such an app sets the option `requests_per_10_seconds`. The session learns from the headers what is left.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cdp_platform.connectors.protocol import Capabilities
from cdp_platform.domain.syncs import Mode, Removal
from cdp_platform.errors import ConfigError

RECORDS: Final = ("contacts", "companies", "deals", "products")
WINDOW_SECONDS: Final = 10.1
"""The vendor counts 10 seconds by arrival; requests that take longer to arrive must not meet later ones in them."""
_CUSTOM: Final = re.compile(r"p\d{1,12}_[a-z0-9_]{1,100}|2-\d{1,15}")
_LIST: Final = re.compile(r"list_(\d{1,15})")
_TYPE: Final = re.compile(r"(.+)_(user|hubspot)_type_(\d{1,9})")
_OPTIONS: Final = ("requests_per_10_seconds", "from_property", "to_property")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An object whose rows are associations."""

    from_object: str
    to_object: str
    category: str | None = None
    """HUBSPOT_DEFINED or USER_DEFINED; None for associations without a label."""
    type_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class AccountOptions:
    """What `destination.options` may say."""

    requests_per_10_seconds: int = 190
    """Of the account and app; 190 is a private app's in Professional and Enterprise."""
    from_property: str | None = None
    """The unique property by which the first record of a pair is named; None: by record id."""
    to_property: str | None = None
    """The same of the second."""

    @classmethod
    def read(cls, options: Mapping[str, str]) -> "AccountOptions":
        """Read the options of a connection; raises ConfigError for one that is unknown or cannot be."""
        for name in options:
            if name not in _OPTIONS:
                raise _wrong(name, "is not known", f"There are: {', '.join(_OPTIONS)}.")
        pace = options.get("requests_per_10_seconds", "190")
        if not (pace.isascii() and pace.isdigit() and 1 <= int(pace) <= 10_000):
            raise _wrong("requests_per_10_seconds", "is no whole number above 0", 'Write it as "110".')
        sides = {name: options[name] for name in ("from_property", "to_property") if options.get(name)}
        return cls(requests_per_10_seconds=int(pace), **sides)


def is_record(object_name: str) -> bool:
    """Whether rows of the object are records."""
    return object_name in RECORDS or _CUSTOM.fullmatch(object_name) is not None


def list_of(object_name: str) -> str | None:
    """The id of the list that the object is; None where it is none."""
    found = _LIST.fullmatch(object_name)
    return found[1] if found else None


def pair_of(object_name: str) -> Pair | None:
    """The two objects that the object links; None where it links none."""
    typed = _TYPE.fullmatch(object_name)
    sides = (typed[1] if typed else object_name).split("_to_")
    for place in range(1, len(sides)):
        from_object, to_object = "_to_".join(sides[:place]), "_to_".join(sides[place:])
        if is_record(from_object) and is_record(to_object):
            category, type_id = (f"{typed[2].upper()}_DEFINED", int(typed[3])) if typed else (None, None)
            return Pair(from_object=from_object, to_object=to_object, category=category, type_id=type_id)
    return None


def capabilities_of(object_name: str, records: Capabilities, options: AccountOptions) -> Capabilities:
    """What the object can do; `records` is what records can. Raises ConfigError for an object that there is not."""
    requests = options.requests_per_10_seconds
    told = replace(records, requests_per_second=requests / WINDOW_SECONDS, burst_requests=requests)
    if is_record(object_name):
        return told
    links = replace(
        told,
        modes=frozenset({Mode.UPSERT, Mode.MIRROR}),
        removals=frozenset({Removal.KEEP, Removal.DELETE}),
        needs_record=True,
        changes_match_value=False,
    )
    if pair_of(object_name):
        return replace(links, batch_rows=1_000, lookup_rows=1_000)
    if list_of(object_name):
        return replace(links, batch_rows=2_000, lookup_rows=2_000, is_membership=True)
    raise ConfigError(
        f"Destination hubspot has no object {object_name!r}.",
        remedy=f"It has: {', '.join(RECORDS)}, custom objects (p123_name or 2-123), pairs (contacts_to_companies) and"
        " lists (list_123).",
        field="destination.object",
    )


def _wrong(name: str, what: str, remedy: str) -> ConfigError:
    return ConfigError(f"The option {name!r} of hubspot {what}.", remedy=remedy, field="destination.options")
