"""What the columns of a dbt project's models are made of: a value that is written when dbt parses, and read at load."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LINEAGE_FILE: Final = "column_lineage.json"

Deps = Sequence[tuple[str, str]]
"""Unique id of a model, seed or source, and its column; sorted."""


@dataclass(frozen=True, kw_only=True)
class ColumnLineage:
    """Model by unique id → column → what its values are made of; conditions and joins are no part of it.

    A constant is made of nothing.
    """

    columns: Mapping[str, Mapping[str, Deps]] = field(default_factory=dict)
    unresolved: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The columns that could not be followed to the parents; `*` where none of the model's could be."""

    @classmethod
    def read(cls, file: Path) -> "ColumnLineage":
        """Read what `write` has written."""
        content = json.loads(file.read_text(encoding="utf-8"))
        columns = {
            model: {name: [(parent, column) for parent, column in deps] for name, deps in named.items()}
            for model, named in content["columns"].items()
        }
        return cls(columns=columns, unresolved=content["unresolved"])

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps({"columns": self.columns, "unresolved": self.unresolved}), encoding="utf-8")

    @property
    def unresolved_count(self) -> int:
        """How many columns could not be followed; a model none of whose columns could be counts as one."""
        return sum(len(names) for names in self.unresolved.values())
