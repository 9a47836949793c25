"""What YAML says about a table of one's own: files or a SQLite table, its columns, its day."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import dagster as dg
from pydantic import Field

from cdp_platform.components.resources import Platform
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.ingest.declared import DAY_PLACE, TYPE_NAMES, DeclaredTable, Reading, arrow_type

HOME_PLACE: Final = "{home}"
_FORMATS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


class SourceTableDefinition(dg.Model, dg.Resolvable):
    """Where a table's rows lie, and which columns they have."""

    files: str | None = Field(
        default=None,
        description="Files: a path from the project's root, a glob or a URL, ending in .jsonl, .ndjson or .csv. "
        "{home} stands for the platform's home, {day} for a day as 2017-01-01: such files are loaded by day.",
    )
    database: str | None = Field(
        default=None, description="Instead of files, a SQLite file: a path from the project's root; {home} as above."
    )
    table: str | None = Field(
        default=None, description="The table's name in the SQLite file; left out: the name that it has here."
    )
    columns: dict[str, str] = Field(
        description=f"Column → type: {', '.join(TYPE_NAMES)}; a decimal with its own digits. Others are not read."
    )
    required: list[str] = Field(default_factory=list, description="Columns that no row may lack.")
    day: str | None = Field(
        default=None, description="The date or instant column by whose local day the table is loaded."
    )

    def declared(self, source: str, name: str, *, time_zone: str) -> DeclaredTable:
        """Check the definition; raise ConfigError naming the field."""
        field = f"tables.{name}"
        if (self.files is None) == (self.database is None):
            raise ConfigError("needs either `files` or `database`.", field=field)
        if not self.columns:
            raise ConfigError("needs at least one column.", field=f"{field}.columns")
        self._check_columns(field)
        location, form = (self.files, self._format(field)) if self.files is not None else (self.database, "sqlite")
        if self.database is None and self.table is not None:
            raise ConfigError("files have no tables; leave it out.", field=f"{field}.table")
        return DeclaredTable(
            source=source,
            name=name,
            location=str(location),
            format=form,
            database_table=self.table or name if form == "sqlite" else None,
            columns=self.columns,
            required=frozenset(self.required),
            day=self.day,
            time_zone=time_zone,
        )

    def _format(self, field: str) -> str:
        ending = Path(str(self.files)).suffix
        if ending not in _FORMATS:
            raise ConfigError(
                f"{self.files!r} ends in none of {', '.join(_FORMATS)}.", field=f"{field}.files",
                remedy="Name the files with their ending.",
            )  # fmt: skip
        return _FORMATS[ending]

    def _check_columns(self, field: str) -> None:
        for column, kind in self.columns.items():
            try:
                arrow_type(kind)
            except ConfigError as error:
                raise ConfigError(error.what, remedy=error.remedy, field=f"{field}.columns.{column}") from None
        for name, wanted in [("day", [self.day] if self.day else []), ("required", self.required)]:
            for column in wanted:
                if column not in self.columns:
                    raise ConfigError(
                        f"there is no column {column!r}.", field=f"{field}.{name}",
                        remedy=nearest_of(column, self.columns),
                    )  # fmt: skip
        if self.day is not None and self.columns[self.day] not in ("date", "instant"):
            raise ConfigError("must be a date or an instant.", field=f"{field}.day")
        if self.day is not None and DAY_PLACE in str(self.files):
            raise ConfigError("the files' names hold the day already; leave it out.", field=f"{field}.day")
        if DAY_PLACE in str(self.database):
            raise ConfigError(f"a database has no {DAY_PLACE} in its name.", field=f"{field}.database")


def declared_reader(
    table: DeclaredTable, project_root: Path
) -> Callable[[Platform, tuple[date, date] | None], Reading]:
    """Make the function that reads a declared table; its place is found when it is called."""

    def read(platform: Platform, days: tuple[date, date] | None) -> Reading:
        # dlt is imported by both, which takes half a second.
        from cdp_platform.ingest.files import read_files
        from cdp_platform.ingest.sqlite import read_sqlite

        located = replace(table, location=_located(table.location, platform.home.root, project_root))
        return read_sqlite(located, days) if table.format == "sqlite" else read_files(located, days)

    return read


def _located(location: str, home: Path, project_root: Path) -> str:
    if "://" in location:
        return location
    return str(project_root / location.replace(HOME_PLACE, str(home.resolve())))
