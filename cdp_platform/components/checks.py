"""Checks that YAML declares on any asset: how old its events are, whether the books agree, whether it drifts or jumps.

They are asked for after the asset in every run that makes it, and alone whenever somebody wants to know.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import dagster as dg
from pydantic import Field

from cdp_platform.components.clock import read_clock
from cdp_platform.components.markdown import table
from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.components.row_history import judge
from cdp_platform.components.source_age import delivered_plan, newest_load, source_age
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.reconcile import Reading, Reconciliation, reconcile
from cdp_platform.texts.catalogue import text

_COUNTS = ("dagster/row_count", "dagster/partition_row_count")

Severity = Literal["warn", "error"]
Judge = Callable[[dg.AssetCheckExecutionContext, Platform], dg.AssetCheckResult]


class SourceAgeCheck(dg.Model, dg.Resolvable):
    """What the destination shows is not older than a limit, from the source's event to the record there."""

    asset: str = Field(description="The destination's asset, as hubspot/crm_contacts.")
    sources: list[str] = Field(
        default_factory=list,
        description="The raw assets whose newest load counts, as raw/web/events; of a replay its clock counts instead.",
    )
    limit_minutes: int = Field(gt=0, description="Older than this, the check fails.")
    time_zone: str = Field(default="UTC", description="The zone of the days, and of the words, as Asia/Taipei.")
    severity: Severity = Field(default="warn", description="What a failure is: warn or error.")

    def zone(self) -> ZoneInfo:
        """The time zone; raise ConfigError for an unknown one."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigError(
                f"there is no time zone {self.time_zone!r}.",
                remedy=nearest_of(self.time_zone, available_timezones()),
                field="source_age",
            ) from None


class ReadBackCheck(dg.Model, dg.Resolvable):
    """The destination holds what the ledger says, by what was read back last."""

    asset: str = Field(description="The asset of the read-back, as feedback/hubspot/contacts.")
    sync: str = Field(description="The sync that writes these records.")
    key: str = Field(description="The read-back's column with the records' match values.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="Field of the sync → the column that shows it; these are compared."
    )
    read_at: str = Field(default="read_at", description="The column with the time of the reading.")
    severity: Severity = Field(default="warn", description="What a failure is: warn or error.")

    def reading(self) -> Reading:
        """The read-back's table."""
        connection, name = self.asset.split("/")[-2:]
        relation = f"raw_{connection}.{name}"
        return Reading(relation=relation, key=self.key, columns=self.columns, read_at=self.read_at)


class ReconciliationCheck(ReadBackCheck):
    """After a send: no more than so many records are missing there, or there without our knowing."""

    most: int = Field(default=0, ge=0, description="Records that may be missing or extra.")


class DriftCheck(ReadBackCheck):
    """Fields there still hold what we wrote: no more than a share of the records has another value."""

    share: float = Field(default=0.05, ge=0, le=1, description="Share of our records that may have another value.")


class RowCountCheck(dg.Model, dg.Resolvable):
    """The newest row count is like those before it, by their median and their median absolute deviation."""

    asset: str = Field(description="Any asset with row counts, as marts/orders.")
    deviations: float = Field(default=6.0, gt=0, description="Usual deviations that the count may be away.")
    last: int = Field(default=20, gt=1, description="So many counts before the newest are compared with.")
    least: int = Field(default=5, gt=0, description="With fewer counts than this nothing is judged.")
    severity: Severity = Field(default="warn", description="What a failure is: warn or error.")


class ChecksComponent(dg.Component, dg.Model, dg.Resolvable):
    """Watch assets by checks with a threshold and a severity."""

    source_age: list[SourceAgeCheck] = Field(default_factory=list, description="From the source's event to the record.")
    reconciliation: list[ReconciliationCheck] = Field(default_factory=list, description="Ledger against read-back.")
    drift: list[DriftCheck] = Field(default_factory=list, description="Fields that were changed there.")
    row_count: list[RowCountCheck] = Field(default_factory=list, description="Row counts against their own history.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make a check for each entry; raise ConfigError for an asset that has the same check twice."""
        checks = [_asset_check(*one) for one in self._judges()]
        return dg.Definitions(asset_checks=checks, resources={"platform": PLATFORM})

    def _judges(self) -> Iterator[tuple[str, str, str, Judge]]:
        """Name, asset, what is claimed, and what judges it."""
        for age in self.source_age:
            zone = age.zone()
            yield "source_age", age.asset, f"At most {age.limit_minutes} minutes old.", _source_age(age, zone)
        for books in self.reconciliation:
            said = f"At most {books.most} records of {books.sync} are missing or extra there."
            yield "reconciliation", books.asset, said, _reconciliation(books)
        for drift in self.drift:
            said = f"At most {drift.share:.0%} of the records have another value than {drift.sync} wrote."
            yield "drift", drift.asset, said, _drift(drift)
        for rows in self.row_count:
            said = f"At most {rows.deviations:g} usual deviations from the median of {rows.last} counts."
            yield "row_count", rows.asset, said, _row_count(rows)


def _asset_check(name: str, asset: str, said: str, judged: Judge) -> dg.AssetChecksDefinition:
    key = dg.AssetKey.from_user_string(asset)

    @dg.asset_check(name=name, asset=key, description=said)
    def check(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        return judged(context, platform)

    return check


def _source_age(rule: SourceAgeCheck, zone: ZoneInfo) -> Judge:
    connection, sync = rule.asset.split("/")[-2:]

    def judged(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        plan = delivered_plan(platform.warehouse, Journal(platform.home), sync)
        sources = [dg.AssetKey.from_user_string(one) for one in rule.sources]
        loads = [newest_load(context.instance, one, plan.made_at) for one in sources] if plan else []
        clock = read_clock(platform.warehouse)
        found = source_age(plan, loads, clock=clock, zone=zone, now=now()) if plan else None
        if found is None:
            return _not_judged("nothing_shown")
        metadata = found.metadata(connection)
        # An observation of the asset, so that the age is plotted beside what its runs tell.
        context.op_execution_context.log_event(
            dg.AssetObservation(dg.AssetKey.from_user_string(rule.asset), metadata=metadata)
        )
        is_young = found.minutes <= rule.limit_minutes
        limit = {"limit_minutes": rule.limit_minutes}
        return _result(is_young, rule.severity, found.words(connection, "en"), metadata | limit)

    return judged


def now() -> datetime:
    """The present instant, in UTC; tests replace it."""
    return datetime.now(UTC)


def _reconciliation(rule: ReconciliationCheck) -> Judge:
    def judged(found: Reconciliation) -> dg.AssetCheckResult:
        said = text(
            "freshness.reconciled", "en", known=found.known, missing=found.missing, extra=found.extra,
            different=found.different,
        )  # fmt: skip
        return _result(
            found.missing + found.extra <= rule.most, rule.severity, said, _books(found) | {"most": rule.most}
        )

    return _reading_back(rule, judged)


def _drift(rule: DriftCheck) -> Judge:
    def judged(found: Reconciliation) -> dg.AssetCheckResult:
        said = text("freshness.drifted", "en", different=found.different, known=found.known)
        metadata = _books(found) | {"share": round(found.different_share, 6), "limit": rule.share}
        return _result(found.different_share <= rule.share, rule.severity, said, metadata)

    return _reading_back(rule, judged)


def _reading_back(rule: ReadBackCheck, judged: Callable[[Reconciliation], dg.AssetCheckResult]) -> Judge:
    def ask(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        with platform.warehouse.session(f"comparing {rule.sync} with what was read back") as session:
            found = reconcile(session, platform.warehouse.dialect, rule.sync, rule.reading())
        return judged(found) if found else _not_judged("nothing_read")

    return ask


def _books(found: Reconciliation) -> dict[str, Any]:
    return {
        "known": found.known,
        "there": found.there,
        "missing": found.missing,
        "extra": found.extra,
        "different": found.different,
        "read_at": found.read_at.isoformat(),
        "different_fields": dg.MetadataValue.md(table(("field", "records"), found.by_field.items())),
    }


def _row_count(rule: RowCountCheck) -> Judge:
    key = dg.AssetKey.from_user_string(rule.asset)

    def judged(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        counts = _counts(context.instance, key, rule.last + 1)
        if len(counts) <= rule.least:
            return _not_judged("little_history", count=max(len(counts) - 1, 0), least=rule.least)
        found = judge(counts[0], counts[1:])
        told = {"rows": round(found.count), "median": round(found.median), "before": len(counts) - 1}
        said = text("freshness.row_count", "en", **told, deviations=f"{found.deviations:.1f}")
        metadata = {**told, "deviations": round(found.deviations, 2), "limit": rule.deviations}
        return _result(found.deviations <= rule.deviations, rule.severity, said, metadata)

    return judged


def _counts(instance: dg.DagsterInstance, key: dg.AssetKey, limit: int) -> Sequence[float]:
    """The newest row counts of an asset, the newest first; materializations without one are passed over."""
    records = instance.fetch_materializations(key, limit=limit).records
    metadata = [record.asset_materialization.metadata for record in records if record.asset_materialization]
    found = [next((told[name] for name in _COUNTS if name in told), None) for told in metadata]
    return [float(one.value) for one in found if one is not None and isinstance(one.value, int | float)]


def _result(passed: bool, severity: Severity, said: str, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    level = dg.AssetCheckSeverity.ERROR if severity == "error" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(passed=passed, severity=level, description=said, metadata=metadata)


def _not_judged(why: str, **given: int) -> dg.AssetCheckResult:
    """Nothing can be said yet: no failure, and the words say so."""
    return dg.AssetCheckResult(passed=True, description=text(f"freshness.{why}", "en", **given))
