"""What a session's statements have cost on Snowflake, as its own history tells without delay.

A statement has no credits of its own there: the bill counts the time for which a warehouse runs. So the credits of
computing are an estimate, by the rates of Snowflake's documentation on compute cost.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from cdp_platform.domain.costs import Cost
from cdp_platform.warehouse.literals import literal

_SIZES: Final = (
    "X-Small", "Small", "Medium", "Large", "X-Large", "2X-Large", "3X-Large", "4X-Large", "5X-Large", "6X-Large",
)  # fmt: skip
CREDITS_PER_HOUR: Final = {size.lower(): 2**place for place, size in enumerate(_SIZES)}
"""Credits per full hour of a standard warehouse of the first generation with one cluster, by size in small letters."""
_HOUR_SECONDS: Final = 3600
_TOLD: Final = (
    "select warehouse_size, warehouse_type, sum(execution_time), sum(bytes_scanned), sum(credits_used_cloud_services)"
    " from table(information_schema.query_history_by_session(result_limit => 10000))"
    " where contains(query_tag, {tag}) group by 1, 2 order by 1, 2"
)

Run = Callable[[str], Sequence[Sequence[Any]]]


def with_history(cost: Cost, run: Run, tag: str) -> Cost:
    """Complete `cost` by what the history tells of statements whose query tag holds `tag`; unknown stays None.

    Statements that no warehouse ran, such as those that make relations, have cloud services' credits alone. The history
    holds the last 10,000 of a session. Raises the connector's errors where it cannot be asked.
    """
    groups = run(_TOLD.format(tag=literal(tag)))
    at_work = [group for group in groups if group[0]]
    return replace(
        cost,
        bytes_scanned=_whole(_sum([group[3] for group in groups])),
        seconds=_rounded(_sum([group[2] for group in at_work]), 1000),
        size=", ".join(dict.fromkeys(str(group[0]) for group in at_work)) or None,
        credits=_rounded(_sum([group[4] for group in groups]), 1),
        estimated_credits=_estimate(at_work),
    )


def _estimate(groups: Sequence[Sequence[Any]]) -> float | None:
    """Credits of computing; None where nothing ran in a warehouse, or in one whose rate is not known."""
    told = []
    for size, kind, milliseconds, *_ in groups:
        rate = CREDITS_PER_HOUR.get(str(size).lower())
        if rate is None or str(kind).upper() != "STANDARD" or milliseconds is None:
            return None
        told.append(float(milliseconds) / 1000 / _HOUR_SECONDS * rate)
    return round(sum(told), 9) if told else None


def _sum(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return sum(known) if known else None


def _rounded(value: float | None, parts: int) -> float | None:
    return None if value is None else round(value / parts, 9)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
