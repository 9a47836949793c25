"""A source's tables as assets `raw/<source>/<table>`: the first room of the flow.

Tables with days are daily partitions, and any range of days is loaded in one run; the others are loaded whole.
Files and SQLite tables of one's own are declared under `tables`; a vendor's API is read through an `account`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import dagster as dg
import pyarrow as pa
from pydantic import Field

from cdp_platform.components.days import Days, days_of, each_day
from cdp_platform.components.person_keys import without_forgotten_rows
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.components.source_account import (
    ALL_DAYS,
    API_SOURCES,
    SourceAccount,
    newer_snapshot,
    reloaded,
)
from cdp_platform.components.source_tables import SourceTableDefinition, declared_reader
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.ingest import retail
from cdp_platform.ingest.declared import Reading

SOURCES: Final[Mapping[str, Any]] = {"retail": retail}
"""The sources that the platform itself can read, by name."""


class SourceTable(Protocol):
    """What a source tells about one table."""

    @property
    def name(self) -> str: ...
    @property
    def schema(self) -> pa.Schema: ...
    @property
    def day_column(self) -> str | None: ...


Read = Callable[[Platform, tuple[date, date] | None], Reading]
"""Reads a table's rows of some days, both inclusive, or all of them."""


class SourceComponent(dg.Component, dg.Model, dg.Resolvable):
    """Load a source's tables into the warehouse's raw schemas."""

    source: str = Field(
        description="The source's name: retail; with `account` a vendor, as meta; with `tables` a name of your own."
    )
    account: SourceAccount | None = Field(default=None, description="The account of a vendor whose API is read.")
    tables: dict[str, SourceTableDefinition] = Field(
        default_factory=dict, description="Table → where its rows lie; left out: the tables that the platform knows."
    )
    days: Days | None = Field(
        default=None, description="The local days that tables with days are partitioned by; left out: there are none."
    )
    upstream: list[str] = Field(
        default_factory=list, description="Assets that make the files, as raw/demo/faces, where this project does."
    )
    descriptions: dict[str, str] = Field(default_factory=dict, description="What a row of each table is.")
    freshness_hours: dict[str, int] = Field(
        default_factory=dict, description="Table → hours after which it counts as stale."
    )
    owner: str = Field(default="team:data", description="Who answers for these tables: team:… or an e-mail.")

    def unrepeatable(self) -> Mapping[str, str]:
        """`schema.table` → its column of days, of the tables whose vendor tells only what is now."""
        tables = self._remote().values()
        return {
            f"raw_{self.source}.{one.name}": str(one.day_column) for one, _ in tables if self._is_snapshot(one.name)
        }

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make one asset a table; raise ConfigError for an unknown source, table, column or type."""
        tables = self._declared(context.project_root) if self.tables else self._remote() or self._known()
        for field in ("descriptions", "freshness_hours"):
            for name in getattr(self, field):
                if name not in tables:
                    raise ConfigError(
                        f"the source {self.source} has no table {name!r}.",
                        remedy=nearest_of(name, tables),
                        field=f"{field}.{name}",
                    )
        return dg.Definitions(
            assets=[self._asset(table, read) for table, read in tables.values()], resources={"platform": PLATFORM}
        )

    def _known(self) -> Mapping[str, tuple[SourceTable, Read]]:
        if self.source not in SOURCES:
            remedy = f"{nearest_of(self.source, SOURCES)} For a source of your own declare its `tables`."
            raise ConfigError(f"there is no source {self.source!r}.", remedy=remedy, field="source")
        return {name: (table, _known_reader(self.source, name)) for name, table in SOURCES[self.source].TABLES.items()}

    def _remote(self) -> Mapping[str, tuple[SourceTable, Read]]:
        """The tables of a vendor's API; none where the source is no vendor."""
        if self.account is None:
            return {}
        if self.source not in API_SOURCES:
            remedy = nearest_of(self.source, API_SOURCES)
            raise ConfigError(f"no vendor {self.source!r} can be read.", remedy=remedy, field="source")
        source, account = API_SOURCES[self.source], self.account
        source.check_options(account.options)

        def reader(name: str) -> Read:
            return lambda platform, days: account.read(source, self.source, name, platform, days or ALL_DAYS)

        return {name: (table, reader(name)) for name, table in source.tables.items()}

    def _reload_days(self, table: str) -> int:
        return API_SOURCES[self.source].tables[table].reload_days if self.account else 0

    def _is_snapshot(self, table: str) -> bool:
        return API_SOURCES[self.source].tables[table].is_snapshot if self.account else False

    def _declared(self, project_root: Path) -> Mapping[str, tuple[SourceTable, Read]]:
        if self.source in SOURCES:
            raise ConfigError(
                f"the platform has a source {self.source!r} already.", remedy="Choose another name.", field="source"
            )
        zone = self.days.time_zone if self.days else "UTC"
        found = {}
        for name, definition in self.tables.items():
            table = definition.declared(self.source, name, time_zone=zone)
            found[name] = (table, declared_reader(table, project_root))
        return found

    def _asset(self, table: SourceTable, read: Read) -> dg.AssetsDefinition:
        is_daily = table.day_column is not None
        if is_daily and self.days is None:
            raise ConfigError(f"the table {table.name!r} has days, and the source has none.", field="days")
        hours = self.freshness_hours.get(table.name)

        @dg.asset(
            key=["raw", self.source, table.name],
            deps=[dg.AssetKey.from_user_string(key) for key in self.upstream],
            group_name="sources",
            description=self.descriptions.get(table.name),
            owners=[self.owner],
            kinds={"dlt", PLATFORM.engine},
            tags={"source": self.source},
            metadata={"dagster/column_schema": _column_schema(table.schema)},
            partitions_def=self.days.partitions if is_daily and self.days else None,
            # Also where there are no days: a job runs a range at once only if each of its assets would.
            backfill_policy=dg.BackfillPolicy.single_run(),
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)) if hours else None,
            op_tags={"room": "ingest"},
        )
        def load(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
            days = days_of(context) if is_daily and self.days else None
            loaded = reloaded(days, self._reload_days(table.name), self.days.start) if days and self.days else None
            if days and self._is_snapshot(table.name):
                loaded = (days[1], days[1])
                if newer := newer_snapshot(platform, f"raw_{self.source}.{table.name}", str(table.day_column), days[1]):
                    context.log.warning(f"Nothing is read: {newer} was, and nobody can be asked about the past.")
                    return dg.MaterializeResult(metadata={"newest_snapshot": newer.isoformat()})
            return _load(context, platform, self.source, table, read, days, loaded)

        return load


def _known_reader(source: str, name: str) -> Read:
    return lambda platform, days: Reading(rows=SOURCES[source].read_table(name, days))


def _load(
    context: dg.AssetExecutionContext,
    platform: Platform,
    source: str,
    table: SourceTable,
    read: Read,
    days: tuple[date, date] | None,
    loaded: tuple[date, date] | None,
) -> dg.MaterializeResult[Any]:
    # dlt takes half a second to import; nothing else at load needs it.
    from cdp_platform.ingest.load import load_table

    reading = read(platform, loaded)
    for bad in reading.bad_rows:
        context.log.warning(f"Left out of raw/{source}/{table.name}: {bad}")
    rows, forgotten = without_forgotten_rows(platform, f"raw_{source}.{table.name}", reading.rows)
    replaced = (table.day_column, *loaded) if table.day_column and loaded else None
    with platform.warehouse.exclusive(f"loading raw/{source}/{table.name}"):
        result = load_table(
            rows,
            name=table.name,
            dataset=f"raw_{source}",
            destination=platform.dlt_destination(),
            pipelines_dir=platform.home.dlt,
            replaced_days=replaced,
        )
    left_out = {"unreadable_rows": reading.bad_count, "forgotten_rows": forgotten}
    left_out = {name: count for name, count in left_out.items() if count}
    if replaced is None or days is None:
        return dg.MaterializeResult(metadata={"dagster/row_count": result.row_count, **left_out})
    counts = Counter(rows[replaced[0]].to_pylist())
    for day in each_day(*days):
        metadata = {"dagster/partition_row_count": counts[day]}
        context.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=day.isoformat())
    return dg.MaterializeResult(metadata=left_out)


def _column_schema(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name=field.name, type=str(field.type)) for field in schema])
