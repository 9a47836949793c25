"""On which day of the loop was what delivered: the asset `feedback/loop/deliveries`, after the destinations of a day.

The sync log knows when a row was accepted, in the time of the wall. A replay's days are others, and the day after which
somebody bought is one of them; so each settle is dated once, by the clock. The models read the external asset
`…_history`, as they do of every feedback: what was delivered on a day is known to the models of the next.
"""

from datetime import date
from typing import Any, Final

import dagster as dg
from pydantic import Field

from cdp_platform.components.clock import clock_day
from cdp_platform.components.column_metadata import column_metadata
from cdp_platform.components.resources import PLATFORM, Platform

_KEY: Final = dg.AssetKey(["feedback", "loop", "deliveries"])
_HISTORY: Final = dg.AssetKey(["feedback", "loop", "deliveries_history"])
_COLUMNS: Final = {
    "ledger_id": ("varchar", "Ledger of the sync at this account."),
    "version": ("bigint", "Version of the ledger that the settle made."),
    "sync": ("varchar", "Sync."),
    "primary_key": ("varchar", "Key of the row: a person in syncs of people."),
    "operation": ("varchar", "create, update, withdraw or remove."),
    "delivered_on": ("date", "Day of the loop."),
}
DAYS_TABLE: Final = "cdp.settle_days"
VIEW: Final = "cdp.deliveries"
_SELECT: Final = f"""
    select rows.ledger_id, rows.version, settles.sync, rows.primary_key, rows.operation, days.delivered_on
    from cdp.delivered_rows as rows
    join cdp.settles as settles on settles.ledger_id = rows.ledger_id and settles.version = rows.version
    join {DAYS_TABLE} as days on days.ledger_id = rows.ledger_id and days.version = rows.version
"""
_UNDATED: Final = f"""
    from cdp.settles as settles
    where not exists (
        select 1 from {DAYS_TABLE} as days
        where days.ledger_id = settles.ledger_id and days.version = settles.version)
"""


class DeliveriesComponent(dg.Component, dg.Model, dg.Resolvable):
    """Date what was delivered by the loop's clock, so that models can compare it with what people did afterwards."""

    syncs: list[str] = Field(description="The destinations' assets, as hubspot/crm_contacts; all syncs are dated.")
    owner: str = Field(default="team:data", description="Who answers for it: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the asset and its history."""
        told = {"dagster/table_name": VIEW, **column_metadata(_COLUMNS, {})}
        history = dg.AssetSpec(
            key=_HISTORY,
            group_name="sources",
            description="What was delivered before the clock's day; the models of a day never read the day's own.",
            owners=[self.owner],
            kinds={PLATFORM.engine},
            metadata=told,
        )

        @dg.asset(
            key=_KEY,
            deps=[dg.AssetKey.from_user_string(key) for key in self.syncs],
            group_name="feedback",
            description="Each row that a destination accepted, with the day of the loop; one row per delivery.",
            owners=[self.owner],
            kinds={PLATFORM.engine},
            metadata=told,
            backfill_policy=dg.BackfillPolicy.single_run(),
            op_tags={"room": "feedback"},
        )
        def deliveries(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
            dated = date_settles(platform, clock_day(platform.warehouse))
            context.log_event(dg.AssetMaterialization(_HISTORY, metadata={"settles": dated}))
            return dg.MaterializeResult(metadata={"settles": dated})

        return dg.Definitions(assets=[deliveries, history], resources={"platform": PLATFORM})


def date_settles(platform: Platform, day: date) -> int:
    """Give each settle that has none its day, and return their number; a day that was given stays."""
    from cdp_platform.syncs.ledger import ensure_tables

    with platform.warehouse.session("dating what was delivered") as session:
        ensure_tables(session)
        session.execute(
            f"create table if not exists {DAYS_TABLE} (ledger_id varchar, version bigint, delivered_on date)"
        )
        session.execute(f"create or replace view {VIEW} as {_SELECT}")
        with session.transaction():
            [row] = session.rows(f"select count(*) as settles {_UNDATED}")
            session.execute(f"insert into {DAYS_TABLE} select ledger_id, version, ? {_UNDATED}", [day])
    return int(row["settles"])
