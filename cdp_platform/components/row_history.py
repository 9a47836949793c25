"""Whether an asset's newest row count is like those before it: by the median, which one odd day does not move."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

_NORMAL: Final = 1.4826
"""What makes the median absolute deviation of normally distributed counts their standard deviation."""
_SMALLEST_SHARE: Final = 0.01
"""Counts that never varied may vary by so much of the median, and by one row."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How far the newest count is from those before it."""

    count: float
    median: float
    spread: float
    """Rows that the counts usually vary by; never 0."""

    @property
    def deviations(self) -> float:
        """The distance from the median, in spreads."""
        return abs(self.count - self.median) / self.spread


def judge(count: float, before: Sequence[float]) -> Judged:
    """Judge a count by those before it; there has to be one."""
    middle = median(before)
    usual = _NORMAL * median(abs(one - middle) for one in before)
    return Judged(count=count, median=middle, spread=max(usual, _SMALLEST_SHARE * abs(middle), 1.0))
