"""The loop's clock as an asset, the jobs that run it, and the sensors that keep it going.

A day of the loop is one run: its raw rows, the clock, its facts, people as of the clock, plans, destinations, feedback.
What is read back on a day is seen by the models of the next day.
"""

from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from cdp_platform.components.clock import announce, check_local, set_clock
from cdp_platform.components.column_metadata import column_metadata
from cdp_platform.components.days import Days, LocalDay, days_of
from cdp_platform.components.resources import PLATFORM, Platform, variable
from cdp_platform.components.sensors import new_raw_data_sensor, next_day_sensor
from cdp_platform.components.sync_partitions import DAYS_TAG, PARTITIONED_TAG, days_tag
from cdp_platform.errors import ConnectionFailed

CLOCK_KEY = dg.AssetKey(["raw", "loop", "clock"])

_FLOW = ("models", "audiences", "plans", "destinations", "feedback")


class Replay(dg.Model, dg.Resolvable):
    """The days that the loop runs one by one, after the history before them."""

    start: LocalDay = Field(description="The first day; all days before it are history, loaded as one range.")
    end: LocalDay = Field(description="The last day of the replay.")
    announce_to: str | None = Field(default=None, description="Address of the sandbox that is told the day.")
    announce_to_env: str | None = Field(default=None, description="Name of a variable that, where set, replaces it.")


class LoopComponent(dg.Component, dg.Model, dg.Resolvable):
    """Close the loop: clock, jobs and sensors."""

    days: Days = Field(description="The local days of the loop; the same as its sources'.")
    replay: Replay = Field(description="The days that are run one by one.")
    events: list[str] = Field(description="The daily raw assets of the loop, as raw/retail/transactions.")
    tables: list[str] = Field(
        default_factory=list, description="Raw tables without days that are loaded anew on each day."
    )
    feedback: str = Field(description="The feedback asset that ends a day, as feedback/hubspot/contacts.")
    owner: str = Field(default="team:data", description="Who answers for the loop: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the clock, the jobs `history`, `loop_day`, `refresh` and `plan_again`, and two sensors, both stopped."""
        if self.replay.announce_to:
            check_local(self.replay.announce_to)
        events = [dg.AssetKey.from_user_string(key) for key in self.events]
        loop_day, refresh = self._loop_day(events), self._refresh()
        return dg.Definitions(
            assets=[self._clock()],
            jobs=[self._history(), loop_day, refresh, self._plan_again()],
            sensors=[
                new_raw_data_sensor(events, refresh),
                next_day_sensor(dg.AssetKey.from_user_string(self.feedback), loop_day, self.replay),
            ],
            resources={"platform": PLATFORM},
        )

    def _clock(self) -> dg.AssetsDefinition:
        @dg.asset(
            key=CLOCK_KEY,
            group_name="sources",
            description="The day up to whose end people are described. It only goes forward; facts do not read it.",
            owners=[self.owner],
            kinds={PLATFORM.engine},
            metadata=column_metadata({"as_of_on": ("date", "The day up to whose end people are described.")}, {}),
            partitions_def=self.days.partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            op_tags={"room": "warehouse"},
        )
        def clock(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
            _, asked = days_of(context)
            shown = set_clock(platform.warehouse, asked)
            if shown != asked:
                context.log.warning(f"The clock stays at {shown}: it does not go back to {asked}.")
            self._announce(context, shown)
            return dg.MaterializeResult(metadata={"as_of_on": shown.isoformat(), "dagster/row_count": 1})

        return clock

    def _announce(self, context: dg.AssetExecutionContext, day: date) -> None:
        address = variable(self.replay.announce_to_env) or self.replay.announce_to
        if address is None:
            return
        try:
            announce(address, day)
        except ConnectionFailed as error:
            context.log.warning(f"The replayed day was not announced: {error}")

    def _history(self) -> Any:
        return dg.define_asset_job(
            "history",
            selection=dg.AssetSelection.groups("sources", "models", "audiences", "feedback").materializable(),
            description="All tables, the facts of a range of days, and people as of its last day. Sends nothing.",
        )

    def _loop_day(self, events: list[dg.AssetKey]) -> Any:
        tables = [dg.AssetKey.from_user_string(key) for key in self.tables]
        selection = dg.AssetSelection.assets(CLOCK_KEY, *events, *tables) | _whole(*_FLOW)
        selection |= dg.AssetSelection.tag(DAYS_TAG, days_tag(self.days))
        return dg.define_asset_job(
            "loop_day",
            selection=selection.materializable(),
            description="One day of the loop, from its raw rows to what the destinations say back.",
            metadata={
                "history_start": self.days.start.isoformat(),
                "replay_start": self.replay.start.isoformat(),
                "replay_end": self.replay.end.isoformat(),
                "feedback": self.feedback,
            },
        )

    def _refresh(self) -> Any:
        return dg.define_asset_job(
            "refresh",
            selection=_whole("models", "audiences", "plans").materializable(),
            description="Models and plans anew, after raw days have been loaded. Sends nothing.",
        )

    def _plan_again(self) -> Any:
        return dg.define_asset_job(
            "plan_again",
            selection=_whole("plans").materializable(),
            description="The plans alone: what would be sent now. Sends nothing.",
        )


def _whole(*groups: str) -> dg.AssetSelection:
    """The assets of these groups without the syncs that have partitions of their own, which no job can mix."""
    return dg.AssetSelection.groups(*groups) - dg.AssetSelection.tag(PARTITIONED_TAG, "true")
