"""The objects of the organization and their fields, as `describe` tells of them, and what a field takes.

Read from developer.salesforce.com, SOAP guide: DescribeSObjectResult and field types (2026-11-22).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field. `length` is in characters, 0 where the type has none."""

    name: str
    type: str = "string"
    length: int = 255
    is_required: bool = False
    is_external_id: bool = False
    is_unique: bool = False
    is_read_only: bool = False
    options: tuple[str, ...] = ()
    """The active values of a picklist that is restricted to them."""
    parent: str = ""
    """The object that a lookup leads to."""
    relationship: str = ""
    """The name of a lookup as a relationship."""

    def body(self) -> dict[str, Any]:
        """Return the field as `describe` lists it."""
        values = [{"active": True, "defaultValue": False, "label": value, "value": value} for value in self.options]
        return {
            "name": self.name,
            "label": self.name.removesuffix("__c").replace("_", " "),
            "type": self.type,
            "length": self.length if self.type not in _WITHOUT_LENGTH else 0,
            "custom": self.name.endswith("__c"),
            "createable": not self.is_read_only,
            "updateable": not self.is_read_only,
            "nillable": not self.is_required,
            "defaultedOnCreate": self.type == "boolean",
            "externalId": self.is_external_id,
            "idLookup": self.is_external_id or self.name == "Id",
            "unique": self.is_unique,
            "restrictedPicklist": bool(self.options),
            "picklistValues": values,
            "referenceTo": [self.parent] if self.parent else [],
            "relationshipName": self.relationship or None,
        }


_WITHOUT_LENGTH: Final = ("boolean", "int", "double", "currency", "percent", "date", "datetime")


class BadValue(Exception):
    """A value that a field does not take: the vendor's status code, and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class SObject:
    """One object. `rule` is a field that must not be negative: the validation rule of this organization."""

    name: str
    prefix: str
    fields: Mapping[str, Field]
    rule: str = ""
    duplicates_by: str = ""
    """The field by which the organization's duplicate rule finds records."""

    def body(self) -> dict[str, Any]:
        """Return what `describe` tells."""
        told = {"name": self.name, "label": self.name, "keyPrefix": self.prefix, "custom": False}
        able = dict.fromkeys(("createable", "updateable", "deletable", "queryable"), True)
        return {**told, **able, "fields": [item.body() for item in self.fields.values()]}

    def relationship(self, name: str) -> Field | None:
        """Return the lookup of a relationship."""
        return next((item for item in self.fields.values() if item.relationship == name), None)


def take(item: Field, value: Any) -> Any:
    """Return a value as it is kept; raise BadValue where the field does not take it. Empty text is no value."""
    if value is None or value == "":
        if item.type == "boolean":
            raise BadValue("INVALID_TYPE_ON_FIELD_IN_RECORD", f"{item.name}: value not of required type: null")
        return None
    if item.type in _PARSERS:
        try:
            return _PARSERS[item.type](value)
        except (ValueError, TypeError, KeyError, OverflowError):
            message = f"{item.name}: value not of required type: {value}"
            raise BadValue("INVALID_TYPE_ON_FIELD_IN_RECORD", message) from None
    if not isinstance(value, str):
        value = str(value)
    if len(value) > item.length:
        raise BadValue("STRING_TOO_LONG", f"{item.name}: data value too large: {value} (max length={item.length})")
    if item.type == "email" and not _EMAIL.fullmatch(value):
        raise BadValue("INVALID_EMAIL_ADDRESS", f"{item.name}: invalid email address: {value}")
    if item.options and value not in item.options:
        message = f"{item.name}: bad value for restricted picklist field: {value}"
        raise BadValue("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message)
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value)
    if number != number or abs(number) >= 1e16:
        raise ValueError
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else _TRUTH[str(value).lower()]


def _day(value: Any) -> str:
    return date.fromisoformat(str(value)[:10]).isoformat()


def _moment(value: Any) -> str:
    at = datetime.fromisoformat(str(value))
    return write_moment(at if at.tzinfo else at.replace(tzinfo=UTC))


def write_moment(at: datetime) -> str:
    """Write a time as the vendor does: 2017-12-25T10:00:00.000+0000."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}+0000"


_PARSERS: Final = {
    "boolean": _truth,
    "int": _whole,
    "double": _number,
    "currency": _number,
    "percent": _number,
    "date": _day,
    "datetime": _moment,
}


def _fields(*items: Field) -> dict[str, Field]:
    system = (
        Field(name="Id", type="id", length=18, is_read_only=True),
        *items,
        Field(name="CreatedDate", type="datetime", is_read_only=True),
        Field(name="LastModifiedDate", type="datetime", is_read_only=True),
        Field(name="SystemModstamp", type="datetime", is_read_only=True),
        Field(name="IsDeleted", type="boolean", is_read_only=True),
    )
    return {item.name: item for item in system}


def _key(name: str) -> Field:
    return Field(name=name, length=64, is_external_id=True, is_unique=True)


_STAGES: Final = ("Prospecting", "Qualification", "Proposal", "Negotiation", "Closed Won", "Closed Lost")
OBJECTS: Final[Mapping[str, SObject]] = {
    item.name: item
    for item in (
        SObject(
            name="Account",
            prefix="001",
            fields=_fields(
                Field(name="Name", is_required=True),
                _key("CDP_Id__c"),
                Field(name="Legacy_Id__c", length=40, is_external_id=True),
                Field(name="Industry", type="picklist", length=255),
                Field(name="Tier__c", type="picklist", options=("Gold", "Silver", "Bronze")),
                Field(name="Phone", type="phone", length=40),
                Field(name="Website", type="url"),
                Field(name="Description", type="textarea", length=32_000),
                Field(name="AnnualRevenue", type="currency"),
                Field(name="NumberOfEmployees", type="int"),
                Field(name="Active__c", type="boolean"),
                Field(name="Customer_Since__c", type="date"),
                Field(name="Last_Order_At__c", type="datetime"),
                Field(name="ParentId", type="reference", length=18, parent="Account", relationship="Parent"),
            ),
            rule="NumberOfEmployees",
        ),
        SObject(
            name="Contact",
            prefix="003",
            fields=_fields(
                Field(name="FirstName", length=40),
                Field(name="LastName", length=80, is_required=True),
                _key("CDP_Person_Id__c"),
                Field(name="Email", type="email", length=80),
                Field(name="Phone", type="phone", length=40),
                Field(name="HasOptedOutOfEmail", type="boolean"),
                Field(name="RFM_Segment__c", length=40),
                Field(name="Lifetime_Value__c", type="currency"),
                Field(name="Last_Order_On__c", type="date"),
                Field(name="AccountId", type="reference", length=18, parent="Account", relationship="Account"),
            ),
            rule="Lifetime_Value__c",
            duplicates_by="Email",
        ),
        SObject(
            name="Opportunity",
            prefix="006",
            fields=_fields(
                Field(name="Name", length=120, is_required=True),
                _key("CDP_Deal_Id__c"),
                Field(name="StageName", type="picklist", options=_STAGES, is_required=True),
                Field(name="CloseDate", type="date", is_required=True),
                Field(name="Amount", type="currency"),
                Field(name="Probability", type="percent"),
                Field(name="AccountId", type="reference", length=18, parent="Account", relationship="Account"),
            ),
            rule="Amount",
        ),
        SObject(
            name="OpportunityLineItem",
            prefix="00k",
            fields=_fields(
                Field(
                    name="OpportunityId",
                    type="reference",
                    length=18,
                    is_required=True,
                    parent="Opportunity",
                    relationship="Opportunity",
                ),
                Field(name="ProductCode", is_read_only=True),
                Field(name="Name", length=376, is_read_only=True),
                Field(name="Quantity", type="double"),
                Field(name="UnitPrice", type="currency"),
                Field(name="TotalPrice", type="currency"),
            ),
            rule="Quantity",
        ),
        SObject(name="Organization", prefix="00D", fields=_fields(Field(name="Name", is_read_only=True))),
    )
}
