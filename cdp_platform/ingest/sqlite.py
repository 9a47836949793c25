"""Read a declared table of a SQLite file with dlt's SQL source; the file is opened for reading only."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

from dlt.common.exceptions import DltException
from dlt.sources.sql_database import sql_table
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import SourceUnreadable
from cdp_platform.ingest.declared import DeclaredTable, RawRow, Reading, read_rows

_WAIT_SECONDS: Final = 10


def read_sqlite(table: DeclaredTable, days: tuple[date, date] | None = None) -> Reading:
    """Read the rows of `days`, both inclusive, or all of them; columns as in `table.schema`.

    Raises SourceUnreadable for a missing file, table or column, a file that is no database, one that another process
    holds for longer than ten seconds, and too many rows that cannot be read.
    """
    path = Path(table.location)
    if not path.is_file():
        raise SourceUnreadable(
            f"{table.source}/{table.name}: there is no file {path}.",
            remedy="Deliver it, or correct the path in the YAML.",
        )
    try:
        return read_rows(table, _rows(table, path), days)
    except (SQLAlchemyError, DltException) as error:
        _refuse(table, path, error)


def _rows(table: DeclaredTable, path: Path) -> Iterator[RawRow]:
    address = f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true&timeout={_WAIT_SECONDS}"
    resource = sql_table(credentials=address, table=table.database_table or table.name, reflection_level="minimal")
    columns = list(resource.compute_table_schema().get("columns", {}))
    missing = [name for name in table.columns if name not in columns]
    if missing:
        raise SourceUnreadable(
            f"{table.source}/{table.name}: {path.name} has no column {missing[0]!r} in its table.",
            remedy=nearest_of(missing[0], columns),
        )
    for number, row in enumerate(resource, start=1):
        values: Mapping[str, Any] = row
        yield RawRow(place=f"{path.name} row {number}", values=values)


def _refuse(table: DeclaredTable, path: Path, error: BaseException) -> NoReturn:
    where = f"{table.source}/{table.name}: {path}"
    if isinstance(error, NoSuchTableError):
        raise SourceUnreadable(
            f"{where} has no table {table.database_table or table.name!r}.", remedy="Correct its name in the YAML."
        ) from None
    if "locked" in _all_texts(error):
        raise SourceUnreadable(
            f"{where} is locked by another process, which held it for more than {_WAIT_SECONDS} seconds.",
            remedy="Wait until that process has written, and load it again.",
        ) from None
    raise SourceUnreadable(
        f"{where} cannot be read as a SQLite database: {type(error).__name__}.", remedy="Deliver a whole file."
    ) from None


def _all_texts(error: BaseException | None) -> str:
    """The texts down the chain of causes; only searched, never shown, because they quote statements."""
    return f"{error} {_all_texts(error.__cause__ or error.__context__)}" if error else ""
