"""What a warehouse is to the platform: short sessions, and the few expressions that differ between dialects.

A session is opened late and closed early; none is held while a destination is being talked to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from cdp_platform.domain.costs import Cost
from cdp_platform.domain.syncs import FieldType

Row = dict[str, Any]
Parameters = Sequence[Any] | Mapping[str, Any]
"""Bound values: by place (`?`) or by name (`$name`)."""
AtWork = Callable[[], Mapping[str, str]]
"""Says what the process is at when a session is opened: asset, sync and run, as far as it is at one."""


def at_nothing() -> dict[str, str]:
    """Of a process that is at nothing which has a name."""
    return {}


class Dialect(Protocol):
    """SQL expressions that are not the same everywhere. Arguments are SQL, already quoted; answers are SQL."""

    name: str
    """The dialect's name, as sqlglot knows it."""
    keeps_order: bool
    """Whether a query without `order by` answers in the order of the rows that it reads."""
    defines_in_transactions: bool
    """Whether a relation can be made inside a transaction, which commits it or takes it back with the rest."""

    def quote(self, identifier: str) -> str:
        """Quote one identifier."""
        ...

    def relation(self, name: str) -> str:
        """Quote `schema.table`, part by part."""
        ...

    def exact(self, expression: str, column_type: str, field_type: FieldType) -> str:
        """Cast to the declared type, text to NFC, times to UTC: what is compared and fingerprinted.

        Values that cannot be said in the type do not fail: `misfit` finds them.
        """
        ...

    def encoded(self, exact: str, field_type: FieldType) -> str:
        """Turn an `exact` value into what JSON can hold without loss: decimals and times become text."""
        ...

    def misfit(self, expression: str, column_type: str, field_type: FieldType) -> str | None:
        """Say when a value of such a column cannot be said in the declared type; None where it always can."""
        ...

    def json_object(self, members: Mapping[str, str]) -> str:
        """Build canonical JSON text from field names and encoded expressions; members keep their order."""
        ...

    def json_text(self, document: str, member: str) -> str:
        """Extract one member of a JSON document as text; SQL NULL where it is absent or null."""
        ...

    def json_changes(self, new: str, old: str, members: Sequence[str]) -> str:
        """List the members that `new` names and `old` does not name with the same value. Both are JSON documents."""
        ...

    def fingerprint(self, expressions: Sequence[str]) -> str:
        """Hash values to 64 bits; equal values give an equal hash within one version of the warehouse."""
        ...

    def field_type(self, column_type: str) -> FieldType | None:
        """Translate a column's type to a field type; None where it has none (nested values, floats)."""
        ...


class Reading(Protocol):
    """One short conversation with a warehouse of which nothing but queries is asked."""

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run a query with a small answer."""
        ...

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        """Run a query and read its answer bit by bit, in Arrow."""
        ...

    def columns(self, relation: str) -> dict[str, str]:
        """Column names and types of `schema.table`, in order; empty where there is no such relation."""
        ...


class Session(Reading, Protocol):
    """One short conversation with the warehouse."""

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement."""
        ...

    def write_parquet(self, sql: str, path: Path) -> None:
        """Run a query and write its answer to a Parquet file, in the query's order."""
        ...

    def register(self, name: str, table: pa.Table) -> None:
        """Let SQL of this session read an Arrow table by `name`."""
        ...

    def parquet(self, path: Path) -> str:
        """Name a Parquet file in SQL; a column `ordinal` counts its rows from 0."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block, roll back on any exception."""
        ...


@runtime_checkable
class TellsCost(Protocol):
    """A session of a warehouse that is paid for by what it does."""

    def cost(self) -> Cost:
        """What this session's statements have cost so far; never raises, and costs next to nothing itself."""
        ...


@runtime_checkable
class ForeseesScan(Protocol):
    """A session of a warehouse that says what a statement would scan, without running it."""

    def scanned_bytes(self, sql: str) -> int:
        """Ask how many bytes a query would scan, for nothing. Raises WarehouseError."""
        ...

    def limit_scan(self, maximum_bytes: int) -> None:
        """Let later statements raise GuardTripped, before they are run, where together they would scan more."""
        ...


class Warehouse(Protocol):
    """Where models, ledgers and logs live."""

    @property
    def dialect(self) -> Dialect:
        """How this warehouse says what differs."""
        ...

    def session(self, purpose: str) -> AbstractContextManager[Session]:
        """Open a short session; `purpose` names it to whoever waits for it. Raises WarehouseLocked, WarehouseError."""
        ...

    def shred(self) -> None:
        """Make sure that nothing which was deleted is left in the warehouse's files. Raises as `session` does."""
        ...

    def exclusive(self, purpose: str) -> AbstractContextManager[None]:
        """Keep other processes of the platform out while a tool (dbt, dlt) opens the warehouse itself."""
        ...


@runtime_checkable
class NeedsGrants(Protocol):
    """A warehouse in which the platform's role may do what somebody granted it."""

    def missing_grants(self, relations: Sequence[str]) -> list[str]:
        """The statements that an administrator has to run before the platform can work and read `relations`.

        Empty where nothing is missing. Raises WarehouseError where it cannot even be asked.
        """
        ...


@runtime_checkable
class Source(Protocol):
    """A warehouse that can be read without a right to write: no table, view, function or lock is made there."""

    @property
    def dialect(self) -> Dialect:
        """How this warehouse says what differs."""
        ...

    def reading(self, purpose: str) -> AbstractContextManager[Reading]:
        """Open a short session that only reads, all of it from one moment where the warehouse can do that.

        Raises WarehouseError.
        """
        ...


@runtime_checkable
class ReadsElsewhere(Protocol):
    """A warehouse of the platform's own whose models and consents are kept in another, which is only read."""

    @property
    def source(self) -> Source:
        """Where they are read."""
        ...


def reading_of(warehouse: Warehouse, purpose: str) -> AbstractContextManager[Reading]:
    """Open a session that reads the models where they are kept. Raises WarehouseLocked, WarehouseError."""
    return warehouse.source.reading(purpose) if isinstance(warehouse, ReadsElsewhere) else warehouse.session(purpose)


def cost_of(session: Reading) -> Cost | None:
    """What a session has cost; None where nobody pays by use."""
    return session.cost() if isinstance(session, TellsCost) else None


def text_column(values: Iterable[str | None]) -> pa.StringArray:
    """Make an Arrow column of texts; `pa.array` would import pandas, which takes a second."""
    column = pa.lib.StringBuilder()
    for value in values:
        column.append(value)
    return column.finish()
