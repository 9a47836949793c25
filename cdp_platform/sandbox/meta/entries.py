"""Entries of an upload: which of them look hashed and normalised, as far as a hash can tell.

A hash of a small set can be recognised (a gender, a month, a country): one that is none of the set's was made of a
value that was not normalised, and is as useless as one that has not the form of a hash.
"""

import hashlib
import itertools
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cdp_platform.sandbox.meta.answers import invalid

MOST_ENTRIES: Final = 10_000
STRONG: Final = ("EMAIL", "PHONE", "MADID", "EXTERN_ID")
_HASHED: Final = re.compile("[0-9a-f]{64}")
_PLAIN: Final = frozenset({"MADID", "EXTERN_ID", "LOOKALIKE_VALUE"})
_KEYS: Final = frozenset(
    {"EXTERN_ID", "EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "ST", "CT", "ZIP", "MADID"}
    | {"COUNTRY", "LOOKALIKE_VALUE"}
)
_SINGLE: Final = {"EMAIL_SHA256": "EMAIL", "PHONE_SHA256": "PHONE", "MOBILE_ADVERTISER_ID": "MADID"}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_OF_NOTHING: Final = _hash("")
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "GEN": frozenset(map(_hash, "fm")),
    "DOBY": frozenset(_hash(str(year)) for year in range(1900, 2101)),
    "DOBM": frozenset(_hash(f"{month:02}") for month in range(1, 13)),
    "DOBD": frozenset(_hash(f"{day:02}") for day in range(1, 32)),
    "COUNTRY": frozenset(_hash(a + b) for a, b in itertools.product(string.ascii_lowercase, repeat=2)),
}

Entry = Mapping[str, str]
"""One person by key of the schema; what was left blank is absent."""


def read_entries(payload: Any) -> tuple[list[Entry], list[Any]]:
    """Return the entries that can be used, and those that cannot, as they were sent. Raises GraphError otherwise."""
    if not isinstance(payload, Mapping):
        raise invalid("payload must be an object with schema and data")
    schema, data = _schema(payload.get("schema")), payload.get("data")
    if not isinstance(data, list) or not data:
        raise invalid("payload.data must be a list that is not empty")
    if len(data) > MOST_ENTRIES:
        raise invalid(f"payload.data holds more than {MOST_ENTRIES} people")
    good, bad = [], []
    for item in data:
        entry = _entry(schema, item)
        if entry is None:
            bad.append(item)
        else:
            good.append(entry)
    return good, bad


def hash_fault(key: str, value: str) -> str:
    """Say what is wrong with a value that should be hashed; '' for nothing that can be seen."""
    if not _HASHED.fullmatch(value):
        return "is not hashed"
    if value == _OF_NOTHING:
        return "is the hash of nothing"
    return "is the hash of a value that was not normalised" if value not in _KNOWN.get(key, {value}) else ""


def _schema(told: Any) -> list[str]:
    keys = [told] if isinstance(told, str) else told
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise invalid("payload.schema must be a key or a list of keys")
    named = [_SINGLE.get(key, key) for key in keys]
    if strangers := [key for key in named if key not in _KEYS]:
        raise invalid(f"payload.schema: unknown key {strangers[0][:50]}")
    if len(set(named)) != len(named):
        raise invalid("payload.schema names a key twice")
    return named


def _entry(schema: Sequence[str], item: Any) -> Entry | None:
    values = [item] if isinstance(item, str) and len(schema) == 1 else item
    if not isinstance(values, list) or len(values) != len(schema) or not all(isinstance(one, str) for one in values):
        return None
    entry = {key: value for key, value in zip(schema, values, strict=True) if value}
    faults = [key for key, value in entry.items() if key not in _PLAIN and hash_fault(key, value)]
    return None if faults or not entry else entry
