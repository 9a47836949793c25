"""The demo's shelves: which real products lie in stock on each day, and which of them are promoted and offered.

What people bought is real and comes from the receipts. That the retailer keeps these products in Zoho Inventory, how
many lie there, and what is offered in Salesforce and HubSpot is made up here, once and from a seed, out of those
receipts: a shelf loses what was sold on a day and is filled when it runs low. The campaigns are the retailer's own
(`promotions.py`). The sandbox reads the file and no code of ours.
"""

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from cdp_platform.ingest import retail
from cdp_platform.ingest.promotions import Read, dealt, promoted

_SOLD_DAYS: Final = 84
_SHOWN_DAYS: Final = 14
_QUICK, _SLOW = 180, 60
_OFFERS: Final = 36
_SHELVED: Final = ("GROCERY", "PRODUCE", "MEAT", "DRUG GM", "PASTRY", "DELI", "SEAFOOD", "FLORAL", "NUTRITION")
_PARTS: Final = ("items", "offers", "campaigns", "deals")
Sold = Mapping[date, int]


@dataclass(frozen=True, kw_only=True)
class Goods:
    """What the file holds."""

    item_count: int
    offer_count: int
    campaign_count: int
    deal_count: int
    is_new: bool
    """Whether this call wrote the file; False: it was there already."""


def make_goods(file: Path, *, seed: int, replay: tuple[date, date], read: Read = retail.read_table) -> Goods:
    """Write `file` with items, offers, campaigns and deals, unless it was made with the same seed and replay.

    An item: sku (the product's number), name, department, price (US dollars), stock (day → pieces at its end, from 14
    days before the replay to its end). An offer: sku, quantity, price, opened_on. Campaigns and deals: as in
    `promotions.py`. `read` gives the retailer's tables. Raises ConfigError where the retail package cannot be read.
    """
    origin = {"seed": seed, "replay": [day.isoformat() for day in replay], "parts": list(_PARTS)}
    found = _read(file)
    if found is not None and found["origin"] == origin:
        return _counted(found, is_new=False)
    items = _items(read, replay, random.Random(f"shelves {seed}"))
    told = {
        "origin": origin,
        "items": items,
        "offers": _offers(items, replay, random.Random(f"offers {seed}")),
        "campaigns": promoted(read),
        "deals": dealt(items, replay, random.Random(f"deals {seed}")),
    }
    _write(file, told)
    return _counted(told, is_new=True)


def _counted(told: Mapping[str, Any], *, is_new: bool) -> Goods:
    items, offers, campaigns, deals = (len(told[part]) for part in _PARTS)
    return Goods(item_count=items, offer_count=offers, campaign_count=campaigns, deal_count=deals, is_new=is_new)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _write(file: Path, told: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(told, separators=(",", ":")), encoding="utf-8")
    part.replace(file)


def _items(read: Read, replay: tuple[date, date], chance: random.Random) -> list[dict[str, Any]]:
    """The products of most pieces, and some of which hardly any was sold."""
    first = replay[0] - timedelta(days=_SOLD_DAYS)
    sold, prices = _sold(read("transactions", (first, replay[1])), replay[0])
    known = {row["product_id"]: row for row in read("products", None).to_pylist() if row["department"] in _SHELVED}
    pieces = {
        product: sum(count for day, count in days.items() if day < replay[0])
        for product, days in sold.items()
        if product in known and known[product]["product_type"]
    }
    ranked = sorted((product for product in pieces if pieces[product]), key=lambda one: (-pieces[one], one))
    slow = [product for product in ranked[_QUICK:] if pieces[product] <= 2]
    chosen = [*ranked[:_QUICK], *chance.sample(slow, min(_SLOW, len(slow)))]
    return [
        {
            "sku": str(product),
            "name": _name(known[product]),
            "department": known[product]["department"],
            "price": prices[product],
            "stock": _stock(sold[product], pieces[product] / _SOLD_DAYS, replay, chance),
        }
        for product in chosen
    ]


def _sold(lines: pa.Table, replay_start: date) -> tuple[Mapping[int, Sold], Mapping[int, float]]:
    """Pieces by product and day, and what a piece cost in the mean of the days before the replay."""
    summed = lines.group_by(["product_id", "transaction_day"]).aggregate([("quantity", "sum"), ("sales_value", "sum")])
    pieces: dict[int, dict[date, int]] = defaultdict(dict)
    taken: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in summed.to_pylist():
        product, day = row["product_id"], row["transaction_day"]
        pieces[product][day] = row["quantity_sum"]
        if day < replay_start:
            taken[product][0] += row["sales_value_sum"]
            taken[product][1] += row["quantity_sum"]
    return pieces, {product: round(money / count, 2) for product, (money, count) in taken.items() if count}


def _name(product: Mapping[str, Any]) -> str:
    size = f", {product['package_size']}" if product["package_size"] else ""
    return f"{product['product_type'].capitalize()}{size} ({product['product_id']})"


def _stock(sold: Sold, pace: float, replay: tuple[date, date], chance: random.Random) -> dict[str, int]:
    fortnight = round(pace * 14)
    left, stock = fortnight + chance.randint(24, 90), {}
    day = replay[0] - timedelta(days=_SHOWN_DAYS)
    while day <= replay[1]:
        if left <= pace * 4:
            left += fortnight + chance.randint(6, 24)
        left = max(0, left - sold.get(day, 0))
        stock[day.isoformat()] = left
        day += timedelta(days=1)
    return stock


def _offers(
    items: Sequence[Mapping[str, Any]], replay: tuple[date, date], chance: random.Random
) -> list[dict[str, Any]]:
    """Offers of some items to shops, two thirds of them open before the replay begins."""
    days = (replay[1] - replay[0]).days + 1
    offers = []
    for number in range(min(_OFFERS, len(items))):
        item = chance.choice(items)
        ago = chance.randint(1, 28) if number % 3 else -chance.randrange(days)
        offers.append(
            {
                "sku": item["sku"],
                "quantity": chance.randrange(2, 40) * 6,
                "price": round(item["price"] * 0.8, 2),
                "opened_on": (replay[0] - timedelta(days=ago)).isoformat(),
            }
        )
    return sorted(offers, key=lambda one: (one["opened_on"], one["sku"]))
