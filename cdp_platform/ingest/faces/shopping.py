"""What the real households did, as far as their fictional faces follow it: visits, stores, campaigns."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

import pyarrow.compute as pc

from cdp_platform.ingest.retail import FIRST_DAY, LAST_DAY, read_table


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One receipt."""

    ended_at: datetime
    """Aware, UTC."""
    product_id: int
    """The first line's product."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """One of the retailer's campaigns; days of New York, both inclusive."""

    campaign_id: int
    started_on: date
    ended_on: date


@dataclass(frozen=True, kw_only=True)
class Household:
    """A household with what it did in 2017."""

    household_id: int
    store_id: int
    """The store of most of its visits, the lowest number on a tie."""
    visits: Sequence[Visit]
    """In the order of time; at least one."""
    campaigns: Sequence[Campaign] = field(default=())
    """The campaigns that it was sent."""


def read_households() -> list[Household]:
    """Read every household that was ever seen shopping, in the order of their numbers."""
    visits, stores = _visits()
    campaigns = _campaigns()
    return [
        Household(
            household_id=household_id,
            store_id=min(stores[household_id].items(), key=lambda one: (-one[1], one[0]))[0],
            visits=visits[household_id],
            campaigns=campaigns.get(household_id, ()),
        )
        for household_id in sorted(visits)
    ]


def _visits() -> tuple[Mapping[int, list[Visit]], Mapping[int, Counter[int]]]:
    columns = ["basket_id", "household_id", "store_id", "transaction_timestamp"]
    lines = read_table("transactions", (FIRST_DAY, LAST_DAY))
    receipts = lines.group_by(columns).aggregate([("product_id", "min")])
    order = pc.sort_indices(receipts, [("transaction_timestamp", "ascending"), ("basket_id", "ascending")])
    visits: dict[int, list[Visit]] = defaultdict(list)
    stores: dict[int, Counter[int]] = defaultdict(Counter)
    taken = receipts.take(order)
    rows = (taken[name].to_pylist() for name in (*columns[1:], "product_id_min"))
    for household_id, store_id, ended_at, product_id in zip(*rows, strict=True):
        visits[household_id].append(Visit(ended_at=ended_at, product_id=product_id))
        stores[household_id][store_id] += 1
    return MappingProxyType(visits), MappingProxyType(stores)


def _campaigns() -> Mapping[int, Sequence[Campaign]]:
    described = {
        row["campaign_id"]: Campaign(
            campaign_id=row["campaign_id"], started_on=row["start_date"], ended_on=row["end_date"]
        )
        for row in read_table("campaign_descriptions").to_pylist()
    }
    sent: dict[int, list[Campaign]] = defaultdict(list)
    for row in read_table("campaigns").to_pylist():
        sent[row["household_id"]].append(described[row["campaign_id"]])
    return {key: sorted(found, key=lambda one: one.campaign_id) for key, found in sent.items()}
