"""What dbt's manifest says, as Dagster specs: models, seeds and snapshots as assets, tests as checks.

Made here and not by dagster-dbt, whose import alone takes two seconds of every load of the definitions.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import dagster as dg

from cdp_platform.errors import ConfigError

Node = Mapping[str, Any]

_BUILT: Final = ("model", "seed", "snapshot")
_GROUPS: Final = {"activation": "audiences"}
"""By layer; every other layer is among the models. So no edge between groups goes back."""


@dataclass(frozen=True, eq=False)
class DbtManifest:
    """The parsed `manifest.json` of one dbt project."""

    content: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path) -> "DbtManifest":
        """Read a manifest, once for each time it is written; raise ConfigError where it is no manifest."""
        try:
            told = file.stat()
            return _read(file, (told.st_mtime_ns, told.st_size, told.st_ino))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"dbt's manifest {file} cannot be read ({type(error).__name__}).", remedy="Delete it: it is made again."
            ) from error

    @cached_property
    def models(self) -> dict[str, Node]:
        """Everything that dbt builds, by unique id, each after what it reads."""
        nodes = {
            unique_id: node
            for unique_id, node in sorted(self.content["nodes"].items())
            if node["resource_type"] in _BUILT and node["config"].get("materialized") != "ephemeral"
        }
        ordered: dict[str, Node] = {}

        def visit(unique_id: str) -> None:
            if unique_id in nodes and unique_id not in ordered:
                for parent in _parents(nodes[unique_id]):
                    visit(parent)
                ordered[unique_id] = nodes[unique_id]

        for unique_id in nodes:
            visit(unique_id)
        return ordered

    @cached_property
    def tests(self) -> dict[str, Node]:
        """Data tests by unique id; dbt's unit tests are not among them."""
        return {key: node for key, node in sorted(self.content["nodes"].items()) if node["resource_type"] == "test"}

    def asset_key(self, unique_id: str) -> dg.AssetKey:
        """For what dbt builds what dagster-dbt calls it, so that either may load it: `<schema>/<model>`, or `<model>`.

        For a dbt source it is the key in its `meta.dagster.asset_key`.
        """
        if node := self.models.get(unique_id):
            return key_of(node)
        source = self.content["sources"][unique_id]
        if key := _declared_key(source):
            return dg.AssetKey(key)
        raise ConfigError(
            f"the dbt source {source['source_name']}.{source['name']} does not say which asset it is.",
            place=source["original_file_path"],
            remedy="Give its table `meta: {dagster: {asset_key: [raw, <source>, <table>]}}`.",
        )

    def find(self, name: str) -> Node | None:
        """Find a model or seed by its name."""
        return next((node for node in self.models.values() if node["name"] == name), None)

    def audiences_above(self, unique_id: str) -> set[str]:
        """Name the audiences that a model reads, itself or by the models above it."""
        found: set[str] = set()
        for parent in _parents(self.models[unique_id]):
            if parent in self.models:
                found |= self.audiences_above(parent)
            elif (key := _declared_key(self.content["sources"].get(parent, {}))) and key[0] == "audiences":
                found.add(key[-1])
        return found

    def tested_asset(self, test: Node) -> str | None:
        """Name the model that a test speaks of: the one it is attached to, else the last of those it reads."""
        if (attached := test.get("attached_node")) in self.models:
            return str(attached)
        read = set(_parents(test))
        return next((unique_id for unique_id in reversed(self.models) if unique_id in read), None)

    def asset_spec(self, unique_id: str, **overrides: Any) -> dg.AssetSpec:
        """Describe a model to Dagster; it may be left out of a run of its op."""
        node = self.models[unique_id]
        return dg.AssetSpec(
            key=self.asset_key(unique_id),
            deps=dict.fromkeys(self.asset_key(parent) for parent in _parents(node) if self._is_asset(parent)),
            description=node.get("description") or None,
            group_name=_GROUPS.get(node["schema"], "models"),
            code_version=self.code_version(unique_id),
            kinds={"dbt", self.content["metadata"].get("adapter_type") or "sql"},
            tags={f"dbt/{tag}": "" for tag in node.get("tags", [])},
            metadata={
                "dbt/materialized": str(node["config"].get("materialized")),
                "dbt/file": node["original_file_path"],
                "dagster/table_name": f"{node['schema']}.{node['name']}",
            },
            skippable=True,
            **overrides,
        )

    def code_version(self, unique_id: str) -> str:
        """Name what a model's SQL says: its file, its configuration and the project's own macros that it calls."""
        node = self.models[unique_id]
        package, macros = node.get("package_name"), self.content.get("macros", {})
        called = [macros[name] for name in node.get("depends_on", {}).get("macros", []) if name in macros]
        parts = [
            (node.get("checksum") or {}).get("checksum"),
            str(node["config"].get("materialized")),
            *sorted(macro["macro_sql"] for macro in called if macro["package_name"] == package),
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def check_specs(self, unique_ids: Iterable[str]) -> dict[str, dg.AssetCheckSpec]:
        """Describe the tests of these models, by the test's unique id."""
        wanted = set(unique_ids)
        found: dict[str, dg.AssetCheckSpec] = {}
        for test_id, test in self.tests.items():
            asset = self.tested_asset(test)
            if asset in wanted and test["config"].get("enabled", True):
                found[test_id] = dg.AssetCheckSpec(
                    name=test["name"],
                    asset=self.asset_key(asset),
                    description=test.get("description") or None,
                    blocking=str(test["config"].get("severity", "ERROR")).upper() == "ERROR",
                )
        return found

    def _is_asset(self, unique_id: str) -> bool:
        return unique_id in self.models or unique_id in self.content["sources"]


@lru_cache(maxsize=2)
def _read(file: Path, written: tuple[int, int, int]) -> DbtManifest:
    return DbtManifest(json.loads(file.read_text(encoding="utf-8")))


def _declared_key(source: Node) -> list[str] | None:
    """The asset key that a dbt source says of itself."""
    for meta in (source.get("meta", {}), source.get("config", {}).get("meta", {}), source.get("source_meta", {})):
        if key := meta.get("dagster", {}).get("asset_key"):
            return list(key)
    return None


def key_of(node: Node) -> dg.AssetKey:
    """Name what dbt builds as dagster-dbt does: by `meta.dagster.asset_key`, or by configured schema and name."""
    meta = node["config"].get("meta") or node.get("meta") or {}
    if key := meta.get("dagster", {}).get("asset_key"):
        return dg.AssetKey(key)
    if node.get("version"):
        return dg.AssetKey([node["alias"]])
    schema = node["config"].get("schema")
    return dg.AssetKey([schema, node["name"]] if schema else [node["name"]])


def _parents(node: Node) -> list[str]:
    return sorted(set(node.get("depends_on", {}).get("nodes", [])))
