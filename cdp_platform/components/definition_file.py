"""One `defs.yaml`: its text, where each of its fields stands, and what is wrong with it in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

import dagster as dg
from pydantic import BaseModel, ValidationError

from cdp_platform import components
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.yaml_file import YamlFile

_FIELDS = ("type", "attributes")
_PREFIX = "cdp_platform.components."


@dataclass(frozen=True)
class DefinitionFile(YamlFile):
    """A file that holds one YAML document of `type` and `attributes`."""

    shape: ClassVar[str] = "`type` and `attributes`"
    one_each: ClassVar[str] = "Put each component into a folder of its own."

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raise ConfigError for broken YAML, more than one document, or another shape."""
        file = super().read(path)
        file._check_shape()
        return file

    def component_class(self) -> type[Any]:
        """Import the component that `type` names; raise ConfigError where there is none."""
        name = str(self.content.get("type", ""))
        module_name, _, class_name = name.rpartition(".")
        try:
            found = getattr(import_module(module_name), class_name, None) if module_name else None
        except ModuleNotFoundError as error:
            # A component that is there and cannot be imported is another fault, and speaks for itself.
            if not f"{module_name}.".startswith(f"{error.name}."):
                raise
            found = None
        if not (isinstance(found, type) and issubclass(found, dg.Component)):
            known = [f"{_PREFIX}{known}" for known in components.__all__]
            raise ConfigError(
                f"there is no component {name!r}.",
                place=f"{self.path}:{self.line_of('type')}",
                field="type",
                remedy=nearest_of(name, known),
            )
        return found

    def validated(self, component_class: type[Any]) -> BaseModel:
        """Check `attributes` against the component; raise ConfigError for the first thing that is wrong.

        Returns the component itself where it is one of ours and no template stands in it, else its model.
        """
        model: type[BaseModel] = component_class.model()
        attributes = self.content.get("attributes") or {}
        try:
            found = model.model_validate(attributes)
            if "{{" not in str(attributes):
                # What Dagster validates is wider, so that templates pass; the component itself knows the values.
                component: BaseModel = component_class.model_validate(attributes)
                if component_class.__module__.startswith(_PREFIX):
                    return component
            return found
        except ValidationError as error:
            raise self.explained(error, model, within=("attributes",)) from error

    def attribute(self, name: str) -> str | None:
        """Return an attribute's text; None where it is not given."""
        value = (self.content.get("attributes") or {}).get(name)
        return None if value is None else str(value)

    def placed(self, error: ConfigError) -> ConfigError:
        """Add this file and the field's line to an error that a component raised."""
        if error.place:
            return error
        steps = [int(step) if step.isdigit() else step for step in error.field.split(".") if step]
        place = f"{self.path}:{self.line_of('attributes', *steps)}"
        what = error.what.removeprefix(f"field `{error.field}`: ")
        return ConfigError(what, place=place, field=error.field, remedy=error.remedy)

    def placed_at(self, error: ConfigError, value: str) -> ConfigError:
        """Add this file and the place of the attribute that holds `value`, the first one, to an error."""
        path = next(_paths_to(self.content.get("attributes") or {}, value), ())
        field = ".".join(str(step) for step in path)
        what = error.what.removeprefix(f"{error.place}, field `{error.field}`: ")
        place = f"{self.path}:{self.line_of('attributes', *path)}"
        return ConfigError(what, place=place, field=field, remedy=error.remedy)

    def _check_shape(self) -> None:
        for name in self.content:
            if name not in _FIELDS:
                raise ConfigError(
                    "there is no such field here.",
                    place=f"{self.path}:{self.line_of(name)}",
                    field=str(name),
                    remedy=nearest_of(name, _FIELDS),
                )
        if not isinstance(self.content.get("attributes") or {}, Mapping):
            raise ConfigError(
                "must hold fields.", place=f"{self.path}:{self.line_of('attributes')}", field="attributes"
            )


def _paths_to(content: Any, value: str) -> Iterator[tuple[str | int, ...]]:
    parts = content.items() if isinstance(content, Mapping) else enumerate(content)
    for step, part in parts:
        if part == value and step != "name":
            yield (step,)
        elif isinstance(part, Mapping | list):
            yield from ((step, *path) for path in _paths_to(part, value))
