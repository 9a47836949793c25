"""The Marketing Campaigns API as the vendor's documents describe it, as far as it reads.

Vendor's pages: developers.hubspot.com/docs/api-reference/legacy/marketing/campaigns/guide, get-campaigns, get-campaign
and budget/get-budget-totals (read 2026-11-23): a page has 50 campaigns, 100 at most; `sort` is hs_name, createdAt or
updatedAt, with a `-` before it downwards; `properties` names what is answered, and without it a campaign has an empty
map; `total` and `paging.next.after` as elsewhere. Only the names of the properties are documented: the words of
hs_campaign_status are ours. Not built: writing, assets with their metrics, revenue and attribution reports.
"""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

from cdp_platform.sandbox.hubspot.answers import invalid, not_found
from cdp_platform.sandbox.hubspot.objects import Objects
from cdp_platform.sandbox.hubspot.promotions import Campaign, Promotions
from cdp_platform.sandbox.hubspot.record_pages import CAMPAIGNS_PATH, kinds_menu, page_of
from cdp_platform.sandbox.hubspot.texts import Texts
from cdp_platform.sandbox.tables import panel, table
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_LISTED: Final = 100
_LISTED: Final = 50
_SORTS: Final[Mapping[str, Callable[[Campaign], str]]] = {
    "hs_name": lambda found: found.properties["hs_name"],
    "createdAt": lambda found: found.created_at,
    "updatedAt": lambda found: found.updated_at,
}
_SHOWN: Final = ("hs_name", "hs_start_date", "hs_end_date", "hs_campaign_status", "hs_utm")


class CampaignsApi:
    """The endpoints under /marketing/v3/campaigns. Each raises RequestError for a request that it does not take."""

    def __init__(self, promotions: Promotions) -> None:
        self._promotions = promotions

    def list_campaigns(self, request: ApiRequest) -> Answer:
        """GET campaigns: `name` is a part of the name; `after` is the cursor of a page before."""
        query = request.query
        limit, after = _number(query, "limit", _LISTED), _number(query, "after", 0)
        if not 1 <= limit <= MOST_LISTED:
            raise invalid(f"limit: from 1 to {MOST_LISTED}")
        sort = query.get("sort", "hs_name")
        if sort.removeprefix("-") not in _SORTS:
            raise invalid(f"sort: one of {', '.join(_SORTS)}")
        found = [each for each in self._promotions.campaigns() if query.get("name", "") in each.properties["hs_name"]]
        found.sort(key=_SORTS[sort.removeprefix("-")], reverse=sort.startswith("-"))
        shown = found[after : after + limit]
        body: dict[str, Any] = {"total": len(found), "results": [_body(each, query) for each in shown]}
        if after + limit < len(found):
            body["paging"] = {"next": {"after": str(after + limit)}}
        return Answer(body=body)

    def get_campaign(self, request: ApiRequest) -> Answer:
        """GET campaigns/{id}; the assets are told as empty."""
        return Answer(body={**_body(self._find(request), request.query), "assets": {}})

    def budget_totals(self, request: ApiRequest) -> Answer:
        """GET campaigns/{id}/budget/totals: one item of budget, and one of what was spent."""
        found = self._find(request)
        item = {"id": "1", "order": 0, "createdAt": 0, "updatedAt": 0}
        totals = {
            "currencyCode": found.properties["hs_currency_code"],
            "budgetItems": [{**item, "name": "Budget", "amount": found.budget}],
            "spendItems": [{**item, "name": "Spent", "amount": found.spent}] if found.spent else [],
            "budgetTotal": found.budget,
            "spendTotal": found.spent,
            "remainingBudget": round(found.budget - found.spent, 2),
        }
        return Answer(body=totals)

    def _find(self, request: ApiRequest) -> Campaign:
        for found in self._promotions.campaigns():
            if found.id == request.path["id"]:
                return found
        raise not_found("No such campaign")


class CampaignPages:
    """The page of the campaigns."""

    def __init__(self, promotions: Promotions, objects: Objects) -> None:
        self._promotions = promotions
        self._objects = objects

    def campaigns(self, request: ApiRequest) -> tuple[int, str]:
        """Return the list, what began last first; `lang` chooses the language."""
        texts = Texts(request.query.get("lang", "en"))
        found = sorted(self._promotions.campaigns(), key=lambda each: each.properties["hs_start_date"], reverse=True)
        rows = [
            [*(escape(each.properties[name]) for name in _SHOWN), f"{each.budget:,.2f}", f"{each.spent:,.2f}"]
            for each in found
        ]
        heads = [texts[name] for name in ("name", "starts_on", "ends_on", "status", "utm", "budget", "spent")]
        body = panel(texts["campaigns"], table(heads, rows, empty=texts["no_campaign"], numbers=(5, 6)))
        return 200, page_of(kinds_menu(self._objects.kinds, "campaigns", texts) + body, texts, CAMPAIGNS_PATH, {})


def _body(found: Campaign, query: Mapping[str, str]) -> dict[str, Any]:
    """A campaign in the vendor's shape, with those of the asked properties that it has."""
    asked = [name.strip() for name in query.get("properties", "").split(",")]
    return {
        "id": found.id,
        "properties": {name: found.properties[name] for name in asked if name in found.properties},
        "businessUnits": [],
        "createdAt": found.created_at,
        "updatedAt": found.updated_at,
    }


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "") or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise invalid(f"{name}: a whole number")
    return int(text)
