"""The partitions of a sync: by the model's day, by a value such as the market, or both.

Each partition is a run of its own, with a plan of its own: what fails is one partition, and is repaired alone.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import dagster as dg
from pydantic import Field

from cdp_platform.components.days import Days
from cdp_platform.domain.partitions import SEPARATOR, Partition, Partitioning
from cdp_platform.domain.permission import ObjectKind
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import FirstRun, Mode, SyncSpec
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.texts.catalogue import text

DAY, VALUE = "day", "split"
"""The dimensions of a sync that has both: their order is that of the names."""
PARTITIONED_TAG, DAYS_TAG = "cdp_platform/partitioned", "cdp_platform/days"
"""On the assets of a sync with partitions, by which jobs over whole groups leave them out or take them in."""
OUTSIDE_CHECK: Final = "rows_in_a_partition"
_VALUE: Final = re.compile(r"\w[\w .&+-]{0,59}")


class SyncDays(Days):
    """The local days that a sync is cut into, and the column that tells a row's day."""

    column: str = Field(description="The source model's column with a row's day: a date, or a time in `time_zone`.")


class SyncSplit(dg.Model, dg.Resolvable):
    """The values that a sync is cut into, as markets or stores."""

    column: str = Field(description="The source model's column that tells which partition a row is in.")
    values: list[str] = Field(min_length=1, description="Every value that has a partition; others are never sent.")

    @property
    def partitions(self) -> dg.StaticPartitionsDefinition:
        """The partitions, in the order of the values. Raises ConfigError for a value that cannot name one."""
        for value in self.values:
            if not _VALUE.fullmatch(value) or ".." in value:
                raise ConfigError(
                    f"{value[:60]!r} cannot name a partition.",
                    remedy="Use letters, digits, blanks and . & + - _, at most 60.",
                    field="split.values",
                )
        if doubled := sorted({value for value in self.values if self.values.count(value) > 1}):
            raise ConfigError(f"the value {doubled[0]!r} stands twice.", field="split.values")
        return dg.StaticPartitionsDefinition(self.values)


def partitions_of(days: SyncDays | None, split: SyncSplit | None) -> dg.PartitionsDefinition[Any] | None:
    """Dagster's partitions; None for a sync that is not cut. Raises ConfigError for days or values that cannot be."""
    if days and split:
        return dg.MultiPartitionsDefinition({DAY: days.partitions, VALUE: split.partitions})
    if days:
        return days.partitions
    return split.partitions if split else None


def partitioning_of(days: SyncDays | None, split: SyncSplit | None) -> Partitioning | None:
    """The same as the engine knows it."""
    if days is None and split is None:
        return None
    return Partitioning(
        day_column=days.column if days else None,
        time_zone=days.time_zone if days else "UTC",
        split_column=split.column if split else None,
        split_values=tuple(split.values) if split else (),
    )


def check_partitions(spec: SyncSpec, kind: ObjectKind) -> None:
    """Raise ConfigError for partitions that would remove, withhold or hide what they must not."""
    cut = spec.partitioning
    if cut is None:
        return
    if cut.day_column and spec.mode is Mode.MIRROR:
        raise ConfigError(
            "a mirror has no days: the rows of one day are not all rows, and each day would remove the others'.",
            remedy="Leave `days` out; a mirror may be cut by `split`.",
            field="days",
        )
    if cut.day_column and spec.view is not None:
        raise ConfigError(
            "an audience has no days: it holds who is a member now.", remedy="Leave `days` out.", field="days"
        )
    if cut.day_column and spec.consent and spec.mode is not Mode.APPEND and kind is ObjectKind.RECORD:
        raise ConfigError(
            "records of people have no days: who withdraws is told of in the next run, whatever day their row is of.",
            remedy="Leave `days` out, or write `mode: append` or `purpose: none`.",
            field="days",
        )
    if spec.first_run is FirstRun.BASELINE:
        raise ConfigError(
            "a sync with partitions takes no baseline: the first partition's would stand for all.",
            remedy="Leave `first_run` out, or take the baseline before `days` or `split` is added.",
            field="first_run",
        )


def split_in_view(split: SyncSplit | None, columns: dict[str, str] | None) -> SyncSplit | None:
    """The split in the columns of an audience's view; `columns` is None for a sync of a model."""
    if split is None or columns is None:
        return split
    if split.column not in columns:
        raise ConfigError(
            f"the sync does not read {split.column!r} of the audience's people.",
            remedy="Map the column to a field, too.",
            field="split.column",
        )
    return split.model_copy(update={"column": columns[split.column]})


def tags_of(days: SyncDays | None, split: SyncSplit | None) -> dict[str, str]:
    """Tags of a sync's assets: whether it has partitions and, where they are days alone, which."""
    if days and not split:
        return {PARTITIONED_TAG: "true", DAYS_TAG: days_tag(days)}
    return {PARTITIONED_TAG: "true"} if split else {}


def days_tag(days: Days) -> str:
    """Name a range of days in a tag; equal ranges have equal names."""
    zone = days.time_zone.replace("/", ".").replace("+", "_")
    return f"{days.start}_{days.end or 'today'}_{zone}"[:63]


def partition_of(context: dg.AssetExecutionContext, cut: Partitioning | None) -> Partition | None:
    """The partition that a run is of; None for a sync that is not cut.

    Raises CdpError for a run of no partition or of several at once.
    """
    if cut is None:
        return None
    is_of_some = context.has_partition_key or context.has_partition_key_range
    # A backfill asks for one partition as a range from it to itself.
    keys = context.partition_keys if is_of_some else []
    if len(keys) != 1:
        raise CdpError(
            "each partition of a sync is planned and sent by a run of its own.",
            remedy="Launch the range as a backfill, which makes a run for each partition.",
        )
    day, _, value = keys[0].partition(SEPARATOR) if cut.day_column else ("", "", keys[0])
    return Partition(day=date.fromisoformat(day) if day else None, value=value or None)


def require_partition(made: Plan, partition: Partition | None) -> None:
    """Raise CdpError for a plan, made by another run, of another partition than is to be sent."""
    if partition is not None and made.partition != partition.label:
        raise CdpError(
            f"the newest plan of sync {made.sync} is of {made.partition or 'no partition'}, not of {partition.label}.",
            remedy=f"Materialize plans/{made.sync} together with the destination, for this partition.",
        )


def partition_metadata(made: Plan) -> dict[str, Any]:
    """Say of which partition a plan is, and that there is nothing in it where that is so."""
    if not made.is_of_partition:
        return {}
    note = {} if made.model_rows else {"note": text("plan.no_rows", "en", partition=made.partition or "")}
    return {"partition": made.partition, **note}


def outside_specs(key: dg.AssetKey, cut: Partitioning | None) -> Sequence[dg.AssetCheckSpec]:
    """The check on a split sync's plan; it shows, and stops nothing."""
    if cut is None or cut.split_column is None:
        return []
    label = text("outside_rows.label", "en")
    return [dg.AssetCheckSpec(name=OUTSIDE_CHECK, asset=key, blocking=False, description=label)]


def outside_results(key: dg.AssetKey, cut: Partitioning | None, made: Plan) -> Sequence[dg.AssetCheckResult]:
    """Warn of rows whose value has no partition: no run will ever send them."""
    parts = ("failed", "remedy") if made.outside_rows else ("passed",)
    told = {"count": made.outside_rows, "column": (cut.split_column if cut else None) or ""}
    return [
        dg.AssetCheckResult(
            asset_key=key,
            check_name=spec.name,
            passed=made.outside_rows == 0,
            severity=dg.AssetCheckSeverity.WARN,
            description="\n".join(text(f"outside_rows.{part}", "en", **told) for part in parts),
            metadata={"rows": made.outside_rows},
        )
        for spec in outside_specs(key, cut)
    ]
