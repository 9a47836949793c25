"""What a sync reads: a dbt model, or an audience by its name with the columns of people that the mapping names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from cdp_platform.audiences.catalogue import Catalogue, Relation
from cdp_platform.components.audience_catalogue import read_catalogue
from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.components.sync_definition import ConsentRule, MappingEntry
from cdp_platform.components.traits import TraitsComponent, extended
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.syncs import MemberTable, MemberView
from cdp_platform.errors import ConfigError

_ENTERED = "entered_on"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source model as the engine and the graph see it."""

    relation: str
    """`schema.table`; of an audience the view that the plan makes."""
    keys: tuple[dg.AssetKey, ...]
    """The assets that are read; the first is the source model itself."""
    audiences: tuple[str, ...] = ()
    """The audiences that the rows come from."""
    view: MemberView | None = None
    """Set for an audience."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Of an audience: what the YAML names → the view's column."""
    homes: Mapping[str, tuple[dg.AssetKey, str]] = field(default_factory=dict)
    """Of an audience: the view's column → asset and column that it comes from."""

    def mapped(self, mapping: Sequence[MappingEntry]) -> list[MappingEntry]:
        """The mapping in the view's columns."""
        return [entry.model_copy(update={"column": self.columns.get(entry.column, entry.column)}) for entry in mapping]

    def asked(self, consent: ConsentRule | None) -> ConsentRule | None:
        """The rule of the consent in the view's columns."""
        if consent is None:
            return None
        return consent.model_copy(update={"identifier": self.columns.get(consent.identifier, consent.identifier)})


def find_source(
    manifest: DbtManifest,
    *,
    sync: str,
    source_model: str,
    primary_key: str,
    mode: str,
    mapping: Sequence[MappingEntry],
    consent: ConsentRule | None,
    beside: Sequence[TraitsComponent] = (),
) -> Source:
    """Find what a sync reads: a dbt model of that name, else an audience. `beside` are the traits that are computed.

    Raises ConfigError, naming the field, where an audience's people do not have what the sync names.
    """
    for unique_id, node in manifest.models.items():
        if node["name"] == source_model:
            return Source(
                relation=f"{node['schema']}.{node['alias']}",
                keys=(manifest.asset_key(unique_id),),
                audiences=tuple(sorted(manifest.audiences_above(unique_id))),
            )
    try:
        catalogue = extended(read_catalogue(manifest), list(beside))
    except ConfigError as error:
        names = [node["name"] for node in manifest.models.values()]
        raise ConfigError(
            f"there is no model {source_model!r}.", remedy=nearest_of(source_model, names), field="source_model"
        ) from error
    if mode == "append":
        raise ConfigError(
            "an audience holds who is a member now; `append` sends what happened.",
            remedy="Write `mode: upsert` or `mode: mirror`.",
            field="mode",
        )
    if primary_key != catalogue.people.person_key:
        raise ConfigError(
            f"the rows of an audience are people; their key is {catalogue.people.person_key!r}, not {primary_key!r}.",
            remedy=f"Write `primary_key: {catalogue.people.person_key}`.",
            field="primary_key",
        )
    asked = [(f"mapping.{place}.column", entry.column) for place, entry in enumerate(mapping)]
    asked += [("consent.identifier", consent.identifier)] if consent else []
    return _audience(catalogue, sync, source_model, asked)


def _audience(catalogue: Catalogue, sync: str, audience: str, asked: Iterable[tuple[str, str]]) -> Source:
    own = dg.AssetKey(["audiences", audience])
    people = catalogue.people
    columns: dict[str, str] = {}
    homes = {name: (own, name) for name in (people.person_key, _ENTERED)}
    chosen: dict[tuple[Relation, str], dict[str, str]] = {(people.relation, people.person_key): {}}
    for place, name in asked:
        if name in (people.person_key, _ENTERED):
            continue
        _require_offered(catalogue, audience, name, place)
        trait = catalogue.traits[name]
        columns[name] = name.replace(".", "__")
        homes[columns[name]] = (dg.AssetKey(list(trait.relation.asset)), trait.column)
        chosen.setdefault((trait.relation, trait.person_key), {})[columns[name]] = trait.column
    tables = tuple(
        MemberTable(relation=f"{relation.schema}.{relation.name}", person_key=key, columns=tuple(named.items()))
        for (relation, key), named in chosen.items()
    )
    return Source(
        relation=f"audiences.audience_source_{sync}",
        keys=(own, *(dg.AssetKey(list(relation.asset)) for relation, _ in chosen)),
        audiences=(audience,),
        view=MemberView(members=f"audiences.{audience}", tables=tables),
        columns=columns,
        homes=homes,
    )


def _require_offered(catalogue: Catalogue, audience: str, name: str, place: str) -> None:
    if name in catalogue.traits:
        return
    offered = [catalogue.people.person_key, _ENTERED, *catalogue.traits]
    raise ConfigError(
        f"the people of the audience {audience!r} have no column {name!r}.",
        remedy=catalogue.unusable.get(name) or nearest_of(name, offered),
        field=place,
    )
