"""The columns of the tables of identity, and the columns of the records that they are made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from cdp_platform.components.column_metadata import Home, column_metadata

if TYPE_CHECKING:
    from cdp_platform.identity.rules import Rules

_TEXT: Final = "varchar"
_MOMENT: Final = "timestamp with time zone"
_COLUMNS: Final[Mapping[str, Mapping[str, tuple[str, str | None]]]] = {
    "identity_edges": {
        "record_key": (_TEXT, "The record."),
        "identifier": (_TEXT, "The rule."),
        "value_hash": (_TEXT, "Hash of the record's value by the rule; records with one hash may be one person."),
        "source": (_TEXT, "The source of the record."),
        "first_seen_at": (_MOMENT, None),
        "last_seen_at": (_MOMENT, None),
    },
    "identity_clusters": {
        "record_key": (_TEXT, "The record; one row each."),
        "person_id": (_TEXT, "The person that the record is of."),
        "cluster_key": (_TEXT, "The smallest record of those that stand together."),
        "person_since": (_MOMENT, "Instant since which the person has this id."),
        "resolved_at": (_MOMENT, None),
    },
    "identity_merges": {
        "resolved_at": (_MOMENT, None),
        "former_person_id": (_TEXT, "The person that the records were of."),
        "person_id": (_TEXT, "The person that they are of now."),
        "kind": (_TEXT, "merge or split."),
        "record_count": ("bigint", "Records that moved."),
    },
    "identity_quarantine": {
        "kind": (_TEXT, "What is stopped: a shared value, or a cluster."),
        "identifier": (_TEXT, "The rule."),
        "value_hash": (_TEXT, "Hash of the shared value."),
        "cluster_key": (_TEXT, "The cluster."),
        "record_count": ("bigint", "Records that it holds."),
        "resolved_at": (_MOMENT, None),
    },
    "identity_person_ids": {
        "person_id": (_TEXT, "An id that a person had."),
        "present_person_id": (_TEXT, "The id of that person now."),
    },
}
_OF_VALUES: Final = ("value_hash", "person_id", "former_person_id", "present_person_id", "cluster_key")
"""What follows from the values that the rules compare."""


def identity_columns(table: str, records: dg.AssetKey, rules: "Rules", offered: set[str]) -> dict[str, Any]:
    """Describe one of the tables; `offered` are the records' columns."""
    compared = [(records, name) for one in rules.fields.values() for name in one.columns if name in offered]
    seen = [(records, name) for name in rules.seen_at if name in offered]
    own: dict[str, list[Home]] = {
        "record_key": [(records, name) for name in rules.key if name in offered],
        "source": [(records, name) for name in rules.source if name in offered],
        **dict.fromkeys(("first_seen_at", "last_seen_at"), seen),
        **dict.fromkeys(_OF_VALUES, compared),
    }
    columns = _COLUMNS[table]
    return column_metadata(columns, {name: own[name] for name in columns if own.get(name)})
