"""One `defs.yaml`: its text, where each of its fields stands, and what is wrong with it in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import dagster as dg
import yaml
from pydantic import BaseModel, ValidationError

from cdp_platform import components
from cdp_platform.components.nearest import nearest_of
from cdp_platform.errors import ConfigError

_FIELDS = ("type", "attributes")
_PREFIX = "cdp_platform.components."


@dataclass(frozen=True)
class DefinitionFile:
    """A file that holds one YAML document of `type` and `attributes`."""

    path: Path
    content: Mapping[str, Any]
    root: yaml.MappingNode

    @classmethod
    def read(cls, path: Path) -> "DefinitionFile":
        """Read a file; raise ConfigError for broken YAML, more than one document, or another shape."""
        text = path.read_text(encoding="utf-8")
        try:
            roots = [root for root in yaml.compose_all(text, Loader=yaml.SafeLoader) if root is not None]
            documents = [document for document in yaml.safe_load_all(text) if document is not None]
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "it cannot be read"
            raise ConfigError(
                f"this is not YAML: {problem}.", place=f"{path}:{mark.line + 1 if mark else 1}"
            ) from error
        if len(documents) != 1:
            line = roots[1].start_mark.line + 1 if len(roots) > 1 else 1
            raise ConfigError(
                f"the file holds {len(documents)} documents instead of one.",
                place=f"{path}:{line}",
                remedy="Put each component into a folder of its own.",
            )
        if not isinstance(roots[0], yaml.MappingNode):
            raise ConfigError("the file must hold `type` and `attributes`.", place=f"{path}:1")
        file = cls(path, documents[0], roots[0])
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
        """Check `attributes` against the component; raise ConfigError for the first thing that is wrong."""
        model: type[BaseModel] = component_class.model()
        attributes = self.content.get("attributes") or {}
        try:
            found = model.model_validate(attributes)
            if "{{" not in str(attributes):
                # What Dagster validates is wider, so that templates pass; the component itself knows the values.
                component_class.model_validate(attributes)
            return found
        except ValidationError as error:
            problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
            raise self._explain(problems[0], model) from error

    def attribute(self, name: str) -> str | None:
        """Return an attribute's text; None where it is not given."""
        value = (self.content.get("attributes") or {}).get(name)
        return None if value is None else str(value)

    def line_of(self, *path: str | int) -> int:
        """The line of a field, or of the nearest one around it; the first line is 1."""
        node: yaml.Node = self.root
        line = node.start_mark.line
        for step in path:
            found = _step_into(node, step)
            if found is None:
                break
            node, line = found
        return line + 1

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

    def _explain(self, problem: Any, model: type[BaseModel]) -> ConfigError:
        # A union's branches stand in pydantic's path as words that are no fields of the file.
        steps = [step for place, step in enumerate(problem["loc"]) if self._is_there(problem["loc"][:place], step)]
        last = problem["loc"][-1] if problem["loc"] else ""
        field = ".".join(str(step) for step in steps)
        place = f"{self.path}:{self.line_of('attributes', *steps)}"
        if problem["type"] == "extra_forbidden":
            remedy = nearest_of(last, _fields_at(model, steps[:-1]))
            return ConfigError("there is no such field.", place=place, field=field, remedy=remedy)
        if problem["type"] == "missing":
            whole = ".".join(filter(None, [field, str(last)]))
            return ConfigError("this field is required and missing.", place=place, field=whole)
        message = problem["msg"].removeprefix("Value error, ")
        allowed = problem.get("ctx", {}).get("expected")
        remedy = f"Allowed: {allowed}." if allowed and str(allowed) not in message else ""
        return ConfigError(f"{problem['input']!r} cannot be taken: {message}.", place=place, field=field, remedy=remedy)

    def _is_there(self, before: tuple[str | int, ...], step: str | int) -> bool:
        node: yaml.Node = self.root
        for part in ("attributes", *before):
            found = _step_into(node, part)
            node = found[0] if found else node
        return _step_into(node, step) is not None


def _paths_to(content: Any, value: str) -> Iterator[tuple[str | int, ...]]:
    parts = content.items() if isinstance(content, Mapping) else enumerate(content)
    for step, part in parts:
        if part == value and step != "name":
            yield (step,)
        elif isinstance(part, Mapping | list):
            yield from ((step, *path) for path in _paths_to(part, value))


def _step_into(node: yaml.Node, step: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return value, key.start_mark.line
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line
    return None


def _fields_at(model: type[BaseModel], steps: list[str | int]) -> list[str]:
    current = model
    for step in steps:
        if isinstance(step, int):
            continue
        field = current.model_fields.get(step)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        current = inner
    return list(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, list, tuple) or get_args(annotation):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None
