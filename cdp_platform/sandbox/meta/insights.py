"""What campaigns did, by day: a seeded history that is restated for 28 days, as attribution windows close.

Vendor's page: developers.facebook.com/docs/marketing-api/reference/ad-account/insights (read 2026-11-22). Numbers come
as text, as at the vendor. A day counts in full 28 days later; until then a part of its clicks is still missing.
"""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from cdp_platform.sandbox.meta.account import ACCOUNT_ID, AdAccount
from cdp_platform.sandbox.meta.answers import invalid, json_parameter, page_of
from cdp_platform.sandbox.meta.audiences import require_account
from cdp_platform.sandbox.wire import Answer, ApiRequest

WINDOW_DAYS: Final = 28
FIRST_DAY: Final = date(2017, 1, 1)
CAMPAIGNS: Final = (
    ("23860000000000101", "Everyday low prices", 9_000, 0.011, 0.42),
    ("23860000000000102", "Fresh produce", 5_200, 0.016, 0.55),
    ("23860000000000103", "Win back", 2_600, 0.021, 0.90),
    ("23860000000000104", "Loyal shoppers", 1_800, 0.034, 0.61),
)
"""Id, name, impressions on an ordinary day, share that clicks, dollars a click."""
_FIELDS: Final = (
    "campaign_id", "campaign_name", "impressions", "clicks", "spend", "account_id", "account_currency", "date_start",
    "date_stop",
)  # fmt: skip
_PAGE: Final = 25


class InsightsApi:
    """The insights of one ad account."""

    def __init__(self, account: AdAccount, seed: int) -> None:
        self._account = account
        self._seed = seed

    def read(self, request: ApiRequest) -> Answer:
        """GET act_{id}/insights, of campaigns and by single days."""
        require_account(request)
        if request.query.get("level") != "campaign" or request.query.get("time_increment") != "1":
            raise invalid("the sandbox knows level=campaign with time_increment=1 only")
        first, last = _range(json_parameter(request.query, "time_range"))
        asked = [name for name in request.query.get("fields", "impressions,spend").split(",") if name]
        if strangers := [name for name in asked if name not in _FIELDS]:
            raise invalid(f"{strangers[0][:50]} is not valid for fields param")
        names = {*asked, "date_start", "date_stop"}
        rows = [{name: row[name] for name in row if name in names} for row in self.rows(first, last)]
        return page_of(rows, request, default=_PAGE)

    def rows(self, first: date, last: date) -> Iterator[dict[str, Any]]:
        """What is known by now of the days from `first` to `last`; nothing of days to come."""
        today = self._account.now().date() - timedelta(days=1)
        for offset in range((min(last, today) - max(first, FIRST_DAY)).days + 1):
            day = max(first, FIRST_DAY) + timedelta(days=offset)
            yield from (self._row(campaign, day, (today - day).days) for campaign in CAMPAIGNS)

    def _row(self, campaign: tuple[str, str, int, float, float], day: date, age_days: int) -> dict[str, Any]:
        campaign_id, name, ordinary, click_share, price = campaign
        chance = random.Random(f"{self._seed}/{campaign_id}/{day}")
        impressions = round(ordinary * chance.uniform(0.8, 1.25) * (1.3 if day.weekday() >= 5 else 1.0))
        clicks = impressions * click_share * chance.uniform(0.85, 1.15)
        known = min(1.0, 0.9 + 0.1 * age_days / WINDOW_DAYS)
        return {
            "campaign_id": campaign_id,
            "campaign_name": name,
            "impressions": str(impressions),
            "clicks": str(round(clicks * known)),
            "spend": f"{clicks * price:.2f}",
            "account_id": ACCOUNT_ID,
            "account_currency": "USD",
            "date_start": day.isoformat(),
            "date_stop": day.isoformat(),
        }


def _range(told: Any) -> tuple[date, date]:
    try:
        first, last = date.fromisoformat(told["since"]), date.fromisoformat(told["until"])
    except (TypeError, KeyError, ValueError):
        raise invalid("time_range must hold since and until, both yyyy-mm-dd") from None
    if last < first:
        raise invalid("time_range: since lies after until", subcode=1487749)
    return first, last
