"""Fields with a policy at Salesforce, judged by what our own source has read of the accounts; against the sandbox."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import pytest

from cdp_platform.connectors.http import open_session
from cdp_platform.destinations.salesforce import Salesforce
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FieldMapping, FieldPolicy, ReadBack
from cdp_platform.errors import GuardTripped
from cdp_platform.ingest.load import load_table
from cdp_platform.ingest.salesforce import EXTERNAL_ID, SOURCE
from cdp_platform.ingest.vendor_api import read_table
from cdp_platform_tests.contracts.salesforce_stage import (
    DATA,
    TOKEN,
    Members,
    Organization,
    connection_to,
    member_of,
    serving,
)

FIRST = date(2017, 1, 1)


class Households(Members):
    """Households as accounts: the name under a policy, the tier ours."""

    def __init__(self, root: Path, organization: Organization, policy: FieldPolicy) -> None:
        super().__init__(root, organization.url)
        self.organization = organization
        self.spec = replace(
            self.spec,
            object="Account",
            mapping=(
                FieldMapping(column="person_id", field="CDP_Id__c", match_key=True),
                FieldMapping(column="last_name", field="Name", policy=policy),
                FieldMapping(column="segment", field="Tier__c"),
            ),
            read_back=ReadBack(relation="raw_salesforce.accounts", key="external_id", columns={"Name": "name"}),
        )

    def read_back(self, first: date = FIRST, at: datetime | None = None) -> int:
        """Load the accounts that were changed since a day, as the asset does; `at` is when. Returns how many."""
        table, last = SOURCE.tables["accounts"], datetime.now(UTC).date()
        session = open_session(connection_to(self.organization.url), Salesforce(), self.home, "Account")
        moment = at or datetime.now(UTC) + timedelta(seconds=1)
        rows = read_table(session, table, {EXTERNAL_ID: "CDP_Id__c"}, (first, last), now=lambda: moment)
        session.close()
        load_table(
            rows,
            name="accounts",
            dataset="raw_salesforce",
            destination=dlt.destinations.duckdb(str(self.home.warehouse)),
            pipelines_dir=self.home.dlt,
            replaced_days=("modified_on", first, last),
        )
        return rows.num_rows

    def told(self) -> dict[str, tuple[str, str]]:
        """Name and tier of each account of ours, by our id."""
        found = self.organization.query("SELECT CDP_Id__c, Name, Tier__c FROM Account WHERE CDP_Id__c != null")
        return {record["CDP_Id__c"]: (record["Name"], record["Tier__c"]) for record in found}

    def edit(self, person: str, **fields: Any) -> None:
        """What a salesperson does by hand; an account with our id that is not there is made."""
        self.organization.ask("PATCH", f"{DATA}/sobjects/Account/CDP_Id__c/{person}", json=fields).raise_for_status()


def household(number: int, tier: str = "Silver", name: str = "") -> dict[str, Any]:
    return dict(member_of(number, segment=tier, **({"last_name": name} if name else {})))


@pytest.fixture
def households(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FieldPolicy], Households]]:
    monkeypatch.setenv("SALESFORCE_TOKEN", TOKEN)
    with serving(tmp_path / "sandbox") as served:
        yield lambda policy: Households(tmp_path / "home", served, policy)


def test_a_new_account_is_given_its_name_once_and_then_it_is_theirs(
    households: Callable[[FieldPolicy], Households],
) -> None:
    shop = households(FieldPolicy.FILL_EMPTY)
    shop.read_back()
    shop.write([household(1), household(2)])
    assert shop.run().counts == Counts(planned=2, delivered=2)
    shop.edit("p-000001", Name="The Okafors")
    shop.read_back()
    shop.write([household(1, "Gold", "Newer"), household(2, "Silver", "Newer"), household(3)])
    plan = shop.plan()
    assert (plan.to_send, plan.held_fields) == (2, {"Name": 2})
    shop.send(plan)
    assert shop.told() == {
        "p-000001": ("The Okafors", "Gold"),
        "p-000002": ("Okafor 2", "Silver"),
        "p-000003": ("Okafor 3", "Silver"),
    }


def test_an_account_that_sales_made_keeps_its_name_and_takes_our_tier(
    households: Callable[[FieldPolicy], Households],
) -> None:
    shop = households(FieldPolicy.FILL_EMPTY)
    shop.edit("p-000001", Name="The Okafors")
    shop.read_back()
    shop.write([household(1)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert shop.told() == {"p-000001": ("The Okafors", "Silver")}


def test_what_sales_changed_stays_and_what_they_left_follows_us(
    households: Callable[[FieldPolicy], Households],
) -> None:
    shop = households(FieldPolicy.RESPECT_EDITS)
    shop.write([household(1), household(2)])
    shop.run()
    shop.edit("p-000001", Name="The Okafors")
    shop.read_back()
    shop.write([household(1, name="Newer 1"), household(2, name="Newer 2")])
    plan = shop.plan()
    assert plan.held_fields == {"Name": 1}
    shop.send(plan)
    assert {person: name for person, (name, _) in shop.told().items()} == {
        "p-000001": "The Okafors",
        "p-000002": "Newer 2",
    }


def test_the_name_of_an_account_in_the_recycle_bin_is_no_name_of_the_one_made_anew(
    households: Callable[[FieldPolicy], Households],
) -> None:
    shop = households(FieldPolicy.FILL_EMPTY)
    shop.edit("p-000001", Name="Mistyped")
    [found] = shop.organization.query("SELECT Id FROM Account WHERE CDP_Id__c = 'p-000001'")
    assert shop.organization.ask("DELETE", f"{DATA}/sobjects/Account/{found['Id']}").status_code == 204
    shop.read_back()
    shop.write([household(1)])
    plan = shop.plan()
    assert (plan.to_send, plan.held_fields) == (1, {})
    shop.send(plan)
    shop.read_back()
    shop.write([household(1, name="Newer")])
    assert shop.plan().held_fields == {"Name": 1}, "the deleted one and the present one have one key"


def test_days_on_which_nothing_changes_there_do_not_make_a_read_back_old_and_days_without_reading_do(
    households: Callable[[FieldPolicy], Households],
) -> None:
    shop = households(FieldPolicy.FILL_EMPTY)
    long_ago = datetime.now(UTC) - timedelta(days=4)
    shop.read_back(at=long_ago)
    with shop.warehouse.session("test") as session:
        session.execute("update raw_salesforce._dlt_loads set inserted_at = inserted_at - interval 4 day")
    shop.write([household(1)])
    with pytest.raises(GuardTripped, match="read_back_fresh"):
        shop.run()
    assert shop.read_back(datetime.now(UTC).date()) == 0
    assert shop.run().counts == Counts(planned=1, delivered=1)
