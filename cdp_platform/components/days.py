"""Days as partitions: local days of the entity's time zone, from a first to a last."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import dagster as dg
from pydantic import Field

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError


def _as_it_is(context: Any, value: Any) -> Any:
    return value


LocalDay = Annotated[date, dg.Resolver(_as_it_is, model_field_type=date)]
OptionalLocalDay = Annotated[date | None, dg.Resolver(_as_it_is, model_field_type=date | None)]


class Days(dg.Model, dg.Resolvable):
    """A range of local days, both ends inclusive."""

    start: LocalDay = Field(description="The first local day, as 2017-01-01.")
    end: OptionalLocalDay = Field(default=None, description="The last local day, inclusive; left out: until today.")
    time_zone: str = Field(default="UTC", description="The entity's time zone, as America/New_York.")

    @property
    def partitions(self) -> dg.DailyPartitionsDefinition:
        """The daily partitions; equal declarations give equal partitions, which one run can span.

        Raises ConfigError for a range that ends before it starts and for an unknown time zone.
        """
        if self.end is not None and self.end < self.start:
            raise ConfigError(f"the range ends on {self.end}, before it starts.", field="days.end")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigError(
                f"there is no time zone {self.time_zone!r}.",
                field="days.time_zone",
                remedy=nearest_of(self.time_zone, available_timezones()),
            ) from None
        end = self.end + timedelta(days=1) if self.end else None
        return dg.DailyPartitionsDefinition(
            start_date=self.start.isoformat(), end_date=end.isoformat() if end else None, timezone=self.time_zone
        )


def days_of(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """Return the first and the last day of the run, inclusive; a single day twice."""
    keys = context.partition_key_range
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def each_day(first: date, last: date) -> Iterator[date]:
    """Yield the days from `first` to `last`, inclusive."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)
