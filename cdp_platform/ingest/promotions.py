"""What the demo's marketing keeps in HubSpot: the retailer's real campaigns, and deals for single products.

The campaigns are those of the retailer, with their days; a campaign's code is the one that its newsletters carry into
the shop's site, `campaign_<number>`. What a campaign cost, and the deals, are made up from a seed.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any, Final

import pyarrow as pa

Read = Callable[[str, tuple[date, date] | None], pa.Table]
_DEALS: Final = 30
_DOLLARS_A_HOUSEHOLD: Final = 1.5


def promoted(read: Read) -> list[dict[str, Any]]:
    """The campaigns, the first to begin first: number, name, code, starts_on, ends_on, budget (US dollars).

    `read` gives the retailer's tables. The budget is a share for each household that received the campaign.
    """
    reached = read("campaigns", None)["campaign_id"].to_pylist()
    told = read("campaign_descriptions", None).to_pylist()
    return [
        {
            "number": row["campaign_id"],
            "name": f"Campaign {row['campaign_id']} ({row['campaign_type']})",
            "code": f"campaign_{row['campaign_id']}",
            "starts_on": row["start_date"].isoformat(),
            "ends_on": row["end_date"].isoformat(),
            "budget": round(reached.count(row["campaign_id"]) * _DOLLARS_A_HOUSEHOLD, 2),
        }
        for row in sorted(told, key=lambda row: (row["start_date"], row["campaign_id"]))
    ]


def dealt(items: Sequence[Mapping[str, Any]], replay: tuple[date, date], chance: Random) -> list[dict[str, Any]]:
    """Deals for single items, the first opened first: sku, quantity, price, opened_on, closed_on (or None), is_won.

    Two thirds are opened before the replay begins; half of these are closed, some of them on its days.
    """
    days = (replay[1] - replay[0]).days + 1
    deals = []
    for number in range(min(_DEALS, len(items))):
        item = chance.choice(items)
        opened = replay[0] - timedelta(days=chance.randint(1, 21) if number % 3 else -chance.randrange(days))
        closed = max(opened + timedelta(days=1), replay[0] + timedelta(days=chance.randrange(-days, days)))
        deals.append(
            {
                "sku": item["sku"],
                "quantity": chance.randrange(1, 20) * 4,
                "price": round(item["price"] * 0.9, 2),
                "opened_on": opened.isoformat(),
                "closed_on": closed.isoformat() if number % 3 == 1 else None,
                "is_won": chance.random() < 0.5,
            }
        )
    return sorted(deals, key=lambda one: (one["opened_on"], one["sku"]))
