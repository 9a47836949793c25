"""What marketing does in a replay: campaigns with their days, and deals for single products, up to the day replayed.

Both come from the goods' file. A deal is kept as a record with one line item, whose times are those of the replay; a
campaign is nowhere kept: what it is follows from its days and today.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from cdp_platform.sandbox.goods import GoodsFile
from cdp_platform.sandbox.hubspot.associations import Associations
from cdp_platform.sandbox.hubspot.contacts import Contact
from cdp_platform.sandbox.hubspot.objects import Objects
from cdp_platform.sandbox.hubspot.properties import write_datetime
from cdp_platform.sandbox.vendor import Day

_STAGES: Final = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent")
_PLANNED_BEFORE: Final = timedelta(days=14)
_SPENT_AT_START: Final = 0.6
_DONE: Final = "deals_done"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A campaign as it is on a day."""

    id: str
    properties: Mapping[str, str]
    """As text, as the vendor tells them."""
    budget: float
    spent: float
    created_at: str
    updated_at: str


class Promotions:
    """The campaigns and deals of the account."""

    def __init__(self, objects: Objects, associations: Associations, state_path: Path, day: Day) -> None:
        self._objects = objects
        self._associations = associations
        self._day = day
        self._campaigns: Sequence[Mapping[str, Any]] = ()
        self._events: Sequence[tuple[str, int, Mapping[str, Any]]] = ()
        self._names: Mapping[str, str] = {}
        self._goods = GoodsFile(state_path, self._take, taken=None)

    def campaigns(self) -> list[Campaign]:
        """The campaigns that there are by today, in the order of their names."""
        self._goods.look()
        today = date.fromisoformat(self._today())
        known = [_as_of(campaign, today) for campaign in self._campaigns]
        return sorted((found for found in known if found), key=lambda found: found.properties["hs_name"])

    def look(self) -> None:
        """Open and close the deals of the days up to today; each once."""
        self._goods.look()
        if not self._events:
            return
        deals = self._objects.find("deals")[1]
        with deals.transaction():
            done = int(deals.account_value(_DONE) or 0)
            due = [event for event in self._events[done:] if event[0] <= self._today()]
            for day, number, deal in due:
                if day == deal["opened_on"]:
                    self._open(number, deal)
                else:
                    self._close(number, deal)
            if due:
                deals.set_account_value(_DONE, str(done + len(due)))

    def _today(self) -> str:
        return self._day() or datetime.now(UTC).date().isoformat()

    def _take(self, goods: Mapping[str, Any]) -> None:
        self._names = {item["sku"]: item["name"] for item in goods["items"]}
        self._campaigns = goods.get("campaigns", [])
        deals = list(enumerate(goods.get("deals", [])))
        days = [(deal[name], number, deal) for number, deal in deals for name in ("opened_on", "closed_on")]
        self._events = sorted((each for each in days if each[0]), key=lambda each: each[:2])

    def _open(self, number: int, deal: Mapping[str, Any]) -> None:
        at = _moment(deal["opened_on"], number)
        amount = f"{deal['quantity'] * deal['price']:.2f}"
        name = self._names.get(deal["sku"], deal["sku"])
        told = {
            "dealname": f"{deal['quantity']} × {name}",
            "amount": amount,
            "dealstage": _STAGES[number % len(_STAGES)],
            "pipeline": "default",
        }
        line = {
            "name": name,
            "hs_sku": deal["sku"],
            "quantity": str(deal["quantity"]),
            "price": f"{deal['price']:.2f}",
            "amount": amount,
        }
        deal_id, line_id = self._put("deals", told, at), self._put("line_items", line, at)
        self._objects.find("deals")[1].set_account_value(f"deal_{number}", str(deal_id))
        self._associations.associate("line_items", line_id, "deals", deal_id)

    def _close(self, number: int, deal: Mapping[str, Any]) -> None:
        store = self._objects.find("deals")[1]
        for record in store.contacts([int(store.account_value(f"deal_{number}") or 0)]).values():
            if record.archived_at is not None:
                continue
            at = _moment(deal["closed_on"], number)
            stage = "closedwon" if deal["is_won"] else "closedlost"
            told = {**record.properties, "dealstage": stage, "closedate": at}
            store.save(
                [Contact(id=record.id, properties=told, created_at=record.created_at, updated_at=at)], [], {}, []
            )

    def _put(self, kind: str, properties: Mapping[str, str], at: str) -> int:
        store = self._objects.find(kind)[1]
        record_id = store.next_contact_id()
        store.save([Contact(id=record_id, properties=properties, created_at=at, updated_at=at)], [], {}, [])
        return record_id


def _as_of(campaign: Mapping[str, Any], today: date) -> Campaign | None:
    """The campaign on a day; None before it was planned."""
    starts, ends = date.fromisoformat(campaign["starts_on"]), date.fromisoformat(campaign["ends_on"])
    planned = starts - _PLANNED_BEFORE
    if today < planned:
        return None
    states = [(planned, "planned", 0.0), (starts, "in_progress", _SPENT_AT_START)]
    states.append((ends + timedelta(days=1), "completed", 1.0))
    changed, status, share = [state for state in states if state[0] <= today][-1]
    budget, spent = campaign["budget"], round(campaign["budget"] * share, 2)
    return Campaign(
        id=str(uuid5(NAMESPACE_URL, campaign["code"])),
        properties={
            "hs_name": campaign["name"],
            "hs_start_date": campaign["starts_on"],
            "hs_end_date": campaign["ends_on"],
            "hs_utm": campaign["code"],
            "hs_campaign_status": status,
            "hs_currency_code": "USD",
            "hs_budget_items_sum_amount": f"{budget:.2f}",
            "hs_spend_items_sum_amount": f"{spent:.2f}",
        },
        budget=budget,
        spent=spent,
        created_at=_moment(planned.isoformat(), 0),
        updated_at=_moment(changed.isoformat(), 0),
    )


def _moment(day: str, number: int) -> str:
    return write_datetime(datetime.combine(date.fromisoformat(day), time(10, number % 60), UTC))
