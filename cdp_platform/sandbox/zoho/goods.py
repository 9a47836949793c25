"""What a new organisation has: the goods of a grocery chain with their stock, customers, and a quarter of orders.

Made from words and a seed, so that every new state file holds the same. Departments are those of the retail demo.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

LAST_DAY: Final = date(2017, 12, 31)
_DAYS: Final = 97
_ORDERS_A_DAY: Final = 6
_FIRST_ID: Final = 4_815_000_000_044_000
_DEPARTMENTS: Final = {
    "GROCERY": ("Soft drink", "Potato chips", "Canned soup", "Cereal", "Pasta", "Coffee", "Cookies", "Peanut butter"),
    "PRODUCE": ("Bananas", "Potatoes", "Salad mix", "Tomatoes", "Apples", "Berries"),
    "MEAT": ("Ground beef", "Chicken breast", "Pork chops", "Smoked ham"),
    "DRUG GM": ("Shampoo", "Toothpaste", "Greeting card", "Cat food", "Laundry detergent", "Paper towels"),
    "PASTRY": ("Bread", "Cake", "Doughnuts"),
    "DELI": ("Sliced turkey", "Cheese tray", "Pasta salad"),
    "SEAFOOD": ("Salmon fillet", "Shrimp"),
    "FLORAL": ("Bouquet", "Orchid"),
    "NUTRITION": ("Protein bar", "Vitamins"),
}
STOCK_BY_DAY: Final = "_stock_by_day"
"""Where a record keeps what no answer shows: its stock at the end of each day."""
_SIZES: Final = ("small", "medium", "large", "family", "value", "organic", "travel")
_MARKETS: Final = ("North", "East", "South", "West", "Central", "Harbour", "Hill", "Lake")


def first_id() -> int:
    """The id that the first record of an organisation has."""
    return _FIRST_ID


def seeded_items(seed: int) -> Iterator[dict[str, Any]]:
    """Give the items, each with what a person would have typed in."""
    chance = random.Random(f"items {seed}")
    for department, names in _DEPARTMENTS.items():
        for name in names:
            for size in _SIZES:
                rate = round(chance.uniform(0.8, 24), 2)
                stock = chance.choice([0, *range(3, 240, 7)])
                yield {
                    "name": f"{name}, {size}",
                    "sku": f"{department[:3]}-{name[:4].strip().upper()}-{size[:2].upper()}".replace(" ", ""),
                    "rate": rate,
                    "purchase_rate": round(rate * 0.62, 2),
                    "unit": "pcs",
                    "product_type": "goods",
                    "item_type": "inventory",
                    "category_name": department,
                    "reorder_level": 20,
                    "stock_on_hand": stock,
                    "available_stock": max(0, stock - chance.randint(0, 12)),
                    "last_modified_time": _moment(LAST_DAY - timedelta(days=chance.randrange(_DAYS)), chance),
                }


def replayed_items(items: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the items of a replay, with the stock that each has day by day."""
    for item in items:
        stock: dict[str, int] = dict(item["stock"])
        yield {
            "name": item["name"],
            "sku": item["sku"],
            "rate": item["price"],
            "purchase_rate": round(item["price"] * 0.62, 2),
            "unit": "pcs",
            "product_type": "goods",
            "item_type": "inventory",
            "category_name": item["department"],
            "reorder_level": 20,
            "stock_on_hand": stock[min(stock)],
            "available_stock": stock[min(stock)],
            "last_modified_time": f"{min(stock)}T08:00:00+0000",
            STOCK_BY_DAY: stock,
        }


def seeded_customers() -> Iterator[dict[str, Any]]:
    """Give the customers: shops that order."""
    for number, market in enumerate(_MARKETS, start=1):
        yield {
            "contact_name": f"{market} Market",
            "company_name": f"{market} Market",
            "contact_type": "customer",
            "email": f"orders{number}@example.com",
            "last_modified_time": _moment(LAST_DAY - timedelta(days=number), random.Random(number)),
        }


def seeded_orders(seed: int, items: list[dict[str, Any]], customers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the sales orders of the quarter, oldest first, with their lines."""
    chance = random.Random(f"orders {seed}")
    number = 0
    for day in (LAST_DAY - timedelta(days=_DAYS - 1 - offset) for offset in range(_DAYS)):
        for _ in range(_ORDERS_A_DAY):
            number += 1
            customer = chance.choice(customers)
            lines = [_line(item, chance) for item in chance.sample(items, min(chance.randint(1, 5), len(items)))]
            yield {
                "salesorder_number": f"SO-{number:05}",
                "date": day.isoformat(),
                "status": "fulfilled" if day < LAST_DAY - timedelta(days=7) else chance.choice(["open", "confirmed"]),
                "customer_id": customer["contact_id"],
                "customer_name": customer["contact_name"],
                "currency_code": "USD",
                "line_items": lines,
                "total": round(sum(line["item_total"] for line in lines), 2),
                "last_modified_time": _moment(day, chance),
            }


def _line(item: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    quantity = chance.randint(1, 24)
    told = {"item_id": item["item_id"], "name": item["name"], "sku": item["sku"], "rate": item["rate"]}
    return {**told, "quantity": quantity, "item_total": round(item["rate"] * quantity, 2)}


def _moment(day: date, chance: random.Random) -> str:
    at = datetime.combine(day, time(hour=chance.randint(7, 21), minute=chance.randint(0, 59)), tzinfo=UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S+0000")
