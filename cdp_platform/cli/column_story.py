"""Where a field's values come from above the source model, at the terminal: its columns up to the raw tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from cdp_platform.components.column_lineage import LINEAGE_FILE, ColumnLineage
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import SyncSpec

if TYPE_CHECKING:
    from cdp_platform.components.dbt_manifest import DbtManifest

_MOST_SHOWN: Final = 30


def column_documents(home: Home, spec: SyncSpec) -> dict[str, dict[str, Any]]:
    """Field → the tree of the columns that its values are made of, by what dbt parsed last; none where it never did.

    A column that was shown before has no `made_of` the second time. Audiences and tables of identity are ends here.
    """
    # It imports Dagster, which the other commands do without.
    from cdp_platform.components.dbt_manifest import DbtManifest

    if not (home.dbt_target / LINEAGE_FILE).is_file():
        return {}
    manifest = DbtManifest.read(home.dbt_target / "manifest.json")
    lineage = ColumnLineage.read(home.dbt_target / LINEAGE_FILE)
    ids = {f"{node['schema']}.{node['alias']}": unique_id for unique_id, node in manifest.models.items()}
    compiled = home.dbt_target / "build" / "compiled"
    found = {}
    for entry in spec.mapping:
        relation, column = _home_of(spec, entry.column)
        if relation in ids:
            found[entry.field] = _document(manifest, lineage, compiled, ids[relation], column, set())
    return found


def ends_of(document: dict[str, Any]) -> list[str]:
    """The columns at the ends of a tree, each once: those of sources, seeds and audiences."""
    return sorted({f"{one['asset']}.{one['column']}" for one in _walk(document) if one["is_end"]})


def show_columns(console: Console, field: str, document: dict[str, Any]) -> None:
    """Print a tree, the destination's field at its root; a long one is cut, and says so."""
    root = Tree(f"[bold]{escape(field)}[/] is made of")
    left = [_MOST_SHOWN]
    _grow(root, document, left)
    console.print(root)
    if left[0] < 0:
        console.print(f"  … and {-left[0]:,} more: cdp explain … --json shows all.")


def _home_of(spec: SyncSpec, column: str) -> tuple[str, str]:
    """The relation and the column that a column of the source model stands in; of an audience that of its people."""
    for table in spec.view.tables if spec.view else ():
        for name, own in table.columns:
            if name == column:
                return table.relation, own
    return spec.relation, column


def _document(
    manifest: "DbtManifest",
    lineage: ColumnLineage,
    compiled: Path,
    unique_id: str,
    column: str,
    seen: set[tuple[str, str]],
) -> dict[str, Any]:
    node = manifest.models.get(unique_id, {})
    deps = lineage.columns.get(unique_id, {}).get(column, ())
    is_new = (unique_id, column) not in seen
    seen.add((unique_id, column))
    file = compiled / node["package_name"] / node["original_file_path"] if node else None
    return {
        "asset": manifest.asset_key(unique_id).to_user_string(),
        "column": column,
        "sql": node.get("original_file_path"),
        "compiled_sql": str(file) if file and file.is_file() else None,
        "is_end": not deps and unique_id not in lineage.columns,
        "is_resolved": unique_id not in lineage.columns or column in lineage.columns[unique_id],
        "made_of": [_document(manifest, lineage, compiled, *dep, seen) for dep in deps] if is_new else [],
    }


def _walk(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield document
    for one in document["made_of"]:
        yield from _walk(one)


def _grow(branch: Tree, document: dict[str, Any], left: list[int]) -> None:
    left[0] -= 1
    said = f"{document['asset']}.{document['column']}"
    where = document["compiled_sql"] or document["sql"]
    told = escape(f"{said}  ({where})" if where else said) + ("" if document["is_resolved"] else "  not known further")
    below = branch.add(told) if left[0] >= 0 else branch
    for one in document["made_of"]:
        _grow(below, one, left)
