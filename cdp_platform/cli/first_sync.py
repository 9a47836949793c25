"""The text of a first sync: a `defs.yaml` for one model, with what can be told from the model itself.

It is a proposal that a person reads and changes; the first plan of it is dry, because a new sync is switched off.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cdp_platform.components.dbt_manifest import DbtManifest, Node
from cdp_platform.errors import ConfigError

_MOST_FIELDS: Final = 8
_KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "hubspot": {
        "email": "email",
        "email_address": "email",
        "first_name": "firstname",
        "given_name": "firstname",
        "last_name": "lastname",
        "surname": "lastname",
        "phone": "phone",
        "phone_number": "phone",
        "city": "city",
        "country": "country",
        "company": "company",
        "zip": "zip",
        "postal_code": "zip",
    },
}
"""Columns that people use → the properties that a new account has, by destination."""
_FLOATING: Final = ("double", "float", "real")


def primary_key_of(manifest: DbtManifest, node: Node) -> str | None:
    """The column that dbt tests for both unique and not null; None where there is not exactly one."""
    tested: dict[str, set[str]] = {}
    for test in manifest.tests.values():
        kind = (test.get("test_metadata") or {}).get("name")
        column = test.get("column_name")
        if manifest.tested_asset(test) == node["unique_id"] and column and kind in ("unique", "not_null"):
            tested.setdefault(column, set()).add(kind)
    keys = [column for column, kinds in tested.items() if len(kinds) == 2]
    return keys[0] if len(keys) == 1 else None


def sync_text(
    *,
    name: str,
    model: Node,
    columns: Mapping[str, str],
    primary_key: str,
    destination: str,
    object_name: str,
    project: str,
) -> str:
    """Write the `defs.yaml`; `columns` are the model's with their types in the warehouse.

    Raises ConfigError where the primary key is none of them.
    """
    if primary_key not in columns:
        raise ConfigError(
            f"the model {model['name']} has no column {primary_key!r}.",
            remedy=f"It has: {', '.join(columns) or 'none'}. Name one: --key COLUMN.",
        )
    entries = _entries(columns, primary_key, destination)
    kept, others = entries[:_MOST_FIELDS], entries[_MOST_FIELDS:]
    lines = [
        "type: cdp_platform.components.SyncComponent",
        "attributes:",
        f"  name: {name}",
        f"  source_model: {model['name']}",
        f"  project: {project}",
        f"  primary_key: {primary_key}",
        f"  destination: {{name: {destination}, object: {object_name}, token_env: {destination.upper()}_TOKEN}}",
        "  mode: upsert",
        "  # `none` asks for no consent. For people, name the purpose, and where their consents stand (`consent:`).",
        "  purpose: none",
        "  mapping:",
        *(f"    - {entry}" for entry in kept),
        *(f"    # - {entry}" for entry in others),
    ]
    return "\n".join(lines) + "\n"


def _entries(columns: Mapping[str, str], primary_key: str, destination: str) -> Sequence[str]:
    known = _KNOWN.get(destination, {})
    key = f"{{column: {primary_key}, field: cdp_{primary_key}, match_key: true, personal: false}}"
    first = [column for column in columns if column in known and column != primary_key]
    rest = [column for column in columns if column not in known and column != primary_key]
    return [key, *(_entry(column, known.get(column, column), columns[column]) for column in [*first, *rest])]


def _entry(column: str, field: str, data_type: str) -> str:
    is_floating = data_type.lower().startswith(_FLOATING)
    told = ', type: "decimal(18,4)"' if is_floating else ""
    return f"{{column: {column}, field: {field}{told}}}"


def columns_of(node: Node, built: Mapping[str, Any]) -> Mapping[str, str]:
    """The model's columns and types: of the warehouse, else as dbt documents them. Raises ConfigError for neither."""
    documented = {name: str(column.get("data_type") or "") for name, column in node.get("columns", {}).items()}
    found = {name: str(kind) for name, kind in built.items()} or documented
    if not found:
        raise ConfigError(
            f"nobody knows the columns of {node['name']}: it is not built, and its columns are not documented.",
            remedy="Build it first: dbt build.",
        )
    return found
