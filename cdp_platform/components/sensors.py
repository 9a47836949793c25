"""Dagster's senses for the loop: new raw days ask for models and plans, a day read back asks for the next day.

Both are stopped until somebody starts them in the UI: a fresh clone does nothing by itself.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, Protocol

import dagster as dg

_RANGE_START: Final = "dagster/asset_partition_range_start"
_RANGE_END: Final = "dagster/asset_partition_range_end"
_MOST_EVENTS: Final = 500


class Replayed(Protocol):
    """The days that are run one by one, both ends inclusive."""

    @property
    def start(self) -> date: ...
    @property
    def end(self) -> date: ...


def new_raw_data_sensor(events: Sequence[dg.AssetKey], refresh: Any) -> dg.SensorDefinition:
    """Ask for `refresh` over the days that were loaded by runs which did not build the models themselves."""

    @dg.sensor(
        name="new_raw_data",
        job=refresh,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="New raw days, loaded alone, are followed by models and plans. Never by a send.",
    )
    def new_raw_data(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen = int(context.cursor or 0)
        records = [record for key in events for record in _materializations(context.instance, key, seen)]
        newest = max([seen, *(record.storage_id for record in records)])
        alone = [record for record in records if _is_alone(context, record)]
        days = sorted({record.partition_key for record in alone if record.partition_key})
        requests = []
        if days:
            tags = {_RANGE_START: days[0], _RANGE_END: days[-1]}
            requests = [dg.RunRequest(run_key=f"raw-{newest}", tags=tags)]
        return dg.SensorResult(run_requests=requests, cursor=str(newest))

    return new_raw_data


def next_day_sensor(feedback: dg.AssetKey, loop_day: Any, replay: Replayed) -> dg.SensorDefinition:
    """Ask for the day after each one that has been read back, until the replay's last day."""

    @dg.asset_sensor(
        asset_key=feedback,
        job=loop_day,
        name="next_day",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="A day that has been read back is followed by the next day of the loop, until the replay ends.",
    )
    def next_day(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest | dg.SkipReason:
        partition = event.dagster_event.partition if event.dagster_event else None
        if partition is None:
            return dg.SkipReason("The read-back has no day.")
        following = date.fromisoformat(partition) + timedelta(days=1)
        if not replay.start <= following <= replay.end:
            return dg.SkipReason(f"{partition} is the last day of the replay, or lies long before it.")
        return dg.RunRequest(run_key=f"loop-{following}", partition_key=following.isoformat())

    return next_day


def _materializations(instance: dg.DagsterInstance, key: dg.AssetKey, after: int) -> Sequence[dg.EventLogRecord]:
    records = dg.AssetRecordsFilter(asset_key=key, after_storage_id=after)
    return instance.fetch_materializations(records, limit=_MOST_EVENTS, ascending=True).records


def _is_alone(context: dg.SensorEvaluationContext, record: dg.EventLogRecord) -> bool:
    """Whether the run that loaded the day builds no model."""
    run = context.instance.get_run_by_id(record.run_id)
    if run is None:
        return True
    if run.asset_selection is None:
        return run.job_name not in ("history", "loop_day")
    return all(key.path[0] == "raw" for key in run.asset_selection)
