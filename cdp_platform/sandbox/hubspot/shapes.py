"""The bodies that the API takes. What does not fit is refused with the place of the fault and never with its value."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cdp_platform.sandbox.hubspot.answers import RequestError, invalid


def _to_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_to_text)]


def _named(value: object) -> object:
    return None if value == "" else value


PropertyName = Annotated[str | None, BeforeValidator(_named)]
"""The name of a property; an empty one is none."""


class Shape(BaseModel):
    """A JSON object; keys that we do not know are passed over, as at the vendor."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class WriteInput(Shape):
    """One row of a batch create, update or upsert."""

    id: Text | None = None
    id_property: PropertyName = Field(default=None, alias="idProperty")
    properties: dict[str, Text | None]
    trace_id: Text | None = Field(default=None, alias="objectWriteTraceId")


class WriteBatch(Shape):
    inputs: list[WriteInput]


class IdInput(Shape):
    id: Text


class ReadBatch(Shape):
    """The body of a batch read; of a batch archive, which uses the ids alone."""

    inputs: list[IdInput]
    id_property: PropertyName = Field(default=None, alias="idProperty")
    properties: list[str] = []


class ErasureBody(Shape):
    """The body of an erasure."""

    object_id: Text = Field(alias="objectId")
    id_property: PropertyName = Field(default=None, alias="idProperty")


class Filter(Shape):
    property_name: str = Field(alias="propertyName")
    operator: str
    value: Text | None = None
    values: list[Text] = []


class FilterGroup(Shape):
    filters: list[Filter] = []


class Sort(Shape):
    property_name: str = Field(alias="propertyName")
    direction: str = "ASCENDING"


class SearchBody(Shape):
    filter_groups: list[FilterGroup] = Field(default=[], alias="filterGroups")
    query: str | None = None
    sorts: list[Sort | str] = []
    properties: list[str] = []
    limit: int = 10
    after: int = 0


class Option(Shape):
    value: str = Field(min_length=1)


class NewProperty(Shape):
    """A custom property to be created."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")
    label: str = Field(min_length=1, max_length=250)
    type: str
    field_type: str = Field(alias="fieldType", min_length=1)
    group_name: str = Field(alias="groupName", min_length=1)
    description: str = ""
    options: list[Option] = []
    has_unique_value: bool = Field(default=False, alias="hasUniqueValue")


class ClockBody(Shape):
    day: str


ShapeT = TypeVar("ShapeT", bound=Shape)


def parse(shape: type[ShapeT], body: Any) -> ShapeT:
    """Return the body in its shape. Raises RequestError 400 with the place of each fault."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise _refuse(error) from None


def _refuse(error: ValidationError) -> RequestError:
    faults = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()[:20]]
    listed = "; ".join(f"{place}: {message}" for place, message in faults)
    errors = [{"message": message, "in": place} for place, message in faults]
    return invalid(f"Invalid input JSON: {listed}", errors=errors)
