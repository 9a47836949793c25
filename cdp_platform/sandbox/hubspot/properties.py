"""Contact properties: their definitions and what each type accepts.

Vendor's page on properties: developers.hubspot.com/docs/api-reference/crm-properties-v3/guide (read 2026-11-22).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import resources
from typing import Any

from cdp_platform.sandbox.hubspot.answers import PropertyError

PROPERTY_TYPES = ("string", "number", "date", "datetime", "enumeration", "bool")
LONGEST_TEXT = 65_536
MOST_UNIQUE_PROPERTIES = 10

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MILLISECONDS = re.compile(r"\d{10,14}", re.ASCII)
_EMAIL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True)
class PropertyDefinition:
    """One property of a kind of record, as the account has it."""

    name: str
    label: str
    type: str
    """One of PROPERTY_TYPES."""
    field_type: str
    group: str = "contactinformation"
    description: str = ""
    options: tuple[str, ...] = ()
    """Allowed values; for an enumeration only."""
    is_unique: bool = False
    is_vendor_defined: bool = False
    is_read_only: bool = False

    def to_text(self) -> str:
        """Return the definition as one line of JSON, as it is stored."""
        return json.dumps(vars(self))

    def body(self, created_at: str) -> dict[str, Any]:
        """Return the definition in the vendor's shape."""
        values = ("true", "false") if self.type == "bool" else self.options
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": self.description,
            "options": [
                {"label": value, "value": value, "displayOrder": order, "hidden": False}
                for order, value in enumerate(values)
            ],
            "hasUniqueValue": self.is_unique,
            "hubspotDefined": self.is_vendor_defined,
            "calculated": False,
            "hidden": False,
            "archived": False,
            "createdAt": created_at,
            "updatedAt": created_at,
            "modificationMetadata": {
                "archivable": not self.is_vendor_defined,
                "readOnlyDefinition": self.is_vendor_defined,
                "readOnlyValue": self.is_read_only,
            },
        }


def parse_definition(text: str) -> PropertyDefinition:
    """Return the definition that `to_text` wrote."""
    values = json.loads(text)
    return PropertyDefinition(**{**values, "options": tuple(values.get("options", ()))})


def read_account_setup() -> list[PropertyDefinition]:
    """Return the properties that a new account has."""
    text = resources.files("cdp_platform.sandbox.hubspot").joinpath("account_setup.json").read_text(encoding="utf-8")
    return [PropertyDefinition(**{**item, "options": tuple(item.get("options", ()))}) for item in json.loads(text)]


def normalise(definition: PropertyDefinition, value: str) -> str:
    """Return the value as the CRM keeps it: an e-mail trimmed and in lower case, everything else as sent."""
    return value.strip().lower() if definition.name == "email" else value


def check_values(
    definitions: Mapping[str, PropertyDefinition], values: Mapping[str, str | None]
) -> tuple[dict[str, str], list[PropertyError]]:
    """Return the values as the CRM keeps them and what is wrong with the others. An empty value means: clear."""
    kept: dict[str, str] = {}
    errors: list[PropertyError] = []
    for name, value in values.items():
        error = _check_value(definitions.get(name), name, value)
        if error is not None:
            errors.append(error)
        elif value is not None:
            kept[name] = normalise(definitions[name], value)
    return kept, errors


def _check_value(definition: PropertyDefinition | None, name: str, value: str | None) -> PropertyError | None:
    if definition is None:
        return PropertyError(name=name, code="PROPERTY_DOESNT_EXIST", message=f'Property "{name}" does not exist')
    if definition.is_read_only:
        return PropertyError(name=name, code="READ_ONLY_VALUE", message=f'"{name}" is a read only property')
    if value is None:
        return PropertyError(name=name, code="NULL_VALUE", message=f'"{name}" is null; send "" to clear it')
    if value == "":
        return None
    code = _find_fault(definition, value)
    if code is None:
        return None
    expected = ", ".join(definition.options) if definition.options else definition.type
    return PropertyError(name=name, code=code, message=f'"{value}" was not accepted for {name} ({expected})')


def _find_fault(definition: PropertyDefinition, value: str) -> str | None:
    if definition.name == "email":
        address = normalise(definition, value)
        return None if len(address) <= 254 and _EMAIL.fullmatch(address) else "INVALID_EMAIL"
    if definition.type == "number":
        return None if _NUMBER.fullmatch(value) else "INVALID_NUMBER"
    if definition.type == "date":
        return None if is_date(value) else "INVALID_DATE"
    if definition.type == "datetime":
        return None if read_datetime(value) else "INVALID_DATE_TIME"
    if definition.type == "bool":
        return None if value in ("true", "false") else "INVALID_BOOLEAN"
    if definition.type == "enumeration":
        chosen: Sequence[str] = value.split(";") if definition.field_type == "checkbox" else (value,)
        return None if set(chosen) <= set(definition.options) else "INVALID_OPTION"
    return None if len(value) <= LONGEST_TEXT else "INVALID_STRING_LENGTH"


def is_number(text: str) -> bool:
    """Say whether the text is a finite decimal number."""
    return _NUMBER.fullmatch(text) is not None


def is_date(text: str) -> bool:
    """Say whether the text is a day that exists, written yyyy-mm-dd."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_datetime(text: str) -> str | None:
    """Return ISO 8601 with a zone, or milliseconds since 1970, as the vendor writes UTC; None when it is neither."""
    try:
        if _MILLISECONDS.fullmatch(text):
            moment = datetime.fromtimestamp(int(text) / 1000, tz=UTC)
        else:
            moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return None
        return write_datetime(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def write_datetime(moment: datetime) -> str:
    """Return a UTC time as the vendor writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
