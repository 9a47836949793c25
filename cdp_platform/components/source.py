"""A source's tables as assets `raw/<source>/<table>`: the first room of the flow.

Tables with days are daily partitions, and any range of days is loaded in one run; the others are loaded whole.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Protocol

import dagster as dg
import pyarrow as pa
from pydantic import Field

from cdp_platform.components.days import Days, days_of, each_day
from cdp_platform.components.person_keys import without_forgotten_rows
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.ingest import retail


class SourceTable(Protocol):
    """What a source tells about one table."""

    @property
    def name(self) -> str: ...
    @property
    def schema(self) -> pa.Schema: ...
    @property
    def day_column(self) -> str | None: ...


class Source(Protocol):
    """A module of `ingest` that reads tables."""

    TABLES: Mapping[str, Any]

    def read_table(self, name: str, days: tuple[date, date] | None = None) -> pa.Table: ...


SOURCES: Mapping[str, Any] = {"retail": retail}


class SourceComponent(dg.Component, dg.Model, dg.Resolvable):
    """Load a source's tables into the warehouse's raw schemas."""

    source: str = Field(description="The source's name, as retail.")
    days: Days = Field(description="The local days that the source's events are partitioned by.")
    descriptions: dict[str, str] = Field(default_factory=dict, description="What a row of each table is.")
    freshness_hours: dict[str, int] = Field(
        default_factory=dict, description="Table → hours after which it counts as stale."
    )
    owner: str = Field(default="team:data", description="Who answers for these tables: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make one asset a table; raise ConfigError for an unknown source or table."""
        if self.source not in SOURCES:
            remedy = nearest_of(self.source, SOURCES)
            raise ConfigError(f"there is no source {self.source!r}.", remedy=remedy, field="source")
        tables = SOURCES[self.source].TABLES
        for field in ("descriptions", "freshness_hours"):
            for name in getattr(self, field):
                if name not in tables:
                    raise ConfigError(
                        f"the source {self.source} has no table {name!r}.",
                        remedy=nearest_of(name, tables),
                        field=f"{field}.{name}",
                    )
        return dg.Definitions(
            assets=[self._asset(table) for table in tables.values()], resources={"platform": PLATFORM}
        )

    def _asset(self, table: SourceTable) -> dg.AssetsDefinition:
        is_daily = table.day_column is not None
        hours = self.freshness_hours.get(table.name)

        @dg.asset(
            key=["raw", self.source, table.name],
            group_name="sources",
            description=self.descriptions.get(table.name),
            owners=[self.owner],
            kinds={"dlt", "duckdb"},
            tags={"source": self.source},
            metadata={"dagster/column_schema": _column_schema(table.schema)},
            partitions_def=self.days.partitions if is_daily else None,
            # Also where there are no days: a job runs a range at once only if each of its assets would.
            backfill_policy=dg.BackfillPolicy.single_run(),
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)) if hours else None,
            op_tags={"room": "ingest"},
        )
        def load(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
            days = days_of(context) if is_daily else None
            return _load(context, platform, self.source, table, days)

        return load


def _load(
    context: dg.AssetExecutionContext,
    platform: Platform,
    source: str,
    table: SourceTable,
    days: tuple[date, date] | None,
) -> dg.MaterializeResult[Any]:
    # dlt takes half a second to import; nothing else at load needs it.
    from cdp_platform.ingest.load import load_table

    rows, forgotten = without_forgotten_rows(
        platform, f"raw_{source}.{table.name}", SOURCES[source].read_table(table.name, days)
    )
    if forgotten:
        context.log.info(f"Dropped {forgotten} row(s) of people who were forgotten.")
    replaced = (table.day_column, *days) if table.day_column and days else None
    with platform.warehouse.exclusive(f"loading raw/{source}/{table.name}"):
        result = load_table(
            rows,
            name=table.name,
            dataset=f"raw_{source}",
            destination=platform.dlt_destination(),
            pipelines_dir=platform.home.dlt,
            replaced_days=replaced,
        )
    if replaced is None or days is None:
        return dg.MaterializeResult(metadata={"dagster/row_count": result.row_count, "forgotten_rows": forgotten})
    counts = Counter(rows[replaced[0]].to_pylist())
    for day in each_day(*days):
        metadata = {"dagster/partition_row_count": counts[day]}
        context.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=day.isoformat())
    return dg.MaterializeResult(metadata={"forgotten_rows": forgotten})


def _column_schema(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name=field.name, type=str(field.type)) for field in schema])
