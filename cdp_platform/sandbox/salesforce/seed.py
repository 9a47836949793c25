"""What an organization holds when it is new: accounts and their opportunities, all fictional, the same each time."""

import random
from datetime import UTC, datetime, timedelta
from typing import Final

from cdp_platform.sandbox.salesforce.objects import OBJECTS, write_moment
from cdp_platform.sandbox.salesforce.store import OrganizationStore

ACCOUNT_COUNT: Final = 40
OPPORTUNITY_COUNT: Final = 120
_FIRST_MOMENT: Final = datetime(2017, 1, 2, 9, tzinfo=UTC)
_WORDS: Final = ("Alder", "Birch", "Cedar", "Damson", "Elm", "Fir", "Gorse", "Hazel", "Juniper", "Larch")
_KINDS: Final = ("Grocers", "Stores", "Foods", "Market")
_INDUSTRIES: Final = ("Retail", "Food & Beverage", "Hospitality")


def fill(store: OrganizationStore, seed: int) -> None:
    """Set the organization up, once."""
    if store.account_value("organization_id"):
        return
    chance = random.Random(seed)
    with store.transaction():
        store.set_account_value("organization_id", store.new_id("00D"))
        organization = str(store.account_value("organization_id"))
        at = write_moment(_FIRST_MOMENT)
        store.put(OBJECTS["Organization"], organization, {"Name": "Sandbox organization"}, at, at)
        accounts = [_account(store, chance, number) for number in range(ACCOUNT_COUNT)]
        for number in range(OPPORTUNITY_COUNT):
            _opportunity(store, chance, number, chance.choice(accounts))


def _account(store: OrganizationStore, chance: random.Random, number: int) -> str:
    record_id = store.new_id("001")
    at = write_moment(_FIRST_MOMENT + timedelta(days=number * 8, minutes=chance.randrange(480)))
    fields = {
        "Name": f"{_WORDS[number % 10]} {_KINDS[number // 10]}",
        "Industry": chance.choice(_INDUSTRIES),
        "NumberOfEmployees": chance.randrange(5, 900),
        "Website": f"https://example.com/{number}",
    }
    store.put(OBJECTS["Account"], record_id, fields, at, at)
    return record_id


def _opportunity(store: OrganizationStore, chance: random.Random, number: int, account_id: str) -> None:
    stages = OBJECTS["Opportunity"].fields["StageName"].options
    begun = _FIRST_MOMENT + timedelta(days=number * 3 - chance.randrange(3), minutes=chance.randrange(480))
    fields = {
        "Name": f"Supply contract {number + 1}",
        "StageName": chance.choice(stages),
        "CloseDate": (begun + timedelta(days=chance.randrange(14, 90))).date().isoformat(),
        "Amount": float(chance.randrange(40, 900) * 100),
        "AccountId": account_id,
    }
    at = write_moment(max(begun, _FIRST_MOMENT))
    store.put(OBJECTS["Opportunity"], store.new_id("006"), fields, at, at)
