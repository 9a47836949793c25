"""Turn a search body into a condition over the table `contacts`. Values are bound; names come from the definitions.

Vendor's page: developers.hubspot.com/docs/api-reference/search/guide (read 2026-11-22). Groups are joined by or,
the filters of a group by and.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cdp_platform.sandbox.hubspot.answers import invalid
from cdp_platform.sandbox.hubspot.matching import like_anywhere
from cdp_platform.sandbox.hubspot.properties import PropertyDefinition, is_number, read_datetime
from cdp_platform.sandbox.hubspot.shapes import Filter, FilterGroup, SearchBody, Sort

MOST_GROUPS = 5
MOST_FILTERS = 6
MOST_RESULTS = 10_000
MOST_PER_PAGE = 200
QUERIED_PROPERTIES = ("firstname", "lastname", "email", "phone", "cdp_person_id")
_COMPARISONS = {"GT": ">", "GTE": ">=", "LT": "<", "LTE": "<="}
_SYSTEM_COLUMNS = {
    "hs_object_id": "id",
    "createdate": "created_at",
    "hs_createdate": "created_at",
    "lastmodifieddate": "updated_at",
    "hs_lastmodifieddate": "updated_at",
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """SQL text with its bound values."""

    sql: str
    values: tuple[str | float, ...] = ()


def column_of(name: str) -> str:
    """Return the SQL expression for a property that the account has defined."""
    return _SYSTEM_COLUMNS.get(name) or f"json_extract(properties, '$.{name}')"


def search_condition(
    definitions: Mapping[str, PropertyDefinition], body: SearchBody, queried: Sequence[str] = QUERIED_PROPERTIES
) -> Condition:
    """Return the condition of a search; its free text looks into the properties `queried`.

    Raises RequestError 400 for what the vendor would not take.
    """
    if len(body.filter_groups) > MOST_GROUPS:
        raise invalid(f"Too many filter groups: at most {MOST_GROUPS}")
    groups = [_group(definitions, group) for group in body.filter_groups]
    parts = ["archived_at is null"]
    values: list[str | float] = []
    if groups:
        parts.append("(" + " or ".join(f"({group.sql})" for group in groups) + ")")
        values += [value for group in groups for value in group.values]
    if body.query:
        query = query_condition(body.query, queried)
        parts.append(query.sql)
        values += query.values
    return Condition(sql=" and ".join(parts), values=tuple(values))


def query_condition(text: str, queried: Sequence[str] = QUERIED_PROPERTIES) -> Condition:
    """Return the condition that each word stands somewhere in the properties; by default name, e-mail, person id …"""
    words = text.split()[:20]
    one = "(" + " or ".join(f"{column_of(name)} like ? escape '\\'" for name in queried) + ")"
    values = tuple(like_anywhere(word) for word in words for _ in queried)
    return Condition(sql=" and ".join([one] * len(words)) or "true", values=values)


def sort_order(definitions: Mapping[str, PropertyDefinition], sorts: list[Sort | str]) -> str:
    """Return the ORDER BY terms. Raises RequestError 400 for an unknown property or more than one sort."""
    if len(sorts) > 1:
        raise invalid("Only one sort is supported")
    if not sorts:
        return "id"
    first = sorts[0]
    if isinstance(first, str):
        direction = "DESCENDING" if first.startswith("-") else "ASCENDING"
        first = Sort(propertyName=first.removeprefix("-"), direction=direction)
    definition = _definition(definitions, first.property_name)
    if first.direction not in ("ASCENDING", "DESCENDING"):
        raise invalid("sorts: direction is ASCENDING or DESCENDING")
    way = "desc" if first.direction == "DESCENDING" else "asc"
    return f"{_typed_column(definition)} {way}, id"


def _group(definitions: Mapping[str, PropertyDefinition], group: FilterGroup) -> Condition:
    if len(group.filters) > MOST_FILTERS:
        raise invalid(f"Too many filters in a group: at most {MOST_FILTERS}")
    conditions = [_filter(_definition(definitions, item.property_name), item) for item in group.filters]
    return Condition(
        sql=" and ".join(condition.sql for condition in conditions) or "true",
        values=tuple(value for condition in conditions for value in condition.values),
    )


def _definition(definitions: Mapping[str, PropertyDefinition], name: str) -> PropertyDefinition:
    if name not in definitions:
        raise invalid(f'Property "{name[:100]}" does not exist')
    return definitions[name]


def _filter(definition: PropertyDefinition, item: Filter) -> Condition:
    makers: dict[str, Callable[[PropertyDefinition, Filter], Condition]] = {
        "EQ": _equal,
        "NEQ": _not_equal,
        "IN": _within,
        "CONTAINS_TOKEN": _contains,
        "HAS_PROPERTY": _present,
        "NOT_HAS_PROPERTY": _absent,
        **dict.fromkeys(_COMPARISONS, _compare),
    }
    if item.operator not in makers:
        raise invalid(f"operator: one of {', '.join(makers)}")
    return makers[item.operator](definition, item)


def _typed_column(definition: PropertyDefinition) -> str:
    column = column_of(definition.name)
    return f"cast({column} as real)" if definition.type == "number" else f"lower({column})"


def _typed_value(definition: PropertyDefinition, value: str | None) -> str | float:
    if value is None:
        raise invalid(f"A value is needed to filter by {definition.name}")
    if definition.type == "number":
        if not is_number(value):
            raise invalid(f"A number is needed to filter by {definition.name}")
        return float(value)
    if definition.type == "datetime":
        moment = read_datetime(value)
        if moment is None:
            raise invalid(f"A time is needed to filter by {definition.name}")
        return moment.lower()
    return value.lower()


def _equal(definition: PropertyDefinition, item: Filter) -> Condition:
    return Condition(sql=f"{_typed_column(definition)} = ?", values=(_typed_value(definition, item.value),))


def _not_equal(definition: PropertyDefinition, item: Filter) -> Condition:
    return Condition(sql=f"{_typed_column(definition)} is not ?", values=(_typed_value(definition, item.value),))


def _compare(definition: PropertyDefinition, item: Filter) -> Condition:
    sign = _COMPARISONS[item.operator]
    return Condition(sql=f"{_typed_column(definition)} {sign} ?", values=(_typed_value(definition, item.value),))


def _within(definition: PropertyDefinition, item: Filter) -> Condition:
    if not 1 <= len(item.values) <= 100:
        raise invalid("IN takes 1 to 100 values")
    marks = ", ".join("?" for _ in item.values)
    values = tuple(_typed_value(definition, value) for value in item.values)
    return Condition(sql=f"{_typed_column(definition)} in ({marks})", values=values)


def _contains(definition: PropertyDefinition, item: Filter) -> Condition:
    if not item.value:
        raise invalid(f"A value is needed to filter by {definition.name}")
    return Condition(sql=f"contains_token({column_of(definition.name)}, ?)", values=(item.value,))


def _present(definition: PropertyDefinition, item: Filter) -> Condition:
    return Condition(sql=f"{column_of(definition.name)} is not null")


def _absent(definition: PropertyDefinition, item: Filter) -> Condition:
    return Condition(sql=f"{column_of(definition.name)} is null")
