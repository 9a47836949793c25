"""Kinds of identifiers: how a value is compared, in SQL and in Python, and under which keyed hash it is remembered.

An identifier of an exclusive kind belongs to one person; an e-mail address, a telephone number or a browser may be
shared, and does not lead from one person to another.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cdp_platform.errors import CdpError
from cdp_platform.privacy.normalise import digits, email, trim

EXCLUSIVE = ("person_id", "customer_number", "card_number", "record_key", "ticket_id", "contact_id")
SHAREABLE = ("email", "phone", "anonymous_id")
KINDS = (*EXCLUSIVE, *SHAREABLE)
KINDS_BY_NAME: Mapping[str, str] = {**{kind: kind for kind in KINDS}, "customer_id": "customer_number"}
"""What a column is by its name, in tables that nobody has declared."""
PHONE_DIGITS = 9
"""Compared from the right: with and without the country's code and the leading zero they are one number."""


@dataclass(frozen=True, kw_only=True)
class Closure:
    """What one person is known by: normalised values by kind, and the texts that stand in the tables for them."""

    values: Mapping[str, frozenset[str]]
    texts: frozenset[str] = frozenset()
    """As written in the tables, of kinds whose values tell who somebody is; to be looked for in documents."""
    shared: Mapping[str, int] = field(default_factory=dict)
    """How many values, by kind, other people have, too: rows that only these point at are left."""

    @property
    def person_ids(self) -> frozenset[str]:
        """The ids that the person has and had."""
        return self.values.get("person_id", frozenset())


def normalised(kind: str, text: str) -> str:
    """Write a value as it is compared; '' where it cannot be one of this kind."""
    if kind == "email":
        return email(text)
    if kind == "phone":
        found = digits(text)
        return found[-PHONE_DIGITS:] if len(found) >= PHONE_DIGITS else ""
    return trim(text)


def normalised_sql(kind: str, column: str) -> str:
    """SQL of the same; null or '' where there is no value."""
    text = f"cast({column} as varchar)"
    if kind == "email":
        return f"lower(trim({text}))"
    if kind == "phone":
        number = f"regexp_replace({text}, '[^0-9]', '', 'g')"
        return f"case when length({number}) >= {PHONE_DIGITS} then right({number}, {PHONE_DIGITS}) end"
    return f"trim({text})"


def read_key(path: Path, *, may_make: bool = False) -> bytes:
    """The key of the hashes, readable by its owner only; one that is not there is made where nobody was forgotten yet.

    Raises CdpError for a file that is gone or holds no key: without it who was forgotten could come back.
    """
    if may_make and not path.exists():
        _make_key(path)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (ValueError, OSError):
        key = b""
    if len(key) != hashlib.sha256().digest_size:
        raise CdpError(
            f"{path} holds no key, or is gone.",
            remedy="Restore it from a backup: without the key nobody knows who was forgotten.",
        )
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}-{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_hex(32), encoding="ascii")
    # Where two processes make one, the first stays.
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def tombstone(key: bytes, kind: str, value: str) -> str:
    """The keyed hash of a normalised value: 64 hexadecimal digits."""
    return hmac.new(key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()
