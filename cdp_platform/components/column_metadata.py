"""Columns as Dagster shows them: name, type, what it is, and what its values are made of, up to the raw tables.

Dagster's own web UI draws no graph of columns: what a column is made of stands in its description, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from cdp_platform.audiences.catalogue import Catalogue, Relation
from cdp_platform.audiences.definition import (
    ConsentCondition,
    Definition,
    EventCondition,
    Leaf,
    MembershipCondition,
    Occurrence,
    SequenceCondition,
    TraitCondition,
    leaves_of,
)
from cdp_platform.components.column_lineage import ColumnLineage
from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.privacy.permission import COLUMNS

Home = tuple[dg.AssetKey, str]
"""An asset and one of its columns."""
_MOST_NAMED = 3
_CHANGES = {
    "entered_on": "Local day on which the person became a member.",
    "left_on": "Local day on which the person left; only in audiences.audience_membership_history.",
    "entered_reason": "Why the person became a member, as a code; only in the history.",
    "left_reason": "Why the person left, as a code; only in the history.",
}


def column_metadata(
    columns: Mapping[str, tuple[str, str | None]], made_of: Mapping[str, Iterable[Home]]
) -> dict[str, Any]:
    """Describe columns (name → type and description) and what they are made of, as metadata of an asset."""
    homes = {name: sorted(set(found)) for name, found in made_of.items()}
    schema = dg.TableSchema(
        [
            dg.TableColumn(name=name, type=kind, description=_described(said, homes.get(name, ())))
            for name, (kind, said) in columns.items()
        ]
    )
    if not homes:
        return {"dagster/column_schema": schema}
    deps = {
        name: [dg.TableColumnDep(asset_key=key, column_name=column) for key, column in found]
        for name, found in homes.items()
    }
    return {"dagster/column_schema": schema, "dagster/column_lineage": dg.TableColumnLineage(deps)}


def _described(said: str | None, homes: Sequence[Home]) -> str | None:
    named = [f"{key.to_user_string()}.{column}" for key, column in homes]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    parts = [said, f"From {', '.join(named[:_MOST_NAMED])}{more}." if named else None]
    return " ".join(part for part in parts if part) or None


def model_columns(
    manifest: DbtManifest, lineage: ColumnLineage, unique_id: str, types: Mapping[str, str]
) -> dict[str, Any]:
    """Describe a dbt model's columns; `types` are those of the warehouse, where the model stands there already."""
    node = manifest.models[unique_id]
    told = node.get("columns", {})
    traced = lineage.columns.get(unique_id, {})
    names = list(types) or list(told) or list(traced)
    columns = {
        name: (
            types.get(name) or told.get(name, {}).get("data_type") or "unknown",
            told.get(name, {}).get("description") or None,
        )
        for name in names
    }
    made_of = {
        name: [(manifest.asset_key(parent), column) for parent, column in deps] for name, deps in traced.items() if deps
    }
    missing = lineage.unresolved.get(unique_id, ())
    return column_metadata(columns, made_of) | ({"dbt/unresolved_columns": ", ".join(missing)} if missing else {})


def audience_columns(definition: Definition, catalogue: Catalogue) -> dict[str, Any]:
    """Describe an audience's members: the columns of its conditions decide on the days and the reasons."""
    people = catalogue.people
    person = [(_key(people.relation), people.person_key)]
    decided = [home for leaf in leaves_of(definition.condition) for home in _read_by(leaf, catalogue)]
    if definition.top:
        decided.append((_key(definition.top.by.relation), definition.top.by.column))
    columns = {"person_id": ("varchar", "The person; one row each.")}
    columns |= {name: ("date" if name.endswith("_on") else "varchar", said) for name, said in _CHANGES.items()}
    return column_metadata({**columns}, {"person_id": person, **dict.fromkeys(_CHANGES, decided)})


def trait_columns(traits: Mapping[str, tuple[Occurrence, str | None, str]], catalogue: Catalogue) -> dict[str, Any]:
    """Describe computed traits: name → the events that match, the field's column (None: counted), and a label."""
    person = (_key(catalogue.people.relation), catalogue.people.person_key)
    columns: dict[str, tuple[str, str | None]] = {"person_id": ("varchar", "The person; one row each.")}
    made_of: dict[str, list[Home]] = {"person_id": [person]}
    for name, (occurrence, field, label) in traits.items():
        own = [(_key(occurrence.event.relation), field)] if field else []
        columns[name] = ("as the warehouse computes it", f"{label}.")
        made_of[name] = [*own, *_matched(occurrence)]
    columns["as_of_on"] = ("date", "The clock's day, which the values are as of.")
    return column_metadata(columns, made_of)


def _read_by(leaf: Leaf, catalogue: Catalogue) -> list[Home]:
    match leaf:
        case TraitCondition():
            return [(_key(leaf.trait.relation), leaf.trait.column)]
        case EventCondition():
            return _matched(leaf.occurrence)
        case SequenceCondition():
            return [*_matched(leaf.first), *_matched(leaf.then)]
        case MembershipCondition():
            return [(dg.AssetKey(["audiences", leaf.audience]), "person_id")]
        case ConsentCondition() if catalogue.consents:
            return [(_key(catalogue.consents), column) for column in COLUMNS]
    return []


def _matched(occurrence: Occurrence) -> list[Home]:
    """The columns that decide whether an event counts."""
    event = occurrence.event
    names = [event.person_key, event.day, *(one.field.column for one in occurrence.where)]
    return [(_key(event.relation), name) for name in [*names, *([event.only] if event.only else [])]]


def _key(relation: Relation) -> dg.AssetKey:
    return dg.AssetKey(list(relation.asset))
