"""Labelled records from files: what the rules are judged on. CSV (UTF-8, comma) or Parquet, any columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.base import text_column

_PERSON_WORDS: Final = re.compile(r"person|cluster|entity|entities|label|truth|group|individual", re.IGNORECASE)
_SOURCED_KEY: Final = "record_key"
_PARQUET_MARK: Final = b"PAR1"


@dataclass(frozen=True, kw_only=True)
class TruthFile:
    """Two columns of text: a record, and its person or another record of the same person."""

    records: list[str]
    others: list[str]
    names_people: bool
    """Whether the second column's name says that it holds people."""


def read_records(paths: Sequence[Path]) -> pa.Table:
    """Read files of records as one table of text; a column that a file lacks is null there.

    Raises ConfigError where a file cannot be read or holds no row.
    """
    tables = [_read(path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if not table.num_rows:
            raise ConfigError(f"{path} holds no record.")
    return pa.concat_tables(tables, promote_options="default")


def read_truth(path: Path, key: str) -> TruthFile:
    """Read who is who: of two columns both, of more the one named `key` and one named like a person or cluster.

    Columns source and record_id are one key, as `source:record_id`.

    Raises ConfigError where it is not clear which two columns are meant.
    """
    table = _read(path)
    names = table.column_names
    if {"source", "record_id"} <= set(names):
        table = table.append_column(_SOURCED_KEY, _sourced_keys(table)).drop_columns(["source", "record_id"])
        key, names = _SOURCED_KEY, table.column_names
    if len(names) == 2:
        first, second = (names[1], names[0]) if names[1] == key else names
    else:
        people = [name for name in names if name != key and _PERSON_WORDS.search(name)]
        if key not in names or len(people) != 1:
            raise ConfigError(
                f"{path} has the columns {', '.join(names)}; it is not clear which say who is who.",
                remedy=f"Give a file of two columns: {key} and person_id, or two records that are one person.",
            )
        first, second = key, people[0]
    pairs = zip(table.column(first).to_pylist(), table.column(second).to_pylist(), strict=True)
    known = [(record.strip(), other.strip()) for record, other in pairs if record and other]
    if not known:
        raise ConfigError(f"{path} holds no row with both {first} and {second}.")
    return TruthFile(
        records=[record for record, _ in known],
        others=[other for _, other in known],
        names_people=bool(_PERSON_WORDS.search(second)),
    )


def _sourced_keys(table: pa.Table) -> pa.Array:
    pairs = zip(table.column("source").to_pylist(), table.column("record_id").to_pylist(), strict=True)
    return text_column(f"{source}:{record}" if source and record else None for source, record in pairs)


def _read(path: Path) -> pa.Table:
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == _PARQUET_MARK
        table = pyarrow.parquet.read_table(path) if is_parquet else _read_csv(path)
        text = [column.cast(pa.string()) for column in table.columns]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or type(error).__name__}).") from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError) as error:
        reason = re.sub(r"'[^']*'|: .*", "", str(error).splitlines()[0])
        raise ConfigError(
            f"{path} is neither a CSV file (UTF-8, commas, a header) nor Parquet with plain columns: {reason}."
        ) from error
    names = [name.strip() for name in table.column_names]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{path} has the column {doubled[0]!r} twice.")
    return pa.table(dict(zip(names, text, strict=True)))


def _read_csv(path: Path) -> pa.Table:
    with pyarrow.csv.open_csv(path) as reader:
        names = reader.schema.names
    return pyarrow.csv.read_csv(
        path,
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        ),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
    )
