"""Load `defs/**/defs.yaml` without searching every installed package for plugins, which takes twelve seconds.

The ordinary `dg` loader reads the same files. This one also says where a file is wrong, and what comes nearest.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.defs_module import ComponentPath

from cdp_platform.components.definition_file import DefinitionFile
from cdp_platform.components.nearest import nearest_of
from cdp_platform.components.resources import PLATFORM, executor_of
from cdp_platform.errors import ConfigError


def load_definitions(folder: Path, project_root: Path) -> dg.Definitions:
    """Load every `defs.yaml` under `folder` into one set of definitions.

    Paths in the files are relative to `project_root`. Raises ConfigError for the first file that cannot work.
    """
    # Both are meant: ranges are loaded in one run, and a backfill of `loop_day` goes day by day.
    warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
    warnings.filterwarnings("ignore", message="Asset job .* materializes assets with varying BackfillPolicies")
    files = [DefinitionFile.read(path) for path in sorted(folder.rglob("defs.yaml"))]
    built = [(file, _build(file, project_root)) for file in files]
    _refuse_duplicates(built)
    _refuse_unknown_models(built)
    shared = dg.Definitions(resources={"platform": PLATFORM}, executor=executor_of())
    return dg.Definitions.merge(*(definitions for _, definitions in built), shared)


def _build(file: DefinitionFile, project_root: Path) -> dg.Definitions:
    component_class = file.component_class()
    attributes = file.validated(component_class)
    # The public way to a context for a component outside of dg's own loader goes through its test tree, too.
    context = ComponentTree.for_test().load_context.for_component_loc(ComponentPath.from_path(file.path.parent))
    context = replace(context, project_root=project_root)
    try:
        component = component_class.resolve_from_model(context.resolution_context, attributes)
        definitions: dg.Definitions = component.build_defs(context)
        return definitions
    except ConfigError as error:
        raise file.placed(error) from error


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
            raise ConfigError(
                f"there is no model {name!r}.",
                place=f"{file.path}:{file.line_of('attributes', 'source_model')}",
                field="source_model",
                remedy=nearest_of(name, models),
            )


def _keys(definitions: dg.Definitions) -> Iterator[dg.AssetKey]:
    for asset in definitions.assets or ():
        if isinstance(asset, dg.AssetSpec):
            yield asset.key
        elif isinstance(asset, dg.AssetsDefinition):
            yield from asset.keys
