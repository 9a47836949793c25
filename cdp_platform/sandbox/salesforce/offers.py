"""What is offered in a replay: an opportunity with one product for each offer, from the day on which it was opened.

Vendor's page: developer.salesforce.com, object reference, OpportunityLineItem (read 2026-11-22).
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from cdp_platform.sandbox.goods import GoodsFile
from cdp_platform.sandbox.salesforce.objects import OBJECTS, write_moment
from cdp_platform.sandbox.salesforce.store import OrganizationStore
from cdp_platform.sandbox.vendor import Day

_STAGES: Final = ("Prospecting", "Qualification", "Proposal", "Negotiation")
_CLOSES_AFTER: Final = timedelta(days=45)
_MADE: Final = "offers_made"


class Offers:
    """Brings the offers of the goods' file into the organization, day by day."""

    def __init__(self, store: OrganizationStore, state_path: Path, day: Day) -> None:
        self._store = store
        self._day = day
        self._offers: list[Mapping[str, Any]] = []
        self._names: dict[str, str] = {}
        self._goods = GoodsFile(state_path, self._take, taken=None)

    def look(self) -> None:
        """Make the opportunities of the days up to the one that is replayed; each once."""
        self._goods.look()
        if not self._offers:
            return
        today = self._day() or datetime.now(UTC).date().isoformat()
        with self._store.transaction():
            made = int(self._store.account_value(_MADE) or 0)
            due = [offer for offer in self._offers[made:] if offer["opened_on"] <= today]
            for number, offer in enumerate(due, start=made):
                self._make(number, offer)
            if due:
                self._store.set_account_value(_MADE, str(made + len(due)))

    def _take(self, goods: Mapping[str, Any]) -> None:
        self._names = {item["sku"]: item["name"] for item in goods["items"]}
        self._offers = sorted(goods["offers"], key=lambda offer: str(offer["opened_on"]))

    def _make(self, number: int, offer: Mapping[str, Any]) -> None:
        opened = date.fromisoformat(offer["opened_on"])
        at = write_moment(datetime.combine(opened, time(10, number % 60), UTC))
        accounts = self._store.records("object = 'Account' and is_deleted = 0", order="created_at, id")
        account = accounts[number * 7 % len(accounts)] if accounts else None
        total = round(offer["quantity"] * offer["price"], 2)
        name = self._names.get(offer["sku"], offer["sku"])
        opportunity = self._store.new_id("006")
        fields = {
            "Name": f"{offer['quantity']} × {name}"[:120],
            "StageName": _STAGES[number % len(_STAGES)],
            "CloseDate": (opened + _CLOSES_AFTER).isoformat(),
            "Amount": total,
            "AccountId": account.id if account else None,
        }
        self._store.put(OBJECTS["Opportunity"], opportunity, fields, at, at)
        line = {
            "OpportunityId": opportunity,
            "ProductCode": offer["sku"],
            "Name": name,
            "Quantity": float(offer["quantity"]),
            "UnitPrice": offer["price"],
            "TotalPrice": total,
        }
        self._store.put(OBJECTS["OpportunityLineItem"], self._store.new_id("00k"), line, at, at)
