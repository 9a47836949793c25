"""Computed traits as the asset `traits/<name>`: one row per person as of the clock, defined by YAML alone."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import dagster as dg
from pydantic import Field

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.components.audience_catalogue import read_catalogue
from cdp_platform.components.clock import clock_day
from cdp_platform.components.column_metadata import trait_columns
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.resources import PLATFORM, Platform

if TYPE_CHECKING:
    from cdp_platform.audiences.computed import TraitSet


def _as_it_is(context: Any, value: Any) -> Any:
    return value


Blocks = Annotated[list[dict[str, Any]], dg.Resolver(_as_it_is, model_field_type=list[dict[str, Any]])]
"""Blocks of fields; no template is looked for in them."""


class TraitsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Compute traits of people from their events."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,59}$", description="The set's name, as web_interest; it names asset and table."
    )
    traits: Blocks = Field(description="The traits: each a name, an event, and what is made of it.")
    project: str = Field(default="dbt_project", description="The dbt project's folder, relative to the project's root.")
    owner: str = Field(default="team:marketing", description="Who answers for the traits: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the asset; raise ConfigError for a trait that cannot work."""
        catalogue = self.catalogue(context.project_root)
        asset = self._asset(self.declared(catalogue), catalogue)
        return dg.Definitions(assets=[asset], resources={"platform": PLATFORM})

    def catalogue(self, project_root: Path) -> Catalogue:
        """Read what the models of the project offer; raise ConfigError where it cannot be parsed."""
        project = DbtProject(folder=(project_root / self.project).resolve(), home=PLATFORM.home)
        return read_catalogue(project.manifest())

    def declared(self, catalogue: Catalogue) -> "TraitSet":
        """Make the set; raise ConfigError where one of its names is not in the catalogue."""
        from cdp_platform.components.trait_blocks import make_traits

        return make_traits(self.name, self.traits, catalogue)

    def _asset(self, found: "TraitSet", catalogue: Catalogue) -> dg.AssetsDefinition:
        relations = [catalogue.people.relation, *(one.occurrence.event.relation for one in found.traits)]
        labels = ", ".join(one.label("en") for one in found.traits)
        named = {
            one.name: (one.occurrence, one.field.column if one.field else None, one.label("en")) for one in found.traits
        }

        @dg.asset(
            key=["traits", found.name],
            deps=list(dict.fromkeys(dg.AssetKey(list(relation.asset)) for relation in relations)),
            group_name="models",
            description=f"Computed traits, one row per person as of the clock: {labels}.",
            owners=[self.owner],
            kinds={"yaml", PLATFORM.engine},
            code_version=hashlib.sha256(repr(found.traits).encode()).hexdigest()[:16],
            metadata={"dagster/table_name": f"traits.{found.name}"} | trait_columns(named, catalogue),
            op_tags={"room": "audiences"},
        )
        def traits(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
            # What compiles is imported by a run only: definitions load without it.
            from cdp_platform.audiences.computing import compute_traits

            as_of = clock_day(platform.warehouse)
            with platform.written("computing traits").session(f"computing traits/{found.name}") as session:
                computed = compute_traits(session, platform.warehouse.dialect, found, catalogue, as_of=as_of)
            known = {f"known/{name}": count for name, count in computed.known.items()}
            return dg.MaterializeResult(
                metadata={
                    "as_of": as_of.isoformat(),
                    "dagster/row_count": computed.people,
                    "dagster/column_schema": dg.TableSchema(
                        columns=[dg.TableColumn(name=name, type=kind) for name, kind in computed.columns.items()]
                    ),
                    **known,
                }
            )

        return traits


def extended(catalogue: Catalogue, beside: list[TraitsComponent]) -> Catalogue:
    """Add what components of this project compute to what its models offer."""
    from cdp_platform.audiences.computed import with_traits

    for component in beside:
        catalogue = with_traits(catalogue, component.declared(catalogue))
    return catalogue
