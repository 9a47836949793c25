"""The account of a vendor that a source reads: the same words as in a sync, and the session that leads there."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import dagster as dg
from pydantic import Field

from cdp_platform.components.destination import OAuthAccess, Options
from cdp_platform.components.resources import Platform
from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.registry import find_destination
from cdp_platform.domain.syncs import Connection
from cdp_platform.ingest import hubspot_marketing, meta, salesforce, zoho
from cdp_platform.ingest.declared import Reading
from cdp_platform.ingest.vendor_api import ApiSource, read_table

API_SOURCES: Final[Mapping[str, ApiSource]] = {
    "hubspot": hubspot_marketing.SOURCE,
    "meta": meta.SOURCE,
    "salesforce": salesforce.SOURCE,
    "zoho": zoho.SOURCE,
}
"""The vendors whose APIs the platform can read, by the source's name."""
ALL_DAYS: Final = (date.min, date.max)


class SourceAccount(dg.Model, dg.Resolvable):
    """One account of a vendor."""

    token_env: str | None = Field(default=None, description="Name of the variable that holds the token.")
    oauth: OAuthAccess | None = Field(default=None, description="OAuth 2, in place of `token_env`.")
    base_url: str | None = Field(default=None, description="Address of the account; left out: the vendor's own.")
    base_url_env: str | None = Field(default=None, description="Name of a variable that, where set, replaces it.")
    options: Options = Field(
        default_factory=dict, description="What else the source has to be told, as ad_account_id; no secrets."
    )

    def read(self, source: ApiSource, name: str, table: str, platform: Platform, days: tuple[date, date]) -> Reading:
        """Read a table's rows of some days, both inclusive, through the session of the vendor's destination."""
        connection = Connection(
            name=name,
            vendor=source.destination,
            token_env=self.token_env,
            oauth=self.oauth.as_oauth() if self.oauth else None,
            base_url=self.base_url,
            base_url_env=self.base_url_env,
        )
        session = open_session(connection, find_destination(source.destination), platform.home, source.object)
        try:
            return Reading(rows=read_table(session, source.tables[table], self.options, days))
        finally:
            session.close()


def reloaded(days: tuple[date, date], reload_days: int, start: date) -> tuple[date, date]:
    """The days to load where a vendor still restates the last `reload_days`; none before `start`."""
    first, last = days
    return max(start, min(first, last - timedelta(days=reload_days - 1))) if reload_days else first, last


def newer_snapshot(platform: Platform, relation: str, day_column: str, day: date) -> date | None:
    """The newest day after `day` of which a snapshot stands in a table; None where there is none."""
    with platform.warehouse.session(f"looking for snapshots in {relation}") as session:
        if day_column not in session.columns(relation):
            return None
        [row] = session.rows(f"select max({day_column}) as newest from {relation} where {day_column} > ?", [day])
    newest: date | None = row["newest"]
    return newest
