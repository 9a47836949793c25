"""The kinds of records an account has: contacts, companies, deals, and the custom objects that were defined in it.

Vendor's pages: developers.hubspot.com/docs/api-reference/crm-custom-objects-v3/guide and the list of object type ids in
.../understanding-the-crm (read 2026-11-22). Each kind has a state file of its own, beside that of the contacts.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from cdp_platform.sandbox.hubspot.answers import RequestError, invalid, not_found
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.hubspot.properties import PropertyDefinition

MOST_CUSTOM_OBJECTS = 10
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass(frozen=True, kw_only=True)
class ObjectType:
    """One kind of record."""

    name: str
    """In the plural for what the vendor defines; `p<account>_<name>` for custom objects."""
    id: str
    """The vendor's object type id: 0-1 for contacts, 2-… for custom objects."""
    singular: str
    created: str = "createdate"
    """The read-only property of the time of creation."""
    modified: str = "hs_lastmodifieddate"
    defaults: tuple[str, ...] = ()
    """Properties that are answered when none is asked for, besides the system's own."""
    queried: tuple[str, ...] = ("name",)
    """Properties that a search's free text looks into."""
    setup: tuple[PropertyDefinition, ...] = field(default=(), repr=False)

    @property
    def system(self) -> tuple[str, ...]:
        """The properties that every answer has."""
        return (self.created, self.modified, "hs_object_id")


CONTACTS = ObjectType(
    name="contacts",
    id="0-1",
    singular="contact",
    modified="lastmodifieddate",
    defaults=("email", "firstname", "lastname"),
    queried=("firstname", "lastname", "email", "phone", "cdp_person_id"),
)


def _setup(name: str) -> tuple[PropertyDefinition, ...]:
    text = resources.files("cdp_platform.sandbox.hubspot").joinpath("objects_setup.json").read_text(encoding="utf-8")
    return tuple(
        PropertyDefinition(**{**item, "options": tuple(item.get("options", ()))}) for item in json.loads(text)[name]
    )


def vendor_defined() -> list[ObjectType]:
    """Return the kinds that every account has besides contacts."""
    companies = ObjectType(
        name="companies",
        id="0-2",
        singular="company",
        defaults=("name", "domain"),
        queried=("name", "domain", "phone"),
        setup=_setup("companies"),
    )
    deals = ObjectType(
        name="deals",
        id="0-3",
        singular="deal",
        defaults=("dealname", "amount", "closedate", "pipeline", "dealstage"),
        queried=("dealname", "pipeline", "dealstage"),
        setup=_setup("deals"),
    )
    products = ObjectType(
        name="products",
        id="0-7",
        singular="product",
        defaults=("name", "description", "price"),
        queried=("name", "hs_sku"),
        setup=_setup("products"),
    )
    line_items = ObjectType(
        name="line_items",
        id="0-8",
        singular="line_item",
        defaults=("name", "quantity", "price", "amount"),
        queried=("name", "hs_sku"),
        setup=_setup("line_items"),
    )
    return [companies, deals, products, line_items]


class ObjectStore(ContactStore):
    """The records of one kind; its business day is that of the account."""

    def __init__(self, path: Path, kind: ObjectType, day: Callable[[], str | None]) -> None:
        self.kind = kind
        self._day = day
        super().__init__(path)

    @property
    def day(self) -> str | None:
        return self._day()

    def initial_properties(self) -> list[PropertyDefinition]:
        return list(self.kind.setup)


class Objects:
    """Finds the state of a kind of record by any of its names. `main` holds the contacts and the account."""

    def __init__(self, main: ContactStore, path: Path) -> None:
        self._main = main
        self._path = path
        self._found: dict[str, tuple[ObjectType, ContactStore]] = {"contacts": (CONTACTS, main)}
        for kind in vendor_defined():
            self._open(kind)
        main.execute("create table if not exists schemas (name text primary key, definition text not null)")
        for (text,) in main.execute("select definition from schemas order by rowid"):
            self._open(_custom(json.loads(text)))

    def find(self, name: str) -> tuple[ObjectType, ContactStore]:
        """Return a kind and its state, by name, singular or object type id. Raises RequestError 404 for a stranger."""
        for kind, store in self._found.values():
            if name in (kind.name, kind.id) or name.lower() == kind.singular:
                return kind, store
        raise not_found(f"Unable to infer object type from: {name[:100]}")

    @property
    def kinds(self) -> list[ObjectType]:
        """All kinds, in the order of their definition."""
        return [kind for kind, _ in self._found.values()]

    def schemas(self) -> list[dict[str, Any]]:
        """Return the definitions of the custom objects in the vendor's shape."""
        return [json.loads(text) for (text,) in self._main.execute("select definition from schemas order by rowid")]

    def define(self, body: Any) -> dict[str, Any]:
        """Define a custom object and return it in the vendor's shape. Raises RequestError for what does not fit."""
        told = body if isinstance(body, Mapping) else {}
        name, labels, properties = told.get("name"), told.get("labels"), told.get("properties")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid("name: small letters, digits and _, beginning with a letter")
        if not isinstance(labels, Mapping) or not isinstance(properties, list) or not properties:
            raise invalid("labels and properties: both are needed")
        with self._main.transaction():
            count = self._main.execute("select count(*) from schemas")[0][0]
            if count >= MOST_CUSTOM_OBJECTS:
                raise invalid(f"At most {MOST_CUSTOM_OBJECTS} custom objects can be defined")
            portal_id = self._main.account_value("portal_id")
            qualified = f"p{portal_id}_{name}"
            if qualified in self._found:
                raise RequestError(409, "OBJECT_ALREADY_EXISTS", f"An object named '{name}' already exists.")
            definition = {
                **{key: value for key, value in told.items() if key != "associatedObjects"},
                "id": str(count + 1),
                "objectTypeId": f"2-{int(portal_id or 0) % 1_000_000 + count + 1}",
                "fullyQualifiedName": qualified,
                "archived": False,
                "createdAt": self._main.timestamp(),
            }
            kind = _custom(definition)
            self._main.execute("insert into schemas values (?, ?)", (qualified, json.dumps(definition)))
        self._open(kind)
        return definition

    def close(self) -> None:
        """Close every state file but the main one."""
        for name, (_, store) in self._found.items():
            if name != "contacts":
                store.close()

    def _open(self, kind: ObjectType) -> None:
        path = self._path.with_name(f"{self._path.stem}_{kind.name}.sqlite")
        self._found[kind.name] = (kind, ObjectStore(path, kind, lambda: self._main.day))


def _custom(definition: Mapping[str, Any]) -> ObjectType:
    system = [
        PropertyDefinition(
            name=name,
            label=name,
            type="number" if name == "hs_object_id" else "datetime",
            field_type="number" if name == "hs_object_id" else "date",
            is_vendor_defined=True,
            is_read_only=True,
        )
        for name in ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")
    ]
    own = [_property(item) for item in definition["properties"]]
    return ObjectType(
        name=definition["fullyQualifiedName"],
        id=definition["objectTypeId"],
        singular=definition["fullyQualifiedName"],
        created="hs_createdate",
        queried=tuple(item.name for item in own if item.type == "string")[:3] or ("hs_object_id",),
        setup=(*system, *own),
    )


def _property(item: Any) -> PropertyDefinition:
    told = item if isinstance(item, Mapping) else {}
    name, label = told.get("name"), told.get("label")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(label, str):
        raise invalid("properties: each needs a name and a label")
    return PropertyDefinition(
        name=name,
        label=label,
        type=str(told.get("type", "string")),
        field_type=str(told.get("fieldType", "text")),
        group="custom_object",
        options=tuple(str(option.get("value")) for option in told.get("options") or []),
        is_unique=told.get("hasUniqueValue") is True,
    )
