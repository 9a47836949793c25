"""Load `defs/**/defs.yaml` without searching every installed package for plugins, which takes twelve seconds.

The ordinary `dg` loader reads the same files. This one also says where a file is wrong, and what comes nearest.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Final

import dagster as dg
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.defs_module import ComponentPath

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.definition import Definition
from cdp_platform.components.audience import AudienceComponent, refuse_wrong_names
from cdp_platform.components.automation import AutomationComponent, RunRule, refuse_double
from cdp_platform.components.consent_policy import read_policy
from cdp_platform.components.definition_file import DefinitionFile
from cdp_platform.components.environment import current_environment, executor_of
from cdp_platform.components.feedback import FeedbackComponent
from cdp_platform.components.one_look import one_look
from cdp_platform.components.resources import PLATFORM
from cdp_platform.components.source import SourceComponent
from cdp_platform.components.sync import SyncComponent
from cdp_platform.components.traits import TraitsComponent, extended
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.permission import ConsentPolicy
from cdp_platform.domain.syncs import Removal, SyncSpec
from cdp_platform.errors import ConfigError

_DAGSTERS_OWN: Final = re.compile(r"^type:\s*[\"']?dagster", re.MULTILINE)


@one_look()
def load_definitions(folder: Path, project_root: Path) -> dg.Definitions:
    """Load every `defs.yaml` under `folder` into one set of definitions.

    Paths in the files are relative to `project_root`. Raises ConfigError for the first file that cannot work.
    """
    # All are meant: ranges are loaded in one run, a backfill of `loop_day` goes day by day, rules have conditions.
    warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
    warnings.filterwarnings(
        "ignore", message="Parameter `(use_user_code_server|default_condition)`", category=dg.BetaWarning
    )
    warnings.filterwarnings("ignore", message="Asset job .* materializes assets with varying BackfillPolicies")
    files = [DefinitionFile.read(path) for path in sorted(folder.rglob("defs.yaml"))]
    policy = read_policy(folder)
    components = [(file, _component(file, project_root)) for file in files]
    _refuse_unknown_sources(components, project_root, policy)
    _stand_beside_syncs(components)
    built = [(file, _build(file, component, project_root, folder)) for file, component in components]
    _refuse_duplicates(built)
    _refuse_unknown_models(built)
    _refuse_unknown_checked(built)
    _refuse_unknown_watches(components, built)
    _refuse_overlaps(_specs(components, project_root, policy))
    shared = dg.Definitions(resources={"platform": PLATFORM}, executor=executor_of(current_environment()))
    return dg.Definitions.merge(*(definitions for _, definitions in built), shared)


@one_look()
def load_syncs(folder: Path, project_root: Path) -> dict[str, SyncSpec]:
    """Load the spec of every sync that a `defs.yaml` under `folder` declares, by name.

    Raises ConfigError for the first file that cannot work.
    """
    components, policy = _ours(folder, project_root), read_policy(folder)
    _refuse_unknown_sources(components, project_root, policy)
    specs = _specs(components, project_root, policy)
    _refuse_overlaps(specs)
    return {spec.name: spec for spec in specs}


@one_look()
def load_audiences(folder: Path, project_root: Path) -> dict[str, tuple[Definition, Catalogue]]:
    """Load every audience that a `defs.yaml` under `folder` declares, by name, with the catalogue of its names.

    Raises ConfigError for the first file that cannot work.
    """
    return _audiences(_ours(folder, project_root), project_root, read_policy(folder))


@one_look()
def load_unrepeatable(folder: Path, project_root: Path) -> dict[str, str]:
    """Name the raw tables of the `defs.yaml` files that no load can fill again: `schema.table` → its column of days.

    Raises ConfigError for the first file that cannot work.
    """
    found: dict[str, str] = {}
    for _, component in _ours(folder, project_root):
        if isinstance(component, SourceComponent | FeedbackComponent):
            found |= component.unrepeatable()
    return found


def _ours(folder: Path, project_root: Path) -> list[tuple[DefinitionFile, dg.Component]]:
    """The components under a folder, without those of Dagster's own packages: their import alone takes seconds."""
    files = [DefinitionFile.read(path) for path in sorted(folder.rglob("defs.yaml")) if not _is_of_dagster(path)]
    return [(file, _component(file, project_root)) for file in files]


def _is_of_dagster(path: Path) -> bool:
    # Read without the checks of our own files: such a file may hold fields and templates that they do not know.
    return _DAGSTERS_OWN.search(path.read_text(encoding="utf-8")) is not None


def _component(file: DefinitionFile, project_root: Path) -> dg.Component:
    component_class = file.component_class()
    attributes = file.validated(component_class)
    if isinstance(attributes, dg.Component):
        return attributes
    try:
        component: dg.Component = component_class.resolve_from_model(
            _context(file, project_root).resolution_context, attributes
        )
        return component
    except ConfigError as error:
        raise file.placed(error) from error


def _build(file: DefinitionFile, component: dg.Component, project_root: Path, folder: Path) -> dg.Definitions:
    try:
        return component.build_defs(replace(_context(file, project_root), defs_module_path=folder))
    except ConfigError as error:
        raise file.placed(error) from error


def _context(file: DefinitionFile, project_root: Path) -> dg.ComponentLoadContext:
    # The public way to a context for a component outside of dg's own loader goes through its test tree, too.
    context = ComponentTree.for_test().load_context.for_component_loc(ComponentPath.from_path(file.path.parent))
    return replace(context, project_root=project_root)


def _specs(
    components: list[tuple[DefinitionFile, dg.Component]], project_root: Path, policy: ConsentPolicy
) -> list[SyncSpec]:
    specs = []
    for file, component in components:
        if isinstance(component, SyncComponent):
            try:
                spec = component.spec(project_root, policy)
            except ConfigError as error:
                raise file.placed(error) from error
            specs.append(replace(spec, declared_in=f"{file.path}:1"))
    return specs


def _audiences(
    components: list[tuple[DefinitionFile, dg.Component]], project_root: Path, policy: ConsentPolicy
) -> dict[str, tuple[Definition, Catalogue]]:
    declared, files = {}, {}
    _refuse_wrong_traits(components, project_root)
    traits = [component for _, component in components if isinstance(component, TraitsComponent)]
    for file, component in components:
        if isinstance(component, AudienceComponent | SyncComponent):
            component.stands_beside(traits)
        if isinstance(component, AudienceComponent):
            try:
                declared[component.name] = component.declared(project_root, policy)
            except ConfigError as error:
                raise file.placed(error) from error
            files[component.name] = file
    try:
        refuse_wrong_names({name: definition for name, (definition, _) in declared.items()})
    except ConfigError as error:
        raise files[error.place].placed_at(error, error.field) from error
    return declared


def _refuse_unknown_sources(
    components: list[tuple[DefinitionFile, dg.Component]], project_root: Path, policy: ConsentPolicy
) -> None:
    """A source model is a dbt model or an audience; said before the columns of a wrong one are looked for."""
    audiences = _audiences(components, project_root, policy)
    for file, component in components:
        if isinstance(component, SyncComponent):
            names = [*component.model_names(project_root), *audiences]
            if component.source_model not in names:
                raise _unknown_model(file, component.source_model, names)


def _stand_beside_syncs(components: list[tuple[DefinitionFile, dg.Component]]) -> None:
    """Tell each automation which syncs there are; no two of them, in whatever files, may run one sync."""
    syncs = [component for _, component in components if isinstance(component, SyncComponent)]
    rules: list[tuple[str, RunRule]] = []
    for file, component in components:
        if isinstance(component, AutomationComponent):
            component.stands_beside(syncs)
            rules += [(f"{file.path}: {name}", rule) for name, rule in component.run.items()]
            try:
                refuse_double(rules)
            except ConfigError as error:
                raise file.placed(error) from error


def _refuse_unknown_watches(
    components: list[tuple[DefinitionFile, dg.Component]], built: list[tuple[DefinitionFile, dg.Definitions]]
) -> None:
    """A watch runs assets that are there, and watches one that may be made elsewhere."""
    known = [key.to_user_string() for _, definitions in built for key in _keys(definitions)]
    for file, component in components:
        for name, rule in component.watch.items() if isinstance(component, AutomationComponent) else ():
            for key in rule.runs:
                if key not in known:
                    field = f"watch.{name}.runs"
                    what = ConfigError(f"there is no asset {key!r}.", remedy=nearest_of(key, known), field=field)
                    raise file.placed(what)


def _unknown_model(file: DefinitionFile, name: str, names: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"there is no model {name!r}.",
        place=f"{file.path}:{file.line_of('attributes', 'source_model')}",
        field="source_model",
        remedy=nearest_of(name, names),
    )


def _refuse_wrong_traits(components: list[tuple[DefinitionFile, dg.Component]], project_root: Path) -> None:
    """A computed trait needs a name that neither a model's trait nor another computed one has."""
    catalogues: dict[str, Catalogue] = {}
    for file, component in components:
        if isinstance(component, TraitsComponent):
            try:
                known = catalogues.get(component.project) or component.catalogue(project_root)
                catalogues[component.project] = extended(known, [component])
            except ConfigError as error:
                raise file.placed(error) from error


def _refuse_overlaps(specs: list[SyncSpec]) -> None:
    """Two syncs must not write one field of an account's object, nor both remove there: each would undo the other."""
    for first, second in combinations(specs, 2):
        if not _has_same_object(first, second):
            continue
        fields = {entry.field for entry in first.mapping if not entry.match_key}
        doubled = sorted(fields & {entry.field for entry in second.mapping if not entry.match_key})
        where = f"{second.connection.name} {second.object}"
        if doubled:
            what = f"the field `{doubled[0]}` of {where} is written by {first.declared_in} already."
            remedy = "Map it in one of the two syncs only."
            raise ConfigError(what, place=second.declared_in, field="mapping", remedy=remedy)
        if first.removal is not Removal.KEEP and second.removal is not Removal.KEEP:
            what = f"records of {where} are removed by {first.declared_in} already."
            raise ConfigError(
                what, place=second.declared_in, field="removal", remedy="Let one sync only be the mirror of an object."
            )


def _has_same_object(first: SyncSpec, second: SyncSpec) -> bool:
    """Whether two syncs write to one account's object, as far as their connections tell."""
    one, other = first.connection, second.connection
    is_same_token = one.token_env is not None and one.token_env == other.token_env
    is_same_client = one.oauth is not None and one.oauth == other.oauth
    is_same_account = one.vendor == other.vendor and (one.name == other.name or is_same_token or is_same_client)
    return is_same_account and first.object == second.object


def _refuse_duplicates(built: list[tuple[DefinitionFile, dg.Definitions]]) -> None:
    made_in: dict[dg.AssetKey, DefinitionFile] = {}
    for file, definitions in built:
        for key in _keys(definitions):
            if key in made_in:
                raise ConfigError(
                    f"the asset {key.to_user_string()} is made by {made_in[key].path} already.",
                    place=f"{file.path}:1",
                    remedy="Give one of the two another name.",
                )
            made_in[key] = file


def _refuse_unknown_models(built: list[tuple[DefinitionFile, dg.Definitions]]) -> None:
    """A sync of a model that nothing makes would draw an empty stub above itself and plan from no table."""
    models = {key.path[-1] for _, definitions in built for key in _keys(definitions)}
    for file, _ in built:
        name = file.attribute("source_model")
        if name is not None and name not in models:
            raise _unknown_model(file, name, models)


def _refuse_unknown_checked(built: list[tuple[DefinitionFile, dg.Definitions]]) -> None:
    """A check of an asset that nothing makes would never be asked."""
    known = {key.to_user_string() for _, definitions in built for key in _keys(definitions)}
    for file, definitions in built:
        for check in definitions.asset_checks or ():
            for key in check.check_keys if isinstance(check, dg.AssetChecksDefinition) else ():
                asked = key.asset_key.to_user_string()
                if asked not in known:
                    error = ConfigError(f"there is no asset {asked!r}.", remedy=nearest_of(asked, known))
                    raise file.placed_at(error, asked)


def _keys(definitions: dg.Definitions) -> Iterator[dg.AssetKey]:
    for asset in definitions.assets or ():
        if isinstance(asset, dg.AssetSpec):
            yield asset.key
        elif isinstance(asset, dg.AssetsDefinition):
            yield from asset.keys
