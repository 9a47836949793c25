"""Person keys as dbt declares them, and the rows of people who were forgotten, dropped before they are loaded."""

import pyarrow as pa

from cdp_platform.components.dbt_manifest import DbtManifest, Node
from cdp_platform.components.resources import Platform
from cdp_platform.erasure.holdings import PersonKey, parse_person_key
from cdp_platform.erasure.identifiers import read_key
from cdp_platform.erasure.tombstones import read_hashes, without_forgotten
from cdp_platform.errors import ConfigError


def declared_person_keys(manifest: DbtManifest) -> dict[str, PersonKey]:
    """The person keys of models, seeds and sources by `schema.table`; raise ConfigError for one that says none."""
    return {relation: _person_key(relation, node) for relation, node in _nodes(manifest).items()}


def person_keys_told(manifest: DbtManifest) -> dict[str, PersonKey]:
    """The same of those that say it; others are nobody's to erase from but their owner's."""
    return {relation: _person_key(relation, node) for relation, node in _nodes(manifest).items() if _told(node)}


def without_forgotten_rows(platform: Platform, relation: str, rows: pa.Table) -> tuple[pa.Table, int]:
    """The rows of a raw table without those of people who were forgotten, and how many were dropped.

    Raises ConfigError where people were forgotten and no dbt source says whose rows the table holds: nobody comes back
    by a table that was forgotten itself.
    """
    with platform.warehouse.session(f"forgotten people: {relation}") as session:
        hashes = read_hashes(session)
    if not hashes:
        return rows, 0
    manifest = platform.home.dbt_target / "manifest.json"
    sources = DbtManifest.read(manifest).content["sources"].values() if manifest.is_file() else ()
    found = next((source for source in sources if _relation(source) == relation), None)
    if found is None:
        raise ConfigError(
            f"people were forgotten, and {relation} does not say whose rows it holds; nothing was loaded.",
            remedy="Declare it as a dbt source with meta: {person_key: {<column>: <kind>}}, or person_key: none.",
        )
    key = read_key(platform.home.forgotten_key)
    return without_forgotten(rows, _person_key(relation, found), hashes, key)


def _person_key(relation: str, node: Node) -> PersonKey:
    return parse_person_key(_told(node), place=relation)


def _told(node: Node) -> object:
    return node.get("config", {}).get("meta", {}).get("person_key")


def _nodes(manifest: DbtManifest) -> dict[str, Node]:
    return {_relation(node): node for node in (*manifest.models.values(), *manifest.content["sources"].values())}


def _relation(node: Node) -> str:
    return f"{node['schema']}.{node.get('identifier') or node['alias']}"
