"""At the sandbox a merge of persons changes the contact that is there, whatever has become of it meanwhile."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import Mode, Removal
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform_tests.contracts.test_hubspot_mirror import Mirror
from cdp_platform_tests.unit.syncs.conftest import person_of
from cdp_platform_tests.unit.syncs.test_moves import MERGES, log


class Moving(Mirror):
    """A sync that follows merges to the sandbox."""

    def __init__(self, root: Path, address: str, mode: Mode, removal: Removal) -> None:
        super().__init__(root, address, removal)
        self.spec = replace(self.spec, mode=mode, key_moves=MERGES)

    def ids(self) -> dict[str, str]:
        """Person id → the contact's own id."""
        answer = requests.get(
            f"{self.address}/crm/v3/objects/contacts?properties=cdp_person_id&limit=100",
            headers={"Authorization": "Bearer secret"},
            timeout=5,
        )
        return {contact["properties"]["cdp_person_id"]: contact["id"] for contact in answer.json()["results"]}

    def archive(self, record_id: str) -> None:
        """Let somebody archive a contact by hand."""
        requests.post(
            f"{self.address}/crm/v3/objects/contacts/batch/archive",
            json={"inputs": [{"id": record_id}]},
            headers={"Authorization": "Bearer secret"},
            timeout=5,
        ).raise_for_status()


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moving]:
    monkeypatch.setenv("SANDBOX_TOKEN", "secret")
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as address:
        yield Moving(tmp_path / "home", address, Mode.UPSERT, Removal.KEEP)


def test_a_merge_keeps_the_contact_and_gives_it_the_id_that_stays(moving: Moving) -> None:
    moving.shop.people([person_of(1), person_of(2)])
    moving.run()
    before = moving.ids()
    log(moving.shop, (1, 9), day=2)
    moving.shop.people([person_of(2), person_of(9, segment="new")])
    assert moving.run() == Counts(planned=1, delivered=1)
    assert moving.ids() == {"p-002": before["p-002"], "p-009": before["p-001"]}
    assert moving.contacts()["p-009"] == "new"


def test_a_contact_whose_id_nobody_learned_is_found_by_the_former_id(moving: Moving) -> None:
    moving.shop.people([person_of(1)])
    moving.run()
    before = moving.ids()
    (ledger,) = moving.shop.sql("select ledger_id from cdp.ledgers")
    moving.shop.sql(f"update cdp.ledger_side_{ledger['ledger_id']} set record_id = null")
    log(moving.shop, (1, 9), day=2)
    moving.shop.people([person_of(9)])
    assert moving.run() == Counts(planned=1, delivered=1)
    assert moving.ids() == {"p-009": before["p-001"]}


def test_a_contact_that_was_archived_by_hand_is_made_anew(moving: Moving) -> None:
    moving.shop.people([person_of(1), person_of(2)])
    moving.run()
    before = moving.ids()
    moving.archive(before["p-001"])
    log(moving.shop, (1, 9), (2, 8), day=2)
    moving.shop.people([person_of(8), person_of(9)])
    assert moving.run() == Counts(planned=2, delivered=2)
    after = moving.ids()
    assert after["p-008"] == before["p-002"]
    assert after["p-009"] not in before.values()
    assert moving.contacts() == {"p-008": "loyal", "p-009": "loyal"}


def test_the_second_contact_of_one_person_is_archived_where_removal_says_so(moving: Moving) -> None:
    moving.spec = replace(moving.spec, removal=Removal.ARCHIVE)
    moving.shop.people([person_of(1), person_of(2)])
    moving.run()
    before = moving.ids()
    log(moving.shop, (1, 2), day=2)
    moving.shop.people([person_of(2)])
    assert moving.run() == Counts(planned=1, delivered=1)
    assert moving.ids() == {"p-002": before["p-002"]}
