"""A mirror at the sandbox: who leaves the model is archived, also where no run has learned the record's id."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import Connection, Consent, FieldMapping, Limits, Mode, Removal, SyncSpec
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


class Mirror:
    """A shop whose account is the sandbox."""

    def __init__(self, root: Path, address: str, removal: Removal) -> None:
        self.shop = Shop(root)
        self.address = address
        self.spec = SyncSpec(
            name="members",
            source_model="sync_contacts__crm",
            relation="activation.sync_contacts__crm",
            primary_key="person_id",
            connection=Connection(name="hubspot", vendor="hubspot", token_env="SANDBOX_TOKEN", base_url=address),
            object="contacts",
            mode=Mode.MIRROR,
            removal=removal,
            mapping=(
                FieldMapping(column="person_id", field="cdp_person_id", match_key=True),
                FieldMapping(column="segment", field="rfm_segment"),
            ),
            consent=Consent(
                entity="shop",
                purpose="email_marketing",
                channel="email",
                identifier_column="email",
                relation="marts.consents",
            ),
            limits=Limits(shrunk_share=1.0),
        )
        self.engine = Engine(
            home=self.shop.home,
            warehouse=self.shop.warehouse,
            journal=Journal(self.shop.home),
            destination=HubSpot(),
            open_session=open_session,
        )
        switch(self.engine.journal, "members", is_enabled=True)

    def run(self) -> Counts:
        plan = make_plan(self.engine, self.spec, run_id=f"run-{len(self.shop.sql('select 1'))}-{id(object())}")
        return send_plan(self.engine, self.spec, plan, run_id=plan.run_id).counts

    def contacts(self) -> dict[str, str | None]:
        answer = requests.get(
            f"{self.address}/crm/v3/objects/contacts?properties=cdp_person_id,rfm_segment&limit=100",
            headers={"Authorization": "Bearer secret"},
            timeout=5,
        )
        found = [contact["properties"] for contact in answer.json()["results"]]
        return {contact["cdp_person_id"]: contact.get("rfm_segment") for contact in found}


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SANDBOX_TOKEN", "secret")
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0)) as served:
        yield served


def test_who_left_the_model_is_archived(address: str, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "home", address, Removal.ARCHIVE)
    mirror.shop.people([person_of(1), person_of(2)])
    assert mirror.run() == Counts(planned=2, delivered=2)
    mirror.shop.people([person_of(1)])
    assert mirror.run() == Counts(planned=1, delivered=1)
    assert mirror.contacts() == {"p-001": "loyal"}


def test_a_record_whose_id_nobody_learned_is_looked_up_and_one_that_is_gone_counts_as_removed(
    address: str, tmp_path: Path
) -> None:
    mirror = Mirror(tmp_path / "home", address, Removal.ARCHIVE)
    mirror.shop.people([person_of(number) for number in (1, 2, 3)])
    mirror.run()
    (ledger,) = mirror.shop.sql("select ledger_id from cdp.ledgers")
    mirror.shop.sql(f"update cdp.ledger_side_{ledger['ledger_id']} set record_id = null")
    headers = {"Authorization": "Bearer secret"}
    found = requests.get(
        f"{address}/crm/v3/objects/contacts/p-003?idProperty=cdp_person_id", headers=headers, timeout=5
    )
    requests.post(
        f"{address}/crm/v3/objects/contacts/batch/archive",
        json={"inputs": [{"id": found.json()["id"]}]},
        headers=headers,
        timeout=5,
    ).raise_for_status()
    mirror.shop.people([person_of(1)])
    assert mirror.run() == Counts(planned=2, delivered=2)
    assert mirror.contacts() == {"p-001": "loyal"}


def test_clearing_keeps_the_record(address: str, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "home", address, Removal.CLEAR)
    mirror.shop.people([person_of(1), person_of(2)])
    mirror.run()
    mirror.shop.people([person_of(1)])
    assert mirror.run() == Counts(planned=1, delivered=1)
    assert {person: segment or None for person, segment in mirror.contacts().items()} == {
        "p-001": "loyal",
        "p-002": None,
    }
