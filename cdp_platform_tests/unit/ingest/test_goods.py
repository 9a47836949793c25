"""The demo's shelves: real products, a stock that follows what was sold, the same from the same seed."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cdp_platform.ingest.goods import make_goods

REPLAY = (date(2017, 12, 25), date(2017, 12, 31))
FIRST = date(2017, 10, 2)


def read(name: str, days: tuple[date, date] | None) -> pa.Table:
    """200 products of which every day some are sold, 40 that were sold once, fuel, and two campaigns."""
    if name == "campaigns":
        return pa.table({"campaign_id": [1, 2, 2], "household_id": [7, 7, 8]})
    if name == "campaign_descriptions":
        return pa.Table.from_pylist([campaign(2, date(2017, 12, 28)), campaign(1, date(2017, 11, 14))])
    if name == "products":
        rows = [product(number, "FUEL" if number == 999 else "GROCERY") for number in [*range(240), 999]]
        return pa.Table.from_pylist(rows)
    assert days == (FIRST, REPLAY[1])
    lines = [line(number, FIRST + timedelta(days=day), 3) for number in [*range(200), 999] for day in range(91)]
    return pa.Table.from_pylist([*lines, *(line(number, FIRST, 1) for number in range(200, 240))])


def product(number: int, department: str) -> dict[str, Any]:
    return {"product_id": number, "department": department, "product_type": "TEA - LEAF", "package_size": "2 OZ"}


def campaign(number: int, begins: date) -> dict[str, Any]:
    days = {"start_date": begins, "end_date": begins + timedelta(days=30)}
    return {"campaign_id": number, "campaign_type": "Type B", **days}


def line(number: int, day: date, quantity: int) -> dict[str, Any]:
    return {"product_id": number, "transaction_day": day, "quantity": quantity, "sales_value": quantity * 1.25}


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Any]:
    assert make_goods(tmp_path / "goods.json", seed=1, replay=REPLAY, read=read).is_new
    told: dict[str, Any] = json.loads((tmp_path / "goods.json").read_text(encoding="utf-8"))
    return told


def test_items_are_products_that_were_sold_much_and_some_that_hardly_were(made: Mapping[str, Any]) -> None:
    numbers = [int(item["sku"]) for item in made["items"]]
    assert numbers[:180] == list(range(180))
    assert numbers[180:] and all(200 <= number < 240 for number in numbers[180:])
    assert {item["price"] for item in made["items"]} == {1.25}
    assert len({item["name"] for item in made["items"]}) == len(numbers), "an inventory takes a name once"


def test_a_shelf_loses_what_was_sold_and_is_filled_before_it_is_empty(made: Mapping[str, Any]) -> None:
    for item in made["items"][:180]:
        levels = list(item["stock"].values())
        assert len(levels) == 21 and min(levels) >= 0
        steps = [before - after for before, after in pairwise(levels)]
        assert 3 in steps and all(step == 3 or step < 0 for step in steps)
    assert all(len(set(item["stock"].values())) == 1 for item in made["items"][180:])


def test_offers_are_of_items_and_some_are_opened_on_the_days_of_the_replay(made: Mapping[str, Any]) -> None:
    known = {item["sku"] for item in made["items"]}
    days = [date.fromisoformat(offer["opened_on"]) for offer in made["offers"]]
    assert {offer["sku"] for offer in made["offers"]} <= known
    assert days == sorted(days) and days[0] < REPLAY[0] <= days[-1] <= REPLAY[1]


def test_campaigns_are_those_of_the_retailer_with_their_days(made: Mapping[str, Any]) -> None:
    assert made["campaigns"] == [
        {"number": 1, "name": "Campaign 1 (Type B)", "code": "campaign_1", "starts_on": "2017-11-14",
         "ends_on": "2017-12-14", "budget": 1.5},
        {"number": 2, "name": "Campaign 2 (Type B)", "code": "campaign_2", "starts_on": "2017-12-28",
         "ends_on": "2018-01-27", "budget": 3.0},
    ]  # fmt: skip


def test_deals_are_of_items_and_some_are_opened_and_closed_on_the_days_of_the_replay(made: Mapping[str, Any]) -> None:
    first, last = (day.isoformat() for day in REPLAY)
    deals = made["deals"]
    assert {deal["sku"] for deal in deals} <= {item["sku"] for item in made["items"]}
    assert [deal["opened_on"] for deal in deals] == sorted(deal["opened_on"] for deal in deals)
    assert [deal for deal in deals if deal["opened_on"] < first] and deals[-1]["opened_on"] >= first
    closed = [deal for deal in deals if deal["closed_on"]]
    assert all(deal["opened_on"] < deal["closed_on"] for deal in closed)
    assert [deal for deal in closed if first <= deal["closed_on"] <= last]


def test_a_file_of_before_there_were_campaigns_is_made_anew_with_the_same_goods(tmp_path: Path) -> None:
    file = tmp_path / "goods.json"
    make_goods(file, seed=1, replay=REPLAY, read=read)
    told = json.loads(file.read_text(encoding="utf-8"))
    older = {"origin": {name: told["origin"][name] for name in ("seed", "replay")}}
    file.write_text(json.dumps({**older, "items": told["items"], "offers": told["offers"]}), encoding="utf-8")
    assert make_goods(file, seed=1, replay=REPLAY, read=read).is_new
    assert json.loads(file.read_text(encoding="utf-8")) == told


def test_the_same_seed_is_not_made_again_and_another_one_is(tmp_path: Path) -> None:
    file = tmp_path / "goods.json"
    first = make_goods(file, seed=1, replay=REPLAY, read=read)
    told = file.read_bytes()
    again = make_goods(file, seed=1, replay=REPLAY, read=read)
    assert (again.is_new, again.item_count, file.read_bytes()) == (False, first.item_count, told)
    assert make_goods(file, seed=2, replay=REPLAY, read=read).is_new
    assert file.read_bytes() != told


def test_a_file_that_was_cut_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "goods.json"
    make_goods(file, seed=1, replay=REPLAY, read=read)
    told = file.read_bytes()
    file.write_bytes(told[:100])
    assert make_goods(file, seed=1, replay=REPLAY, read=read).is_new
    assert file.read_bytes() == told
