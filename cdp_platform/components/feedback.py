"""What a destination says back, as the asset `feedback/<connection>/<kind>`: read through the connector's own session.

A graph has no cycles, so the models read the external asset `…_history`: the days read back before the clock's day.
Its materialization is logged here, once the day's read-back stands in the warehouse.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from cdp_platform.components.column_metadata import column_metadata
from cdp_platform.components.days import Days, days_of, each_day
from cdp_platform.components.destination import DestinationAccount
from cdp_platform.components.person_keys import without_forgotten_rows
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import ConfigError
from cdp_platform.ingest import hubspot, hubspot_records

Reader = Callable[..., pa.Table]

READERS: Mapping[tuple[str, str], tuple[Reader, tuple[str, ...]]] = {
    ("hubspot", "contacts"): (hubspot.read_contacts, tuple(hubspot.PROPERTY_COLUMNS)),
    **{("hubspot", kind): (hubspot_records.reader_of(kind), names) for kind, names in hubspot_records.KINDS.items()},
}
"""By destination and object: what reads it, and the properties it reads."""
SCHEMAS: Mapping[tuple[str, str], pa.Schema] = {
    ("hubspot", "contacts"): hubspot.SCHEMA,
    **{("hubspot", kind): hubspot_records.schema_of(kind) for kind in hubspot_records.KINDS},
}
"""By destination and object: the columns of what was read. They are made there, by whoever edits there, too."""


class FeedbackComponent(dg.Component, dg.Model, dg.Resolvable):
    """Read a destination's records back, a snapshot a day."""

    destination: DestinationAccount = Field(description="The account to read back from.")
    sync: str = Field(description="The sync that writes these records; switched off, nothing is read back either.")
    days: Days = Field(description="The local days of the loop.")
    freshness_hours: int = Field(default=36, description="Hours after which the read-back counts as stale.")
    owner: str = Field(default="team:data", description="Who answers for it: team:… or an e-mail.")

    @property
    def connection(self) -> Connection:
        """The connection as the connectors know it."""
        return self.destination.as_connection()

    def unrepeatable(self) -> Mapping[str, str]:
        """`schema.table` → its column of days, of what nobody can be asked for again."""
        return {f"raw_{self.connection.name}.{self.destination.object}": "feedback_day"}

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the read-back and its history; raise ConfigError where nothing can read this object."""
        if (self.destination.name, self.destination.object) not in READERS:
            readable = [f"{name} {kind}" for name, kind in READERS]
            wanted = f"{self.destination.name} {self.destination.object}"
            raise ConfigError(
                f"{wanted} cannot be read back.", remedy=nearest_of(wanted, readable), field="destination.object"
            )
        key = dg.AssetKey(["feedback", self.connection.name, self.destination.object])
        history = dg.AssetSpec(
            key=[*key.path[:-1], f"{key.path[-1]}_history"],
            group_name="sources",
            description="The days read back so far. The models of a day read the days before it, never the day itself.",
            owners=[self.owner],
            kinds={self.destination.name},
            metadata=self._columns(),
            partitions_def=self.days.partitions,
        )
        return dg.Definitions(assets=[self._asset(key, history.key), history], resources={"platform": PLATFORM})

    def _columns(self) -> dict[str, Any]:
        schema = SCHEMAS[self.destination.name, self.destination.object]
        return column_metadata({one.name: (str(one.type), None) for one in schema}, {})

    def _asset(self, key: dg.AssetKey, history: dg.AssetKey) -> dg.AssetsDefinition:
        spec = dg.AssetSpec(
            key=key,
            deps=[dg.AssetKey([self.connection.name, self.sync])],
            group_name="feedback",
            description=f"What {self.destination.name} says of our {self.destination.object} at the end of the day.",
            owners=[self.owner],
            kinds={self.destination.name, "dlt", PLATFORM.engine},
            skippable=True,
            metadata=self._columns(),
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=self.freshness_hours)),
        )

        @dg.multi_asset(
            name="__".join(key.path),
            specs=[spec],
            partitions_def=self.days.partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            op_tags={"room": "feedback"},
        )
        def read_back(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult[Any]]:
            # The engine's switch is asked at run time: a fresh clone makes no request until a sync is switched on.
            from cdp_platform.syncs.controls import is_enabled
            from cdp_platform.syncs.journal import Journal

            day, last = days_of(context)
            if day != last:
                yield self._recall(context, platform, history, day, last)
                return
            if not is_enabled(Journal(platform.home), self.sync):
                context.log.info(
                    f"The sync {self.sync} is switched off: nothing is read back. `cdp enable {self.sync}`"
                )
                return
            row_count = self._load(platform, day)
            _note(context, history, day, row_count)
            yield dg.MaterializeResult(metadata={"dagster/partition_row_count": row_count})

        return read_back

    def _recall(
        self, context: dg.AssetExecutionContext, platform: Platform, history: dg.AssetKey, first: date, last: date
    ) -> dg.MaterializeResult[Any]:
        """Note for a range of days what was read back on each. No request is made: nobody can be asked about the past.

        On the days before the first send nothing of ours was there, so nothing is what they hold.
        """
        relation = f"raw_{self.connection.name}.{self.destination.object}"
        with platform.warehouse.session(f"recalling {relation}") as session:
            counted: dict[date, int] = {}
            if session.columns(relation):
                sql = f"select feedback_day, count(*) as row_count from {relation} group by feedback_day"
                counted = {row["feedback_day"]: row["row_count"] for row in session.rows(sql)}
        days = list(each_day(first, last))
        for day in days:
            _note(context, history, day, counted.get(day, 0))
        return dg.MaterializeResult(
            metadata={
                "rows": sum(counted.get(day, 0) for day in days),
                "note": "A range reads nothing back: nobody can be asked about the past.",
            }
        )

    def _load(self, platform: Platform, day: date) -> int:
        from cdp_platform.ingest.load import load_table

        reader, properties = READERS[self.destination.name, self.destination.object]
        session = open_session(self.connection, destination_of(self.connection), platform.home, self.destination.object)
        try:
            rows = reader(session, properties, day)
        finally:
            session.close()
        rows, _ = without_forgotten_rows(platform, f"raw_{self.connection.name}.{self.destination.object}", rows)
        with platform.warehouse.exclusive(f"loading feedback/{self.connection.name}/{self.destination.object}"):
            return load_table(
                rows,
                name=self.destination.object,
                dataset=f"raw_{self.connection.name}",
                destination=platform.dlt_destination(),
                pipelines_dir=platform.home.dlt,
                replaced_days=("feedback_day", day, day),
            ).row_count


def _note(context: dg.AssetExecutionContext, history: dg.AssetKey, day: date, row_count: int) -> None:
    """Log that a day stands in the history; the models of later days read it from there."""
    metadata = {"dagster/partition_row_count": row_count}
    context.log_event(dg.AssetMaterialization(history, partition=day.isoformat(), metadata=metadata))
