"""A YAML file that people write: where each of its fields stands, and what is wrong with it in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.privacy.masking import masked

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A tenth of the time where PyYAML was built with libyaml; both make plain values only."""


@dataclass(frozen=True)
class YamlFile:
    """A file that holds one YAML document of fields; `shape` and `one_each` are words for its errors."""

    path: Path
    content: Mapping[str, Any]
    root: yaml.MappingNode

    shape: ClassVar[str] = "fields"
    one_each: ClassVar[str] = "Put each into a file of its own."

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raise ConfigError for broken YAML, more than one document, or another shape."""
        text = path.read_text(encoding="utf-8")
        try:
            roots = [root for root in yaml.compose_all(text, Loader=_LOADER) if root is not None]
            documents = [document for document in yaml.load_all(text, Loader=_LOADER) if document is not None]
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
                remedy=cls.one_each,
            )
        if not isinstance(roots[0], yaml.MappingNode):
            raise ConfigError(f"the file must hold {cls.shape}.", place=f"{path}:1")
        return cls(path, documents[0], roots[0])

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

    def explained(self, error: ValidationError, model: type[BaseModel], *, within: tuple[str, ...] = ()) -> ConfigError:
        """Say the first thing that is wrong, with its line; `within` is the path of what the model describes."""
        problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        return self._explain(problems[0], model, within)

    def _explain(self, problem: Any, model: type[BaseModel], within: tuple[str, ...]) -> ConfigError:
        # A union's branches stand in pydantic's path as words that are no fields of the file.
        steps = [
            step
            for place, step in enumerate(problem["loc"])
            if self._is_there((*within, *problem["loc"][:place]), step)
        ]
        last = problem["loc"][-1] if problem["loc"] else ""
        field = ".".join(str(step) for step in steps)
        place = f"{self.path}:{self.line_of(*within, *steps)}"
        if problem["type"] == "extra_forbidden":
            remedy = nearest_of(last, _fields_at(model, steps[:-1]))
            return ConfigError("there is no such field.", place=place, field=field, remedy=remedy)
        if problem["type"] == "missing":
            whole = ".".join(filter(None, [field, str(last)]))
            return ConfigError("this field is required and missing.", place=place, field=whole)
        message = problem["msg"].removeprefix("Value error, ")
        allowed = problem.get("ctx", {}).get("expected")
        remedy = f"Allowed: {allowed}." if allowed and str(allowed) not in message else ""
        what = f"{_shown(problem['input'])} cannot be taken: {message}."
        return ConfigError(what, place=place, field=field, remedy=remedy)

    def _is_there(self, before: tuple[str | int, ...], step: str | int) -> bool:
        node: yaml.Node = self.root
        for part in before:
            found = _step_into(node, part)
            node = found[0] if found else node
        return _step_into(node, step) is not None


def _shown(value: Any) -> str:
    """Write a wrong value; of an address that may hold a password no more than its beginning and end."""
    if isinstance(value, Mapping):
        return "this block"
    return masked(value) if isinstance(value, str) and "://" in value and "@" in value else repr(value)


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
    is_key = False
    for step in steps:
        if isinstance(step, int) or is_key:
            is_key = False
            continue
        field = current.model_fields.get(step)
        inner = _model_in(field.annotation) if field else None
        if field is None or inner is None:
            return []
        # The keys of a mapping of blocks are the writer's own names.
        is_key = _is_mapping(field.annotation)
        current = inner
    return list(current.model_fields)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_is_mapping(part) for part in get_args(annotation))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, list, tuple) or get_args(annotation):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None
