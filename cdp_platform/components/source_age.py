"""How old the newest events are that a destination shows, and the words for it.

Where days are replayed the plan is as of a day: events until its end are known, and now is the end of the clock's day.
Elsewhere a plan knows what its sources had delivered when it was made: of several sources the one loaded longest ago.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from cdp_platform.domain.plans import Plan
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import ensure_tables
from cdp_platform.texts.catalogue import LANGUAGES, name_of, text
from cdp_platform.warehouse.base import Warehouse

_MOST_LOADS = 100


@dataclass(frozen=True, kw_only=True)
class SourceAge:
    """Until when a destination shows what happened, and how long ago that is. `until` is aware, in the given zone."""

    until: datetime
    minutes: float
    """Never below 0."""

    def words(self, connection: str, language: str) -> str:
        """Say it: HubSpot shows what customers did until 14:05 on 21 Nov 2026, Asia/Taipei."""
        told = {"time": f"{self.until:%H:%M}", "day": self.until.date(), "zone": str(self.until.tzinfo)}
        return text("freshness.shows_until", language, destination=name_of(connection, language), **told)

    def metadata(self, connection: str) -> dict[str, Any]:
        """The age as a number that Dagster plots, and the words in every language."""
        said = {f"says/{language}": self.words(connection, language) for language in LANGUAGES}
        return {"source_age_minutes": self.minutes, "shows_until": self.until.isoformat(), **said}


def delivered_plan(warehouse: Warehouse, journal: Journal, sync: str) -> Plan | None:
    """The plan of the newest run that ended with nothing pending; None where there was none."""
    with warehouse.session(f"the newest run of {sync}") as session:
        ensure_tables(session)
        rows = session.rows(
            "select digest from cdp.sync_runs where sync = ? and status <> 'deferred' and pending = 0"
            " order by ended_at desc limit 1",
            [sync],
        )
    return journal.plan(sync, digest=rows[0]["digest"]) if rows else None


def source_age(
    plan: Plan, loads: Sequence[datetime | None], *, clock: date | None, zone: ZoneInfo, now: datetime
) -> SourceAge | None:
    """Tell until when the plan knew what happened. `loads` are its sources' newest loads before it was made.

    None where a source was never loaded before, or where none is named and no day is replayed.
    """
    if clock and (day := _day_of(plan)):
        until, present = _end_of(day, zone), _end_of(clock, zone)
    else:
        known = [load for load in loads if load is not None]
        if not known or len(known) < len(loads):
            return None
        until, present = min(known).astimezone(zone), now
    return SourceAge(until=until, minutes=round(max((present - until).total_seconds(), 0.0) / 60, 1))


def newest_load(instance: dg.DagsterInstance, source: dg.AssetKey, before: datetime) -> datetime | None:
    """The instant of the newest materialization of a source before another instant; None where there is none."""
    records = dg.AssetRecordsFilter(asset_key=source, before_timestamp=before.timestamp())
    found = instance.fetch_materializations(records, limit=_MOST_LOADS).records
    return datetime.fromtimestamp(max(record.timestamp for record in found), UTC) if found else None


def _day_of(plan: Plan) -> date | None:
    """The day that a plan is as of, or is of; None where it is of another part, as a market."""
    try:
        return date.fromisoformat((plan.partition or "")[:10])
    except ValueError:
        return None


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), zone)
