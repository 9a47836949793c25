"""How a sync's source model is cut into partitions: by day, by a value such as the market, or both."""

from dataclasses import dataclass
from datetime import date

SEPARATOR = "|"
"""Between the day and the value in a partition's label; no value may hold it."""


@dataclass(frozen=True, kw_only=True)
class Partitioning:
    """The columns that tell which partition a row is in; at least one of them is set."""

    day_column: str | None = None
    """A date, or a time that is read as a local day in `time_zone`."""
    time_zone: str = "UTC"
    split_column: str | None = None
    split_values: tuple[str, ...] = ()
    """Every value that has a partition; rows with another one are in none."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition. None: the source model is not cut that way."""

    day: date | None = None
    value: str | None = None

    @property
    def label(self) -> str:
        """How books and logs name it: `2017-12-25`, `tw` or `2017-12-25|tw`."""
        return SEPARATOR.join(part for part in (self.day and self.day.isoformat(), self.value) if part)
