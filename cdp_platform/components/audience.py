"""An audience as the asset `audiences/<name>`: its members as of the clock, computed by one select over the models.

The definition that counts is the one of the newest run: a changed YAML is taken over when its asset is materialized.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import dagster as dg
from pydantic import Field, PrivateAttr, field_validator

from cdp_platform.audiences.catalogue import Catalogue, Relation
from cdp_platform.audiences.definition import (
    ConsentCondition,
    Definition,
    EventCondition,
    Leaf,
    SequenceCondition,
    TraitCondition,
    audiences_of,
    leaves_of,
)
from cdp_platform.components.audience_blocks import SizeBlock, TopBlock
from cdp_platform.components.audience_catalogue import read_catalogue
from cdp_platform.components.audience_definition import make_definition, read_document
from cdp_platform.components.clock import clock_day
from cdp_platform.components.column_metadata import audience_columns
from cdp_platform.components.consent_policy import read_policy
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.components.traits import TraitsComponent, extended
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.permission import ConsentPolicy
from cdp_platform.errors import ConfigError
from cdp_platform.texts.catalogue import LANGUAGES
from cdp_platform.warehouse.base import Session, Warehouse

if TYPE_CHECKING:
    from cdp_platform.audiences.membership import Taken

_RESERVED = "audience_"


def _as_it_is(context: Any, value: Any) -> Any:
    return value


Tree = Annotated[dict[str, Any], dg.Resolver(_as_it_is, model_field_type=dict[str, Any])]
"""A tree of conditions; no template is looked for in it."""


class AudienceComponent(dg.Component, dg.Model, dg.Resolvable):
    """Keep the members of an audience that a definition describes."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,59}$", description="The audience's name, as coupon_lovers; it names asset and view."
    )
    label: dict[str, str] = Field(default_factory=dict, description="What people call it, by language: en, zh-Hant.")
    members: Tree = Field(description="Who is a member: one condition, or a block of them.")
    top: TopBlock | None = Field(default=None, description="Only the first n of them by a trait.")
    yields_to: list[str] = Field(
        default_factory=list, description="Audiences that come first: whoever is a member of one is left out here."
    )
    holdout_share: float | None = Field(
        default=None, gt=0, lt=1, description="Share of the members who are kept out to measure the effect; sticky."
    )
    size: SizeBlock | None = Field(default=None, description="The expected size; outside of it a blocking check fails.")
    project: str = Field(default="dbt_project", description="The dbt project's folder, relative to the project's root.")
    owner: str = Field(default="team:marketing", description="Who answers for the audience: team:… or an e-mail.")

    _beside: list[TraitsComponent] | None = PrivateAttr(default=None)

    @field_validator("label")
    @classmethod
    def _known_languages(cls, value: dict[str, str]) -> dict[str, str]:
        for language in value:
            if language not in LANGUAGES:
                raise ValueError(f"there are labels in {' and '.join(LANGUAGES)}, not in {language!r}")
        return value

    @field_validator("name")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if value.startswith(_RESERVED):
            raise ValueError(f"names that begin with {_RESERVED} are kept for the tables of all audiences")
        return value

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the asset; raise ConfigError for a definition that cannot work."""
        if self._beside is None:
            self.stands_beside(context.component_tree.get_all_components(of_type=TraitsComponent))
        definition, catalogue = self.declared(context.project_root, read_policy(context.defs_module_path))
        return dg.Definitions(assets=[self._asset(definition, catalogue)], resources={"platform": PLATFORM})

    def stands_beside(self, traits: list[TraitsComponent]) -> None:
        """Tell which traits the project computes; the ordinary loader of Dagster is asked where nobody tells."""
        self._beside = traits

    def declared(self, project_root: Path, policy: ConsentPolicy) -> tuple[Definition, Catalogue]:
        """Make the definition, and the catalogue that its names come from; raise ConfigError where one is not there."""
        project = DbtProject(folder=(project_root / self.project).resolve(), home=PLATFORM.home)
        catalogue = replace(extended(read_catalogue(project.manifest()), self._beside or []), policy=policy)
        definition = make_definition(
            name=self.name,
            members=self.members,
            catalogue=catalogue,
            labels=self.label,
            top=self.top,
            yields_to=self.yields_to,
            holdout_share=self.holdout_share,
            size=self.size,
        )
        return definition, catalogue

    def _asset(self, definition: Definition, catalogue: Catalogue) -> dg.AssetsDefinition:
        key = dg.AssetKey(["audiences", definition.name])

        @dg.asset(
            key=key,
            deps=_upstream(definition, catalogue),
            group_name="audiences",
            description=f"{definition.label('en')}: members as of the clock, who entered and left, and why so many.",
            owners=[self.owner],
            kinds={"yaml", PLATFORM.engine},
            code_version=definition.version,
            check_specs=_check_specs(key, definition),
            metadata={"definition_version": definition.version, "dagster/table_name": f"audiences.{definition.name}"}
            | audience_columns(definition, catalogue),
            op_tags={"room": "audiences"},
        )
        def audience(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult[Any]]:
            # What compiles is imported by a run only: definitions load without it.
            from cdp_platform.components.audience_metadata import audience_metadata, check_results

            taken = take_over_now(platform.written("computing audiences"), definition, catalogue)
            context.log.info(f"{taken.sizes.members:,} of {taken.sizes.people:,} people as of {taken.as_of}.")
            yield dg.MaterializeResult(
                metadata=audience_metadata(definition, taken), check_results=check_results(key, definition, taken)
            )

        return audience


def take_over_now(warehouse: Warehouse, definition: Definition, catalogue: Catalogue) -> "Taken":
    """Compute an audience as of the clock and keep it, also where its definition has changed since the newest run."""
    from cdp_platform.audiences.membership import take_over

    as_of = clock_day(warehouse)
    with warehouse.session(f"computing audiences/{definition.name}") as session:
        before = definition_before(session, definition, catalogue)
        is_changed = before is not None and before.version != definition.version
        return take_over(
            session, warehouse.dialect, definition, catalogue, as_of=as_of, before=before if is_changed else None
        )


def definition_before(session: Session, definition: Definition, catalogue: Catalogue) -> Definition | None:
    """The definition that the newest run has taken over; None where there was none, or one of its names is gone."""
    from cdp_platform.audiences.membership import stored_definition

    stored = stored_definition(session, definition.name)
    if stored is None:
        return None
    try:
        return read_document(definition.name, stored[1], catalogue)
    except ConfigError:
        return None


def refuse_wrong_names(definitions: Mapping[str, Definition]) -> None:
    """Raise ConfigError for an audience that is not there and for a cycle; `place` is the name of the one that asks."""
    for name, definition in definitions.items():
        for asked in audiences_of(definition):
            if asked not in definitions:
                raise ConfigError(
                    f"there is no audience {asked!r}.", place=name, field=asked, remedy=nearest_of(asked, definitions)
                )
    for name in definitions:
        if cycle := _cycle_from(name, definitions):
            told = " → ".join(cycle)
            raise ConfigError(
                f"these audiences ask for each other in a circle: {told}.",
                place=name,
                field=cycle[1],
                remedy="Take one of the steps out.",
            )


def _cycle_from(start: str, definitions: Mapping[str, Definition]) -> list[str] | None:
    """The shortest way from an audience back to itself."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for asked in audiences_of(definitions[way[-1]]):
            if asked == start:
                return [*way, start]
            if asked not in seen:
                seen.add(asked)
                ways.append([*way, asked])
    return None


def _upstream(definition: Definition, catalogue: Catalogue) -> list[dg.AssetKey]:
    """The assets that an audience reads, each once."""
    relations = [catalogue.people.relation]
    for leaf in leaves_of(definition.condition):
        relations += _relations(leaf, catalogue)
    if definition.top:
        relations.append(definition.top.by.relation)
    keys = [dg.AssetKey(list(relation.asset)) for relation in relations]
    others = [dg.AssetKey(["audiences", name]) for name in audiences_of(definition)]
    return list(dict.fromkeys([*keys, *others]))


def _relations(leaf: Leaf, catalogue: Catalogue) -> list[Relation]:
    match leaf:
        case TraitCondition():
            return [leaf.trait.relation]
        case EventCondition():
            return [leaf.occurrence.event.relation]
        case SequenceCondition():
            return [leaf.first.event.relation, leaf.then.event.relation]
        case ConsentCondition() if catalogue.consents:
            return [catalogue.consents, *([catalogue.suppressions] if catalogue.suppressions else [])]
    return []


def _check_specs(key: dg.AssetKey, definition: Definition) -> list[dg.AssetCheckSpec]:
    specs = [dg.AssetCheckSpec(name="not_empty", asset=key, description="Somebody is a member.")]
    size = definition.size
    if size.at_least is not None or size.at_most is not None:
        specs.append(
            dg.AssetCheckSpec(
                name="size_within_bounds", asset=key, blocking=True, description="The size is the expected one."
            )
        )
    return specs
