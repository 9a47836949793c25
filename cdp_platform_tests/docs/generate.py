"""Write the pages of docs/reference that follow from the code: `python -m cdp_platform_tests.docs.generate`.

A test compares them with what stands in the folder, so that no field, command or asset goes untold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import dagster as dg
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cdp_platform import components
from cdp_platform.audiences.catalogue import Catalogue, Trait
from cdp_platform.cli import app

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"
_FLOW: Final = ("sources", "models", "audiences", "plans", "destinations", "feedback")
_WORDS: Final[Mapping[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date",
    Any: "value",
}
_AUDIENCE: Final = (
    "What may stand under `members` of an [AudienceComponent](components.md#audiencecomponent). A condition is a leaf,"
    " told below by the word that makes it one, or a block: `all` and `any` hold a list of conditions, `not` holds one."
    " `trait` and the fields under `where` take one of the [operators](#operators)."
    " [The guide](../guides/audiences.md) shows them at work."
)
_COMPUTED: Final = (
    "One of the `traits` of a [TraitsComponent](components.md#traitscomponent);"
    " [the guide](../guides/computed-traits.md) has examples."
)
_TRAITS: Final = "From `meta.audiences` of the dbt models; a name that two models have is written with its model."
_NAMED: Final = ("name", "kind", "what it is")
_KINDS: Final = {"integer range": "NUMBER", "integer": "NUMBER", "datetime": "YYYY-MM-DD", "text": "TEXT"}
_NOTE: Final = "Written by `python -m cdp_platform_tests.docs.generate`; a test holds that it is up to date."
_COMPONENTS: Final = (
    "What `type` may name in a `defs.yaml`, and the fields under `attributes`. A field without a default is required;"
    " blocks of fields are told once, at the end."
)
_CLI: Final = (
    "`cdp` stands in `.venv/bin` after `make install`. All state lies in the folder that `CDP_HOME` names, by default"
    " `.cdp` beside the nearest `cdp.yaml`, else under the current folder."
    " An error of the platform is one message and exit code 1; Ctrl-C gives 130."
)
_ASSETS: Final = (
    "What the shipped instance (`cdp_platform/defs` and `dbt_project`) puts into the graph, by group. *daily* assets"
    " are partitioned by local day; the others are whole, as of the loop's clock where they describe people. Keys are"
    " `raw/<source>/<table>`, `<dbt layer>/<model>`, `plans/<sync>`, `<connection>/<sync>` and"
    " `feedback/<connection>/<object>`."
)

Cells = Sequence[str]


def components_page() -> str:
    """Tell every field of every component, and once what each nested block of fields holds."""
    parts = ["# Components", f"{_COMPONENTS} {_NOTE}"]
    nested: dict[str, type[BaseModel]] = {}
    for name in components.__all__:
        component = getattr(components, name)
        nested |= {model.__name__: model for model in _inner_models(component)}
        parts += [
            f"## {name}",
            _first_line(component),
            f"`type: cdp_platform.components.{name}`",
            _field_table(component),
        ]
    for name, model in sorted(nested.items()):
        parts += [f"## {name}", _first_line(model), _field_table(model)]
    return "\n\n".join(parts) + "\n"


def cli_page() -> str:
    """Tell every command with its arguments and options."""
    group = typer.main.get_command(app)
    parts = ["# The command line", f"{_CLI} {_NOTE}"]
    for name, command in sorted(_commands(group).items()):
        usage = " ".join(["cdp", name, *(_usage(parameter) for parameter in command.params)])
        parts += [f"## cdp {name}", str(command.help or ""), f"```\n{usage}\n```"]
        if rows := [_parameter_row(parameter) for parameter in command.params]:
            parts.append(_table(("argument or option", "default", "meaning"), rows))
    return "\n\n".join(parts) + "\n"


def assets_page() -> str:
    """Tell every asset of the shipped instance, in the order of the flow."""
    from cdp_platform.definitions import defs

    graph = defs.resolve_asset_graph()
    parts = ["# Assets", f"{_ASSETS} {_NOTE}"]
    for group in _FLOW:
        keys = sorted(key for key in graph.get_all_asset_keys() if graph.get(key).group_name == group)
        parts += [f"## {group}", _table(("asset", "partitions", "checks", "what it is"), map(_asset_row(graph), keys))]
    return "\n\n".join(parts) + "\n"


def audience_page() -> str:
    """Tell what a condition may hold, and every trait and event that the shipped models offer."""
    from cdp_platform.components.audience_blocks import LEAVES, FieldBlock, Operators, ThenBlock, TimesBlock
    from cdp_platform.components.loading import load_audiences
    from cdp_platform.components.trait_blocks import ComputedTraitBlock

    package = FOLDER.parents[1] / "cdp_platform"
    [(_, known), *_] = load_audiences(package / "defs", package.parent).values()
    parts = ["# The YAML of an audience", f"{_AUDIENCE} {_NOTE}"]
    for word, block in LEAVES.items():
        own = set(block.model_fields) - set(Operators.model_fields) if issubclass(block, Operators) else None
        parts += [f"## {word}", _first_line(block), _field_table(block, own)]
    parts += ["## FieldBlock", _first_line(FieldBlock), _field_table(FieldBlock, {"field"})]
    for block in (TimesBlock, ThenBlock):
        parts += [f"## {block.__name__}", _first_line(block), _field_table(block)]
    parts += ["## Operators", _first_line(Operators), _field_table(Operators)]
    parts += [
        "## ComputedTraitBlock",
        f"{_first_line(ComputedTraitBlock)} {_COMPUTED}",
        _field_table(ComputedTraitBlock),
    ]
    parts += ["## Traits of the shipped models", _TRAITS, _trait_table(known)]
    for event in known.events.values():
        rows = [(f"`{one.name}`", one.kind, one.label("en")) for one in event.fields.values()]
        parts += [f"## The event {event.name}", f"{event.label('en').capitalize()}.", _table(_NAMED, rows)]
    return "\n\n".join(parts) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "components.md": components_page,
    "cli.md": cli_page,
    "assets.md": assets_page,
    "audience-yaml.md": audience_page,
}


def _inner_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield inner
            yield from _inner_models(inner)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _trait_table(known: Catalogue) -> str:
    """Every trait by the shortest name that it answers to."""
    names: dict[Trait, str] = {}
    for name, trait in known.traits.items():
        names[trait] = min(name, names.get(trait, name), key=len)
    rows = [(f"`{name}`", trait.kind, trait.label("en")) for trait, name in names.items()]
    return _table(_NAMED, sorted(rows))


def _field_table(model: type[BaseModel], only: set[str] | None = None) -> str:
    rows = [
        (f"`{field.alias or name}`", _type(field.annotation), _default(field), field.description or "")
        for name, field in model.model_fields.items()
        if only is None or name in only
    ]
    return _table(("field", "type", "default", "meaning"), rows)


def _type(annotation: Any) -> str:
    origin, inside = get_origin(annotation), [part for part in get_args(annotation) if part is not type(None)]
    if origin is Annotated:
        return _type(inside[0])
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in inside)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin is list:
        return f"list of {_type(inside[0])}"
    if origin is dict:
        return f"{_type(inside[0])} → {_type(inside[1])}"
    if (model := _model_in(annotation)) is not None:
        return f"[{model.__name__}](#{model.__name__.lower()})"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{value}`" for value in annotation)
    return _WORDS[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == {}:
        return "none"
    return "its defaults" if isinstance(value, BaseModel) else f"`{_yaml(value)}`"


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _commands(group: Any) -> Mapping[str, Any]:
    """Commands by the words after `cdp`, those of a group of commands with the group's word before them."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = _commands(command) if hasattr(command, "commands") else {"": command}
        found |= {f"{name} {within}".strip(): one for within, one in inner.items()}
    return found


def _usage(parameter: Any) -> str:
    name = _name(parameter)
    if parameter.param_type_name == "argument":
        return name
    value = "" if parameter.is_flag else f" {_value(parameter)}"
    return f"{name}{value}" if parameter.required else f"[{name}{value}]"


def _value(parameter: Any) -> str:
    choices = getattr(parameter.type, "choices", ())
    return parameter.metavar or "|".join(map(str, choices)) or _KINDS[parameter.type.name]


def _name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name) if parameter.param_type_name == "argument" else parameter.opts[0]


def _parameter_row(parameter: Any) -> Cells:
    default = "required" if parameter.required else "none"
    if parameter.default is not None and not parameter.is_flag:
        default = f"`{parameter.default}`"
    if getattr(parameter, "is_flag", False):
        default = "off"
    return f"`{_name(parameter)}`", default, parameter.help or ""


def _asset_row(graph: Any) -> Callable[[dg.AssetKey], Cells]:
    def row(key: dg.AssetKey) -> Cells:
        node = graph.get(key)
        checks = len(graph.get_check_keys_for_assets({key}))
        is_external = "" if node.is_materializable else " (external)"
        description = " ".join((node.description or "").split())
        days = "daily" if node.is_partitioned else "–"
        return f"`{key.to_user_string()}`{is_external}", days, str(checks), description

    return row


def _first_line(thing: Any) -> str:
    return str(thing.__doc__ or "").strip().splitlines()[0]


def _table(head: Cells, rows: Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
