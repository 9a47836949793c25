"""dbt's exposures as assets: who reads the marts outside of the platform, below the models they read.

Nothing makes them here; they show who is met when a model changes.
"""

import re
from collections.abc import Iterator

import dagster as dg

from cdp_platform.components.dbt_manifest import DbtManifest, Node

GROUP = "dashboards"


def exposure_specs(manifest: DbtManifest, owner: str) -> Iterator[dg.AssetSpec]:
    """Describe each exposure as `exposures/<name>`; `owner` answers for those that name nobody."""
    for _, node in sorted(manifest.content.get("exposures", {}).items()):
        parents = [parent for parent in node["depends_on"]["nodes"] if parent in manifest.models]
        label, url = node.get("label") or node["name"].replace("_", " "), node.get("url")
        yield dg.AssetSpec(
            key=["exposures", node["name"]],
            deps=[manifest.asset_key(parent) for parent in parents],
            group_name=GROUP,
            description=f"{label}: {node.get('description') or 'reads the models above it.'}",
            owners=[_owner(node, owner)],
            kinds={node["type"], "dbt"},
            metadata={"url": dg.MetadataValue.url(url)} if url else None,
        )


def _owner(node: Node, otherwise: str) -> str:
    """An e-mail as it is, a name as a team, since Dagster knows nothing else."""
    told = node.get("owner") or {}
    if email := told.get("email"):
        return str(email[0] if isinstance(email, list) else email)
    name = re.sub(r"[^a-z0-9_-]+", "_", str(told.get("name") or "").lower()).strip("_")
    return f"team:{name}" if name else otherwise
